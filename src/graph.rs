//! From changes to an ordered graph of operations. Every edge says why.
//!
//! The same facts give the same graph, whatever order they came in: operations are ranked by
//! stage, kind and object, edges run only from lower to higher rank, and ties are broken by rank.
//! petgraph's node indices never leave this room.

mod build;
mod order;

use serde::{Deserialize, Serialize};

use crate::diff::live::Disturbed;
use crate::diff::{Refusal, RefusalCode};
use crate::ids::OperationId;
use crate::model::inventory::Realm;
use crate::operation::{Operation, Resource};
use crate::plan::document::Acceptance;
use crate::plan::hazard::Hazard;

pub use build::build;
pub use order::{Turns, ordered};

/// Operations in the order in which they are done, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// In order.
    pub operations: Vec<Operation>,
    /// Why each must follow another; without those that follow from others.
    pub edges: Vec<Edge>,
}

/// Why one operation must follow another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The one that comes first.
    pub from: OperationId,
    /// The one that follows.
    pub to: OperationId,
    /// Why.
    pub reason: Reason,
}

/// Why an operation must follow another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing is written before the evidence is saved.
    EvidenceFirst,
    /// It builds upon what the other writes.
    Needs(Resource),
    /// Both write the same.
    SameResource(Resource),
    /// It changes what the other still has to read.
    ReadBefore(Resource),
    /// Tasks follow states, checks follow both.
    Stage,
    /// Tasks are done in the order of the plan.
    Turn,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EvidenceFirst => f.write_str("evidence first"),
            Self::Needs(resource) => write!(f, "needs {resource}"),
            Self::SameResource(resource) => write!(f, "both write {resource}"),
            Self::ReadBefore(resource) => write!(f, "changes {resource}, read before"),
            Self::Stage => f.write_str("tasks follow states, checks follow both"),
            Self::Turn => f.write_str("tasks are done in the order of the plan"),
        }
    }
}

impl Graph {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Whether any operation changes a state, rather than doing a task or a check.
    pub fn changes_state(&self) -> bool {
        use crate::operation::Stage;
        self.operations.iter().any(|operation| operation.stage() == Stage::State)
    }

    /// Everything that can be lost, in the order of the operations.
    pub fn hazards(&self) -> Vec<Hazard> {
        self.operations.iter().flat_map(|operation| operation.contract().hazards()).collect()
    }

    /// The first operation that has no undo: rollback cannot pass it.
    pub fn point_of_no_return(&self, realm: Realm) -> Option<usize> {
        self.operations.iter().position(|o| !o.contract().risk(realm).has_undo())
    }

    /// What the run does that could cut off a file system.
    pub fn disturbs(&self) -> Disturbed {
        let mut disturbed = Disturbed::default();
        self.operations.iter().for_each(|operation| disturbed.extend(operation.disturbs()));
        disturbed
    }

    /// Why each operation follows others.
    pub fn reasons_for(&self, id: &OperationId) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.to == *id)
    }
}

/// Hazards that the plan does not accept, as refusals.
pub fn unaccepted(hazards: &[Hazard], accepted: &[Acceptance]) -> Vec<Refusal> {
    let is_accepted = |hazard: &Hazard| {
        accepted.iter().any(|a| a.hazard == hazard.kind && a.object == hazard.object)
    };
    hazards
        .iter()
        .filter(|hazard| !is_accepted(hazard))
        .map(|hazard| {
            let name = hazard.kind.name();
            let why = format!("hazard {name}: {}", hazard.loss.join("; "));
            Refusal::new(RefusalCode::HazardNotAccepted, &hazard.object, why).with_help(format!(
                "to accept this loss: `policy: {{accept: [{{hazard: {name}, object: {}, \
                 because: …}}]}}`",
                hazard.object
            ))
        })
        .collect()
}

/// Acceptances that no operation needs, for a note.
pub fn idle_acceptances<'a>(hazards: &[Hazard], accepted: &'a [Acceptance]) -> Vec<&'a Acceptance> {
    let is_needed = |a: &&Acceptance| {
        hazards.iter().any(|hazard| a.hazard == hazard.kind && a.object == hazard.object)
    };
    accepted.iter().filter(|acceptance| !is_needed(acceptance)).collect()
}
