//! What stands in the metadata of thin pools, read through the extents it lies on: nothing is
//! activated. Of an active pool the kernel tells.

use std::collections::BTreeMap;

use crate::discover::JudgedPools;
use crate::host::ReadHost;
use crate::host::thin_tools::ThinTools;
use crate::host::thin_trial::try_pool;
use crate::ids::{Digest, LvUuid, VgUuid};
use crate::model::inventory::Inventory;
use crate::model::mapping::Place;
use crate::model::pools::{Pool, pools};
use crate::model::thin_pool::{
    METADATA_BLOCK, PoolMetadata, PoolTrial, ThinSuperblock, ThinSuperblockBlock,
};
use crate::ondisk::thin_node::Block;
use crate::ondisk::thin_superblock::parse_thin_superblock;
use crate::ondisk::thin_tree::{read_details, read_mapped_devices};
use crate::operation::act::{Content, ContentFrom};
use crate::operation::content::content_of;
use crate::units::{Bytes, Sectors};

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
            if let Some(before) = before {
                found.insert(key, before.clone());
            } else if let (Some(judged), Some(rebuild)) = (judged, rebuild) {
                let content = content_of(inventory, vg.uuid, pool.metadata.uuid);
                let tried = |content: Content| {
                    let (text, scratch) = (pool.by_text(), &judged.scratch);
                    try_pool(host, &ThinTools::find()?, &content, &text, scratch, *rebuild)
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

/// A block of the metadata. It may lie on several pieces.
fn read_block(host: &dyn ReadHost, content: &Content, number: u64) -> Result<Block, String> {
    let behind = || "it lies behind the end".to_owned();
    let start = number.checked_mul(METADATA_BLOCK.get()).map(Bytes::new).ok_or_else(behind)?;
    let mut at = start.sectors_floor();
    let end = at.checked_add(METADATA_BLOCK.sectors_floor()).ok_or_else(behind)?;
    let ContentFrom::Pvs { map, devices } = &content.from else {
        return Err("the metadata is active".to_owned());
    };
    let mut bytes = Vec::new();
    while at < end {
        let piece = map.piece_at(at, end.saturating_sub(at)).ok_or_else(behind)?;
        let len = piece.len.bytes().filter(|len| !len.is_zero()).ok_or_else(behind)?;
        match piece.place {
            Place::Zero => bytes.resize(bytes.len().saturating_add(as_len(len)?), 0),
            Place::Pv { pv, sector } => {
                let away = || "a PV that it lies on is not there".to_owned();
                let device = devices.get(&pv).ok_or_else(away)?;
                let offset = sector.bytes().ok_or_else(behind)?;
                bytes.extend(host.read(device, offset, len).map_err(|error| error.in_full())?);
            }
        }
        at = at.checked_add(piece.len).filter(|_| piece.len > Sectors::ZERO).ok_or_else(behind)?;
    }
    Block::try_from(bytes).map_err(|_| behind())
}

fn as_len(len: Bytes) -> Result<usize, String> {
    usize::try_from(len.get()).map_err(|_| "a piece is too large".to_owned())
}
