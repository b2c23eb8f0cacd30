//! One step: predict, write the intent down, act, observe, compare, write the outcome down.

use std::fs::File;
use std::io::Seek as _;

use crate::execute::checkpoint::Checkpoint;
use crate::execute::engine::{Engine, Run};
use crate::execute::journal::Record;
use crate::execute::{Event, RunError, evidence, live, settle};
use crate::host::{ActError, HostError, KeptFile, Performed};
use crate::ids::VgUuid;
use crate::model::inventory::{Inventory, Realm};
use crate::operation::Lowered;
use crate::operation::act::Act;
use crate::simulate::standing::standing;
use crate::simulate::{lower, unexpected};

/// How a step ended.
pub(crate) enum Ended {
    /// Done and verified.
    Applied,
    /// Failed, and why.
    Failed(String),
    /// It was interrupted, and can be gone on with.
    Stopped(String),
}

/// Does one step.
pub(crate) fn step(run: &mut Run<'_, '_>, index: usize) -> Result<Ended, RunError> {
    let Some(operation) = run.graph.operations.get(index).cloned() else {
        return Ok(Ended::Failed(format!("BUG: there is no operation {index}")));
    };
    let of = run.graph.operations.len();
    let title = operation.contract().title();
    run.tell(Event::StepBegins { number: index + 1, of, title });
    if run.state.started.realm == Realm::Live {
        return live::step(run, index);
    }
    if let Some(why) = world_changed(run) {
        return Ok(fail_before(run, why));
    }
    let signature = run.state.started.signature.clone();
    let lowered = match lower(&operation, &run.world, &signature) {
        Ok(lowered) => lowered,
        Err(unfit) => return Ok(fail_before(run, unfit.why)),
    };
    let checkpoint = match save_checkpoint(run, index, &lowered.acts) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return Ok(fail_before(run, error.in_full())),
    };
    let digest = checkpoint.as_ref().map(|(_, digest)| *digest);
    let after = standing(&lowered.predicted, vg(run));
    run.record(Record::StepStarted { step: index, checkpoint: digest, after })?;
    let performed = perform_all(run, &lowered.acts);
    if let Err(ActError::Interrupted(why)) = performed {
        fail_after(run, index, checkpoint.map(|(saved, _)| saved), why.clone())?;
        return Ok(Ended::Stopped(why));
    }
    let result = match performed {
        Ok(performed) => confirm(run, &lowered).map(|observed| (performed, observed)),
        Err(error) => Err(error.to_string()),
    };
    match result {
        Ok((performed, observed)) => {
            run.world = lowered.predicted;
            // What stands in new metadata only shows once it is there.
            run.world.pools = observed.pools;
            run.record(Record::applied(index, performed))?;
            run.tell(Event::StepDone);
            Ok(Ended::Applied)
        }
        Err(why) => fail_after(run, index, checkpoint.map(|(saved, _)| saved), why),
    }
}

/// What differs between the world and what it is believed to be.
fn world_changed(run: &Run<'_, '_>) -> Option<String> {
    let observed = run.observe();
    let found = unexpected(&run.world, &observed, vg(run));
    (!found.is_empty()).then(|| format!("the disks changed meanwhile: {}", found.join("; ")))
}

fn vg(run: &Run<'_, '_>) -> VgUuid {
    run.state.started.vg
}

fn fail_before(run: &mut Run<'_, '_>, why: String) -> Ended {
    run.tell(Event::StepFailed(why.clone()));
    Ended::Failed(why)
}

fn save_checkpoint(
    run: &mut Run<'_, '_>,
    index: usize,
    acts: &[Act],
) -> Result<Option<(Checkpoint, crate::ids::Digest)>, HostError> {
    let Some(checkpoint) = Checkpoint::capture(run.engine.host, acts)? else {
        return Ok(None);
    };
    let digest = checkpoint.save(run.engine.store, &run.name, index)?;
    Ok(Some((checkpoint, digest)))
}

/// Performs acts in order; what the last one that tells something tells, comes back.
pub(crate) fn perform_all(run: &mut Run<'_, '_>, acts: &[Act]) -> Result<Performed, ActError> {
    let mut last = Performed::default();
    for act in acts {
        if let Act::Save(regions) = act {
            let engine = &mut *run.engine;
            let tables = run.world.live.as_deref().map(evidence::tables);
            let tables = tables.as_deref();
            evidence::save(engine.host, engine.store, &run.name, regions, tables)?;
            if let Some(copy) = engine.evidence_copy.as_deref_mut() {
                evidence::save(engine.host, copy, &run.name, regions, tables)?;
            }
            continue;
        }
        let engine = &mut *run.engine;
        let listener = &mut *engine.listener;
        let performed = engine.host.perform(act, &mut |progress| {
            listener.tell(Event::Progress(progress));
        });
        if let Some(KeptFile { name, mut content }) = engine.host.take_kept() {
            let kept = keep(engine, &run.name, &name, &mut content);
            // Why it failed is what counts.
            if performed.is_ok() {
                kept?;
            }
        }
        let performed = performed?;
        if performed != Performed::default() {
            last = performed;
        }
    }
    Ok(last)
}

/// Keeps a file with the run, and with its second copy.
fn keep(
    engine: &mut Engine<'_>,
    run: &str,
    name: &str,
    content: &mut File,
) -> Result<(), HostError> {
    engine.store.put_from(run, name, content)?;
    if let Some(copy) = engine.evidence_copy.as_deref_mut() {
        content.rewind().map_err(|cause| HostError::new("copy", name, cause))?;
        copy.put_from(run, name, content)?;
    }
    Ok(())
}

/// Observes the world and holds it to the prediction.
fn confirm(run: &Run<'_, '_>, lowered: &Lowered) -> Result<Inventory, String> {
    let observed = run.observe();
    let mut found = unexpected(&lowered.predicted, &observed, vg(run));
    if found.is_empty() && standing(&observed, vg(run)) != standing(&lowered.predicted, vg(run)) {
        found.push("labels or headers of the VG are not as they were to be left".to_owned());
    }
    if found.is_empty() {
        return Ok(observed);
    }
    Err(format!("not as predicted: {}", found.join("; ")))
}

/// Finds out what a failed step left, and writes that down.
fn fail_after(
    run: &mut Run<'_, '_>,
    index: usize,
    checkpoint: Option<Checkpoint>,
    why: String,
) -> Result<Ended, RunError> {
    let left = match checkpoint {
        Some(checkpoint) => settle::left_by_bytes(run, &checkpoint),
        None => settle::left_without_bytes(run, index),
    };
    run.tell(Event::StepFailed(why.clone()));
    run.record(Record::StepFailed { step: index, left, why: why.clone() })?;
    Ok(Ended::Failed(why))
}
