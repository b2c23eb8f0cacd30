//! In which order the devices of a stack get their tables, and why.
//!
//! Children are loaded before what lies on them and resumed before it; what lies on top is suspended
//! first; layers that leave are emptied before anything above them runs again.
//!
//! # Source
//! LVM2 `device_mapper/libdm-deptree.c`, `dm_tree_preload_children`, `dm_tree_suspend_children`,
//! `dm_tree_activate_children`; `lib/metadata/mirror.c` on layers that leave.

mod order;
mod shape;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::table_goal::StackDevice;
use crate::operation::reload_tree::steps::order::Building;
use crate::operation::reload_tree::steps::shape::Shape;

/// What is done to one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Drops the table that waits.
    Clear,
    /// Resumes what was found suspended under something that runs.
    Thaw,
    /// Makes it, without a table.
    Create,
    /// Loads its table to come into the inactive slot.
    Load,
    /// Puts the table to come into force at once: it maps more than before, and nobody uses that yet.
    Grow,
    /// Suspends it.
    Suspend,
    /// Puts the table to come into force, or goes on with the one it has.
    Resume,
    /// Removes it.
    Remove,
}

impl Verb {
    /// The verb as `dmsetup` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Create => "create",
            Self::Load => "load",
            Self::Suspend => "suspend",
            Self::Thaw | Self::Grow | Self::Resume => "resume",
            Self::Remove => "remove",
        }
    }
}

/// One step of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Step {
    /// What is done.
    pub verb: Verb,
    /// To which device: its place in the list of the stack.
    pub device: usize,
}

/// Why a step must follow another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepReason {
    /// A table that waits would come into force.
    ClearedFirst,
    /// Its table names the other.
    NamesIt,
    /// The kernel checks the size of what a table names.
    GrownFirst,
    /// Nothing is loaded while anything is suspended.
    LoadedFirst,
    /// Who uses it is held up at the top, with nothing on the way.
    TopFirst,
    /// No old table runs beside a new one.
    AllSuspended,
    /// A layer that leaves is emptied before anything else runs.
    EmptiedFirst,
    /// What lies below runs first.
    BottomFirst,
    /// An origin is written when its snapshots see it.
    SnapshotFirst,
    /// What is suspended below would hold up a suspension above.
    ThawedFirst,
    /// What nobody needs any more goes last.
    RemovedLast,
}

impl fmt::Display for StepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClearedFirst => "a table that waits would come into force",
            Self::NamesIt => "its table names it",
            Self::GrownFirst => "the kernel checks the size of what a table names",
            Self::LoadedFirst => "nothing is loaded while anything is suspended",
            Self::TopFirst => "parents are suspended before children",
            Self::AllSuspended => "no old table runs beside a new one",
            Self::EmptiedFirst => "a layer that leaves is emptied before anything runs again",
            Self::BottomFirst => "children are resumed before parents",
            Self::SnapshotFirst => "snapshots see what is written to their origin",
            Self::ThawedFirst => "a suspension would wait for what is suspended below",
            Self::RemovedLast => "what nobody needs any more goes last",
        })
    }
}

/// Steps in order, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// In order.
    pub steps: Vec<Step>,
    /// Places in that order: the earlier, the later, and why; without those that follow from others.
    pub edges: Vec<(usize, usize, StepReason)>,
}

/// Why there is no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its devices lie on each other in a circle")]
pub struct Circle;

/// The steps that take these devices to what they should be.
///
/// # Errors
/// Where the tables to come lie on each other in a circle.
pub fn steps(devices: &[StackDevice]) -> Result<Steps, Circle> {
    Building::of(&Shape::of(devices)).ordered()
}
