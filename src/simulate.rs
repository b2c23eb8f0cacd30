//! The dry run: what the world will be like after each operation, without touching it.
//!
//! The simulation and the execution both go through [`Contract::lower`], so the dry run cannot
//! tell another story than the run.

mod compare;
pub mod planned;
pub mod sealed;
pub mod standing;

use std::sync::Arc;

use crate::diff::{Refusal, RefusalCode};
use crate::graph::Graph;
use crate::ids::OperationId;
use crate::model::inventory::Inventory;
use crate::model::timeline::MetadataText;
use crate::operation::act::Act;
use crate::operation::{Contract, Lowered, Operation, Signature, Unfit};

pub use compare::unexpected;

/// What comes of a graph.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// What each operation does.
    pub steps: Vec<SimulatedStep>,
    /// The inventory in the end.
    pub last: Inventory,
}

/// What one operation does.
#[derive(Clone, Debug)]
pub struct SimulatedStep {
    /// Which.
    pub id: OperationId,
    /// Its acts.
    pub acts: Vec<Act>,
}

/// Works out what this operation does and what comes of it.
///
/// # Errors
/// [`Unfit`], when it must not be done to this inventory.
pub fn lower(
    operation: &Operation,
    now: &Inventory,
    signature: &Signature,
) -> Result<Lowered, Unfit> {
    let contract: &dyn Contract = operation.contract();
    contract.lower(now, signature)
}

/// Follows a graph from an inventory to its end.
///
/// # Errors
/// A refusal, when an operation would meet a world it must not be done to.
pub fn simulate(
    graph: &Graph,
    from: &Inventory,
    signature: &Signature,
) -> Result<Simulation, Refusal> {
    let mut now = from.clone();
    let mut steps = Vec::with_capacity(graph.operations.len());
    for operation in &graph.operations {
        let lowered = lower(operation, &now, signature)
            .map_err(|unfit| Refusal::new(RefusalCode::Unfit, operation.id(), unfit.why))?;
        steps.push(SimulatedStep { id: operation.id(), acts: lowered.acts });
        now = lowered.predicted;
    }
    Ok(Simulation { steps, last: now })
}

/// The text of a VG that counts in this inventory.
pub fn text_that_counts(
    inventory: &Inventory,
    vg: crate::ids::VgUuid,
) -> Option<(&MetadataText, &Arc<crate::model::vg::Vg>)> {
    let on_disk = inventory.vgs.get(&vg)?;
    let content = on_disk.standing.content()?;
    let version = on_disk.timeline.versions().iter().find(|v| v.content() == content)?;
    Some((&version.text, on_disk.current.as_ref()?))
}
