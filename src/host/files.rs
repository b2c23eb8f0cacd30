//! Small files of the host: backups, archives, plans.

use std::fs::{self, File, FileType};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::host::{HostError, Machine, TargetState};
use crate::ids::ForeignText;
use crate::model::inventory::Space;
use crate::units::Bytes;

/// Reads a whole regular file of up to `size_max`.
///
/// # Errors
/// [`HostError`], also for directories, devices and larger files.
pub fn read_file(path: &str, size_max: Bytes) -> Result<Vec<u8>, HostError> {
    let error = |cause| HostError::new("read", path, cause);
    // Opening a FIFO or a device could wait for ever, or do something: look first.
    let found = fs::metadata(path).map_err(error)?;
    if !found.is_file() {
        return Err(HostError::because("read", path, "it is not a regular file"));
    }
    let file = File::open(path).map_err(error)?;
    let mut bytes = Vec::new();
    let read =
        file.take(size_max.get().saturating_add(1)).read_to_end(&mut bytes).map_err(error)?;
    if Bytes::of_len(read) > size_max {
        return Err(HostError::because("read", path, format!("it is larger than {size_max}")));
    }
    Ok(bytes)
}

/// Writes a file that a person named: a new one, or one in the place of another of its kind. What
/// else stands there, a disk above all, is left alone.
///
/// # Errors
/// [`HostError`].
pub fn write_own_kind(
    path: &str,
    bytes: &[u8],
    size_max: Bytes,
    is_own_kind: impl Fn(&[u8]) -> bool,
) -> Result<(), HostError> {
    let error = |cause| HostError::new("write", path, cause);
    match File::create_new(path) {
        Ok(mut file) => return file.write_all(bytes).map_err(error),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
        Err(cause) => return Err(error(cause)),
    }
    if !read_file(path, size_max).is_ok_and(|standing| is_own_kind(&standing)) {
        return Err(HostError::because("write", path, "something else stands there"));
    }
    fs::write(path, bytes).map_err(error)
}

/// The regular files in a directory, by path, sorted.
///
/// # Errors
/// [`HostError`], when it cannot be listed.
pub fn list_files(directory: &str) -> Result<Vec<String>, HostError> {
    let error = |cause| HostError::new("list", directory, cause);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(error)? {
        let entry = entry.map_err(error)?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        // A name that is not UTF-8 was not made by LVM.
        if let (true, Some(path)) = (is_file, entry.path().to_str()) {
            paths.push(path.to_owned());
        }
    }
    paths.sort();
    Ok(paths)
}

/// What stands at a path that is to be written.
pub fn target_state(path: &str) -> TargetState {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {
            return TargetState::File { size: Bytes::new(found.len()) };
        }
        Ok(found) => return TargetState::Other(kind_shown(found.file_type())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return TargetState::NoDirectory(error.to_string()),
    }
    let directory = Path::new(path).parent().unwrap_or(Path::new("/"));
    match space_in(directory) {
        Ok(space) => TargetState::Free(space),
        Err(error) => TargetState::NoDirectory(error.to_string()),
    }
}

/// What something that is no regular file is, for people.
pub fn kind_shown(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a directory"
    } else {
        "a device, a pipe or a socket"
    }
}

/// What is left for new files in a directory that this user can write to.
fn space_in(directory: &Path) -> io::Result<Space> {
    use nix::sys::statvfs::statvfs;
    use nix::unistd::{AccessFlags, eaccess, geteuid};
    let file_system = fs::metadata(directory)?.dev();
    eaccess(directory, AccessFlags::W_OK | AccessFlags::X_OK)?;
    let found = statvfs(directory)?;
    // Some blocks are kept for root.
    let blocks = if geteuid().is_root() { found.blocks_free() } else { found.blocks_available() };
    // A file system that counts no blocks at all does not say how much it takes.
    let is_told = found.blocks() > 0;
    let available = if is_told { blocks.saturating_mul(found.fragment_size()) } else { u64::MAX };
    Ok(Space { available: Bytes::new(available), file_system })
}

/// Whether a file system can be mounted there: it is a directory, by its real name.
///
/// # Errors
/// Why not, for people.
pub fn mount_point(path: &str) -> Result<(), String> {
    let real = fs::canonicalize(path).map_err(|cause| {
        if cause.kind() == io::ErrorKind::NotFound {
            format!("it is not there; make it: mkdir -p {path}")
        } else {
            cause.to_string()
        }
    })?;
    let shown = real.to_string_lossy();
    // The kernel lists mounts by their real names, and by that this one is found again.
    if shown != path {
        return Err(format!("its real name is {shown}: write that"));
    }
    if !real.is_dir() {
        return Err("it is no directory".to_owned());
    }
    let mut entries = fs::read_dir(&real).map_err(|cause| cause.to_string())?;
    if entries.next().is_some() {
        return Err("it is not empty: what is in it would be hidden".to_owned());
    }
    match real.ancestors().find_map(not_roots) {
        Some(why) => Err(why),
        None => Ok(()),
    }
}

/// Why somebody else than root could put something else in the place of this file or directory, or into
/// it. Who may write to a directory with the sticky bit may not replace what root has in it.
pub fn not_roots(place: &Path) -> Option<String> {
    let shown = ForeignText::from(place.to_string_lossy().into_owned());
    let found = match fs::symlink_metadata(place) {
        Ok(found) => found,
        Err(error) => return Some(format!("{shown}: {error}")),
    };
    if found.uid() != 0 {
        return Some(format!("{shown} belongs to user {}, not to root", found.uid()));
    }
    // Everybody may do everything with a link, says its mode, and nobody can change it.
    let is_sticky = found.is_dir() && found.mode() & 0o1000 != 0;
    let is_open = found.mode() & 0o022 != 0 && !is_sticky && !found.is_symlink();
    is_open.then(|| format!("{shown} can be written by others than root"))
}

/// Seconds since 1970; 0 on a machine whose clock stands before that.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// What `uname` says.
pub fn machine() -> Machine {
    let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    match nix::sys::utsname::uname() {
        Ok(names) => Machine {
            node: text(names.nodename()).into(),
            description: [
                names.sysname(),
                names.nodename(),
                names.release(),
                names.version(),
                names.machine(),
            ]
            .map(text)
            .join(" ")
            .into(),
        },
        Err(errno) => {
            let unknown = io::Error::from(errno).to_string();
            Machine { node: "unknown".into(), description: unknown.into() }
        }
    }
}
