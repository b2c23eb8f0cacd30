//! Removes a snapshot that stands where a plan is to make its own.
//!
//! Effect: the snapshot is unmounted, where the plan says that it may be, and removed; its origin stays as it
//! is. Half way: it is unmounted, or gone. Undo: none, what it alone remembered is gone. Equivalent:
//! `umount`, `lvremove`.

use serde::{Deserialize, Serialize};

use crate::ids::{LvName, LvUuid, VgName, VgUuid};
use crate::model::inventory::{Inventory, Realm};
use crate::model::vg::Vg;
use crate::operation::activation::current;
use crate::operation::command::live_of;
use crate::operation::live_commit;
use crate::operation::snapshot_backup::{is_snapshot_of, remove};
use crate::operation::{Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit};
use crate::plan::hazard::{Hazard, HazardKind};

/// Removes a snapshot that stands where a plan is to make its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveSnapshot {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The snapshot.
    pub lv: LvUuid,
    /// What it is called.
    pub lv_name: LvName,
    /// What it is a snapshot of.
    pub origin: LvName,
    /// Where it may be unmounted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmount: Vec<String>,
}

impl Contract for RemoveSnapshot {
    fn object(&self) -> String {
        self.lv.to_string()
    }

    fn title(&self) -> String {
        let (name, origin) = (&self.lv_name, &self.origin);
        format!("remove snapshot {name} of LV {origin}, which no run of this plan made")
    }

    fn reasons(&self) -> Vec<String> {
        vec!["the plan's own snapshot is to have its name".to_owned()]
    }

    fn touches(&self) -> Touches {
        Touches { reads: vec![Resource::Evidence], writes: vec![Resource::Metadata(self.vg)] }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::Irreversible,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => "never done: images have no kernel",
            Realm::Live => "none: what it alone remembered of its origin is gone",
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        let (name, lv) = (&self.lv_name, self.lv);
        let loss = vec![format!("snapshot {name} ({lv}): no run of this plan made it")];
        vec![Hazard { kind: HazardKind::RecreateSnapshot, object: name.to_string(), loss }]
    }

    fn lower(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        let (live, vg) = (live_of(now)?, current(now, self.vg)?);
        let is_it = |vg: &Vg| {
            let lv = vg.lv_by_uuid(self.lv).filter(|lv| lv.name == self.lv_name)?;
            is_snapshot_of(vg, lv, &self.origin).then(|| lv.clone())
        };
        let lv = is_it(vg);
        let lv = lv.ok_or_else(|| Unfit::new(format!("LV {} is another one now", self.lv_name)))?;
        let acts = remove(now, live, vg, &lv, &self.unmount)?;
        let mut predicted = now.clone();
        live_commit::count_up(&mut predicted, self.vg);
        live_commit::without(&mut predicted, self.vg, &self.lv_name);
        Ok(Lowered { acts, predicted })
    }

    fn probe(&self, now: &Inventory) -> Probe {
        match current(now, self.vg).map(|vg| vg.lv_by_uuid(self.lv).is_some()) {
            Ok(false) => Probe::After,
            Ok(true) => Probe::Before,
            Err(_) => Probe::Neither,
        }
    }
}
