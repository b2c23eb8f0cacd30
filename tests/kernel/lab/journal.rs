//! Runs that are watched by their journal, and ended at a record of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::lab::run::program;
use crate::shared::{INSIDE, LVMEND};

const PATIENCE: Duration = Duration::from_secs(60);

/// `lvmend` on its way.
pub struct Underway {
    child: Child,
    state: PathBuf,
    runs_before: usize,
}

/// Starts `lvmend` with these words, its runs in this directory.
pub fn start(state: &str, words: &str) -> Underway {
    println!("$ lvmend --state-dir {state} {words} &");
    let state = Path::new(state);
    let runs_before = runs(state).len();
    let child = program(&format!("{INSIDE}/{LVMEND}"))
        .args(["--volatile-state", "--state-dir"])
        .arg(state)
        .args(words.split_whitespace())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    Underway { child, state: state.to_owned(), runs_before }
}

fn runs(state: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state.join("runs")).into_iter().flatten().flatten();
    let mut runs: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    runs.sort();
    runs
}

/// How many records stand in the journal of a run.
fn records(run: &Path) -> usize {
    let journal = fs::read(run.join("journal.jsonl")).unwrap_or_default();
    journal.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")).count()
}

impl Underway {
    /// Waits until the run it began has written down so many records, or is over; tells its name.
    pub fn wait_for_record(&mut self, record: usize) -> String {
        let begun = Instant::now();
        loop {
            let all = runs(&self.state);
            let new = all.last().filter(|_| all.len() > self.runs_before);
            let lines = new.map_or(0, |run| records(run));
            if let (Some(run), true) = (new, lines >= record || self.is_over()) {
                return run.file_name().unwrap().to_str().unwrap().to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "record {record} was not written");
            // The machine has one processor: who looks all the time leaves no time to write.
            sleep(Duration::from_micros(300));
        }
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills it, and only it: what it started goes on. How many records it had written.
    pub fn kill(mut self) -> usize {
        println!("# lvmend is killed");
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().unwrap();
        runs(&self.state).last().map_or(0, |run| records(run))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end; its exit code.
    pub fn end(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}
