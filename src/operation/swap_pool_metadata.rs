//! Gives a thin pool its new metadata.
//!
//! Effect: the LV with the new metadata becomes the pool's, and the old one is a visible LV under
//! the name that the new one had; its content stays as it is. Half way: the pool has one or the
//! other. Undo: they are exchanged again, as long as the pool was not activated with the new one.
//! Equivalent: `lvconvert --thinpool … --poolmetadata …`; on images a text in which the two have
//! changed places.

use serde::{Deserialize, Serialize};

use crate::diff::{RebuiltPool, extents_of};
use crate::ids::{LvName, VgName, VgUuid};
use crate::model::compare::Difference;
use crate::model::inventory::{Inventory, Realm};
use crate::model::thin_pool::ThinSuperblockBlock;
use crate::model::vg::Vg;
use crate::operation::act::Act;
use crate::operation::activation::current;
use crate::operation::command::{devices_of_vg, devices_option, lvm, lvm_of};
use crate::operation::edited_text::commit_edited;
use crate::operation::pools::{
    UNDO_UNLESS_USED, change_active, check_inactive, check_seen, is_part_of, pool_of,
};
use crate::operation::{
    Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit, live_commit,
};
use crate::plan::hazard::Hazard;
use crate::text::edit::swap_segments;
use crate::text::tree::Section;

/// Gives a thin pool its new metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapPoolMetadata {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The pool, and what its new metadata is like.
    pub pool: RebuiltPool,
}

impl SwapPoolMetadata {
    fn command(&self, now: &Inventory) -> Result<Vec<Act>, Unfit> {
        let setup = lvm_of(now)?;
        let vg = current(now, self.vg)?;
        let beside = format!("{}/{}", vg.name, self.pool.beside);
        let devices = devices_option(setup, &devices_of_vg(now, self.vg));
        let down = change_active(now, self.vg, &self.pool.beside, "-an")?;
        let mut args = ["lvconvert", "--yes", "--thinpool"].map(str::to_owned).to_vec();
        args.push(format!("{}/{}", vg.name, self.pool.name));
        args.extend(["--poolmetadata".to_owned(), beside]);
        args.extend(devices);
        Ok(vec![down, Act::Run(lvm(setup, args))])
    }

    /// On images the two change places in the text.
    fn commit(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let pool = pool_of(now, self.vg, self.pool.uuid, &self.pool.name)?;
        let metadata = pool.metadata.name.clone();
        let edit =
            |text: &mut Section<'_>, _: &Vg| swap_segments(text, &metadata, &self.pool.beside);
        let what = format!("swap_pool_metadata {}", self.pool.name);
        let is_ours = |difference: &Difference| self.allows(difference);
        let mut lowered = commit_edited(now, self.vg, signature, &what, edit, is_ours)?;
        self.predict_new(now, &mut lowered.predicted);
        Ok(lowered)
    }

    /// What the pool tells with its new metadata, as the trial showed; in a run it is read again.
    fn predict_new(&self, now: &Inventory, predicted: &mut Inventory) {
        let key = (self.vg, self.pool.uuid);
        let trial = now.trials.get(&key).and_then(|trial| trial.as_ref().ok());
        let rebuilt = trial.and_then(|trial| trial.rebuilt.as_ref()?.as_ref().ok());
        if let (Some(rebuilt), Some(found)) = (rebuilt, predicted.pools.get_mut(&key)) {
            found.block = ThinSuperblockBlock::Sound(rebuilt.new.superblock);
            found.mapped = Ok(rebuilt.new.devices.keys().copied().collect());
            found.details = Ok(rebuilt.new.devices.clone());
        }
    }

    /// Whether the pool has the old metadata.
    fn has_old(&self, now: &Inventory) -> Result<bool, Unfit> {
        let pool = pool_of(now, self.vg, self.pool.uuid, &self.pool.name)?;
        Ok(extents_of(pool.vg, pool.metadata) == self.pool.old)
    }
}

impl Contract for SwapPoolMetadata {
    fn object(&self) -> String {
        self.pool.uuid.to_string()
    }

    fn title(&self) -> String {
        format!("swap the new metadata into thin pool {}/{}", self.name, self.pool.name)
    }

    fn reasons(&self) -> Vec<String> {
        vec![format!("the old metadata stays as LV {}, and is never removed", self.pool.beside)]
    }

    fn touches(&self) -> Touches {
        Touches {
            reads: vec![Resource::Evidence, Resource::Content(self.pool.uuid)],
            writes: vec![Resource::Metadata(self.vg)],
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::Reversible,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => UNDO_UNLESS_USED,
            Realm::Live => {
                "the old metadata is swapped in again, as long as the pool was not activated since"
            }
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let pool = pool_of(now, self.vg, self.pool.uuid, &self.pool.name)?;
        check_inactive(now, &pool)?;
        // Who used the pool since made the dump old.
        check_seen(&pool, self.pool.seen)?;
        if !self.has_old(now)? {
            let why = format!("thin pool {} has other metadata by now", self.pool.name);
            return Err(Unfit::new(why));
        }
        if now.realm == Realm::Images {
            return self.commit(now, signature);
        }
        let mut predicted = now.clone();
        live_commit::count_up(&mut predicted, self.vg);
        self.predict_new(now, &mut predicted);
        Ok(Lowered { acts: self.command(now)?, predicted })
    }

    fn probe(&self, now: &Inventory) -> Probe {
        match (self.has_old(now), current(now, self.vg).map(|vg| vg.lv(&self.pool.beside))) {
            (Ok(true), _) => Probe::Before,
            (Ok(false), Ok(Some(beside))) => {
                let vg = current(now, self.vg);
                let is_old = vg.is_ok_and(|vg| extents_of(vg, beside) == self.pool.old);
                if is_old { Probe::After } else { Probe::Neither }
            }
            _ => Probe::Neither,
        }
    }

    /// Names, sizes and extents of the two change places; LVM may make a larger spare.
    fn allows(&self, difference: &Difference) -> bool {
        let metadata = format!("{}_tmeta", self.pool.name);
        let of_two = |lv: &LvName| {
            is_part_of(lv, self.pool.beside.as_str())
                || is_part_of(lv, &metadata)
                || lv.as_str().ends_with("_pmspare")
        };
        if let Difference::LvRenamed { from, to, .. } = difference {
            return of_two(from) && of_two(to);
        }
        let (Difference::LvGrown { lv, .. }
        | Difference::LvShrunk { lv, .. }
        | Difference::LvMoved { lv, .. }
        | Difference::LvAdded { lv, .. }
        | Difference::LvRemoved { lv, .. }
        | Difference::LvSetting { lv, .. }) = difference
        else {
            return false;
        };
        of_two(lv)
    }

    fn lower_undo(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        if self.has_old(now)? {
            return Ok(Lowered { acts: Vec::new(), predicted: now.clone() });
        }
        let pool = pool_of(now, self.vg, self.pool.uuid, &self.pool.name)?;
        check_inactive(now, &pool)?;
        let beside = pool.vg.lv(&self.pool.beside);
        if beside.is_none_or(|lv| extents_of(pool.vg, lv) != self.pool.old) {
            let why = format!("LV {} is not the old metadata any more", self.pool.beside);
            return Err(Unfit::new(why));
        }
        Ok(Lowered { acts: self.command(now)?, predicted: now.clone() })
    }
}
