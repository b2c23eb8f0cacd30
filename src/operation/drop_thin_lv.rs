//! Takes a thin LV out of LVM's text whose device is in no metadata of its pool.
//!
//! LVM can neither activate nor remove such an LV. Effect: a new version of the VG's text without it;
//! what was made as a snapshot of it stays. Half way: every area has the old text or the new one. Undo:
//! on images the old text; on a running machine none, as nothing but a name and a number is gone.
//! Equivalent: a text edited by hand, and `vgcfgrestore --force`.

use serde::{Deserialize, Serialize};

use crate::diff::LostThinLv;
use crate::ids::{VgName, VgUuid};
use crate::model::compare::Difference;
use crate::model::inventory::{Inventory, Realm};
use crate::model::vg::Vg;
use crate::operation::activation::current;
use crate::operation::edited_text::commit_edited;
use crate::operation::pools::{check_inactive, pool_of};
use crate::operation::{
    Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit, commit,
};
use crate::plan::hazard::Hazard;
use crate::text::edit::drop_thin_lv;
use crate::text::tree::Section;

/// Takes a thin LV out of the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropThinLv {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The LV.
    pub lv: LostThinLv,
}

impl Contract for DropThinLv {
    fn object(&self) -> String {
        self.lv.uuid.to_string()
    }

    fn title(&self) -> String {
        format!("take thin LV {}/{} out of the metadata", self.name, self.lv.name)
    }

    fn reasons(&self) -> Vec<String> {
        let LostThinLv { pool_name, device, .. } = &self.lv;
        vec![
            format!(
                "pool {pool_name} has no device {device}: LVM can neither activate nor remove it"
            ),
            "its description stays in the history, and in the evidence".to_owned(),
        ]
    }

    fn touches(&self) -> Touches {
        Touches {
            reads: vec![Resource::Evidence, Resource::Content(self.lv.pool)],
            writes: vec![Resource::Metadata(self.vg)],
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images => Risk::Reversible,
            Realm::Live => Risk::Irreversible,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => commit::UNDO_ON_IMAGES,
            Realm::Live => "none: nothing but its description is gone, which the history has",
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        vec![self.lv.hazard.clone()]
    }

    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let pool = pool_of(now, self.vg, self.lv.pool, &self.lv.pool_name)?;
        check_inactive(now, &pool)?;
        let details = pool.on_disk.and_then(|found| found.details.as_ref().ok());
        let has_it = details.is_none_or(|devices| devices.contains_key(&self.lv.device));
        let knows_it = pool.thin_lvs().get(&self.lv.device) == Some(&&self.lv.name);
        if has_it || !knows_it {
            let why = format!("thin LV {}, or its pool, is another one by now", self.lv.name);
            return Err(Unfit::new(why));
        }
        let is_ours = |difference: &Difference| {
            // A snapshot of it is none of anything any more.
            if let Difference::LvSetting { setting, .. } = difference {
                return *setting == "origin";
            }
            matches!(difference, Difference::LvRemoved { lv, .. } if *lv == self.lv.name)
        };
        let edit = |text: &mut Section<'_>, _: &Vg| drop_thin_lv(text, &self.lv.name);
        let what = format!("drop_thin_lv {}", self.lv.name);
        commit_edited(now, self.vg, signature, &what, edit, is_ours)
    }

    fn probe(&self, now: &Inventory) -> Probe {
        match current(now, self.vg).map(|vg| vg.lv_by_uuid(self.lv.uuid)) {
            Ok(Some(_)) => Probe::Before,
            Ok(None) => Probe::After,
            Err(_) => Probe::Neither,
        }
    }
}
