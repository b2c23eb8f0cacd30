//! Doing what was planned: evidence, journal, checkpoints, step by step, and back again.
//!
//! Every step goes the same way: predict, write the intent down, act, observe, compare, write the
//! outcome down. The journal is intent, not a log: what it says decides what a resumed run does.

mod abandon;
mod changed;
pub mod checkpoint;
mod engine;
mod evidence;
pub mod journal;
mod live;
mod put_back;
mod resume;
mod rollback;
pub mod run_state;
mod settle;
mod sources;
mod step;
mod used_pool;

use serde::{Deserialize, Serialize};

use crate::host::{HostError, Progress};
use crate::ids::{Digest, OperationId, PlanName, VgName, VgUuid};
use crate::operation::{Risk, Stage};
use crate::units::Bytes;

pub use abandon::{abandon, give_up, given_up, has_evidence};
pub use engine::{Engine, apply, report};
pub use resume::{Resumer, resume, rollback};

/// How a run ended, or where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything was done and verified.
    Done,
    /// It failed before any device was written.
    Failed,
    /// It failed, and everything was put back and verified; or it was rolled back on request.
    RolledBack,
    /// It stopped on the way: what is done stays done.
    Incomplete,
    /// It could not be put back.
    Stuck,
    /// A person gave it up.
    Abandoned,
}

impl Outcome {
    /// Whether nothing is left to be done about the run.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Done | Self::Failed | Self::RolledBack | Self::Abandoned => true,
            Self::Incomplete | Self::Stuck => false,
        }
    }

    /// In words, for reports.
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Done => "done and verified",
            Self::Failed => "failed, no device was written",
            Self::RolledBack => "rolled back and verified",
            Self::Incomplete => "incomplete",
            Self::Stuck => "stuck",
            Self::Abandoned => "abandoned",
        }
    }
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// Which operation.
    pub id: OperationId,
    /// What it does.
    pub title: String,
    /// How much it can cost.
    pub risk: Risk,
    /// Whether it belongs to the plan's states, its tasks or its checks.
    pub stage: Stage,
    /// Where it stands.
    pub state: run_state::StepState,
    /// Why it failed, when it did.
    pub why: Option<String>,
    /// The digest of what it read or copied, when it did.
    pub sha256: Option<Digest>,
    /// Bytes written to a file, holes not counted.
    pub written: Bytes,
    /// What is worth knowing of it.
    pub notes: Vec<String>,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The run.
    pub run: String,
    /// Where it is kept.
    pub place: String,
    /// The plan.
    pub plan: PlanName,
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub vg_name: VgName,
    /// When it began, in seconds since 1970.
    pub began: i64,
    /// How it ended, or where it stands.
    pub outcome: Outcome,
    /// Why, when it is not done.
    pub why: Option<String>,
    /// Its steps.
    pub steps: Vec<StepReport>,
}

/// What a run tells while it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A step begins.
    StepBegins {
        /// Counted from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// What it does.
        title: String,
    },
    /// A step is done and verified.
    StepDone,
    /// A step failed.
    StepFailed(String),
    /// Somebody uses what must be free, and is given time to go.
    Waits(String),
    /// What failed is tried again.
    TriesAgain {
        /// Which attempt that was, counted from 1.
        attempt: u8,
        /// How many there may be.
        of: u8,
        /// Why it failed.
        why: String,
    },
    /// A long act goes on.
    Progress(Progress),
    /// The run turns back.
    RollbackBegins(String),
    /// A step is being undone.
    UndoBegins(String),
}

/// Somebody who is told.
pub trait Listener {
    /// Is told.
    fn tell(&mut self, event: Event);
}

/// Why a run could not go on at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state directory.
    #[error("{}", .0.in_full())]
    Host(#[from] HostError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
    /// The run is not in a state for that.
    #[error("run {run} {why}")]
    NotPossible {
        /// The run.
        run: String,
        /// Why.
        why: String,
    },
    /// The run began, and cannot be written down any further.
    #[error("run {run} stopped on the way: {cause}")]
    Interrupted {
        /// The run.
        run: String,
        /// Why.
        #[source]
        cause: Box<RunError>,
    },
    /// The world is not as the run left it.
    #[error("run {run}: {why}")]
    Changed {
        /// The run.
        run: String,
        /// What differs.
        why: String,
    },
}
