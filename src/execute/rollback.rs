//! Going back: steps are undone from the last to the first, each from its checkpoint, and each
//! only when the devices hold what this run left there.

use crate::execute::checkpoint::{BytesProbe, Checkpoint};
use crate::execute::engine::{Run, has_traces};
use crate::execute::journal::Record;
use crate::execute::run_state::{RunState, StepState};
use crate::execute::step::perform_all;
use crate::execute::{Event, Outcome, RunError, live, put_back, settle, used_pool};
use crate::model::inventory::Realm;
use crate::plan::document::OnFailure;

/// What happens after a step failed.
pub(crate) fn after_failure(run: &mut Run<'_, '_>, why: &str) -> Result<(), RunError> {
    let is_unknown =
        |step: &crate::execute::run_state::Step| step.state == StepState::Indeterminate;
    if !has_traces(&run.state) {
        let why = Some(why.to_owned());
        return run.record(Record::Finished { outcome: Outcome::Failed, why });
    }
    if run.state.steps.iter().any(is_unknown) {
        let why = format!("{why}; what that step left cannot be told");
        return run.record(Record::Stopped { why });
    }
    // Past the point of no return nothing turns back: what is left to be done may still be done.
    if let Some(number) = without_undo(&run.state) {
        let why = format!("{why}; step {number} has no undo, so everything stays as it is");
        return run.record(Record::Stopped { why });
    }
    match run.state.started.on_failure {
        OnFailure::RollBack => back(run, why),
        OnFailure::Stop => run.record(Record::Stopped { why: why.to_owned() }),
    }
}

/// The last step that left something and has no undo, counted from 1.
pub(crate) fn without_undo(state: &RunState) -> Option<usize> {
    let steps = state.started.steps.iter().enumerate();
    let mut lasting =
        steps.rev().filter(|(index, step)| state.has_traces(*index) && !step.risk.has_undo());
    lasting.next().map(|(index, _)| index + 1)
}

/// Whether nothing can be undone before a step is reached that has no undo.
pub(crate) fn is_past_return(state: &RunState) -> bool {
    let last = (1..=state.steps.len()).rev().find(|number| state.has_traces(number - 1));
    last.is_some() && last == without_undo(state)
}

/// Turns back and undoes every step that left something.
pub(crate) fn back(run: &mut Run<'_, '_>, why: &str) -> Result<(), RunError> {
    run.tell(Event::RollbackBegins(why.to_owned()));
    run.record(Record::RollbackStarted { why: why.to_owned() })?;
    go_on_back(run)
}

/// Undoes every step that still has something to undo.
pub(crate) fn go_on_back(run: &mut Run<'_, '_>) -> Result<(), RunError> {
    for index in (0..run.state.steps.len()).rev() {
        if !run.state.has_traces(index) {
            continue;
        }
        let has_undo = run.state.started.steps.get(index).is_some_and(|s| s.risk.has_undo());
        if !has_undo {
            let number = index + 1;
            let why = format!("step {number} has no undo: everything up to it stays done");
            return run.record(Record::Stopped { why });
        }
        let title = run.state.started.steps.get(index).map(|s| s.title.clone());
        run.tell(Event::UndoBegins(title.unwrap_or_default()));
        run.record(Record::UndoStarted { step: index })?;
        match undo(run, index) {
            Ok(()) => run.record(Record::StepUndone { step: index })?,
            Err(why) => {
                run.tell(Event::StepFailed(why.clone()));
                run.record(Record::UndoFailed { step: index, why: why.clone() })?;
                let why = Some(format!("step {} could not be undone: {why}", index + 1));
                return run.record(Record::Finished { outcome: Outcome::Stuck, why });
            }
        }
    }
    let why = run.state.why.clone();
    run.record(Record::Finished { outcome: Outcome::RolledBack, why })
}

/// Puts back what one step overwrote, and makes sure that it is back.
fn undo(run: &mut Run<'_, '_>, index: usize) -> Result<(), String> {
    if run.state.started.realm == Realm::Live {
        return live::undo(run, index);
    }
    if let Some(operation) = run.graph.operations.get(index).cloned() {
        let now = run.observe();
        (run.world.pools, run.world.vgs) = (now.pools, now.vgs);
        used_pool::refuse(run, &operation)?;
        put_back::put_back(run, &operation)?;
    }
    let checkpoint = settle::checkpoint_of(run, index).map_err(|error| error.in_full())?;
    let Some(checkpoint) = checkpoint else {
        return Ok(());
    };
    let probe = |run: &Run<'_, '_>, checkpoint: &Checkpoint| {
        checkpoint.probe(run.engine.host).map_err(|error| error.in_full())
    };
    match probe(run, &checkpoint)? {
        // Put back without being synced would not be back: it is written again.
        BytesProbe::Before | BytesProbe::After | BytesProbe::Torn => {}
        BytesProbe::Foreign { device, offset } => {
            return Err(format!(
                "{device} holds at byte {offset} what this run neither found nor wrote: somebody \
                 else changed it since"
            ));
        }
    }
    perform_all(run, &checkpoint.undo_acts()).map_err(|error| error.to_string())?;
    match probe(run, &checkpoint)? {
        BytesProbe::Before => Ok(()),
        BytesProbe::After | BytesProbe::Torn | BytesProbe::Foreign { .. } => {
            Err("the devices do not read back as they were".to_owned())
        }
    }
}
