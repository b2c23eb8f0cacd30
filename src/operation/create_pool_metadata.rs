//! Makes an LV for the new metadata of a thin pool.
//!
//! Effect: a new, active LV, on extents that were chosen when planning, unless it lies on RAID or on PVs
//! that the plan adds; on images an LV more in the text. Nothing of it is wiped. Where the VG has no
//! room its spare for pool metadata becomes that LV. Half way: it is there or not. Undo: it is removed
//! again, or the spare again, as long as nobody uses it and the pool does not have it. Equivalent:
//! `lvcreate`; for the spare a text edited by hand, and `vgcfgrestore`.

use serde::{Deserialize, Serialize};

use crate::diff::{Claim, RebuiltPool, extents_of, refuse_in_use};
use crate::ids::{Digest, LvName, LvUuid, LvmUuid, PvUuid, VgName, VgUuid};
use crate::model::compare::Difference;
use crate::model::extent_map::ExtentRange;
use crate::model::inventory::{Inventory, Realm};
use crate::model::parts::is_pool_metadata_spare;
use crate::model::vg::{Lv, Vg};
use crate::operation::act::Act;
use crate::operation::activation::{current, predict_active, with_live};
use crate::operation::command::{devices_of_vg, devices_option, live_of, lvm, lvm_of, pinned};
use crate::operation::edited_text::commit_edited;
use crate::operation::pools::{change_active, is_part_of, pool_of};
use crate::operation::{
    Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit, commit, live_commit,
};
use crate::plan::hazard::Hazard;
use crate::text::edit::rename_lv;
use crate::text::new_lv::{NewLv, add_lv};
use crate::text::tree::Section;

/// Makes an LV for the new metadata of a thin pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatePoolMetadata {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The pool, and what its new metadata is like.
    pub pool: RebuiltPool,
}

/// What tells an LV that was made here from any other of that name.
const TAG: &str = "lvmend.pool_metadata";

impl CreatePoolMetadata {
    fn found<'a>(&self, now: &'a Inventory) -> Option<&'a Lv> {
        current(now, self.vg).ok()?.lv(&self.pool.beside)
    }

    /// What differs when the spare becomes the LV, or the LV the spare.
    fn is_of_spare(&self, difference: &Difference) -> bool {
        let is_it = |lv: &LvName| *lv == self.pool.beside || Some(lv) == self.pool.spare.as_ref();
        if let Difference::LvRenamed { from, to, .. } = difference {
            return is_it(from) && is_it(to);
        }
        let (Difference::LvSetting { lv, .. }
        | Difference::LvAdded { lv, .. }
        | Difference::LvRemoved { lv, .. }) = difference
        else {
            return false;
        };
        is_it(lv)
    }

    fn rename(
        &self,
        now: &Inventory,
        signature: &Signature,
        names: (&LvName, &LvName),
        is_shown: bool,
    ) -> Result<Lowered, Unfit> {
        let edit = |text: &mut Section<'_>, _: &Vg| rename_lv(text, names, is_shown, TAG);
        let is_ours = |difference: &Difference| self.is_of_spare(difference);
        commit_edited(now, self.vg, signature, &self.what(), edit, is_ours)
    }

    /// On images: an LV more in the text, on the extents that were chosen.
    fn add(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let pieces: Vec<(PvUuid, ExtentRange)> =
            self.pool.place.iter().flat_map(Claim::ranges).collect();
        let of = format!("new metadata {} of {}", self.pool.beside, self.pool.uuid);
        let uuid = LvUuid(LvmUuid::of_digest(&Digest::of_parts([
            of.as_bytes(),
            signature.time.to_string().as_bytes(),
        ])));
        let new = NewLv {
            name: &self.pool.beside,
            uuid,
            pieces: &pieces,
            made: signature.time,
            host: &signature.node,
            shown_with_tag: Some(TAG),
        };
        let is_ours = |difference: &Difference| matches!(difference, Difference::LvAdded { lv, .. } if *lv == self.pool.beside);
        let edit = |text: &mut Section<'_>, vg: &Vg| add_lv(text, vg, &new);
        commit_edited(now, self.vg, signature, &self.what(), edit, is_ours)
    }

    fn what(&self) -> String {
        format!("create_pool_metadata {}", self.pool.beside)
    }

    /// The spare becomes an LV that LVM can be told to use.
    fn show_spare(
        &self,
        now: &Inventory,
        spare: &LvName,
        signature: &Signature,
    ) -> Result<Lowered, Unfit> {
        let vg = current(now, self.vg)?;
        let is_it = |lv: &&Lv| is_pool_metadata_spare(lv) && lv.len() == self.pool.size;
        let lv = vg.lv(spare).filter(is_it);
        let lv = lv.ok_or_else(|| Unfit::new(format!("{spare} is not the spare any more")))?;
        if now.realm == Realm::Images {
            return self.rename(now, signature, (spare, &self.pool.beside), true);
        }
        if live_of(now)?.is_active(self.vg, lv.uuid) {
            return Err(Unfit::new(format!("LV {spare} is active: somebody uses it")));
        }
        let mut lowered = self.rename(now, signature, (spare, &self.pool.beside), true)?;
        lowered.acts.push(change_active(now, self.vg, &self.pool.beside, "-ay")?);
        let after = current(&lowered.predicted, self.vg)?;
        if let Some(lv) = after.lv(&self.pool.beside) {
            let mut live = live_of(&lowered.predicted)?.clone();
            predict_active(&mut live, after, lv, false);
            lowered.predicted = with_live(&lowered.predicted, live);
        }
        Ok(lowered)
    }

    fn hide_spare(
        &self,
        now: &Inventory,
        spare: &LvName,
        signature: &Signature,
    ) -> Result<Lowered, Unfit> {
        let down = change_active(now, self.vg, &self.pool.beside, "-an")?;
        let mut lowered = self.rename(now, signature, (&self.pool.beside, spare), false)?;
        lowered.acts.insert(0, down);
        Ok(lowered)
    }

    fn is_made_here(&self, lv: &Lv) -> bool {
        lv.len() == self.pool.size && lv.has_visible() && lv.tags.iter().any(|tag| tag.raw() == TAG)
    }
}

impl Contract for CreatePoolMetadata {
    fn object(&self) -> String {
        format!("{} {}", self.pool.uuid, self.pool.beside)
    }

    fn title(&self) -> String {
        format!("make LV {}/{} for new pool metadata", self.name, self.pool.beside)
    }

    fn reasons(&self) -> Vec<String> {
        self.pool.why.clone()
    }

    fn touches(&self) -> Touches {
        Touches { reads: vec![Resource::Evidence], writes: vec![Resource::Metadata(self.vg)] }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::Reversible,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => commit::UNDO_ON_IMAGES,
            Realm::Live => "the LV is removed, unless somebody uses it",
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let pool = pool_of(now, self.vg, self.pool.uuid, &self.pool.name)?;
        if self.found(now).is_some() {
            let why = format!("somebody made an LV {} meanwhile", self.pool.beside);
            return Err(Unfit::new(why));
        }
        if let Some(spare) = &self.pool.spare {
            return self.show_spare(now, spare, signature);
        }
        if now.realm == Realm::Images {
            return self.add(now, signature);
        }
        let setup = lvm_of(now)?;
        let extents = self.pool.size.get().to_string();
        let words = ["lvcreate", "--yes", "-ay", "-Zn", "-Wn", "-n"].map(str::to_owned);
        let mut args = words.to_vec();
        args.push(self.pool.beside.to_string());
        args.extend(["--addtag".to_owned(), TAG.to_owned(), "-l".to_owned(), extents]);
        if self.pool.mirrors > 0 {
            let mirrors = self.pool.mirrors.to_string();
            args.extend(["--type", "raid1", "-m", &mirrors].map(str::to_owned));
        }
        args.extend(devices_option(setup, &devices_of_vg(now, self.vg)));
        args.push(pool.vg.name.to_string());
        let place: Vec<(PvUuid, ExtentRange)> =
            self.pool.place.iter().flat_map(Claim::ranges).collect();
        args.extend(pinned(now, &place)?);
        let mut predicted = now.clone();
        live_commit::count_up(&mut predicted, self.vg);
        Ok(Lowered { acts: vec![Act::Run(lvm(setup, args))], predicted })
    }

    fn probe(&self, now: &Inventory) -> Probe {
        match self.found(now) {
            Some(lv) if self.is_made_here(lv) => Probe::After,
            Some(_) => Probe::Neither,
            None => Probe::Before,
        }
    }

    fn allows(&self, difference: &Difference) -> bool {
        let is_new = matches!(difference, Difference::LvAdded { lv, .. } if is_part_of(lv, self.pool.beside.as_str()));
        is_new || self.pool.spare.is_some() && self.is_of_spare(difference)
    }

    fn lower_undo(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let Some(lv) = self.found(now) else {
            return Ok(Lowered { acts: Vec::new(), predicted: now.clone() });
        };
        let vg = current(now, self.vg)?;
        let pool = pool_of(now, self.vg, self.pool.uuid, &self.pool.name)?;
        // After a swap the old metadata has this name, and in some versions of LVM2 this tag.
        let has_old = extents_of(vg, pool.metadata) == self.pool.old;
        if !has_old || extents_of(vg, lv) == self.pool.old || !self.is_made_here(lv) {
            let why = format!("LV {} is not the one that was made: it is not removed", lv.name);
            return Err(Unfit::new(why));
        }
        if let Some(refusal) = refuse_in_use(live_of(now)?, vg, lv, &[]) {
            return Err(Unfit::in_use(format!("{}: {}", refusal.object, refusal.why)));
        }
        if let Some(spare) = &self.pool.spare {
            return self.hide_spare(now, spare, signature);
        }
        let setup = lvm_of(now)?;
        let mut args = ["lvremove", "--yes"].map(str::to_owned).to_vec();
        args.extend(devices_option(setup, &devices_of_vg(now, self.vg)));
        args.push(format!("{}/{}", vg.name, lv.name));
        Ok(Lowered { acts: vec![Act::Run(lvm(setup, args))], predicted: now.clone() })
    }
}
