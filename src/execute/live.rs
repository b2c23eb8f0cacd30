//! Steps on a running machine. LVM2 writes there, and so may anybody else: what a step did is told
//! by looking, never by an exit code alone; what others did meanwhile stays.

mod attempts;

use std::time::Duration;

use crate::execute::engine::Run;
use crate::execute::journal::{Left, Record};
use crate::execute::run_state::StepState;
use crate::execute::step::{Ended, perform_all};
use crate::execute::{Event, RunError, used_pool};
use crate::host::{ActError, Performed};
use crate::ids::Digest;
use crate::model::compare::differences;
use crate::model::inventory::Inventory;
use crate::model::live::{MappedDevice, Mount};
use crate::operation::{Lowered, Operation, Probe, Risk, Unfit};
use crate::simulate::lower;
use crate::simulate::standing::standing;

/// How often a step is worked out anew because somebody else wrote the metadata in between.
const TRIES: usize = 50;
/// How often it is looked whether users are gone.
const PAUSE: Duration = Duration::from_millis(500);

const NO_EFFECT: &str =
    "the commands reported success, and not all they should bring about is seen";
/// What is seen when a step cannot be settled.
pub(crate) const NEITHER: &str = "what is seen now is neither as before nor as intended";

/// What came of acting.
enum Verdict {
    /// Done, and nothing else happened.
    Done(Performed),
    /// Somebody else wrote first; nothing was done.
    Overtaken,
    /// Not done, or not as it should be.
    Failed(Left, String),
    /// Not done to its end, and to be gone on with.
    Interrupted(Left, String),
}

/// Does one step.
pub(crate) fn step(run: &mut Run<'_, '_>, index: usize) -> Result<Ended, RunError> {
    let Some(operation) = run.graph.operations.get(index).cloned() else {
        return Ok(Ended::Failed(format!("BUG: there is no operation {index}")));
    };
    run.look_closely();
    let is_met =
        operation.leaves_a_trace() && operation.contract().probe(&run.world) == Probe::After;
    let signature = run.state.started.signature.clone();
    let lowered = if is_met {
        // Somebody else brought it about in the meantime.
        Ok(Lowered { acts: Vec::new(), predicted: run.world.clone() })
    } else {
        when_free(run, false, &|world| lower(&operation, world, &signature))
    };
    let mut lowered = match lowered {
        Ok(lowered) => lowered,
        Err(unfit) => {
            run.tell(Event::StepFailed(unfit.why.clone()));
            return Ok(if is_taken_up(run, index, &operation) {
                Ended::Stopped(unfit.why)
            } else {
                Ended::Failed(unfit.why)
            });
        }
    };
    let after = standing(&lowered.predicted, run.state.started.vg);
    run.record(Record::StepStarted { step: index, checkpoint: None, after })?;
    if let Some(attempts) = operation.contract().attempts() {
        return attempts::attempts(run, index, &operation, lowered, attempts);
    }
    for _ in 0..TRIES {
        match act(run, &operation, &lowered) {
            Verdict::Done(performed) => {
                run.record(Record::applied(index, performed))?;
                run.tell(Event::StepDone);
                return Ok(Ended::Applied);
            }
            Verdict::Failed(left, why) => return failed(run, index, left, why),
            Verdict::Interrupted(left, why) => {
                failed(run, index, left, why.clone())?;
                return Ok(Ended::Stopped(why));
            }
            Verdict::Overtaken => match lower(&operation, &run.world, &signature) {
                Ok(again) => lowered = again,
                Err(unfit) => return failed(run, index, Left::Nothing, unfit.why),
            },
        }
    }
    let why = format!("somebody else wrote the metadata {TRIES} times while it was tried");
    failed(run, index, Left::Nothing, why)
}

/// Whether this run has a part of it already, which must not be lost because a disk is not back yet.
fn is_taken_up(run: &Run<'_, '_>, index: usize, operation: &Operation) -> bool {
    let was_tried = run.state.steps.get(index).is_some_and(|step| step.state != StepState::Pending);
    was_tried && matches!(operation, Operation::CopyLv(_))
}

/// Works out what is to be done. Who uses what must be free is given time to go; on the way back also
/// when somebody asked to stop.
fn when_free(
    run: &mut Run<'_, '_>,
    goes_back: bool,
    lower: &dyn Fn(&Inventory) -> Result<Lowered, Unfit>,
) -> Result<Lowered, Unfit> {
    let mut waited = Duration::ZERO;
    loop {
        let lowered = lower(&run.world);
        let Err(Unfit { why, may_pass: true }) = &lowered else { return lowered };
        let is_to_stop = !goes_back && (run.engine.stop)();
        if waited >= run.engine.host.patience() || is_to_stop {
            return lowered;
        }
        if waited.is_zero() {
            run.tell(Event::Waits(why.clone()));
        }
        run.engine.host.pause(PAUSE);
        waited += PAUSE;
        run.look_closely();
    }
}

fn failed(run: &mut Run<'_, '_>, index: usize, left: Left, why: String) -> Result<Ended, RunError> {
    run.tell(Event::StepFailed(why.clone()));
    run.record(Record::StepFailed { step: index, left, why: why.clone() })?;
    Ok(Ended::Failed(why))
}

/// Acts, looks, and judges by what is seen.
fn act(run: &mut Run<'_, '_>, operation: &Operation, lowered: &Lowered) -> Verdict {
    let before = traces(run);
    let performed = perform_all(run, &lowered.acts);
    if !operation.leaves_a_trace() {
        return judge_by_result(run, operation, performed);
    }
    run.look_closely();
    let left = if traces(run) == before { Left::Nothing } else { Left::Some };
    judge(run, operation, lowered, performed, left)
}

/// What a step can change of the VG: its metadata, labels and headers, which of its devices the
/// kernel has, with what tables, and where they are mounted.
fn traces(run: &Run<'_, '_>) -> (Digest, Vec<MappedDevice>, Vec<Mount>) {
    let vg = run.state.started.vg;
    let live = run.world.live.iter();
    let mut mapped: Vec<MappedDevice> =
        live.flat_map(|live| live.mapped_of_vg(vg)).cloned().collect();
    for device in &mut mapped {
        device.open_count = 0;
        device.status.clear();
    }
    let mounts = run.world.live.iter().flat_map(|live| {
        live.mounts.iter().filter(|mount| live.lv_of_mount(vg, mount).is_some()).cloned()
    });
    (standing(&run.world, vg), mapped, mounts.collect())
}

/// Evidence, tasks and checks leave no trace in an inventory: what they say counts.
fn judge_by_result(
    run: &Run<'_, '_>,
    operation: &Operation,
    performed: Result<Performed, ActError>,
) -> Verdict {
    match performed {
        Ok(performed) => Verdict::Done(performed),
        Err(error) => {
            let writes = operation.contract().risk(run.world.realm) != Risk::ReadOnly;
            let left = if writes { Left::Some } else { Left::Nothing };
            if let ActError::Interrupted(why) = error {
                Verdict::Interrupted(left, why)
            } else {
                Verdict::Failed(left, error.to_string())
            }
        }
    }
}

fn judge(
    run: &Run<'_, '_>,
    operation: &Operation,
    lowered: &Lowered,
    performed: Result<Performed, ActError>,
    left: Left,
) -> Verdict {
    let told = performed.as_ref().err().map(ToString::to_string);
    match operation.contract().probe(&run.world) {
        Probe::After => match violation(run, operation, &lowered.predicted) {
            None => Verdict::Done(performed.unwrap_or_default()),
            Some(why) => Verdict::Failed(Left::Everything, why),
        },
        Probe::Before => match performed {
            Err(ActError::Overtaken(_)) => Verdict::Overtaken,
            Err(error) => Verdict::Failed(left, error.to_string()),
            Ok(_) => Verdict::Failed(left, NO_EFFECT.to_owned()),
        },
        Probe::Neither => {
            let told = told.map(|told| format!("{told}; ")).unwrap_or_default();
            Verdict::Failed(Left::Unknown, format!("{told}{NEITHER}"))
        }
    }
}

/// What the metadata says otherwise than predicted, when nobody but this run can have done it.
fn violation(run: &Run<'_, '_>, operation: &Operation, predicted: &Inventory) -> Option<String> {
    let vg = run.state.started.vg;
    let of = |inventory: &Inventory| inventory.vgs.get(&vg).and_then(|on| on.current.clone());
    let predicted = of(predicted)?;
    let Some(observed) = of(&run.world) else {
        return Some("not as predicted: no metadata of the VG counts any more".to_owned());
    };
    // A higher number than this run can have made: somebody else wrote as well, which is theirs to
    // do. That this step did its part is known already.
    if observed.seqno > predicted.seqno {
        return None;
    }
    let found: Vec<String> = differences(&predicted, &observed)
        .iter()
        .filter(|difference| !operation.contract().allows(difference))
        .map(|difference| format!("unexpected: {difference}"))
        .collect();
    (!found.is_empty()).then(|| format!("not as predicted: {}", found.join("; ")))
}

/// What became of a step that began and has no outcome, by a look that changes nothing.
pub(crate) fn probe(run: &mut Run<'_, '_>, index: usize) -> Probe {
    run.look_closely();
    let operation = run.graph.operations.get(index);
    operation.map_or(Probe::Neither, |operation| operation.contract().probe(&run.world))
}

/// Undoes one step, from what stands there now.
pub(crate) fn undo(run: &mut Run<'_, '_>, index: usize) -> Result<(), String> {
    let Some(operation) = run.graph.operations.get(index).cloned() else {
        return Err(format!("BUG: there is no operation {index}"));
    };
    let signature = run.state.started.signature.clone();
    let mut last = NO_EFFECT.to_owned();
    for _ in 0..TRIES {
        run.look_closely();
        used_pool::refuse(run, &operation)?;
        let undo =
            when_free(run, true, &|world| operation.contract().lower_undo(world, &signature));
        let acts = undo.map_err(|unfit| unfit.why)?.acts;
        if acts.is_empty() {
            return Ok(());
        }
        let before = traces(run);
        let performed = perform_all(run, &acts);
        run.look_closely();
        match performed {
            Err(ActError::Overtaken(why)) => last = why,
            Err(error) if traces(run) == before => return Err(error.to_string()),
            Ok(_) if traces(run) == before => return Err(NO_EFFECT.to_owned()),
            // It did something: what is left to be done shows in the next round.
            Err(error) => last = error.to_string(),
            Ok(_) => {}
        }
    }
    Err(last)
}
