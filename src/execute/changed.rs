//! Whether anybody else wrote the VG since the run did.

use crate::execute::checkpoint::BytesProbe;
use crate::execute::engine::Run;
use crate::execute::run_state::{Step, StepState};
use crate::execute::{RunError, settle};
use crate::host::HostError;
use crate::ids::Digest;
use crate::model::inventory::Realm;
use crate::simulate::standing::standing;

/// Refuses to go on with a run, in either direction, when the VG does not stand as it left it.
pub(crate) fn refuse_changed(run: &Run<'_, '_>) -> Result<(), RunError> {
    // On a running machine others may write: each step and each undo works from what stands there.
    if run.state.started.realm == Realm::Live {
        return Ok(());
    }
    let Some(expected) = expected(run)? else { return Ok(()) };
    if standing(&run.observe(), run.state.started.vg) == expected {
        return Ok(());
    }
    let why = "the metadata of the volume group was written by somebody else since; nothing was \
               done. Compare it with `lvmend inspect` and `lvmend history list`; if it is as it \
               should be, `lvmend abandon` the run and plan afresh";
    Err(RunError::Changed { run: run.name.clone(), why: why.to_owned() })
}

/// How the VG must stand if only the run wrote it; none where only the bytes of a half-done step
/// can tell.
fn expected(run: &Run<'_, '_>) -> Result<Option<Digest>, HostError> {
    let has_begun = |step: &Step| step.state.has_traces();
    let Some(last) = run.state.steps.iter().rposition(has_begun) else {
        return Ok(Some(run.state.started.standing));
    };
    let Some(step) = run.state.steps.get(last) else { return Ok(None) };
    match step.state {
        StepState::Applied => Ok(step.after),
        StepState::Started => expected_of_started(run, last, step.after),
        // Without a checkpoint it writes over extents alone, and leaves label and metadata be.
        StepState::Torn | StepState::UndoStarted | StepState::UndoFailed => {
            let has_bytes = settle::checkpoint_of(run, last)?.is_some();
            Ok(step.after.filter(|_| !has_bytes))
        }
        StepState::Unexpected
        | StepState::Indeterminate
        | StepState::Pending
        | StepState::NotApplied
        | StepState::Undone => Ok(None),
    }
}

fn expected_of_started(
    run: &Run<'_, '_>,
    index: usize,
    after: Option<Digest>,
) -> Result<Option<Digest>, HostError> {
    let Some(checkpoint) = settle::checkpoint_of(run, index)? else {
        return Ok(after);
    };
    Ok(match checkpoint.probe(run.engine.host)? {
        BytesProbe::Before => Some(before(run, index)),
        BytesProbe::After => after,
        BytesProbe::Torn | BytesProbe::Foreign { .. } => None,
    })
}

/// How the VG stood when this step began.
fn before(run: &Run<'_, '_>, index: usize) -> Digest {
    let earlier = run.state.steps.iter().take(index).rev();
    let last = earlier.filter(|step| step.state == StepState::Applied).find_map(|step| step.after);
    last.unwrap_or(run.state.started.standing)
}
