//! Taking up a run again: forward, back, or not at all.

use crate::execute::changed::refuse_changed;
use crate::execute::checkpoint::BytesProbe;
use crate::execute::engine::{Engine, Run, forward, goes_back, has_traces};
use crate::execute::journal::{Journal, Left, Record};
use crate::execute::run_state::{Phase, RunState, StepState};
use crate::execute::step::perform_all;
use crate::execute::{Outcome, RunError, RunReport, live, rollback as back, settle, sources};
use crate::host::{HostError, Performed};
use crate::ids::Digest;
use crate::model::inventory::{Inventory, Realm};
use crate::operation::Probe;
use crate::simulate::sealed::SealedPlan;

/// Who takes the run up again, and when.
#[derive(Clone, Debug)]
pub struct Resumer {
    /// Program and version.
    pub program: String,
    /// Seconds since 1970.
    pub time: i64,
}

pub(crate) fn not_possible(run: &str, why: impl Into<String>) -> RunError {
    RunError::NotPossible { run: run.to_owned(), why: why.into() }
}

/// Reads a run back: its journal up to the last whole line, and its sealed plan.
fn load<'e, 'a>(
    engine: &'e mut Engine<'a>,
    name: &str,
    world: Inventory,
) -> Result<Run<'e, 'a>, RunError> {
    let (journal, error) = Journal::read(&engine.store.journal(name)?);
    if let Some(error) = error {
        return Err(error.into());
    }
    let state = RunState::of(&journal)?;
    let bytes = engine.store.get(name, "sealed.json")?;
    if Digest::of(&bytes) != state.started.sealed {
        return Err(not_possible(name, "has another sealed plan beside it than it began with"));
    }
    let sealed = SealedPlan::read(&bytes)
        .map_err(|error| not_possible(name, format!("cannot be read: {error}")))?;
    if journal.torn {
        engine.store.cut_journal(name, journal.len)?;
    }
    let graph = sealed.graph;
    let kept = sources::paths(engine.store, name, state.started.realm, &graph);
    engine.scope.files.extend(kept);
    Ok(Run { engine, name: name.to_owned(), graph, journal, state, world })
}

/// Goes on with a run where it stopped: forward, or back when it was going back.
///
/// # Errors
/// [`RunError`].
pub fn resume(
    engine: &mut Engine<'_>,
    name: &str,
    world: Inventory,
    resumer: &Resumer,
) -> Result<RunReport, RunError> {
    let mut run = load(engine, name, world)?;
    refuse_final(name, &run.state)?;
    refuse_changed(&run)?;
    take_up(&mut run, resumer)?;
    let ended =
        if goes_back(&run.state) { back::go_on_back(&mut run) } else { go_on_forward(&mut run) };
    reported(run, ended)
}

fn go_on_forward(run: &mut Run<'_, '_>) -> Result<(), RunError> {
    match settle_started(run)? {
        Settled::GoOn => {
            run.look_closely();
            forward(run)
        }
        Settled::Failed(why) => back::after_failure(run, &why),
    }
}

/// What became of the run. What cannot be written down any further stopped it on the way, and may
/// have left devices half written.
fn reported(run: Run<'_, '_>, ended: Result<(), RunError>) -> Result<RunReport, RunError> {
    match ended {
        Ok(()) => Ok(run.report()),
        Err(error @ (RunError::Host(_) | RunError::Journal(_))) => {
            Err(RunError::Interrupted { run: run.name, cause: Box::new(error) })
        }
        Err(error) => Err(error),
    }
}

fn take_up(run: &mut Run<'_, '_>, resumer: &Resumer) -> Result<(), RunError> {
    let Resumer { program, time } = resumer.clone();
    run.record(Record::Resumed { program, time })
}

enum Settled {
    GoOn,
    Failed(String),
}

/// Settles the step that was under way, if any, and one that failed half-way.
fn settle_started(run: &mut Run<'_, '_>) -> Result<Settled, RunError> {
    let Some(index) = run.state.next_step() else {
        return Ok(Settled::GoOn);
    };
    match run.state.steps.get(index).map(|step| step.state) {
        Some(StepState::Started) => settle_step(run, index),
        Some(StepState::Torn) => {
            // Every sector it touched is as before or as intended: its checkpoint finishes it.
            let step = run.state.steps.get(index);
            let checkpoint = step.and_then(|step| step.checkpoint);
            let after = step.and_then(|step| step.after).unwrap_or(run.state.started.standing);
            run.record(Record::StepStarted { step: index, checkpoint, after })?;
            settle_step(run, index)
        }
        Some(StepState::Unexpected) => Err(not_possible(
            &run.name,
            "cannot go on: what its last step did is not what was predicted; roll it back, or \
             look at the disks and `lvmend abandon` it",
        )),
        Some(StepState::Indeterminate) => Err(not_possible(
            &run.name,
            "cannot go on: what its last step left cannot be told; look at the disks, then \
             `lvmend abandon` it",
        )),
        Some(
            StepState::Pending
            | StepState::Applied
            | StepState::NotApplied
            | StepState::UndoStarted
            | StepState::Undone
            | StepState::UndoFailed,
        )
        | None => Ok(Settled::GoOn),
    }
}

/// A step that began and has no outcome: it did not happen, or it did, or it is finished now from
/// its checkpoint, whose bytes say all there is to do.
fn settle_step(run: &mut Run<'_, '_>, index: usize) -> Result<Settled, RunError> {
    let fail = |run: &mut Run<'_, '_>, left: Left, why: String| {
        run.record(Record::StepFailed { step: index, left, why: why.clone() })?;
        Ok(Settled::Failed(why))
    };
    let Some(checkpoint) = settle::checkpoint_of(run, index)? else {
        return settle_without_bytes(run, index);
    };
    match checkpoint.probe(run.engine.host)? {
        BytesProbe::Before | BytesProbe::After | BytesProbe::Torn => {
            // Writing the same bytes again is harmless, and makes sure that they are synced.
            if let Err(error) = perform_all(run, &checkpoint.acts()) {
                let left = settle::left_by_bytes(run, &checkpoint);
                return fail(run, left, error.to_string());
            }
            if let Some(why) = not_confirmed(run, index) {
                return fail(run, Left::Everything, why);
            }
            run.record(Record::applied(index, Performed::default()))?;
            Ok(Settled::GoOn)
        }
        BytesProbe::Foreign { device, offset } => {
            let why = format!("{device} was changed at byte {offset} by somebody else");
            fail(run, Left::Unknown, why)
        }
    }
}

/// Why the world does not look as if the step were done, when it does not.
fn not_confirmed(run: &Run<'_, '_>, index: usize) -> Option<String> {
    let operation = run.graph.operations.get(index)?;
    match operation.contract().probe(&run.observe()) {
        Probe::After => None,
        Probe::Before | Probe::Neither => {
            Some("it was finished, but the disks do not show what it was to bring about".to_owned())
        }
    }
}

/// A step that writes no device: what it left beside them is removed, and it is done again.
fn settle_without_bytes(run: &mut Run<'_, '_>, index: usize) -> Result<Settled, RunError> {
    let Some(operation) = run.graph.operations.get(index).cloned() else {
        return Ok(Settled::GoOn);
    };
    if operation.contract().attempts().is_some() {
        // Whatever comes next: nothing stays suspended, mounted or made.
        live::undo(run, index).map_err(|why| {
            not_possible(
                &run.name,
                format!("cannot go on: what step {} made is not gone: {why}", index + 1),
            )
        })?;
    }
    // Before looking: a copy that has its name keeps it, whatever is left of its parts.
    if let Some(copy) = operation.contract().unfinished(&run.state.started.signature) {
        run.engine.host.settle(&copy)?;
    }
    let found = match run.state.started.realm {
        Realm::Images => operation.contract().probe(&run.observe()),
        Realm::Live => live::probe(run, index),
    };
    match found {
        Probe::After => {
            run.record(Record::applied(index, Performed::default()))?;
        }
        Probe::Neither if run.state.started.realm == Realm::Live => {
            let why = format!("it was interrupted, and {}", live::NEITHER);
            run.record(Record::StepFailed { step: index, left: Left::Unknown, why: why.clone() })?;
            return Ok(Settled::Failed(why));
        }
        Probe::Before | Probe::Neither => {
            let (left, why) =
                (settle::left_without_bytes(run, index), "it was interrupted".to_owned());
            run.record(Record::StepFailed { step: index, left, why })?;
        }
    }
    Ok(Settled::GoOn)
}

/// Puts back everything a run did, whether it is over or not.
///
/// # Errors
/// [`RunError`]; `Changed` when the devices are not as the run left them.
pub fn rollback(
    engine: &mut Engine<'_>,
    name: &str,
    world: Inventory,
    resumer: &Resumer,
) -> Result<RunReport, RunError> {
    let mut run = load(engine, name, world)?;
    let is_done = run.state.phase == Phase::Over(Outcome::Done);
    if is_done {
        check_untouched(&run)?;
    } else {
        refuse_final(name, &run.state)?;
    }
    if has_traces(&run.state) {
        refuse_changed(&run)?;
    }
    if let (true, Some(number)) = (back::is_past_return(&run.state), back::without_undo(&run.state))
    {
        let why = format!(
            "cannot be rolled back: step {number} has no undo, and nothing was done after it that \
             has; `lvmend resume` goes on with it if it is not over, `lvmend abandon` gives it up"
        );
        return Err(not_possible(name, why));
    }
    if !is_done {
        take_up(&mut run, resumer)?;
    }
    let ended = if goes_back(&run.state) {
        back::go_on_back(&mut run)
    } else {
        remove_leavings(&mut run)
            .map_err(RunError::from)
            .and_then(|()| back::back(&mut run, "rollback was asked for"))
    };
    reported(run, ended)
}

/// A step that was under way may have left a partial copy beside the devices.
fn remove_leavings(run: &mut Run<'_, '_>) -> Result<(), HostError> {
    let begun = run.state.steps.iter().position(|step| {
        matches!(step.state, StepState::Started | StepState::NotApplied | StepState::Torn)
    });
    let operation = begun.and_then(|index| run.graph.operations.get(index));
    let signature = &run.state.started.signature;
    match operation.and_then(|operation| operation.contract().unfinished(signature)) {
        Some(copy) => run.engine.host.clean_up(&copy),
        None => Ok(()),
    }
}

/// A finished run can only be undone while every byte it wrote still stands.
fn check_untouched(run: &Run<'_, '_>) -> Result<(), RunError> {
    use std::collections::BTreeMap;
    let mut expected: BTreeMap<_, Vec<u8>> = BTreeMap::new();
    for index in 0..run.state.steps.len() {
        if let Some(checkpoint) = settle::checkpoint_of(run, index)? {
            for saved in checkpoint.writes {
                for (at, sector) in saved.write.bytes.chunks(512).enumerate() {
                    let offset = saved.write.offset.get() + at as u64 * 512;
                    expected.insert((saved.write.device.clone(), offset), sector.to_vec());
                }
            }
        }
    }
    for ((device, offset), bytes) in expected {
        let len = crate::units::Bytes::of_len(bytes.len());
        let found = run.engine.host.read(&device, crate::units::Bytes::new(offset), len)?;
        if found != bytes {
            let why = format!("{device} was changed at byte {offset} since; nothing was undone");
            return Err(RunError::Changed { run: run.name.clone(), why });
        }
    }
    Ok(())
}

pub(crate) fn refuse_final(name: &str, state: &RunState) -> Result<(), RunError> {
    match state.phase {
        Phase::Over(outcome) if outcome.is_final() => {
            Err(not_possible(name, format!("is over: {}", outcome.shown())))
        }
        Phase::Over(_) | Phase::Forward | Phase::Back => Ok(()),
    }
}
