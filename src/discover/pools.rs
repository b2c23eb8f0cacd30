//! What stands in the metadata of thin pools, read through the extents it lies on: nothing is
//! activated. Of an active pool the kernel tells.

use std::collections::BTreeMap;

use crate::discover::JudgedPools;
use crate::host::ReadHost;
use crate::host::copy::thin::read_block;
use crate::host::thin_tools::ThinTools;
use crate::host::thin_trial::try_pool;
use crate::ids::{Digest, LvUuid, VgUuid};
use crate::model::inventory::{Inventory, Realm};
use crate::model::pools::{Pool, pools};
use crate::model::thin_pool::{PoolMetadata, PoolTrial, ThinSuperblock, ThinSuperblockBlock};
use crate::ondisk::thin_superblock::parse_thin_superblock;
use crate::ondisk::thin_tree::{read_details, read_mapped_devices};
use crate::operation::act::Content;
use crate::operation::content::content_of;

/// Reads the metadata of every pool that is not active, by VG and pool. Where it cannot be reached
/// nothing is known.
pub fn look_at_pools(
    host: &dyn ReadHost,
    inventory: &Inventory,
) -> BTreeMap<(VgUuid, LvUuid), PoolMetadata> {
    let mut found = BTreeMap::new();
    for vg in inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_deref()) {
        for Pool { lv: pool, metadata, .. } in pools(inventory, vg) {
            let is_active = inventory.live.as_deref().is_some_and(|live| {
                live.is_active(vg.uuid, pool.uuid) || live.is_active(vg.uuid, metadata.uuid)
            });
            if is_active {
                continue;
            }
            let Ok(content) = content_of(inventory, vg.uuid, metadata.uuid) else { continue };
            if let Ok(read) = look_at(host, &content) {
                found.insert((vg.uuid, pool.uuid), read);
            }
        }
    }
    found
}

/// Judges the metadata of these pools, of those that are not active, on a copy. What `known` has of
/// metadata that stands as it stood is taken from there.
pub fn judge_pools(
    host: &dyn ReadHost,
    inventory: &Inventory,
    judged: Option<&JudgedPools>,
    known: Option<&Inventory>,
) -> BTreeMap<(VgUuid, LvUuid), Result<PoolTrial, String>> {
    let mut found = BTreeMap::new();
    for vg in inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_deref()) {
        for pool in pools(inventory, vg) {
            let key = (vg.uuid, pool.lv.uuid);
            let Some(on_disk) = pool.on_disk else { continue };
            let before = known.filter(|known| known.pools.get(&key) == Some(on_disk));
            let before = before.and_then(|known| known.trials.get(&key));
            let rebuild = judged.and_then(|judged| judged.names.get(&pool.lv.name));
            // On images nobody clears a flag: a rebuild leaves it behind.
            let is_to_go = inventory.realm == Realm::Images && pool.needs_check();
            if let Some(before) = before {
                found.insert(key, before.clone());
            } else if let (Some(judged), Some(rebuild)) = (judged, rebuild) {
                let content = content_of(inventory, vg.uuid, pool.metadata.uuid);
                let tried = |content: Content| {
                    let (text, scratch) = (pool.by_text(), &judged.scratch);
                    try_pool(
                        host,
                        &ThinTools::find()?,
                        &content,
                        &text,
                        scratch,
                        *rebuild || is_to_go,
                    )
                };
                let trial = content.map_err(|unfit| unfit.why).and_then(tried);
                found.insert(key, trial);
            }
        }
    }
    found
}

fn look_at(host: &dyn ReadHost, content: &Content) -> Result<PoolMetadata, String> {
    let mut read = |number: u64| read_block(host, content, number);
    let first = read(0)?;
    let (block, digest) = (parse_thin_superblock(&first), Digest::of(&first));
    let unread = || "there is no superblock that leads to it".to_owned();
    let (details, mapped) = match &block {
        ThinSuperblockBlock::Sound(ThinSuperblock { details_root, mapping_root, .. }) => {
            (read_details(*details_root, &mut read), read_mapped_devices(*mapping_root, &mut read))
        }
        ThinSuperblockBlock::Zeroed
        | ThinSuperblockBlock::Foreign
        | ThinSuperblockBlock::Damaged(_) => (Err(unread()), Err(unread())),
    };
    Ok(PoolMetadata { digest, block, details, mapped })
}
