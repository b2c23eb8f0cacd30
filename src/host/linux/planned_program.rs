//! Programs that a plan names: run as long as they may, and no longer than what they work on is good.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::linux::program::{Program, bare};
use crate::host::linux::{child, mapped, program_guard};
use crate::host::{ActError, HostError, Progress};
use crate::operation::act::PlannedProgram;

/// How often it is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often somebody is told that it still runs.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// How much of what it says last is kept.
const SAID_MAX: usize = 256 << 10;
/// How long the last of it may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What a program said last.
pub struct Said(pub Vec<u8>);

/// Runs a program to its end, to its time limit, until somebody asks to stop, or until its snapshot is
/// lost.
///
/// # Errors
/// [`ActError::Program`], [`ActError::Lost`], [`ActError::Interrupted`]; what it said comes in any case.
pub fn run(
    program: &PlannedProgram,
    lock: &File,
    stop: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(Progress),
) -> (Said, Result<(), ActError>) {
    match start(program, lock) {
        Ok(running) => running.follow(program, stop, progress),
        Err(error) => (Said(Vec::new()), Err(error)),
    }
}

struct Running {
    guard: Child,
    line: UnixStream,
    said: Arc<Mutex<VecDeque<u8>>>,
    reader: thread::JoinHandle<()>,
}

fn start(program: &PlannedProgram, lock: &File) -> Result<Running, ActError> {
    let path = &program.command.program;
    // It may have been replaced since the plan was made.
    Program::named(path).map_err(|why| HostError::because("run", path, why))?;
    let error = |cause| HostError::new("run", path, cause);
    let (line, theirs) = UnixStream::pair().map_err(error)?;
    let mut command = bare("/proc/self/exe");
    command
        .arg(program_guard::COMMAND)
        .arg(path)
        .args(&program.command.args)
        .envs(&program.environment)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(lock.try_clone().map_err(error)?))
        .stderr(Stdio::piped());
    let mut guard = command.spawn().map_err(error)?;
    let said = Arc::new(Mutex::new(VecDeque::new()));
    let kept = Arc::clone(&said);
    let pipe = guard.stderr.take();
    let read = move || keep_last(pipe, &kept);
    let reader = thread::Builder::new().spawn(read).map_err(error)?;
    Ok(Running { guard, line, said, reader })
}

/// Keeps the last of what comes out of the pipe.
fn keep_last(pipe: Option<ChildStderr>, kept: &Mutex<VecDeque<u8>>) {
    let Some(mut pipe) = pipe else { return };
    let mut bytes = [0; 4096];
    while let Ok(read) = pipe.read(&mut bytes) {
        let Some(new) = bytes.get(..read).filter(|new| !new.is_empty()) else { return };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(new);
        let excess = kept.len().saturating_sub(SAID_MAX);
        kept.drain(..excess);
    }
}

impl Running {
    fn follow(
        mut self,
        program: &PlannedProgram,
        stop: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress),
    ) -> (Said, Result<(), ActError>) {
        let command = &program.command;
        let result = match self.watch(program, stop, progress) {
            Ok(Ended::ByItself(status)) => {
                // It may have read what was no good any more, and not have noticed.
                match program.snapshot.as_deref().and_then(mapped::lost) {
                    Some(why) => Err(ActError::Lost(why)),
                    None => Ok(status),
                }
            }
            Ok(Ended::Stopped(why)) => Err(why),
            Err(cause) => Err(HostError::new("run", command, cause).into()),
        };
        let begun = Instant::now();
        while !self.reader.is_finished() && begun.elapsed() < LAST_WORDS {
            thread::sleep(Duration::from_millis(5));
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said: Vec<u8> = said.iter().copied().collect();
        let failed = |ended: String| ActError::Program {
            command: command.to_string(),
            ended,
            said: child::last_words(&said),
        };
        let result = match result {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(child::ended(status))),
            Err(ActError::Busy(why)) => Err(failed(why)),
            Err(error) => Err(error),
        };
        (Said(said), result)
    }

    fn watch(
        &mut self,
        program: &PlannedProgram,
        stop: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress),
    ) -> io::Result<Ended> {
        let (begun, mut told) = (Instant::now(), Instant::now());
        let limit = Duration::from_secs(program.timeout.get());
        loop {
            if let Some(status) = self.guard.try_wait()? {
                return Ok(Ended::ByItself(status));
            }
            let lost = program.snapshot.as_deref().and_then(mapped::lost);
            let why = if let Some(why) = lost {
                ActError::Lost(why)
            } else if stop() {
                ActError::Interrupted("asked to stop".to_owned())
            } else if begun.elapsed() >= limit {
                ActError::Busy(format!("took longer than {} and was stopped", program.timeout))
            } else {
                if told.elapsed() >= TELL_EVERY {
                    told = Instant::now();
                    let (pid, seconds) = (self.guard.id(), begun.elapsed().as_secs());
                    progress(Progress::Waiting { pid, seconds });
                }
                thread::sleep(LOOK_EVERY);
                continue;
            };
            let _ = self.line.shutdown(Shutdown::Both);
            self.guard.wait()?;
            return Ok(Ended::Stopped(why));
        }
    }
}

enum Ended {
    ByItself(ExitStatus),
    Stopped(ActError),
}
