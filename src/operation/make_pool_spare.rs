//! Makes the spare for pool metadata, or makes it longer.
//!
//! LVM2 makes one when it makes a pool, and has no command for it afterwards. Effect: a new version of
//! the VG's text with a hidden LV more, or a longer one, on extents that are free; nothing is written
//! to them. Half way: every area has the old text or the new one. Undo: a spare that was made is taken
//! out again; one that was made longer stays so. Equivalent: a text edited by hand, and
//! `vgcfgrestore`.

use serde::{Deserialize, Serialize};

use crate::diff::NewSpare;
use crate::ids::{PvUuid, VgName, VgUuid};
use crate::model::allocation::allocate;
use crate::model::compare::Difference;
use crate::model::extent_map::ExtentRange;
use crate::model::inventory::{Inventory, Realm};
use crate::model::parts::pool_metadata_spare;
use crate::model::vg::{Lv, Vg};
use crate::operation::activation::current;
use crate::operation::edited_text::commit_edited;
use crate::operation::{
    Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit, commit,
};
use crate::plan::hazard::Hazard;
use crate::text::edit::{EditError, remove_lv};
use crate::text::new_lv::{NewLv, add_lv, grow_lv};
use crate::text::tree::Section;
use crate::units::Extents;

/// Makes the spare for pool metadata, or makes it longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakePoolSpare {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The spare.
    pub spare: NewSpare,
}

impl MakePoolSpare {
    fn commit(
        &self,
        now: &Inventory,
        signature: &Signature,
        edit: impl FnOnce(&mut Section<'_>, &Vg) -> Result<(), EditError>,
    ) -> Result<Lowered, Unfit> {
        let is_ours = |difference: &Difference| {
            let (Difference::LvAdded { lv, .. }
            | Difference::LvRemoved { lv, .. }
            | Difference::LvGrown { lv, .. }) = difference
            else {
                return false;
            };
            *lv == self.spare.name
        };
        let what = format!("make_pool_spare {}", self.spare.name);
        commit_edited(now, self.vg, signature, &what, edit, is_ours)
    }

    fn pieces(&self, vg: &Vg, needed: Extents) -> Result<Vec<(PvUuid, ExtentRange)>, Unfit> {
        let none = || Unfit::new(format!("VG {} has no {needed} free any more", self.name));
        allocate(vg, needed, &[]).ok_or_else(none)
    }

    /// The very LV that was made here, as it was made.
    fn is_made_here(&self, lv: &Lv) -> bool {
        Some(lv.uuid) == self.spare.uuid && lv.len() == self.spare.size
    }
}

impl Contract for MakePoolSpare {
    fn object(&self) -> String {
        format!("{} spare", self.vg)
    }

    fn title(&self) -> String {
        let NewSpare { name, from, .. } = &self.spare;
        let what = if from.is_zero() { "make" } else { "make longer" };
        format!("{what} the spare for pool metadata {}/{name}", self.name)
    }

    fn reasons(&self) -> Vec<String> {
        let NewSpare { from, size, .. } = &self.spare;
        let why = format!("the longest metadata of a pool has {size}");
        if from.is_zero() {
            return vec![why];
        }
        vec![why, format!("the spare has {from}")]
    }

    fn touches(&self) -> Touches {
        Touches { reads: vec![Resource::Evidence], writes: vec![Resource::Metadata(self.vg)] }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Live if !self.spare.from.is_zero() => Risk::OneWay,
            Realm::Images | Realm::Live => Risk::Reversible,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => commit::UNDO_ON_IMAGES,
            Realm::Live if !self.spare.from.is_zero() => {
                "none: it stays as long as it is, and nothing is lost by it"
            }
            Realm::Live => "the spare is taken out of the text again, under a higher seqno",
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let vg = current(now, self.vg)?;
        let spare = pool_metadata_spare(vg);
        let has = spare.map_or(Extents::ZERO, Lv::len);
        if let (None, Some(uuid)) = (spare, self.spare.uuid) {
            let pieces = self.pieces(vg, self.spare.size)?;
            let edit = |text: &mut Section<'_>, vg: &Vg| {
                let (made, host) = (signature.time, &signature.node);
                let name = &self.spare.name;
                let pieces = &pieces;
                add_lv(text, vg, &NewLv { name, uuid, pieces, made, host, shown_with_tag: None })
            };
            return self.commit(now, signature, edit);
        }
        let spare = spare.filter(|lv| lv.name == self.spare.name);
        let spare = spare.ok_or_else(|| Unfit::new("the spare is another one by now"))?;
        if has >= self.spare.size {
            return Ok(Lowered { acts: Vec::new(), predicted: now.clone() });
        }
        if now.live.as_deref().is_some_and(|live| live.is_active(self.vg, spare.uuid)) {
            return Err(Unfit::new(format!("LV {} is active: somebody uses it", spare.name)));
        }
        let pieces = self.pieces(vg, self.spare.size.saturating_sub(has))?;
        let edit = |text: &mut Section<'_>, vg: &Vg| grow_lv(text, vg, &self.spare.name, &pieces);
        self.commit(now, signature, edit)
    }

    fn probe(&self, now: &Inventory) -> Probe {
        match current(now, self.vg).map(pool_metadata_spare) {
            Ok(Some(lv)) if lv.len() >= self.spare.size => Probe::After,
            Ok(Some(lv)) if lv.len() == self.spare.from => Probe::Before,
            Ok(None) if self.spare.from.is_zero() => Probe::Before,
            Ok(Some(_) | None) | Err(_) => Probe::Neither,
        }
    }

    fn lower_undo(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        match pool_metadata_spare(current(now, self.vg)?) {
            None => Ok(Lowered { acts: Vec::new(), predicted: now.clone() }),
            Some(lv) if self.is_made_here(lv) => {
                self.commit(now, signature, |text, _| remove_lv(text, &self.spare.name))
            }
            Some(lv) => {
                let why = format!("LV {} is not the one that was made: it is not removed", lv.name);
                Err(Unfit::new(why))
            }
        }
    }
}
