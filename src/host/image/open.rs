//! Opening image files: read-only for looking, locked and checked for applying.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use crate::host::image::{Clock, ImageFile, ImageHost};
use crate::host::storage::{LockedFile, ReadOnlyFile};
use crate::host::{HostError, files};
use crate::ids::ForeignText;

/// Why an image is not taken.
#[derive(Debug, thiserror::Error)]
pub enum OpenImageError {
    /// The system refused.
    #[error("{}", .0.in_full())]
    Host(#[from] HostError),
    /// A directory, a device, a pipe.
    #[error("{path} is {kind}, not a regular file")]
    NotAFile {
        /// What was given.
        path: ForeignText,
        /// What it is.
        kind: &'static str,
    },
    /// Nothing in it.
    #[error("{0} is empty")]
    Empty(ForeignText),
    /// The same file under two names.
    #[error("{second} is the same file as {first}")]
    Twice {
        /// One name.
        first: ForeignText,
        /// The other.
        second: ForeignText,
    },
    /// A loop device makes it a live disk.
    #[error("{path} is behind loop device {device}: detach it with `losetup -d {device}` first")]
    BehindLoop {
        /// The image.
        path: ForeignText,
        /// The loop device.
        device: ForeignText,
    },
    /// Somebody else has it open.
    #[error("{path} is open elsewhere: {holder}")]
    OpenElsewhere {
        /// The image.
        path: ForeignText,
        /// Name and pid of the process.
        holder: ForeignText,
    },
    /// Another lvmend, or somebody else, holds a lock on it.
    #[error("{0} is locked by another process")]
    Locked(ForeignText),
}

fn kind_of(kind: fs::FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_block_device() {
        "a block device"
    } else if kind.is_char_device() {
        "a character device"
    } else if kind.is_fifo() {
        "a pipe"
    } else {
        "a socket"
    }
}

/// Refuses what is no regular file with something in it, and files given twice.
fn check_paths(files: &[ImageFile]) -> Result<(), OpenImageError> {
    let mut seen: Vec<((u64, u64), &String)> = Vec::new();
    for ImageFile { path, .. } in files {
        let found = fs::metadata(path).map_err(|e| HostError::new("open", path, e))?;
        if !found.is_file() {
            let kind = kind_of(found.file_type());
            return Err(OpenImageError::NotAFile { path: path.as_str().into(), kind });
        }
        if found.len() == 0 {
            return Err(OpenImageError::Empty(path.as_str().into()));
        }
        let identity = (found.dev(), found.ino());
        if let Some((_, first)) = seen.iter().find(|(id, _)| *id == identity) {
            let (first, second) = (first.as_str().into(), path.as_str().into());
            return Err(OpenImageError::Twice { first, second });
        }
        seen.push((identity, path));
    }
    Ok(())
}

/// Opens images for looking at them.
///
/// # Errors
/// [`OpenImageError`], for the first that cannot be taken.
pub fn open_for_reading(images: &[ImageFile]) -> Result<ImageHost<ReadOnlyFile>, OpenImageError> {
    check_paths(images)?;
    let mut host = ImageHost::new(Clock::System, files::machine());
    for image in images {
        let path = &image.path;
        let error = |e| HostError::new("open", path, e);
        let file = File::open(path).map_err(error)?;
        let read_only = is_read_only(path);
        let storage = ReadOnlyFile::new(file).map_err(error)?;
        host.add(image.clone(), storage, read_only)?;
    }
    Ok(host)
}

/// Whether the system would refuse to open this file for writing.
fn is_read_only(path: &str) -> bool {
    use nix::unistd::{AccessFlags, eaccess};
    eaccess(path, AccessFlags::W_OK).is_err()
}

/// Opens images for changing them, alone; copies are made in `scratch` for the time being.
///
/// # Errors
/// [`OpenImageError`]: also for files behind a loop device, open in another process, or locked.
pub fn open_for_writing(
    images: &[ImageFile],
    scratch: &str,
) -> Result<ImageHost<LockedFile>, OpenImageError> {
    check_paths(images)?;
    let mut host = ImageHost::new(Clock::System, files::machine());
    host.set_scratch(scratch.to_owned());
    for image in images {
        let path = &image.path;
        let error = |e| HostError::new("open", path, e);
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(error)?;
        let found = file.metadata().map_err(error)?;
        let identity = (found.dev(), found.ino());
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, _)| OpenImageError::Locked(path.as_str().into()))?;
        refuse_loop(path, identity)?;
        refuse_holders(path, identity)?;
        let storage = LockedFile::new(file).map_err(error)?;
        host.add(image.clone(), storage, false)?;
    }
    Ok(host)
}

/// Refuses a file that a loop device makes a live disk of.
fn refuse_loop(path: &str, identity: (u64, u64)) -> Result<(), OpenImageError> {
    let Ok(devices) = fs::read_dir("/sys/block") else {
        return Ok(());
    };
    for device in devices.flatten() {
        let backing = device.path().join("loop/backing_file");
        let Ok(backing) = fs::read_to_string(backing) else {
            continue;
        };
        if is_same_file(Path::new(backing.trim_end_matches('\n')), identity) {
            let device = format!("/dev/{}", device.file_name().to_string_lossy());
            return Err(OpenImageError::BehindLoop { path: path.into(), device: device.into() });
        }
    }
    Ok(())
}

/// Refuses a file that another process has open, as far as this user may see it.
fn refuse_holders(path: &str, identity: (u64, u64)) -> Result<(), OpenImageError> {
    let own = std::process::id().to_string();
    let Ok(processes) = fs::read_dir("/proc") else {
        return Ok(());
    };
    for process in processes.flatten() {
        let pid = process.file_name().to_string_lossy().into_owned();
        if pid == own || !pid.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let Ok(open_files) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = open_files.flatten().any(|file| is_same_file(&file.path(), identity));
        if holds {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            let holder = format!("{} (pid {pid})", name.trim_end());
            return Err(OpenImageError::OpenElsewhere { path: path.into(), holder: holder.into() });
        }
    }
    Ok(())
}

fn is_same_file(path: &Path, identity: (u64, u64)) -> bool {
    let found: io::Result<fs::Metadata> = fs::metadata(path);
    found.is_ok_and(|found| (found.dev(), found.ino()) == identity)
}
