//! What operations on thin pools have in common.

use std::collections::BTreeSet;

use crate::ids::{Digest, LvName, LvUuid, VgUuid};
use crate::model::inventory::Inventory;
use crate::model::pools::{Pool, pool};
use crate::operation::Unfit;
use crate::operation::act::Act;
use crate::operation::activation::{self, current};

/// How a commit on images about a pool is undone.
pub const UNDO_UNLESS_USED: &str = "area headers, then texts, are put back byte by byte, as long as \
                                    the pool was not used since";

/// The pool as it is now, under the name it had.
pub fn pool_of<'a>(
    now: &'a Inventory,
    vg: VgUuid,
    uuid: LvUuid,
    name: &LvName,
) -> Result<Pool<'a>, Unfit> {
    let vg = current(now, vg)?;
    let lv = vg.lv_by_uuid(uuid).filter(|lv| lv.name == *name);
    let pool = lv.and_then(|lv| pool(now, vg, lv));
    pool.ok_or_else(|| Unfit::new(format!("thin pool {name} is not there any more")))
}

/// Its metadata is changed under it only while neither it nor a part of it is active.
pub fn check_inactive(now: &Inventory, pool: &Pool<'_>) -> Result<(), Unfit> {
    let Some(live) = now.live.as_deref() else { return Ok(()) };
    let parts = [pool.lv, pool.metadata, pool.data].into_iter();
    let thin = pool.thin_lvs().into_values().filter_map(|name| pool.vg.lv(name));
    match parts.chain(thin).find(|lv| live.is_active(pool.vg.uuid, lv.uuid)) {
        None => Ok(()),
        Some(lv) => Err(Unfit::new(format!("LV {} is active: somebody activated it", lv.name))),
    }
}

/// Its metadata is still what it was when the plan was made: nobody used the pool since.
pub fn check_seen(pool: &Pool<'_>, seen: Digest) -> Result<(), Unfit> {
    if pool.on_disk.map(|found| found.digest) == Some(seen) {
        return Ok(());
    }
    let why = "its metadata is not what it was: somebody used the pool since";
    Err(Unfit::new(format!("thin pool {}: {why}", pool.lv.name)))
}

/// Whether this is the LV of that name, or one of the parts that RAID makes it of.
pub fn is_part_of(lv: &LvName, name: &str) -> bool {
    let rest = lv.as_str().strip_prefix(name);
    rest.is_some_and(|rest| {
        rest.is_empty() || rest.starts_with("_rimage_") || rest.starts_with("_rmeta_")
    })
}

/// `lvchange -ay` or `-an` of one LV.
pub fn change_active(now: &Inventory, vg: VgUuid, lv: &LvName, option: &str) -> Result<Act, Unfit> {
    let args = ["lvchange", option].map(str::to_owned).to_vec();
    activation::command(now, current(now, vg)?, args, &BTreeSet::from([lv]))
}
