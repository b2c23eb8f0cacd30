//! Mounts what was unmounted, once its LV need not be free any more.
//!
//! Effect: file systems are mounted where they were, with the options they had. Half way: some are
//! mounted; the others can simply be mounted. Undo: they are unmounted. Equivalent: `mount`.

use serde::{Deserialize, Serialize};

use crate::diff::MountedLv;
use crate::ids::{LvUuid, VgUuid};
use crate::model::inventory::{Inventory, Realm};
use crate::operation::mounts;
use crate::operation::{Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit};
use crate::plan::hazard::Hazard;

/// Mounts what was unmounted, once its LV need not be free any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountAgain {
    /// The VG.
    pub vg: VgUuid,
    /// The mounts, in the order in which they are unmounted.
    pub mounts: Vec<MountedLv>,
    /// The LV that a task needs free, when it is for a task and not for a state of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_of: Option<LvUuid>,
}

impl Contract for MountAgain {
    fn object(&self) -> String {
        self.task_of.map_or_else(|| self.vg.to_string(), |lv| lv.to_string())
    }

    fn title(&self) -> String {
        format!("mount {} again", mounts::places(&self.mounts))
    }

    fn reasons(&self) -> Vec<String> {
        mounts::whats(&self.mounts)
    }

    fn touches(&self) -> Touches {
        let active = self.mounts.iter().map(|mount| Resource::Active(mount.lv));
        let users = self.mounts.iter().map(|mount| Resource::Users(mount.lv));
        Touches { reads: active.collect(), writes: users.collect() }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::Reversible,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => "never done: images have no mounts",
            Realm::Live => "it is unmounted again, unless somebody uses it by then",
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        mounts::mount(now, self.vg, &self.mounts)
    }

    fn probe(&self, now: &Inventory) -> Probe {
        mounts::probe(now, self.vg, &self.mounts, true)
    }

    fn lower_undo(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        mounts::unmount(now, self.vg, &self.mounts)
    }
}
