//! Settling steps without an outcome, by a look that changes nothing.

use crate::execute::checkpoint::{BytesProbe, Checkpoint};
use crate::execute::engine::Run;
use crate::execute::journal::Left;
use crate::host::HostError;
use crate::operation::{Operation, Risk};

/// What a step left, as the bytes on the devices tell.
pub(crate) fn left_by_bytes(run: &Run<'_, '_>, checkpoint: &Checkpoint) -> Left {
    match checkpoint.probe(run.engine.host) {
        Ok(BytesProbe::Before) => Left::Nothing,
        Ok(BytesProbe::After) => Left::Everything,
        Ok(BytesProbe::Torn) => Left::Some,
        Ok(BytesProbe::Foreign { .. }) | Err(_) => Left::Unknown,
    }
}

/// What a step without a checkpoint left: nothing, unless it writes over what the evidence has, or over an
/// LV that nobody can tell it by.
pub(crate) fn left_without_bytes(run: &Run<'_, '_>, index: usize) -> Left {
    let operation = run.graph.operations.get(index);
    let realm = run.state.started.realm;
    let leaves = operation.is_some_and(|operation| {
        let contract = operation.contract();
        let is_blind = !operation.leaves_a_trace() && contract.risk(realm) != Risk::ReadOnly;
        let is_copy_over = is_blind && matches!(operation, Operation::CopyLv(_));
        !contract.writes_over().is_empty() || is_copy_over
    });
    if leaves { Left::Some } else { Left::Nothing }
}

/// The checkpoint of a step, when it has one.
pub(crate) fn checkpoint_of(
    run: &Run<'_, '_>,
    index: usize,
) -> Result<Option<Checkpoint>, HostError> {
    let digest = run.state.steps.get(index).and_then(|step| step.checkpoint);
    digest.map(|digest| Checkpoint::load(run.engine.store, &run.name, index, digest)).transpose()
}
