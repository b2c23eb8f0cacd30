//! Running programs that only read: with a time limit, and an end to what they may say.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::host::HostError;

/// No program that only reads needs longer, unless a device hangs.
const TIME_MAX: Duration = Duration::from_secs(30);
/// No more than this of what a program says is read.
const SAID_MAX: u64 = 64 << 20;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What came of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether it ended with exit code 0.
    pub success: bool,
    /// What it said on stdout.
    pub stdout: Vec<u8>,
    /// What it said on stderr.
    pub stderr: String,
}

/// The environment of every child: nothing of ours but where LVM's configuration is.
pub fn environment() -> Vec<(String, String)> {
    let fixed = [
        ("LC_ALL", "C"),
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ("LVM_SUPPRESS_FD_WARNINGS", "1"),
    ];
    let mut all: Vec<(String, String)> =
        fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    if let Ok(directory) = std::env::var("LVM_SYSTEM_DIR") {
        all.push(("LVM_SYSTEM_DIR".to_owned(), directory));
    }
    all
}

/// Runs a program that only reads, and ends it when it takes too long.
///
/// # Errors
/// [`HostError`], when it cannot be run or does not end.
pub fn read_from(program: &str, args: &[&str]) -> Result<Said, HostError> {
    let shown = format!("{program} {}", args.join(" "));
    let error = |cause| HostError::new("run", &shown, cause);
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .envs(environment())
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(error)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let readers = (thread::spawn(move || drain(stdout)), thread::spawn(move || drain(stderr)));
    let status = wait(&mut child).map_err(error)?;
    let read = |reader: thread::JoinHandle<Vec<u8>>| reader.join().unwrap_or_default();
    let (stdout, stderr) = (read(readers.0), read(readers.1));
    Ok(Said { success: status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
}

/// Reads to the end; what is too much is passed over, so that the writer is not held up.
fn drain(from: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        let _ = (&mut from).take(SAID_MAX).read_to_end(&mut bytes);
        let _ = io::copy(&mut from, &mut io::sink());
    }
    bytes
}

fn wait(child: &mut Child) -> io::Result<bool> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if begun.elapsed() > TIME_MAX {
            if let Ok(group) = i32::try_from(child.id()) {
                let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            }
            let _ = child.wait();
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it did not end within {} s", TIME_MAX.as_secs()),
            ));
        }
        thread::sleep(LOOK_EVERY);
    }
}
