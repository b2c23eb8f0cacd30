//! Running other people's programs that only read: by absolute path, without a shell, in a clean
//! environment, and never for longer than a limit.

use std::fs;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access};

use crate::host::files::not_roots;
use crate::ids::ForeignText;
use crate::units::Bytes;

/// Where programs look for programs of their own.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// Where LVM2 has its configuration, when not in `/etc/lvm`.
pub const LVM_SYSTEM_DIR: &str = "LVM_SYSTEM_DIR";
/// How often a child that has closed its output is asked whether it is over.
const POLL: Duration = Duration::from_millis(2);
/// More links one behind the other lead nowhere.
const LINKS_MAX: usize = 40;
/// How long a killed child may take to go: one that waits for a disk cannot be killed.
const GRACE: Duration = Duration::from_secs(2);

/// A program that may be run as root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    path: String,
}

/// What a program may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long it may run.
    pub time: Duration,
    /// How much it may say, on each of stdout and stderr.
    pub output: Bytes,
}

/// What a program said, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// Why a program was not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It could be replaced by somebody else than root.
    #[error("{path} is not run: {why}")]
    NotTrusted {
        /// The program.
        path: ForeignText,
        /// What speaks against it.
        why: String,
    },
    /// The system did not start it.
    #[error("cannot run {path}: {cause}")]
    System {
        /// The program.
        path: ForeignText,
        /// What the system said.
        cause: io::Error,
    },
    /// It took too long, and was killed.
    #[error("`{command}` took longer than {} s and was killed", .limit.as_secs())]
    TooLong {
        /// What was run.
        command: ForeignText,
        /// What it might have taken.
        limit: Duration,
    },
    /// It said too much, and was killed.
    #[error("`{command}` printed more than {limit} and was killed")]
    TooMuch {
        /// What was run.
        command: ForeignText,
        /// What it might have said.
        limit: Bytes,
    },
}

impl Program {
    /// The first of these that is there; `None` when none is.
    ///
    /// # Errors
    /// [`ProgramError::NotTrusted`], when somebody else than root could have replaced it.
    pub fn find(paths: &[&str]) -> Result<Option<Self>, ProgramError> {
        let Some(path) = paths.iter().find(|path| Path::new(path).is_file()) else {
            return Ok(None);
        };
        check_trust(Path::new(path))?;
        Ok(Some(Self { path: (*path).to_owned() }))
    }

    /// The program of this name, or at this absolute path.
    ///
    /// # Errors
    /// Why it is not run, for people.
    pub fn named(name: &str) -> Result<Self, String> {
        let places: Vec<String> = if name.contains('/') {
            vec![name.to_owned()]
        } else {
            PATH.split(':').map(|directory| format!("{directory}/{name}")).collect()
        };
        let places: Vec<&str> = places.iter().map(String::as_str).collect();
        let found = Self::find(&places).map_err(|error| error.to_string())?;
        let found = found.ok_or_else(|| format!("it is not there: {}", places.join(", ")))?;
        match access(found.path.as_str(), AccessFlags::X_OK) {
            Ok(()) => Ok(found),
            Err(errno) => Err(format!("{}: {}", found.path, errno.desc())),
        }
    }

    /// Its absolute path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Runs it with these arguments and waits for its end, whatever its exit code.
    ///
    /// Only for programs that write nothing: it is killed when a limit is reached.
    ///
    /// # Errors
    /// [`ProgramError`].
    pub fn read(&self, arguments: &[&str], limits: Limits) -> Result<Said, ProgramError> {
        let system = |cause| ProgramError::System { path: self.path.as_str().into(), cause };
        let mut child = self.command(arguments).spawn().map_err(system)?;
        follow(&mut child, limits).map_err(|stopped| {
            kill(&mut child);
            match stopped {
                Stopped::TooLong => {
                    let (command, limit) = (self.shown(arguments), limits.time);
                    ProgramError::TooLong { command, limit }
                }
                Stopped::TooMuch => {
                    let (command, limit) = (self.shown(arguments), limits.output);
                    ProgramError::TooMuch { command, limit }
                }
                Stopped::System(cause) => system(cause),
            }
        })
    }

    /// The command, with everything it inherits.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(&self.path);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn shown(&self, arguments: &[&str]) -> ForeignText {
        let words: Vec<&str> =
            std::iter::once(self.path.as_str()).chain(arguments.iter().copied()).collect();
        words.join(" ").into()
    }
}

/// A command with the surroundings that every child gets: a clean environment, and a process group
/// of its own, so that Ctrl-C on the terminal does not reach it.
pub fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .env("LVM_SUPPRESS_FD_WARNINGS", "1")
        .current_dir("/")
        .process_group(0);
    if let Some(directory) = std::env::var_os(LVM_SYSTEM_DIR) {
        command.env(LVM_SYSTEM_DIR, directory);
    }
    command
}

/// Whether only root could have replaced this program: itself, every link that leads to it, and every
/// directory on the way.
fn check_trust(path: &Path) -> Result<(), ProgramError> {
    let untrusted = |why: String| ProgramError::NotTrusted {
        path: path.to_string_lossy().into_owned().into(),
        why,
    };
    let mut hop = path.to_owned();
    for _ in 0..LINKS_MAX {
        let parent = hop.parent().map_or_else(|| Ok(hop.clone()), fs::canonicalize);
        let parent = parent.map_err(|error| untrusted(error.to_string()))?;
        if let Some(why) = hop.ancestors().chain(parent.ancestors()).find_map(not_roots) {
            return Err(untrusted(why));
        }
        let found = fs::symlink_metadata(&hop).map_err(|error| untrusted(error.to_string()))?;
        if !found.is_symlink() {
            let real = fs::canonicalize(&hop).map_err(|error| untrusted(error.to_string()))?;
            return real.ancestors().find_map(not_roots).map_or(Ok(()), |why| Err(untrusted(why)));
        }
        let to = fs::read_link(&hop).map_err(|error| untrusted(error.to_string()))?;
        hop = hop.parent().map_or_else(|| to.clone(), |directory| directory.join(&to));
    }
    Err(untrusted("too many links lead to it".to_owned()))
}

enum Stopped {
    TooLong,
    TooMuch,
    System(io::Error),
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

type Pipe = Box<dyn Read + Send>;
type Chunk = (Stream, io::Result<Vec<u8>>);

/// Takes everything the child says, and waits for its end.
fn follow(child: &mut Child, limits: Limits) -> Result<Said, Stopped> {
    let deadline = Instant::now() + limits.time;
    let (sender, receiver) = mpsc::channel::<Chunk>();
    let pipes: [(Stream, Option<Pipe>); 2] = [
        (Stream::Out, child.stdout.take().map(|pipe| Box::new(pipe) as Pipe)),
        (Stream::Err, child.stderr.take().map(|pipe| Box::new(pipe) as Pipe)),
    ];
    // Each pipe has a thread: a child that fills one while the other is read would wait for ever.
    for (stream, pipe) in pipes {
        let sender = sender.clone();
        let max = limits.output.get().saturating_add(1);
        let read = move || {
            let mut bytes = Vec::new();
            let result = match pipe {
                Some(pipe) => pipe.take(max).read_to_end(&mut bytes).map(|_| bytes),
                None => Ok(bytes),
            };
            // Nobody listens any more when the time was up.
            let _ = sender.send((stream, result));
        };
        thread::Builder::new().spawn(read).map_err(Stopped::System)?;
    }
    let mut said = Said { code: None, signal: None, stdout: Vec::new(), stderr: Vec::new() };
    for _ in 0..2 {
        let left = deadline.saturating_duration_since(Instant::now());
        let (stream, bytes) = receiver.recv_timeout(left).map_err(|_| Stopped::TooLong)?;
        let bytes = bytes.map_err(Stopped::System)?;
        if Bytes::of_len(bytes.len()) > limits.output {
            return Err(Stopped::TooMuch);
        }
        match stream {
            Stream::Out => said.stdout = bytes,
            Stream::Err => said.stderr = bytes,
        }
    }
    let status = wait(child, deadline).map_err(Stopped::System)?.ok_or(Stopped::TooLong)?;
    Ok(Said { code: status.code(), signal: status.signal(), ..said })
}

/// Waits for the end; `None` when that took too long.
fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// Kills the child with everything it started. One that does not go is left to itself.
fn kill(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // It has not been waited for, so the number is still its own.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = wait(child, Instant::now() + GRACE);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Program {
        Program { path: "/bin/sh".to_owned() }
    }

    fn limits(milliseconds: u64, output: u64) -> Limits {
        Limits { time: Duration::from_millis(milliseconds), output: Bytes::new(output) }
    }

    #[test]
    fn what_was_said_and_how_it_ended() {
        let said = shell().read(&["-c", "echo a; echo b >&2; exit 5"], limits(5000, 100)).unwrap();
        assert_eq!((said.code, said.signal), (Some(5), None));
        assert_eq!((said.stdout.as_slice(), said.stderr.as_slice()), (&b"a\n"[..], &b"b\n"[..]));
        let said = shell().read(&["-c", "kill -9 $$"], limits(5000, 100)).unwrap();
        assert_eq!((said.code, said.signal), (None, Some(9)));
    }

    #[test]
    fn the_environment_is_clean_and_there_is_no_input() {
        let said = shell().read(&["-c", "env; cat"], limits(5000, 10_000)).unwrap();
        let env = String::from_utf8(said.stdout).unwrap();
        assert!(env.contains("LC_ALL=C\n") && env.contains("PATH=/usr/sbin:"), "{env}");
        assert!(!env.contains("CARGO"), "{env}");
    }

    #[test]
    fn limits_are_kept_and_children_of_children_die_too() {
        let start = Instant::now();
        let slow = shell().read(&["-c", "sleep 60 & sleep 60"], limits(100, 100));
        assert!(matches!(slow, Err(ProgramError::TooLong { .. })), "{slow:?}");
        let closed = shell().read(&["-c", "exec >&- 2>&-; sleep 60"], limits(100, 100));
        assert!(matches!(closed, Err(ProgramError::TooLong { .. })), "{closed:?}");
        let loud = shell().read(&["-c", "while :; do echo loud; done"], limits(5000, 100));
        assert!(matches!(loud, Err(ProgramError::TooMuch { .. })), "{loud:?}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn only_programs_that_are_roots_are_run() {
        assert_eq!(Program::find(&["/no/such/program"]).unwrap(), None);
        let found = Program::find(&["/no/such/program", "/bin/sh"]).unwrap().unwrap();
        assert_eq!(found.path(), "/bin/sh");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tool");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        let mode = |mode| {
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        mode(0o775);
        let error = Program::find(&[path.to_str().unwrap()]).unwrap_err();
        assert!(error.to_string().contains("is not run"), "{error}");
    }
}
