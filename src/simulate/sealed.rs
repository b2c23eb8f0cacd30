//! The sealed plan: what was planned, reviewed and approved, and how to tell that it still holds.
//!
//! It holds the plan as it was written and the graph made from it. Applying it plans afresh from
//! that text: the plan is stale when the graph differs in an operation, a parameter, a hazard or
//! the point of no return. Parameters are made of UUIDs and digests of the objects read, never of
//! the VG's seqno, times or device numbers.

use serde::{Deserialize, Serialize};

use crate::graph::Graph;
use crate::ids::{Digest, OperationId, PlanName, VgName, VgUuid};
use crate::model::inventory::Realm;
use crate::operation::{Operation, Stage};

/// The version of this format.
pub const FORMAT_VERSION: u32 = 1;

/// A sealed plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedPlan {
    /// Version of the format; 1.
    pub format_version: u32,
    /// Says what kind of file this is.
    pub kind: SealedKind,
    /// Program and version that made it.
    pub made_by: String,
    /// Name of the plan.
    pub name: PlanName,
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub vg_name: VgName,
    /// Where it takes place.
    #[serde(default = "images")]
    pub realm: Realm,
    /// The plan as it was written.
    pub source: String,
    /// What is to be done.
    pub graph: Graph,
    /// What the plan depends on: a digest for every operation, and one for all.
    pub fingerprint: Fingerprint,
    /// The plan's report, as it was printed for review.
    pub review: String,
}

/// Where plans take place that do not say it: they are older than running machines.
const fn images() -> Realm {
    Realm::Images
}

/// Says that a file is a sealed plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SealedKind {
    /// It is.
    #[serde(rename = "lvmend-sealed-plan")]
    SealedPlan,
}

/// What a graph comes down to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Of the text of the plan.
    pub source: Digest,
    /// Of each operation with its parameters, in order.
    pub operations: Vec<(OperationId, Digest)>,
    /// The first operation without an undo.
    pub point_of_no_return: Option<OperationId>,
    /// Of everything above, and of the edges.
    pub whole: Digest,
}

impl Fingerprint {
    /// The fingerprint of this plan and graph.
    pub fn of(source: &str, graph: &Graph, realm: Realm) -> Self {
        let source = Digest::of(source.as_bytes());
        let operations: Vec<(OperationId, Digest)> =
            graph.operations.iter().map(|o| (o.id(), digest_of(o))).collect();
        let point_of_no_return = graph
            .point_of_no_return(realm)
            .and_then(|at| graph.operations.get(at))
            .map(Operation::id);
        let edges = serde_json::to_vec(&graph.edges).unwrap_or_default();
        let rest = serde_json::to_vec(&(&source, &operations, &point_of_no_return));
        let whole = Digest::of_parts([rest.unwrap_or_default().as_slice(), edges.as_slice()]);
        Self { source, operations, point_of_no_return, whole }
    }
}

fn digest_of(operation: &Operation) -> Digest {
    let bare = operation.without_notes();
    let hazards = operation.contract().hazards();
    Digest::of(&serde_json::to_vec(&(bare, hazards)).unwrap_or_default())
}

/// Why a file is not a sealed plan that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadSealedError {
    /// Not the format.
    #[error("not a sealed plan: {0}")]
    Format(String),
    /// Made by a newer version.
    #[error("sealed plan of format version {0}; this lvmend reads version {FORMAT_VERSION}")]
    Version(u64),
    /// Changed after it was sealed.
    #[error("the sealed plan was changed after it was sealed: {0}")]
    Tampered(&'static str),
}

impl SealedPlan {
    /// Reads a sealed plan and checks it against its own fingerprint.
    ///
    /// # Errors
    /// [`ReadSealedError`].
    pub fn read(bytes: &[u8]) -> Result<Self, ReadSealedError> {
        let format = |error: serde_json::Error| ReadSealedError::Format(error.to_string());
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(format)?;
        match value.get("format_version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(FORMAT_VERSION) => {}
            Some(version) => return Err(ReadSealedError::Version(version)),
            None => {
                return Err(ReadSealedError::Format("`format_version` is missing".to_owned()));
            }
        }
        let sealed: Self = serde_json::from_value(value).map_err(format)?;
        let fingerprint = Fingerprint::of(&sealed.source, &sealed.graph, sealed.realm);
        if fingerprint.source != sealed.fingerprint.source {
            return Err(ReadSealedError::Tampered("its plan is not the one that was sealed"));
        }
        if fingerprint != sealed.fingerprint {
            return Err(ReadSealedError::Tampered("its operations are not those that were sealed"));
        }
        Ok(sealed)
    }

    /// Whether this is a sealed plan of any version.
    pub fn is_kind_of(bytes: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Opening {
            #[serde(rename = "kind")]
            _kind: SealedKind,
        }
        serde_json::from_slice::<Opening>(bytes).is_ok()
    }

    /// Tasks and checks of a graph made now that were not sealed so; empty when all were.
    pub fn not_sealed(&self, now: &Fingerprint, graph: &Graph) -> Vec<String> {
        let is_asked = |id: &OperationId| {
            let mut asked = graph.operations.iter();
            asked.any(|operation| operation.id() == *id && operation.stage() >= Stage::Task)
        };
        let differs = |(id, digest): &&(OperationId, Digest)| {
            is_asked(id)
                && !self.fingerprint.operations.iter().any(|known| known == &(id.clone(), *digest))
        };
        let differing = now.operations.iter().filter(differs);
        differing.map(|(id, _)| format!("{id} was not sealed so")).collect()
    }

    /// What differs between the graph that was sealed and one made now; empty when none does.
    pub fn differences(&self, now: &Fingerprint) -> Vec<String> {
        let mut found = Vec::new();
        let sealed = &self.fingerprint;
        for (id, digest) in &sealed.operations {
            match now.operations.iter().find(|(other, _)| other == id) {
                None => found.push(format!("{id} is not needed any more, or not possible")),
                Some((_, other)) if other != digest => {
                    found.push(format!("{id} would be done otherwise than it was sealed"));
                }
                Some(_) => {}
            }
        }
        for (id, _) in &now.operations {
            if !sealed.operations.iter().any(|(other, _)| other == id) {
                found.push(format!("{id} would be done as well"));
            }
        }
        if sealed.point_of_no_return != now.point_of_no_return {
            found.push("the point of no return is another".to_owned());
        }
        if found.is_empty() && sealed.whole != now.whole {
            found.push(
                "the operations would be done in another order, or for other reasons".to_owned(),
            );
        }
        found
    }
}
