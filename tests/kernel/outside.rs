//! Outside the machine: chooses scenarios, boots machines for them, as many at a time as there are
//! processors, says how they ended.

mod arguments;
mod machine;
mod report;
mod share;

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use self::arguments::Arguments;
use self::machine::{Ending, Machines};
use self::report::Report;
use crate::scenario::{Machine, Scenario};
use crate::scenarios::ALL;
use crate::shared::{Event, Job};

/// Each machine takes a gigabyte of memory.
const LANES_MAX: usize = 4;

pub fn main(words: &[String]) -> ExitCode {
    let arguments = Arguments::read(words);
    let chosen: Vec<Scenario> =
        ALL.into_iter().filter(|scenario| arguments.choose(scenario)).collect();
    if arguments.list {
        for scenario in chosen {
            println!("{}: test", scenario.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} scenarios on a kernel with device-mapper", chosen.len());
    let report = Mutex::new(Report::new(arguments.show_all, ALL.len() - chosen.len()));
    let lanes = lanes(&chosen);
    thread::scope(|scope| {
        for lane in &lanes {
            scope.spawn(|| run(lane, &report));
        }
    });
    report.into_inner().unwrap().end()
}

/// The scenarios, dealt out: a machine uses one processor, so each of these gets one.
fn lanes(chosen: &[Scenario]) -> Vec<Vec<Scenario>> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let count = processors.min(LANES_MAX).min(chosen.len());
    let mut lanes = vec![Vec::new(); count];
    for (index, scenario) in chosen.iter().enumerate() {
        lanes[index % count].push(*scenario);
    }
    lanes
}

/// One machine after another.
fn run(chosen: &[Scenario], report: &Mutex<Report>) {
    match Machines::new() {
        Ok(machines) => {
            run_shared(&machines, chosen, report);
            run_alone(&machines, chosen, report);
        }
        Err(why) => chosen.iter().for_each(|s| report.lock().unwrap().machine_failed(s, &why)),
    }
}

/// The scenarios that share a machine. One that fails may leave anything behind, so the machine
/// goes down after it, and the rest get a new one.
fn run_shared(machines: &Machines, chosen: &[Scenario], report: &Mutex<Report>) {
    let mut left: Vec<&Scenario> =
        chosen.iter().filter(|s| matches!(s.machine, Machine::Shared(_))).collect();
    while !left.is_empty() {
        let jobs: Vec<Job> = left.iter().map(|scenario| job(scenario, 0)).collect();
        let (mut begun, mut ended) = (0, 0);
        let mut since = Instant::now();
        let ending = machines.run(&jobs, &[], |event| match event {
            Event::Booted => report.lock().unwrap().booted(since.elapsed()),
            Event::Begun => {
                begun += 1;
                since = Instant::now();
            }
            Event::Ended(verdict) => {
                report.lock().unwrap().ended(
                    left[ended],
                    &verdict,
                    since.elapsed(),
                    &machines.transcript(&jobs[ended]),
                );
                ended += 1;
            }
            Event::Cut(_) => {}
        });
        if begun == 0 {
            // A machine that does not come up will not come up for the others either.
            let why = machines.trouble(&ending);
            let failed = |scenario| report.lock().unwrap().machine_failed(scenario, &why);
            left.drain(..).for_each(failed);
        } else if begun > ended {
            let why = machines.trouble(&ending);
            report.lock().unwrap().ended(
                left[ended],
                &Err(why),
                since.elapsed(),
                &machines.transcript(&jobs[ended]),
            );
            ended += 1;
        }
        left.drain(..ended.min(left.len()));
    }
}

fn run_alone(machines: &Machines, chosen: &[Scenario], report: &Mutex<Report>) {
    for scenario in chosen {
        let Machine::Own { acts, disks_mib } = scenario.machine else { continue };
        let since = Instant::now();
        let disks = machines.make_disks(scenario.name, disks_mib);
        let mut transcript = String::new();
        let mut verdict = Ok(());
        for act in 0..acts.len() {
            verdict = perform(machines, &job(scenario, act), &disks, act + 1 == acts.len());
            transcript += &machines.transcript(&job(scenario, act));
            if verdict.is_err() {
                break;
            }
        }
        report.lock().unwrap().ended(scenario, &verdict, since.elapsed(), &transcript);
        machines.remove_disks(&disks);
    }
}

/// One act on a machine of its own.
fn perform(machines: &Machines, job: &Job, disks: &[PathBuf], last: bool) -> Result<(), String> {
    let mut verdict = None;
    let ending = machines.run(std::slice::from_ref(job), disks, |event| {
        if let Event::Ended(ended) = event {
            verdict = Some(ended);
        }
    });
    match (verdict, &ending) {
        (Some(verdict), _) => verdict,
        (None, Ending::PowerCut) if last => {
            Err("the power was cut, and no act follows that looks at what came of it".to_owned())
        }
        (None, Ending::PowerCut) => Ok(()),
        (None, _) => Err(machines.trouble(&ending)),
    }
}

fn job(scenario: &Scenario, act: usize) -> Job {
    Job { name: scenario.name.to_owned(), act, limit: scenario.limit }
}
