//! Clears the flag `needs_check` of a thin pool whose metadata is sound.
//!
//! Effect: LVM lets `thin_check` look at the metadata once more and clear the flag, and activates
//! the pool, which is deactivated again at once. Metadata that is not sound is refused by
//! `thin_check`, and the flag stays. Half way: the flag is cleared and the pool still active. Undo:
//! none. Equivalent: `lvchange -ay` with `--clear-needs-check-flag` among the options of
//! `thin_check`.

use serde::{Deserialize, Serialize};

use crate::diff::FlaggedPool;
use crate::ids::{VgName, VgUuid};
use crate::model::inventory::{Inventory, Realm};
use crate::model::thin_pool::ThinSuperblockBlock;
use crate::operation::act::Act;
use crate::operation::command::{devices_of_vg, devices_option, lvm, lvm_of};
use crate::operation::pools::{check_inactive, pool_of};
use crate::operation::{Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit};
use crate::plan::hazard::Hazard;

/// What LVM gives `thin_check`, for this one command.
const OPTIONS: &str = "global/thin_check_options=[\"-q\",\"--clear-needs-check-flag\"]";

/// Clears the flag of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearNeedsCheck {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The pool.
    pub pool: FlaggedPool,
}

impl Contract for ClearNeedsCheck {
    fn object(&self) -> String {
        self.pool.uuid.to_string()
    }

    fn title(&self) -> String {
        format!("clear needs_check of thin pool {}/{}", self.name, self.pool.name)
    }

    fn reasons(&self) -> Vec<String> {
        vec!["a commit of its metadata failed once; thin_check found nothing else wrong".to_owned()]
    }

    fn touches(&self) -> Touches {
        Touches {
            reads: vec![Resource::Evidence, Resource::Metadata(self.vg)],
            writes: vec![Resource::Content(self.pool.uuid), Resource::Active(self.pool.uuid)],
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::OneWay,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => "never done: images have no kernel",
            Realm::Live => {
                "none: the pool was activated, and nothing is lost by its flag being gone"
            }
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        let pool = pool_of(now, self.vg, self.pool.uuid, &self.pool.name)?;
        check_inactive(now, &pool)?;
        if pool.on_disk.is_none_or(|found| !found.damage().is_empty()) {
            let why = format!("the metadata of thin pool {} is damaged by now", self.pool.name);
            return Err(Unfit::new(why));
        }
        let setup = lvm_of(now)?;
        let command = |words: &[&str]| {
            let mut args: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            args.extend(devices_option(setup, &devices_of_vg(now, self.vg)));
            args.push(format!("{}/{}", self.name, self.pool.name));
            Act::Run(lvm(setup, args))
        };
        let acts =
            vec![command(&["lvchange", "-ay", "--config", OPTIONS]), command(&["lvchange", "-an"])];
        let mut predicted = now.clone();
        if let Some(found) = predicted.pools.get_mut(&(self.vg, self.pool.uuid))
            && let ThinSuperblockBlock::Sound(superblock) = &mut found.block
        {
            superblock.needs_check = false;
        }
        Ok(Lowered { acts, predicted })
    }

    fn probe(&self, now: &Inventory) -> Probe {
        match pool_of(now, self.vg, self.pool.uuid, &self.pool.name) {
            Ok(pool) if pool.needs_check() => Probe::Before,
            Ok(pool) if pool.on_disk.is_some() || pool.status.is_some() => Probe::After,
            Ok(_) | Err(_) => Probe::Neither,
        }
    }
}
