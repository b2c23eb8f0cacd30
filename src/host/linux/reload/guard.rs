//! A process that stands by while devices are suspended, and takes them to one end or the other when this
//! program dies.
//!
//! It is this program again, told everything it needs before the first suspension. From then on it waits
//! for its parent to end: told so, it goes; not told, it goes back to the old tables, or, once the first
//! device was about to be resumed, on to the new. It holds the run lock and LVM's locks meanwhile, so that
//! neither LVM2 nor another run finds a stack half way.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{Signal, kill};
use nix::unistd::getppid;

use crate::host::linux::reload::kernel::Kernel;
use crate::host::linux::reload::memory::Locked;
use crate::host::linux::reload::order;
use crate::operation::reload::Reload;

/// The command that is the guard; of no use to people.
pub const COMMAND: &str = "guard-tables";

const READY: u8 = b'R';
const BEGUN: u8 = b'B';
const DONE: u8 = b'D';
/// How long it may take to be ready.
const READY_LIMIT: Duration = Duration::from_secs(10);
/// How long its parent may take from the first step to the last: each suspension has a limit of its own, and
/// nothing else waits for anything.
const PARENT_LIMIT: Duration = Duration::from_secs(60);
/// How long a parent that was killed may be in a call to the kernel.
const DEATH_LIMIT: Duration = Duration::from_secs(30);
/// More steps than any stack has.
const PLAN_MAX: u64 = 64 << 20;

/// The guard, as its parent has it.
pub struct Guard {
    child: Child,
    line: UnixStream,
    resuming: EventFd,
}

impl Guard {
    /// Starts it; returns when it stands by.
    pub fn start(reload: &Reload, run: &File, lvm: &[(&'static str, &File)]) -> io::Result<Self> {
        let (mut line, theirs) = UnixStream::pair()?;
        let resuming =
            EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let event = resuming.as_fd().try_clone_to_owned()?;
        let mut command = Command::new("/proc/self/exe");
        command
            .arg(COMMAND)
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(run.try_clone()?))
            .stderr(Stdio::from(event));
        for (name, lock) in lvm {
            command.env(name, lock.as_raw_fd().to_string());
            fcntl(lock.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        let child = command.spawn();
        for (_, lock) in lvm {
            fcntl(lock.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        let child = child?;
        let plan = serde_json::to_vec(reload)?;
        line.write_all(&u64::try_from(plan.len()).unwrap_or(u64::MAX).to_le_bytes())?;
        line.write_all(&plan)?;
        line.set_read_timeout(Some(READY_LIMIT))?;
        let mut answer = [0];
        line.read_exact(&mut answer)?;
        if answer != [READY] {
            return Err(io::Error::other("it did not get ready"));
        }
        Ok(Self { child, line, resuming })
    }

    /// The first step is about to be done.
    pub fn begin(&mut self) -> io::Result<()> {
        self.line.write_all(&[BEGUN])
    }

    /// The first device is about to be resumed: from here on there is only forward. Takes no memory.
    pub fn first_resume(&self) {
        let _ = self.resuming.write(1);
    }
}

impl Drop for Guard {
    /// Everything runs again, and it may go; in a panic it does its work first.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = self.line.write_all(&[DONE]);
        }
        let _ = self.line.shutdown(Shutdown::Both);
        let _ = self.child.wait();
    }
}

/// Is the guard: what [`COMMAND`] does.
///
/// # Errors
/// What could not be set up before, or set right after, the parent died.
pub fn stand_by() -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    // Whoever stops lvmend stops it between two steps; the guard is there for when that fails.
    let ignored = [
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGHUP,
        signal_hook::consts::SIGQUIT,
    ];
    for signal in ignored {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false))).map_err(failed)?;
    }
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    let line = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let mut line = UnixStream::from(line);
    let reload = told(&mut line)?;
    let kernel = Kernel::open(reload.steps.len())?;
    let memory = Locked::take().map_err(failed)?;
    line.write_all(&[READY]).map_err(failed)?;
    let parent = getppid();
    if heard(&mut line) != Heard::Byte(BEGUN) {
        // Nothing was done yet.
        return Ok(());
    }
    line.set_read_timeout(Some(PARENT_LIMIT)).map_err(failed)?;
    match heard(&mut line) {
        Heard::Byte(DONE) => return Ok(()),
        // It is stopped, or stuck: whatever it would do later must not meet what is done here.
        Heard::Nothing => {
            let _ = kill(parent, Signal::SIGKILL);
            // Its end of the line closes with the last of its threads.
            line.set_read_timeout(Some(DEATH_LIMIT)).map_err(failed)?;
            while matches!(heard(&mut line), Heard::Byte(_)) {}
        }
        Heard::Byte(_) | Heard::End => {}
    }
    let result = if was_resuming(io::stderr().as_fd()) {
        order::finish(&kernel, &reload).map(|()| order::remove_emptied(&kernel, &reload))
    } else {
        order::back(&kernel, &reload)
    };
    drop(memory);
    kernel.wait_for_udev();
    result
}

/// What comes over the line.
#[derive(PartialEq, Eq)]
enum Heard {
    Byte(u8),
    /// Nothing for as long as it may be.
    Nothing,
    /// The other side is gone.
    End,
}

fn heard(line: &mut UnixStream) -> Heard {
    let mut byte = [0];
    loop {
        match line.read(&mut byte) {
            Ok(1) => return Heard::Byte(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Heard::Nothing,
            Ok(_) | Err(_) => return Heard::End,
        }
    }
}

fn told(line: &mut UnixStream) -> Result<Reload, String> {
    let mut len = [0; 8];
    line.read_exact(&mut len).map_err(|error| error.to_string())?;
    let len = u64::from_le_bytes(len);
    if len > PLAN_MAX {
        return Err("what it is told is too long".to_owned());
    }
    let mut plan = Vec::new();
    line.take(len).read_to_end(&mut plan).map_err(|error| error.to_string())?;
    serde_json::from_slice(&plan).map_err(|error| error.to_string())
}

/// Whether the parent was about to resume the first device.
fn was_resuming(event: BorrowedFd<'_>) -> bool {
    let mut count = [0; 8];
    nix::unistd::read(event, &mut count).is_ok_and(|read| read == count.len())
}
