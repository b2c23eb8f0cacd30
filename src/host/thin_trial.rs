//! Judging the metadata of a thin pool, and rebuilding it, on a copy in the scratch directory: no
//! device is written.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use crate::host::copy::copy_data;
use crate::host::thin_copy::MetadataCopy;
use crate::host::thin_tools::ThinTools;
use crate::host::{HostError, ReadHost};
use crate::ids::Digest;
use crate::model::thin_pool::{METADATA_MAX, PoolByText, PoolTrial, Rebuilt};
use crate::operation::act::Content;
use crate::units::Bytes;

/// A copy, a dump, which as text is larger, and a rebuild, which may unshare.
const ROOM_TIMES: u64 = 6;

/// A directory that is gone with what is in it when it is not needed any more.
///
/// What a run that was killed left behind is removed by the next one: nobody holds the lock on it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Held as long as it is used.
    _lock: Flock<File>,
}

/// Where scratch directories are made, unless somebody says otherwise.
pub const SCRATCH: &str = "/var/tmp";
/// What a dump is called there.
pub const DUMP: &str = "dump.xml";
/// What new metadata is called there.
pub const REBUILT: &str = "rebuilt";
/// What the names of scratch directories begin with.
const PREFIX: &str = "lvmend-";
/// The file in it that is locked. It also shows whether files can be read and written directly.
const LOCK: &str = "direct";

impl Scratch {
    /// Makes one.
    ///
    /// # Errors
    /// Why it cannot be used, for people.
    pub fn make(within: &str) -> Result<Self, String> {
        sweep(within);
        let template = Path::new(within).join(format!("{PREFIX}XXXXXX"));
        let path = nix::unistd::mkdtemp(&template).map_err(|error| {
            format!("no scratch directory can be made in {within}: {error}; name another with --scratch-dir")
        })?;
        // The tools read and write past the page cache.
        let direct = OpenOptions::new()
            .write(true)
            .create_new(true)
            .custom_flags(nix::libc::O_DIRECT)
            .open(path.join(LOCK));
        let locked = direct.and_then(|file| {
            Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno.into())
        });
        match locked {
            Ok(lock) => Ok(Self { path, _lock: lock }),
            Err(error) => {
                let _ = fs::remove_dir_all(&path);
                Err(format!(
                    "the thin tools read and write directly, which the file system of {within} does \
                     not let them ({error}): name a directory on another with --scratch-dir"
                ))
            }
        }
    }

    /// Whether a copy, a dump and a rebuild of this metadata fit, as far as that can be told.
    ///
    /// # Errors
    /// That they do not, for people.
    pub fn has_room(&self, content: &Content) -> Result<(), String> {
        let size = content.len.bytes().unwrap_or(METADATA_MAX);
        let needed = Bytes::new(size.get().saturating_mul(ROOM_TIMES));
        let found = nix::sys::statvfs::statvfs(&self.path).map_err(|error| error.to_string())?;
        let free = Bytes::new(found.blocks_available().saturating_mul(found.fragment_size()));
        if free >= needed {
            return Ok(());
        }
        Err(format!(
            "a copy of {size} of metadata, its dump and its rebuild may take {needed}, and {free} are \
             free in the scratch directory: name another with --scratch-dir"
        ))
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> String {
        self.path.join(name).to_string_lossy().into_owned()
    }
}

/// For so long a directory is left alone.
const NEW: Duration = Duration::from_secs(60);

/// Removes scratch directories of ours that nobody uses any more. What cannot be removed is a nuisance,
/// and no harm.
fn sweep(within: &str) {
    let Ok(entries) = fs::read_dir(within) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.metadata().is_ok_and(|found| {
            // One that was only just made may not be locked yet.
            let age = found.modified().ok().and_then(|made| made.elapsed().ok());
            let is_old = age.is_some_and(|age| age > NEW);
            is_old && found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw()
        });
        let name = entry.file_name().to_string_lossy().into_owned();
        if !is_ours || !name.starts_with(PREFIX) {
            continue;
        }
        let Ok(file) = File::open(entry.path().join(LOCK)) else { continue };
        if let Ok(_lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is a nuisance, and no harm.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Copies metadata, sparsely, to a new file; tells its digest and size.
///
/// # Errors
/// [`HostError`], when it cannot be read or written.
pub fn copy_metadata(
    host: &dyn ReadHost,
    content: &Content,
    path: &str,
) -> Result<(Digest, Bytes), HostError> {
    let error = |doing| move |cause| HostError::new(doing, path, cause);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(error("make"))?;
    let (digest, size) = copy_data(host, content, &mut |start, bytes| {
        file.write_all_at(bytes, start.get()).map_err(error("write"))
    })?;
    file.set_len(size.get()).map_err(error("write"))?;
    Ok((digest, size))
}

/// What `thin_check` says of this metadata; and what a rebuild makes of it, when it is not sound or
/// `rebuild` says so.
///
/// # Errors
/// Why it could not be tried, for people.
pub fn try_pool(
    host: &dyn ReadHost,
    tools: &ThinTools,
    content: &Content,
    text: &PoolByText,
    within: &str,
    rebuild: bool,
) -> Result<PoolTrial, String> {
    let scratch = Scratch::make(within)?;
    let path = scratch.file("metadata");
    scratch.has_room(content)?;
    let (_, size) = copy_metadata(host, content, &path).map_err(|error| error.in_full())?;
    let checked = tools.check(&path)?;
    if checked.is_ok() && !rebuild {
        return Ok(PoolTrial { checked, rebuilt: None });
    }
    let copy = MetadataCopy { tools, path, size, text };
    Ok(PoolTrial { checked, rebuilt: Some(try_rebuild(&copy, &scratch)) })
}

fn try_rebuild(copy: &MetadataCopy<'_>, scratch: &Scratch) -> Result<Rebuilt, String> {
    let dump = scratch.file(DUMP);
    let mend = copy.dump(&dump)?;
    let path = scratch.file(REBUILT);
    // Dumps of the older tools unshare what snapshots share, and need more room than before.
    let mut size = copy.size;
    loop {
        File::create(&path)
            .and_then(|file| file.set_len(size.get()))
            .map_err(|error| format!("{path}: {error}"))?;
        match copy.tools.restore(&dump, &path)? {
            Ok(()) => break,
            Err(said) if size >= METADATA_MAX => return Err(format!("thin_restore: {said}")),
            Err(_) => size = size.saturating_add(size).min(METADATA_MAX),
        }
    }
    copy.rebuilt(mend, &path)
}
