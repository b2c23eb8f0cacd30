//! A process between lvmend and a program that a plan names: the program does not outlive lvmend.
//!
//! It is lvmend again. It starts the program in a process group of its own and waits for its end, and
//! for the end of the line to its parent: when that closes, because the program is to stop or because
//! the parent died, the whole group is told to go, and is killed where it does not. It holds the run
//! lock meanwhile, so that whoever takes the run up again finds the program gone.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The command that is this process; of no use to people.
pub const COMMAND: &str = "guard-program";
/// What it exits with when it stopped the program.
pub const STOPPED: u8 = 125;
/// What it exits with when the program could not be started.
pub const NOT_STARTED: u8 = 126;

/// How often it is looked whether the program is over.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a program that was told to go may take.
const GRACE: Duration = Duration::from_secs(5);

/// Runs a program: what [`COMMAND`] does. The exit code of the program, 128 and the signal that ended
/// it, or one of its own.
///
/// Its standard input is the line to its parent, its output the run lock, its errors what the program
/// says.
pub fn run(program: &[std::ffi::OsString]) -> u8 {
    // Only its parent ends it, by closing the line.
    let ignored = [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT];
    for signal in ignored.into_iter().chain([signal_hook::consts::SIGHUP]) {
        let _ = signal_hook::flag::register(signal, std::sync::Arc::default());
    }
    match start(program) {
        Ok((mut child, mut line)) => watch(&mut child, &mut line).unwrap_or(NOT_STARTED),
        Err(error) => {
            // What the program would say goes there too.
            let _ = writeln!(io::stderr(), "{error}");
            NOT_STARTED
        }
    }
}

fn start(program: &[std::ffi::OsString]) -> io::Result<(Child, UnixStream)> {
    let line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    line.set_read_timeout(Some(LOOK_EVERY))?;
    let (path, args) = program.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let said = io::stderr().as_fd().try_clone_to_owned()?;
    let child = Command::new(path)
        .args(args)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::from(said.try_clone()?))
        .stderr(Stdio::from(said))
        .spawn()?;
    Ok((child, line))
}

fn watch(child: &mut Child, line: &mut UnixStream) -> io::Result<u8> {
    loop {
        if let Some(status) = child.try_wait()? {
            // What it left running would keep the snapshot busy.
            stop(child)?;
            return Ok(code(status));
        }
        if is_closed(line) {
            stop(child)?;
            return Ok(STOPPED);
        }
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// Waits a moment, and tells whether the other side is gone.
fn is_closed(line: &mut UnixStream) -> bool {
    match line.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => !matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
        ),
    }
}

/// Ends the program with everything it started in its group.
fn stop(child: &mut Child) -> io::Result<()> {
    let group = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let _ = killpg(group, signal);
        let end = Instant::now() + GRACE;
        // A group is gone when no process is in it any more.
        while Instant::now() < end {
            let is_over = child.try_wait()?.is_some();
            if is_over && killpg(group, None).is_err() {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
    Ok(())
}
