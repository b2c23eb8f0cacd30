//! LVM's own locks: files that LVM2 locks with `flock`, taken the way it takes them.
//!
//! # Source
//! LVM2 `lib/misc/lvm-flock.c`: `_do_write_priority_flock`, `_do_flock`, `_undo_flock`; order of
//! locks: `lib/locking/locking.c`, global before VG.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::host::{ActError, HostError};
use crate::ids::VgName;

/// How often a lock that somebody holds is tried again.
const TRY_EVERY: Duration = Duration::from_millis(50);

/// One lock file, locked exclusively.
#[derive(Debug)]
pub struct LvmLock {
    path: String,
    file: Option<Flock<File>>,
}

/// The global lock and that of one VG, both held exclusively.
#[derive(Debug)]
pub struct VgLocks {
    // Dropped in this order: the VG's first.
    vg: LvmLock,
    global: LvmLock,
}

impl VgLocks {
    /// Takes both, and waits for whoever holds them until `deadline`.
    ///
    /// # Errors
    /// [`ActError::Busy`] when they are still held then.
    pub fn take(directory: &str, vg: &VgName, deadline: Instant) -> Result<Self, ActError> {
        make_directory(directory)?;
        let global = LvmLock::take(format!("{directory}/P_global"), deadline)?;
        let vg = LvmLock::take(format!("{directory}/V_{vg}"), deadline)?;
        Ok(Self { vg, global })
    }

    /// The locks with the variables that make LVM2 keep their descriptors.
    pub fn kept(&self) -> Vec<(&'static str, &File)> {
        let vg = self.vg.file.as_deref().map(|file| ("LVM_REPORT_FD", file));
        let global = self.global.file.as_deref().map(|file| ("LVM_OUT_FD", file));
        vg.into_iter().chain(global).collect()
    }
}

fn make_directory(directory: &str) -> Result<(), HostError> {
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(directory) {
        Ok(()) => Ok(()),
        Err(cause) => Err(HostError::new("make LVM's lock directory", directory, cause)),
    }
}

impl LvmLock {
    /// Writers queue at a second file, so that readers do not keep them out for ever.
    fn take(path: String, deadline: Instant) -> Result<Self, ActError> {
        let queue = Self::take_one(format!("{path}:aux"), deadline)?;
        let lock = Self::take_one(path, deadline);
        drop(queue);
        lock
    }

    fn take_one(path: String, deadline: Instant) -> Result<Self, ActError> {
        loop {
            if let Some(file) = try_lock(&path).map_err(|e| HostError::new("lock", &path, e))? {
                return Ok(Self { path, file: Some(file) });
            }
            if Instant::now() >= deadline {
                return Err(ActError::Busy(format!("{path} is held by an LVM command")));
            }
            thread::sleep(TRY_EVERY);
        }
    }
}

/// Locks the file that has this name; none when somebody else holds it, or removed it meanwhile.
fn try_lock(path: &str) -> io::Result<Option<Flock<File>>> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o700)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(locked) => Ok(is_named(&locked, path).then_some(locked)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// Whoever unlocks removes the file: only the one that still has its name is the lock.
fn is_named(file: &File, path: &str) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), fs::metadata(path)) else {
        return false;
    };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

impl Drop for LvmLock {
    /// As LVM2 does: whoever waits goes first; nobody waiting, the file goes.
    fn drop(&mut self) {
        let Some(held) = self.file.take() else { return };
        let Ok(file) = held.unlock() else { return };
        if let Ok(again) = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            && is_named(&again, &self.path)
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(120)
    }

    #[test]
    fn one_holds_it_and_the_file_goes_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().to_str().unwrap();
        let vg: VgName = "vg".parse().unwrap();
        let held = VgLocks::take(directory, &vg, soon()).unwrap();
        let refused = VgLocks::take(directory, &vg, soon());
        assert!(matches!(refused, Err(ActError::Busy(_))));
        drop(held);
        assert_eq!(fs::read_dir(directory).unwrap().count(), 0);
        VgLocks::take(directory, &vg, soon()).unwrap();
    }

    #[test]
    fn a_file_that_was_removed_is_no_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("P_global");
        let path = path.to_str().unwrap();
        let gone = File::create(path).unwrap();
        fs::remove_file(path).unwrap();
        assert!(!is_named(&gone, path));
        let locked = try_lock(path).unwrap().unwrap();
        assert!(is_named(&locked, path));
    }
}
