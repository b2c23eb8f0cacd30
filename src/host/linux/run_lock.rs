//! The run lock: one run per VG at a time, whatever its state directory.
//!
//! Children that write inherit it. It is free only when the run and the last of them are gone, so
//! whoever takes a run up again after a crash waits for what still works on its behalf.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::host::HostError;
use crate::ids::VgUuid;

const DIRECTORY: &str = "/run/lock/lvmend";
const TRY_EVERY: Duration = Duration::from_millis(50);
/// After this long, and again after as long, somebody is told what is waited for.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The lock of one VG.
#[derive(Debug)]
pub struct RunLock {
    file: Flock<File>,
}

/// Why the lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum RunLockError {
    /// The file system.
    #[error("{}", .0.in_full())]
    Host(#[from] HostError),
    /// Another run holds it.
    #[error("another lvmend (pid {0}) works on this volume group")]
    Held(u32),
}

impl RunLock {
    /// Takes the lock. Another run is waited for until `wait` is over; children of a run that died
    /// are waited for without end, and `tell` hears how many seconds by now.
    ///
    /// # Errors
    /// [`RunLockError`].
    pub fn take(
        vg: VgUuid,
        wait: Duration,
        tell: &mut dyn FnMut(u64),
    ) -> Result<Self, RunLockError> {
        let path = format!("{DIRECTORY}/{vg}");
        let error = |cause| HostError::new("lock", &path, cause);
        make_directory().map_err(error)?;
        let (begun, mut told) = (Instant::now(), Instant::now());
        loop {
            if let Some(file) = try_lock(&path).map_err(error)? {
                let note = format!("{}\n", std::process::id());
                fs::write(holder(&path), note).map_err(error)?;
                return Ok(Self { file });
            }
            if let (Some(pid), true) = (living_holder(&path), begun.elapsed() >= wait) {
                return Err(RunLockError::Held(pid));
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                tell(begun.elapsed().as_secs());
            }
            thread::sleep(TRY_EVERY);
        }
    }

    /// The locked file, for children to keep.
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// The living process that works on this VG, if one does.
pub fn held_by(vg: VgUuid) -> Option<u32> {
    let path = format!("{DIRECTORY}/{vg}");
    let file = File::open(&path).ok()?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Err((_, Errno::EWOULDBLOCK)) => living_holder(&path),
        Ok(_) | Err(_) => None,
    }
}

fn make_directory() -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(DIRECTORY)
}

fn holder(path: &str) -> String {
    format!("{path}.holder")
}

fn try_lock(path: &str) -> io::Result<Option<Flock<File>>> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(locked) => Ok(Some(locked)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// The process that took the lock, while it lives. Once it is gone only its children hold it.
fn living_holder(path: &str) -> Option<u32> {
    let pid: u32 = fs::read_to_string(holder(path)).ok()?.trim().parse().ok()?;
    Path::new(&format!("/proc/{pid}/exe")).exists().then_some(pid)
}
