//! The losses an operation can cause, each of which a plan must accept by name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of loss.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum HazardKind {
    /// Going back to an older text loses every change since. Object: the VG.
    OlderMetadata,
    /// Extents of a recovered LV belonged to others in between. Object: the LV.
    ReusedExtents,
    /// A mirror or RAID leg missed writes. Object: the LV.
    StaleLeg,
    /// Nothing on the device links it to the PV whose label is written there. Object: the PV.
    UnprovenDevice,
    /// Blocks of a thin LV are not in its pool's metadata any more, or nobody can tell whether all
    /// are. Object: the thin LV.
    LoseThinMappings,
    /// The device of a thin LV is in no metadata of its pool, and the LV is taken out of LVM's text.
    /// Object: the thin LV.
    DropThinDevice,
    /// A live device that no metadata describes is removed; its table is saved. Object: its UUID, as
    /// device-mapper has it.
    RemoveDevice,
    /// A snapshot goes that was not made by this plan. Object: the snapshot.
    RecreateSnapshot,
    /// A label is written where something that is not LVM's stands. Object: the device.
    OverwriteSignature,
}

impl HazardKind {
    /// The name as plans write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OlderMetadata => "older-metadata",
            Self::ReusedExtents => "reused-extents",
            Self::StaleLeg => "stale-leg",
            Self::UnprovenDevice => "unproven-device",
            Self::LoseThinMappings => "lose-thin-mappings",
            Self::DropThinDevice => "drop-thin-device",
            Self::RemoveDevice => "remove-device",
            Self::RecreateSnapshot => "recreate-snapshot",
            Self::OverwriteSignature => "overwrite-signature",
        }
    }
}

/// A loss that a plan must accept: what, of which object, and how much.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hazard {
    /// What kind of loss.
    pub kind: HazardKind,
    /// Of what: an LV or VG name, a PV UUID, or a device.
    pub object: String,
    /// What is lost, item by item.
    pub loss: Vec<String>,
}
