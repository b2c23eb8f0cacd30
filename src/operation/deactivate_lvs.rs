//! Deactivates LVs that nobody uses.
//!
//! Effect: the kernel has no device for these LVs any more; no metadata is written. An LV that
//! somebody uses is never deactivated. Half way: some are inactive; the others can simply be
//! deactivated. Undo: those that were active before are activated, read-only where they were.
//! Equivalent: `lvchange -an`.

use serde::{Deserialize, Serialize};

use crate::diff::ActiveLv;
use crate::ids::{LvUuid, VgName, VgUuid};
use crate::model::inventory::{Inventory, Realm};
use crate::operation::activation;
use crate::operation::{Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit};
use crate::plan::hazard::Hazard;

/// Deactivates LVs that nobody uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeactivateLvs {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The LVs, sorted by name.
    pub lvs: Vec<ActiveLv>,
    /// The LV that a task needs so, when it is for a task and not for a state of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_of: Option<LvUuid>,
}

impl Contract for DeactivateLvs {
    fn object(&self) -> String {
        self.task_of.map_or_else(|| self.vg.to_string(), |lv| lv.to_string())
    }

    fn title(&self) -> String {
        format!("deactivate LV {} of VG {}", activation::names(&self.lvs), self.name)
    }

    fn reasons(&self) -> Vec<String> {
        activation::whys(&self.lvs)
    }

    fn touches(&self) -> Touches {
        Touches {
            reads: [Resource::Evidence, Resource::Metadata(self.vg)]
                .into_iter()
                .chain(self.lvs.iter().map(|lv| Resource::Users(lv.uuid)))
                .collect(),
            writes: self.lvs.iter().map(|lv| Resource::Active(lv.uuid)).collect(),
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::Reversible,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => "never done: images have no kernel",
            Realm::Live => {
                "those that it deactivated are activated again, read-only where they were"
            }
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        activation::deactivate(now, self.vg, &self.lvs)
    }

    fn probe(&self, now: &Inventory) -> Probe {
        activation::probe_inactive(now, self.vg, &self.lvs)
    }

    fn lower_undo(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        activation::activate(now, self.vg, &self.lvs)
    }
}
