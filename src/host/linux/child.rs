//! Running programs that write. They are waited for, however long that takes, and never killed:
//! half a change of metadata is worse than a late one.
//!
//! A child gets what it must keep if this program dies: the run lock as its standard input, so
//! that whoever takes the run up again waits for it, and LVM's own locks, which it works under.
//! LVM2 closes every descriptor it does not know; it knows those named in `LVM_OUT_FD` and
//! `LVM_REPORT_FD`. What a child says goes to a file, not into a pipe: a pipe breaks when its
//! reader dies, and with it the writer.
//!
//! # Source
//! LVM2 `tools/lvmcmdline.c`, `_close_stray_fds`, `_get_custom_fds`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::host::linux::program::bare;
use crate::host::{ActError, HostError, Progress};
use crate::ids::ForeignText;
use crate::operation::command::{CommandLine, SCRATCH_DIR};

/// How often a child is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// After this long, and again after as long, somebody is told that a child is waited for.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// No more than this of what a child said is kept.
const SAID_MAX: u64 = 64 << 10;
/// No more than this of it goes into an error.
const SAID_SHOWN: usize = 2000;

/// What a child keeps open for as long as it lives.
pub struct Kept<'a> {
    /// The run lock.
    pub run: &'a File,
    /// LVM's locks, each with the variable that makes LVM2 keep it.
    pub lvm: Vec<(&'static str, &'a File)>,
}

/// Makes the directory for what children read and say.
pub fn make_scratch_dir() -> Result<(), HostError> {
    let error = |cause| HostError::new("make", SCRATCH_DIR, cause);
    for directory in [SCRATCH_DIR.to_owned(), format!("{SCRATCH_DIR}/locks")] {
        match fs::DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => {}
            Err(known) if known.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(error(cause)),
        }
    }
    Ok(())
}

/// Runs a program to its end.
///
/// # Errors
/// [`ActError::Command`] when it ended with anything but success; what it did is for the caller to
/// find out.
pub fn run(
    command: &CommandLine,
    kept: &Kept<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ActError> {
    let error = |cause| HostError::new("run", command, cause);
    make_scratch_dir()?;
    let mut said = unnamed_file().map_err(error)?;
    let child = start(command, kept, &said).map_err(error)?;
    let status = wait(child, progress).map_err(error)?;
    if status.success() {
        return Ok(());
    }
    Err(ActError::Command {
        command: command.to_string(),
        ended: ended(status),
        said: shown(&mut said),
        by_signal: status.code().is_none(),
    })
}

/// A file that nothing but its descriptors leads to.
pub fn unnamed_file() -> io::Result<File> {
    let path = format!("{SCRATCH_DIR}/said-by-child-of-{}", std::process::id());
    let _ = fs::remove_file(&path);
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn start(command: &CommandLine, kept: &Kept<'_>, said: &File) -> io::Result<Child> {
    let mut program = bare(&command.program);
    program
        .args(&command.args)
        .stdin(Stdio::from(kept.run.try_clone()?))
        .stdout(Stdio::from(said.try_clone()?))
        .stderr(Stdio::from(said.try_clone()?));
    for (variable, lock) in &kept.lvm {
        program.env(variable, lock.as_raw_fd().to_string());
        fcntl(lock.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    let child = program.spawn();
    for (_, lock) in &kept.lvm {
        fcntl(lock.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    child
}

fn wait(mut child: Child, progress: &mut dyn FnMut(Progress)) -> io::Result<ExitStatus> {
    let (begun, mut told) = (Instant::now(), Instant::now());
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            progress(Progress::Waiting { pid: child.id(), seconds: begun.elapsed().as_secs() });
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// How it ended, for people.
pub fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// The end of what a child said.
fn shown(said: &mut File) -> String {
    let mut bytes = Vec::new();
    let read = said
        .seek(SeekFrom::Start(0))
        .and_then(|_| said.take(SAID_MAX).read_to_end(&mut bytes))
        .is_ok();
    if read { last_words(&bytes) } else { String::new() }
}

/// The end of what was said, in one line, with a colon in front; empty when nothing was.
pub fn last_words(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines.join("; ");
    let start = text.char_indices().rev().nth(SAID_SHOWN).map_or(0, |(at, _)| at);
    let text = text.get(start..).unwrap_or_default();
    if text.is_empty() { String::new() } else { format!(": {}", ForeignText::from(text)) }
}
