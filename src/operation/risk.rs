//! When an operation is done, and what it risks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an operation belongs to; stages follow each other.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before anything is written.
    Evidence,
    /// The states a plan wants.
    State,
    /// What is done at every apply.
    Task,
    /// What must hold in the end.
    Check,
}

/// How much an operation can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Writes to no disk of the VG.
    ReadOnly,
    /// Has an exact undo: on images from data captured before, on a running machine from what
    /// stands there, so that what others did stays.
    Reversible,
    /// Has no undo, and loses nothing but what the plan itself asks to be written over.
    OneWay,
    /// Can lose something; its hazard must be accepted.
    Irreversible,
}

impl Risk {
    /// The name as reports print it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Reversible => "reversible",
            Self::OneWay => "one-way",
            Self::Irreversible => "irreversible",
        }
    }

    /// Whether a rollback can pass it.
    pub const fn has_undo(self) -> bool {
        matches!(self, Self::ReadOnly | Self::Reversible)
    }
}
