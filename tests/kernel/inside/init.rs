//! The first process of the machine: performs the jobs and powers off.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::panic::catch_unwind;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::clean::Before;
use super::{root, say};
use crate::lab::{DeviceMapper, program};
use crate::shared::{EVENTS, Event, INSIDE, JOBS, Job, PROGRAM, transcript};

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long killed processes may take to be gone.
const DYING: Duration = Duration::from_secs(5);

/// The kernel panics when its init ends, so this does not.
pub fn init() -> ! {
    // What a panic says goes to the console, which the outside shows.
    let _ = catch_unwind(|| {
        root::make();
        perform_all();
    });
    // Nothing is synced: a plain sync would also wait for devices that were left suspended.
    let _ = fs::write("/proc/sysrq-trigger", "o");
    loop {
        sleep(Duration::from_secs(60));
    }
}

fn perform_all() {
    let jobs = fs::read_to_string(Path::new(INSIDE).join(JOBS)).unwrap();
    let before = Before::look();
    say(&Event::Booted);
    for job in jobs.lines().filter_map(Job::read) {
        say(&Event::Begun);
        let out = transcript_of(&job);
        let verdict = perform(&job, &out);
        out.sync_all().unwrap();
        let passed = verdict.is_ok();
        while passed && power_is_to_be_cut() {
            sleep(LOOK_EVERY);
        }
        say(&Event::Ended(verdict));
        // A failed scenario may leave anything behind; the next one gets a new machine.
        if !passed {
            return;
        }
        if let Err(why) = before.restore() {
            eprintln!("after {}: {why}", job.name);
            return;
        }
    }
}

/// An act that asked for a power cut gets it, even when it ends before.
fn power_is_to_be_cut() -> bool {
    let events = fs::read_to_string(Path::new(INSIDE).join(EVENTS)).unwrap();
    events.lines().filter_map(Event::read).any(|event| matches!(event, Event::Cut(_)))
}

fn transcript_of(job: &Job) -> File {
    let path = Path::new(INSIDE).join(transcript(&job.name, job.act));
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// One act, in a process group of its own, so that nothing of it stays when it is over.
fn perform(job: &Job, out: &File) -> Result<(), String> {
    let child = program(&format!("{INSIDE}/{PROGRAM}"))
        .args([job.name.as_str(), &job.act.to_string()])
        .current_dir("/tmp")
        .stdout(out.try_clone().unwrap())
        .stderr(out.try_clone().unwrap())
        .process_group(0)
        .spawn()
        .map_err(|e| format!("the scenario cannot be started: {e}"))?;
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let verdict = match wait_for(group, job.limit) {
        Some(0) => Ok(()),
        Some(code) => Err(format!("exit code {code}: see the end of the transcript")),
        None => Err(format!("not done after {:?}{}", job.limit, suspended())),
    };
    let _ = killpg(group, Signal::SIGKILL);
    let until = Instant::now() + DYING;
    while killpg(group, None).is_ok() {
        reap(group);
        if Instant::now() > until {
            return verdict.and(Err("a process of it does not die".to_owned()));
        }
        sleep(LOOK_EVERY);
    }
    verdict
}

/// The most likely reason why somebody waits for ever.
fn suspended() -> String {
    let mut text = String::new();
    for device in DeviceMapper::all().iter().filter(|device| device.suspended) {
        text += &format!("; {} is suspended", device.name);
    }
    text
}

/// The exit code of the process, if it ends in time.
fn wait_for(process: Pid, limit: Duration) -> Option<i32> {
    let until = Instant::now() + limit;
    while Instant::now() < until {
        if let Some(code) = reap(process) {
            return Some(code);
        }
        sleep(LOOK_EVERY);
    }
    None
}

/// Buries all that have died, as an init must; the exit code of this one, if it is among them.
fn reap(process: Pid) -> Option<i32> {
    let mut code = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, exited)) if pid == process => code = Some(exited),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == process => {
                code = Some(128 + signal as i32);
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return code,
            Ok(_) => {}
        }
    }
}
