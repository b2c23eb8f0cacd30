//! User-mode Linux as a process of this machine: boots it, listens to it, cuts its power.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::share::Share;
use crate::shared::{Event, Job, PROGRAM, WORD};

const KERNEL: &str = "/usr/bin/linux.uml";
/// Memory of a machine: enough for four disks of 128 MiB, which live in it.
const MEMORY: &str = "1000M";
/// Time to boot, to remove what a scenario left, and to power off.
const AROUND_A_JOB: Duration = Duration::from_secs(30);
const AROUND_ALL_JOBS: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Lines of the console that tell why a machine went down.
const CONSOLE_LINES: usize = 30;

/// How the time of a machine ended.
pub enum Ending {
    Off,
    PowerCut,
    Overdue(Duration),
}

/// One machine after another.
pub struct Machines {
    share: Share,
    interrupted: Arc<AtomicBool>,
}

impl Machines {
    pub fn new() -> Result<Self, String> {
        if !Path::new(KERNEL).exists() {
            return Err(format!(
                "{KERNEL} is not there; install the package user-mode-linux, \
                 or run `scripts/setup.sh test`"
            ));
        }
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))
                .map_err(|e| format!("signal {signal} cannot be watched: {e}"))?;
        }
        Ok(Self { share: Share::new()?, interrupted })
    }

    pub fn transcript(&self, job: &Job) -> String {
        self.share.transcript(job)
    }

    pub fn make_disks(&self, scenario: &str, disks_mib: &[u64]) -> Vec<PathBuf> {
        self.share.make_disks(scenario, disks_mib)
    }

    pub fn remove_disks(&self, disks: &[PathBuf]) {
        for disk in disks {
            std::fs::remove_file(disk).unwrap();
        }
    }

    /// Boots a machine for these jobs and stays until it is off.
    pub fn run(&self, jobs: &[Job], disks: &[PathBuf], mut tell: impl FnMut(Event)) -> Ending {
        self.share.prepare(jobs);
        let limit =
            jobs.iter().map(|job| job.limit + AROUND_A_JOB).sum::<Duration>() + AROUND_ALL_JOBS;
        let mut process = Process::boot(&self.share, disks);
        let begun = Instant::now();
        let mut heard = 0;
        let mut cut_at = None;
        loop {
            // Asked before the events are read: what it said last is not to be missed.
            let off = process.is_off();
            for event in self.share.events().into_iter().skip(heard) {
                heard += 1;
                if let Event::Cut(after) = event {
                    cut_at = Some(Instant::now() + after);
                }
                tell(event);
            }
            if off {
                return Ending::Off;
            }
            if cut_at.is_some_and(|at| Instant::now() >= at) {
                return Ending::PowerCut;
            }
            if begun.elapsed() > limit {
                return Ending::Overdue(limit);
            }
            if self.interrupted.load(Ordering::Relaxed) {
                drop(process);
                let _ = std::fs::remove_dir_all(self.share.path());
                std::process::exit(130);
            }
            sleep(LOOK_EVERY);
        }
    }

    /// Why a machine that should have gone on did not.
    pub fn trouble(&self, ending: &Ending) -> String {
        let what = match ending {
            Ending::Off => "the machine went down by itself".to_owned(),
            Ending::PowerCut => "the power was cut on a machine that others use too".to_owned(),
            Ending::Overdue(limit) => format!("the machine was not done after {limit:?}"),
        };
        let console = std::fs::read(self.share.console()).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        let lines: Vec<&str> = console.lines().collect();
        let last = &lines[lines.len().saturating_sub(CONSOLE_LINES)..];
        format!("{what}; its console said last:\n{}", last.join("\n"))
    }
}

/// The processes of one machine, in a process group of their own.
struct Process {
    leader: Child,
}

impl Process {
    fn boot(share: &Share, disks: &[PathBuf]) -> Self {
        let directory = share.path().display();
        let console = File::create(share.console()).unwrap();
        // The kernel dies with this program, even when that is killed and cannot see to it.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .args([KERNEL, &format!("mem={MEMORY}"), "quiet", "con=null", "con0=null,fd:1"])
            .args(["rootfstype=hostfs", "ro", "root=/dev/root", "hostfs=/"])
            .arg(format!("uml_dir={directory}/uml/"))
            .arg(format!("init={directory}/{PROGRAM}"))
            .arg(format!("{WORD}={directory}"))
            .args(disks.iter().enumerate().map(|(n, path)| format!("ubd{n}={}", path.display())))
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console)
            .process_group(0);
        let leader = command.spawn().unwrap_or_else(|e| panic!("setpriv {KERNEL}: {e}"));
        Self { leader }
    }

    fn is_off(&mut self) -> bool {
        self.leader.try_wait().unwrap().is_some()
    }
}

impl Drop for Process {
    /// As a power cut: nothing inside has a say. Returns when nothing holds the disks any more.
    fn drop(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.leader.id()).unwrap());
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.leader.wait();
        while killpg(group, Signal::SIGKILL).is_ok() {
            sleep(LOOK_EVERY);
        }
    }
}
