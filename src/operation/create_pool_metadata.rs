//! Makes an LV for the new metadata of a thin pool.
//!
//! Effect: a new, active LV, on extents that LVM chooses; nothing of it is wiped, as all of it is
//! written. Half way: it is there or not. Undo: it is removed again, as long as nobody uses it and
//! the pool does not have it. Equivalent: `lvcreate`.

use serde::{Deserialize, Serialize};

use crate::diff::{RebuiltPool, extents_of, refuse_in_use};
use crate::ids::{VgName, VgUuid};
use crate::model::compare::Difference;
use crate::model::inventory::{Inventory, Realm};
use crate::model::vg::Lv;
use crate::operation::act::Act;
use crate::operation::activation::current;
use crate::operation::command::{devices_of_vg, devices_option, live_of, lvm, lvm_of};
use crate::operation::pools::{is_part_of, pool_of};
use crate::operation::{
    Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit, live_commit,
};
use crate::plan::hazard::Hazard;

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
            Realm::Images => "never done: images have no kernel",
            Realm::Live => "the LV is removed, unless somebody uses it",
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        let pool = pool_of(now, self.vg, self.pool.uuid, &self.pool.name)?;
        if self.found(now).is_some() {
            let why = format!("somebody made an LV {} meanwhile", self.pool.beside);
            return Err(Unfit::new(why));
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
        matches!(difference, Difference::LvAdded { lv, .. } if is_part_of(lv, self.pool.beside.as_str()))
    }

    fn lower_undo(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
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
        let setup = lvm_of(now)?;
        let mut args = ["lvremove", "--yes"].map(str::to_owned).to_vec();
        args.extend(devices_option(setup, &devices_of_vg(now, self.vg)));
        args.push(format!("{}/{}", vg.name, lv.name));
        Ok(Lowered { acts: vec![Act::Run(lvm(setup, args))], predicted: now.clone() })
    }
}
