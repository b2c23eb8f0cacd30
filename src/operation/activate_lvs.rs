//! Activates LVs.
//!
//! Effect: the kernel has a device for each LV, with the layers below; no metadata is written. An LV
//! that the same plan recovers is activated read-only, and so is not changed by being looked at.
//! Half way: some are active; the others can simply be activated. Undo: those that were not active
//! before are deactivated. Equivalent: `lvchange -ay`.

use serde::{Deserialize, Serialize};

use crate::diff::ActiveLv;
use crate::ids::{LvName, LvUuid, VgName, VgUuid};
use crate::model::inventory::{Inventory, Realm};
use crate::operation::activation;
use crate::operation::{Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit};
use crate::plan::hazard::Hazard;

/// Activates LVs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivateLvs {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The LVs, sorted by name.
    pub lvs: Vec<ActiveLv>,
    /// The LV that a task needs so, when it is for a task and not for a state of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_of: Option<LvUuid>,
    /// Pools that are used with new metadata from here on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_metadata_of: Vec<LvName>,
}

impl Contract for ActivateLvs {
    fn object(&self) -> String {
        self.task_of.map_or_else(|| self.vg.to_string(), |lv| lv.to_string())
    }

    fn title(&self) -> String {
        format!("activate LV {} of VG {}", activation::names(&self.lvs), self.name)
    }

    fn reasons(&self) -> Vec<String> {
        let pool = |pool: &LvName| {
            format!("thin pool {pool} uses its new metadata from here on: there is no way back")
        };
        activation::whys(&self.lvs)
            .into_iter()
            .chain(self.new_metadata_of.iter().map(pool))
            .collect()
    }

    fn touches(&self) -> Touches {
        Touches {
            reads: vec![Resource::Evidence, Resource::Metadata(self.vg)],
            writes: self.lvs.iter().map(|lv| Resource::Active(lv.uuid)).collect(),
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Live if !self.new_metadata_of.is_empty() => Risk::OneWay,
            Realm::Images | Realm::Live => Risk::Reversible,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => "never done: images have no kernel",
            Realm::Live if !self.new_metadata_of.is_empty() => {
                "none: what is written from here on only the new metadata knows of"
            }
            Realm::Live => {
                "those that it activated are deactivated again, unless somebody uses them by then"
            }
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        activation::activate(now, self.vg, &self.lvs)
    }

    fn probe(&self, now: &Inventory) -> Probe {
        activation::probe_active(now, self.vg, &self.lvs)
    }

    fn lower_undo(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        activation::deactivate(now, self.vg, &self.lvs)
    }
}
