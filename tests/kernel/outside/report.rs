//! What came of the scenarios, for people.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::scenario::Scenario;

pub struct Report {
    started: Instant,
    show_all: bool,
    not_chosen: usize,
    passed: usize,
    failed: Vec<&'static str>,
}

impl Report {
    pub fn new(show_all: bool, not_chosen: usize) -> Self {
        Self { started: Instant::now(), show_all, not_chosen, passed: 0, failed: Vec::new() }
    }

    pub fn booted(&self, took: Duration) {
        println!("machine is up ({:.1} s)", took.as_secs_f64());
    }

    pub fn ended(
        &mut self,
        scenario: &Scenario,
        verdict: &Result<(), String>,
        took: Duration,
        transcript: &str,
    ) {
        let seconds = took.as_secs_f64();
        match verdict {
            Ok(()) => println!("scenario {} ... ok ({seconds:.1} s)", scenario.name),
            Err(why) => println!("scenario {} ... FAILED ({seconds:.1} s): {why}", scenario.name),
        }
        if verdict.is_err() || self.show_all {
            println!("---- transcript of {}\n{transcript}----", scenario.name);
        }
        self.count(scenario, verdict.is_ok());
    }

    /// A scenario for which there was no machine.
    pub fn machine_failed(&mut self, scenario: &Scenario, why: &str) {
        println!("scenario {} ... FAILED, no machine: {why}", scenario.name);
        self.count(scenario, false);
    }

    fn count(&mut self, scenario: &Scenario, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed.push(scenario.name);
        }
    }

    pub fn end(self) -> ExitCode {
        let (word, code) = if self.failed.is_empty() {
            ("ok", ExitCode::SUCCESS)
        } else {
            println!("\nfailures: {}", self.failed.join(", "));
            ("FAILED", ExitCode::FAILURE)
        };
        println!(
            "\nscenario result: {word}. {} passed; {} failed; {} filtered out; finished in {:.1} s\n",
            self.passed,
            self.failed.len(),
            self.not_chosen,
            self.started.elapsed().as_secs_f64(),
        );
        code
    }
}
