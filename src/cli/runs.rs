//! `runs`, `resume`, `rollback` and `abandon`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cli::PROGRAM;
use crate::cli::args::{Abandon, Args, Prune, RunName};
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::cli::talker::Talker;
use crate::cli::world::{open_images, refuse_locked, scope_of_run, state, this_machine};
use crate::discover;
use crate::execute::journal::{Journal, JournalError};
use crate::execute::run_state::{Phase, RunState};
use crate::execute::{self, Engine, Outcome, Resumer, RunError, RunReport};
use crate::host::image::ImageFile;
use crate::host::state::{Missing, StateDirectory};
use crate::host::{HostError, RunStore};
use crate::ids::VgUuid;
use crate::model::inventory::Realm;
use crate::plan;
use crate::report::run::{self as report, Condition, ListedRun};
use crate::simulate::sealed::SealedPlan;

/// Reads what can be read of a run.
fn read_run(store: &dyn RunStore, run: &str) -> ListedRun {
    let listed = |report, condition| ListedRun { run: run.to_owned(), report, condition };
    let bytes = match store.journal(run) {
        Ok(bytes) => bytes,
        Err(error) => return listed(None, Condition::Damaged(error.in_full())),
    };
    let (journal, error) = Journal::read(&bytes);
    let (report, error) = match RunState::of(&journal) {
        Ok(state) => (Some(execute::report(run, &store.place(run), &state)), error),
        Err(order) => (None, Some(error.unwrap_or(order))),
    };
    let condition = match error {
        None => Condition::Sound,
        // Evidence is saved after the first record: where there is some, there was a record.
        Some(error @ JournalError::Empty) if !execute::has_evidence(store, run) => {
            Condition::NeverBegan(error.to_string())
        }
        Some(error) => match execute::given_up(store, run) {
            Some(because) => Condition::GivenUp(format!("{error}; given up: {because}")),
            None => Condition::Damaged(error.to_string()),
        },
    };
    listed(report, condition)
}

fn all_runs(store: &dyn RunStore) -> Result<Vec<ListedRun>, HostError> {
    Ok(store.runs()?.iter().map(|run| read_run(store, run)).collect())
}

/// Lists all runs.
pub fn list(args: &Args, output: &mut Output) -> Exit {
    let store = match state(args, Missing::Leave, output) {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    match all_runs(&store) {
        Ok(runs) => {
            output.either(&report::gather_list(&runs), || report::list_text(&runs));
            let is_damaged = |run: &ListedRun| matches!(run.condition, Condition::Damaged(_));
            if runs.iter().any(is_damaged) { Exit::Found } else { Exit::Done }
        }
        Err(error) => output.error(Exit::Failed, &error.in_full(), None),
    }
}

/// Shows one run.
pub fn show(args: &Args, run: &RunName, output: &mut Output) -> Exit {
    let store = match state(args, Missing::Leave, output) {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let listed = read_run(&store, &run.run);
    if let Some(report) = &listed.report {
        output.either(&report::gather(report, false), || report::text(report));
    }
    match listed.damage() {
        None => Exit::Done,
        Some(damage) => output.error(Exit::Failed, damage, None),
    }
}

/// Removes runs that are over.
pub fn prune(args: &Args, prune: &Prune, output: &mut Output) -> Exit {
    let mut store = match state(args, Missing::Leave, output) {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let runs = match all_runs(&store) {
        Ok(runs) => runs,
        Err(error) => return output.error(Exit::Failed, &error.in_full(), None),
    };
    // Names begin with the time, so they sort by it.
    let old = runs.len().saturating_sub(prune.keep);
    let mut removed = Vec::new();
    for listed in runs.into_iter().take(old) {
        if !listed.is_over() {
            continue;
        }
        if let Err(error) = store.remove(&listed.run) {
            return output.error(Exit::Failed, &error.in_full(), None);
        }
        removed.push(listed);
    }
    output.either(&report::gather_list(&removed), || match removed.len() {
        0 => "Nothing to remove.\n".to_owned(),
        n => format!("{n} removed\n{}", report::list_text(&removed)),
    });
    Exit::Done
}

/// Whether a run whose journal cannot be read as a whole may be about this VG: only its sealed
/// plan can tell that it is not.
fn may_be_of(store: &StateDirectory, listed: &ListedRun, vg: VgUuid) -> bool {
    let sealed = store.get(&listed.run, "sealed.json").ok();
    let sealed = sealed.and_then(|bytes| SealedPlan::read(&bytes).ok());
    sealed.is_none_or(|sealed| sealed.vg == vg)
}

fn damaged_run(store: &StateDirectory, run: &str, why: &str, output: &mut Output) -> Exit {
    let why = format!(
        "run {run} may be one on this volume group that is not over, and cannot be read ({why}); \
         nothing was written"
    );
    let help = format!(
        "its evidence and checkpoints are in {}; when the disks are as they should be, \
         `lvmend abandon {run} --because …`",
        store.place(run)
    );
    output.error(Exit::Incomplete, &why, Some(&help))
}

/// Says so when a run on this VG is not over.
pub fn unfinished_run(store: &StateDirectory, vg: VgUuid, output: &mut Output) -> Option<Exit> {
    let runs = match all_runs(store) {
        Ok(runs) => runs,
        Err(error) => return Some(output.error(Exit::Failed, &error.in_full(), None)),
    };
    for listed in &runs {
        if let Condition::Damaged(why) = &listed.condition
            && may_be_of(store, listed, vg)
        {
            return Some(damaged_run(store, &listed.run, why, output));
        }
    }
    let open = runs
        .into_iter()
        .filter_map(|listed| listed.report)
        .find(|report| report.vg == vg && !report.outcome.is_final())?;
    let why = format!(
        "run {} on this volume group is {}; nothing was written",
        open.run,
        open.outcome.shown()
    );
    let help: Vec<String> =
        report::next_commands(&open).iter().map(|next| next.trim().to_owned()).collect();
    Some(output.error(Exit::Incomplete, &why, Some(&help.join("; or "))))
}

/// A flag that signals set: the current step is finished, then the run stops. A second signal ends
/// the program at once; the run can be resumed from its journal.
pub fn stop_flag(output: &mut Output) -> Result<Arc<AtomicBool>, Exit> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::flag;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let incomplete = i32::from(Exit::Incomplete.code());
        flag::register_conditional_shutdown(signal, incomplete, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| {
                output.error(Exit::Failed, &format!("cannot catch signals: {error}"), None)
            })?;
    }
    Ok(stop)
}

/// Reports how a run ended.
pub fn finish(
    result: Result<RunReport, RunError>,
    exit: fn(Outcome) -> Exit,
    output: &mut Output,
) -> Exit {
    match result {
        Ok(report) => {
            let exit = exit(report.outcome);
            let changed = report.outcome == Outcome::Done
                || matches!(report.outcome, Outcome::Incomplete | Outcome::Stuck);
            output.either(&report::gather(&report, changed), || report::text(&report));
            exit
        }
        Err(error) => {
            let help = if let RunError::Interrupted { run, .. } = &error {
                Some(format!("`lvmend runs show {run}` tells where it stands"))
            } else {
                None
            };
            output.error(Exit::of_run_error(&error), &error.to_string(), help.as_deref())
        }
    }
}

/// Goes on with a run.
pub fn resume(args: &Args, run: &RunName, output: &mut Output) -> Exit {
    take_up(args, &run.run, output, Way::Resume)
}

/// Puts back everything a run did.
pub fn rollback(args: &Args, run: &RunName, output: &mut Output) -> Exit {
    take_up(args, &run.run, output, Way::Rollback)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Resume,
    Rollback,
}

fn take_up(args: &Args, run: &str, output: &mut Output, way: Way) -> Exit {
    match try_take_up(args, run, output, way) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn try_take_up(args: &Args, run: &str, output: &mut Output, way: Way) -> Result<Exit, Exit> {
    let mut store = state(args, Missing::Leave, output)?;
    let failed =
        |error: HostError, output: &mut Output| output.error(Exit::Failed, &error.in_full(), None);
    let bytes = store.journal(run).map_err(|error| failed(error, output))?;
    let (journal, _) = Journal::read(&bytes);
    let begun = RunState::of(&journal)
        .map_err(|error| output.error(Exit::Incomplete, &error.to_string(), None))?;
    let sealed = store.get(run, "sealed.json").map_err(|error| failed(error, output))?;
    let sealed = SealedPlan::read(&sealed)
        .map_err(|error| output.error(Exit::Incomplete, &error.to_string(), None))?;
    let plan = plan::load(sealed.source.as_bytes())
        .map_err(|_| output.error(Exit::Incomplete, "its plan cannot be read any more", None))?;
    let wait = Duration::from_secs(plan.document.policy.busy.wait.get());
    let mut host = match begun.started.realm {
        Realm::Images => open_images(&images_of(args, &begun, output)?, args, output)?,
        Realm::Live => Box::new(this_machine(args, begun.started.vg, wait, output)?),
    };
    let scope = scope_of_run(args, &plan);
    let world = discover::take(host.as_ref(), &scope);
    refuse_locked(&world, &begun.started.vg_name, wait, output)?;
    let resumer = Resumer { program: PROGRAM.to_owned(), time: host.now() };
    let stop = stop_flag(output)?;
    host.heed(&stop);
    let mut talker = Talker::new();
    let mut engine = Engine {
        host: host.as_mut(),
        store: &mut store,
        evidence_copy: None,
        listener: &mut talker,
        stop: &|| stop.load(Ordering::Relaxed),
        scope,
    };
    Ok(match way {
        Way::Resume => {
            let result = execute::resume(&mut engine, run, world, &resumer);
            let exit = match begun.phase {
                Phase::Back | Phase::Over(Outcome::Stuck) => Exit::of_rollback,
                Phase::Forward | Phase::Over(_) => Exit::of_run,
            };
            finish(result, exit, output)
        }
        Way::Rollback => {
            let result = execute::rollback(&mut engine, run, world, &resumer);
            finish(result, Exit::of_rollback, output)
        }
    })
}

/// The images a run works on, called as they were when it began: those the flags name, else those
/// it began with.
fn images_of(args: &Args, begun: &RunState, output: &mut Output) -> Result<Vec<ImageFile>, Exit> {
    let whole = begun.started.devices.iter().filter(|d| d.name.partition_number().is_none());
    let known: Vec<ImageFile> = whole
        .map(|device| ImageFile { name: device.name.clone(), path: device.place.clone() })
        .collect();
    if args.image.is_empty() {
        return Ok(known);
    }
    let mut named = crate::cli::world::images(args, output)?;
    for image in &mut named {
        if let Some(same) = known.iter().find(|known| known.path == image.path) {
            image.name = same.name.clone();
        }
    }
    Ok(named)
}

/// Gives a run up.
pub fn abandon(args: &Args, abandon: &Abandon, output: &mut Output) -> Exit {
    let mut store = match state(args, Missing::Leave, output) {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    if abandon.because.trim().is_empty() {
        let why = "a run is given up for a reason: say it with --because";
        return output.error(Exit::Usage, why, None);
    }
    if let Condition::Damaged(_) = read_run(&store, &abandon.run).condition {
        return abandon_damaged(&mut store, abandon, output);
    }
    let result = execute::abandon(&mut store, &abandon.run, &abandon.because);
    finish(result, Exit::of_run, output)
}

/// Gives up a run whose journal cannot be added to.
fn abandon_damaged(store: &mut StateDirectory, abandon: &Abandon, output: &mut Output) -> Exit {
    if let Err(error) = execute::give_up(store, &abandon.run, &abandon.because) {
        return output.error(Exit::Failed, &error.to_string(), None);
    }
    let listed = [read_run(store, &abandon.run)];
    output.either(&report::gather_list(&listed), || report::list_text(&listed));
    Exit::Done
}
