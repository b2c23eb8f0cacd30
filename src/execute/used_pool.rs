//! Pools that were used since a run changed them: the way back is closed then.

use crate::diff::Claim;
use crate::execute::engine::Run;
use crate::model::inventory::Realm;
use crate::model::pools::pool;
use crate::model::thin_pool::METADATA_BLOCK;
use crate::operation::{ExtendPool, Operation, Probe, SwapPoolMetadata};
use crate::units::{Bytes, Extents};

/// Refuses to undo what the pool has used since.
pub(crate) fn refuse(run: &Run<'_, '_>, operation: &Operation) -> Result<(), String> {
    if operation.contract().probe(&run.world) != Probe::After {
        return Ok(());
    }
    match operation {
        Operation::SwapPoolMetadata(swap) => refuse_swapped(run, swap),
        Operation::ExtendPool(extend) if run.world.realm == Realm::Images => {
            refuse_extended(run, extend)
        }
        Operation::ExtendPool(_)
        | Operation::SaveEvidence(_)
        | Operation::WritePvLabel(_)
        | Operation::CommitMetadata(_)
        | Operation::RestoreMissingPv(_)
        | Operation::SpliceLv(_)
        | Operation::ExtendVg(_)
        | Operation::CreatePoolMetadata(_)
        | Operation::RebuildPoolMetadata(_)
        | Operation::SetTransactionId(_)
        | Operation::DropThinLv(_)
        | Operation::MakePoolSpare(_)
        | Operation::ClearNeedsCheck(_)
        | Operation::RefreshLvs(_)
        | Operation::ActivateLvs(_)
        | Operation::DeactivateLvs(_)
        | Operation::Unmount(_)
        | Operation::MountAgain(_)
        | Operation::CopyLv(_)
        | Operation::CheckSha256(_) => Ok(()),
    }
}

/// Once a pool was used with its new metadata, the old knows nothing of what was written since.
fn refuse_swapped(run: &Run<'_, '_>, swap: &SwapPoolMetadata) -> Result<(), String> {
    let made = run.graph.operations.iter().position(|other| {
        matches!(other, Operation::RebuildPoolMetadata(made) if made.pool.uuid == swap.pool.uuid)
    });
    let made = made.and_then(|index| run.state.steps.get(index)).and_then(|step| step.sha256);
    let found = run.world.pools.get(&(swap.vg, swap.pool.uuid)).map(|found| found.digest);
    if made.is_some() && made == found {
        return Ok(());
    }
    Err(format!(
        "thin pool {} is active or was used with its new metadata: what was written since only that \
         knows of",
        swap.pool.name
    ))
}

/// A pool that was let in since counts what it was given.
fn refuse_extended(run: &Run<'_, '_>, extend: &ExtendPool) -> Result<(), String> {
    let vg = run.world.vgs.get(&extend.vg).and_then(|on_disk| on_disk.current.as_deref());
    let lv = vg.and_then(|vg| vg.lv_by_uuid(extend.pool.uuid));
    let pool = vg.zip(lv).and_then(|(vg, lv)| pool(&run.world, vg, lv));
    let superblock = pool.and_then(|pool| pool.on_disk?.superblock());
    let (Some(pool), Some(superblock)) = (pool, superblock) else { return Ok(()) };
    let added = |place: &[Claim]| -> Extents {
        place.iter().flat_map(Claim::ranges).map(|(_, range)| range.len()).sum()
    };
    let before = |len: Extents, place: &[Claim]| {
        len.saturating_sub(added(place)).bytes_shown(pool.vg.extent_size)
    };
    let block = pool.chunk_size.bytes().unwrap_or(Bytes::ZERO);
    let counted = |blocks: u64, block: Bytes| Bytes::new(blocks.saturating_mul(block.get()));
    let is_used = counted(superblock.metadata.blocks, METADATA_BLOCK)
        > before(pool.metadata.len(), &extend.pool.metadata_place)
        || counted(superblock.data.blocks, block)
            > before(pool.data.len(), &extend.pool.data_place);
    if is_used {
        let name = &extend.pool.name;
        return Err(format!("thin pool {name} was used since, and counts on what it was given"));
    }
    Ok(())
}
