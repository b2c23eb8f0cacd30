//! What operations read and write, by which they are ordered.

use serde::{Deserialize, Serialize};

use crate::ids::{ForeignText, LvUuid, PvUuid, VgUuid};

/// Something that operations read and write; edges of the graph come from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// The evidence of the run.
    Evidence,
    /// The metadata text of a VG, in all its areas.
    Metadata(VgUuid),
    /// The label of a PV.
    Label(PvUuid),
    /// The content of an LV.
    Content(LvUuid),
    /// Whether the kernel has the devices of an LV, and what they map.
    Active(LvUuid),
    /// Who uses an LV: what is mounted from it.
    Users(LvUuid),
    /// A file.
    File(String),
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Evidence => f.write_str("the evidence"),
            Self::Metadata(_) => f.write_str("the VG's metadata"),
            Self::Label(pv) => write!(f, "the label of PV {pv}"),
            Self::Content(_) => f.write_str("the LV's content"),
            Self::Users(_) => f.write_str("who uses the LV"),
            Self::Active(_) => f.write_str("the LV's devices"),
            Self::File(path) => write!(f, "{}", ForeignText::from(path.as_str())),
        }
    }
}

/// What an operation touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touches {
    /// What it needs as it is.
    pub reads: Vec<Resource>,
    /// What it changes.
    pub writes: Vec<Resource>,
}
