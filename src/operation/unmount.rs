//! Unmounts file systems of LVs that have to be free.
//!
//! Effect: file systems are unmounted in this mount namespace, only where the plan says that they
//! may be, plainly: never lazily, never by force. Half way: some are unmounted; the others can simply
//! be unmounted. Undo: they are mounted again, with the same options. Equivalent: `umount`.

use serde::{Deserialize, Serialize};

use crate::diff::MountedLv;
use crate::ids::{LvUuid, VgUuid};
use crate::model::inventory::{Inventory, Realm};
use crate::operation::mounts;
use crate::operation::{Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit};
use crate::plan::hazard::Hazard;

/// Unmounts file systems of LVs that have to be free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmount {
    /// The VG.
    pub vg: VgUuid,
    /// The mounts, in the order in which they are unmounted.
    pub mounts: Vec<MountedLv>,
    /// The LV that a task needs free, when it is for a task and not for a state of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_of: Option<LvUuid>,
}

impl Contract for Unmount {
    fn object(&self) -> String {
        self.task_of.map_or_else(|| self.vg.to_string(), |lv| lv.to_string())
    }

    fn title(&self) -> String {
        format!("unmount {}", mounts::places(&self.mounts))
    }

    fn reasons(&self) -> Vec<String> {
        mounts::whats(&self.mounts)
    }

    fn touches(&self) -> Touches {
        let users = self.mounts.iter().map(|mount| Resource::Users(mount.lv));
        Touches { reads: vec![Resource::Evidence], writes: users.collect() }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::Reversible,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => "never done: images have no mounts",
            Realm::Live => "what it unmounted is mounted again, with the same options",
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        mounts::unmount(now, self.vg, &self.mounts)
    }

    fn probe(&self, now: &Inventory) -> Probe {
        mounts::probe(now, self.vg, &self.mounts, false)
    }

    fn lower_undo(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        mounts::mount(now, self.vg, &self.mounts)
    }
}
