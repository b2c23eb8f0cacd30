//! Pools that were used since a run changed them: the way back is closed then.

use crate::diff::{LargerPool, RebuiltPool};
use crate::execute::engine::Run;
use crate::host::ReadHost;
use crate::host::copy::thin::read_block;
use crate::ids::{Digest, LvUuid};
use crate::model::inventory::Realm;
use crate::model::thin_pool::METADATA_BLOCK;
use crate::operation::act::ContentFrom;
use crate::operation::content::content_of;
use crate::operation::{ExtendPool, Operation, Probe, SwapPoolMetadata};
use crate::units::Bytes;

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
        | Operation::ReloadTree(_)
        | Operation::ActivateLvs(_)
        | Operation::DeactivateLvs(_)
        | Operation::Unmount(_)
        | Operation::MountAgain(_)
        | Operation::CopyLv(_)
        | Operation::RemoveSnapshot(_)
        | Operation::SnapshotBackup(_)
        | Operation::CheckSha256(_) => Ok(()),
    }
}

/// Once a pool was used with its new metadata, the old knows nothing of what was written since; and
/// where the old is not what it was, the pool is not given it.
fn refuse_swapped(run: &Run<'_, '_>, swap: &SwapPoolMetadata) -> Result<(), String> {
    let RebuiltPool { uuid, name, beside, seen, .. } = &swap.pool;
    let found = run.world.pools.get(&(swap.vg, *uuid)).map(|found| found.digest);
    if found.is_none() || made(run, *uuid) != found {
        return Err(format!(
            "thin pool {name} is active or was used with its new metadata: what was written since only \
             that knows of"
        ));
    }
    let old = first_block(run, swap).map_err(|why| format!("LV {beside} cannot be read: {why}"))?;
    if old != *seen {
        return Err(format!(
            "LV {beside} is not the old metadata any more: somebody wrote to it, and the pool keeps the \
             new"
        ));
    }
    Ok(())
}

/// What the run left in the first block of new metadata that it made for this pool.
fn made(run: &Run<'_, '_>, pool: LvUuid) -> Option<Digest> {
    let made = run.graph.operations.iter().position(
        |other| matches!(other, Operation::RebuildPoolMetadata(made) if made.pool.uuid == pool),
    );
    made.and_then(|index| run.state.steps.get(index)).and_then(|step| step.sha256)
}

/// The digest of the first block of what was the pool's metadata.
fn first_block(run: &Run<'_, '_>, swap: &SwapPoolMetadata) -> Result<Digest, String> {
    let vg = run.world.vgs.get(&swap.vg).and_then(|on_disk| on_disk.current.as_deref());
    let lv = vg.and_then(|vg| vg.lv(&swap.pool.beside)).ok_or("it is not there any more")?;
    let content = content_of(&run.world, swap.vg, lv.uuid).map_err(|unfit| unfit.why)?;
    let host: &dyn ReadHost = run.engine.host;
    if let ContentFrom::Own(device) = &content.from {
        let bytes = host.read(device, Bytes::ZERO, METADATA_BLOCK);
        return bytes.map(|bytes| Digest::of(&bytes)).map_err(|error| error.in_full());
    }
    read_block(host, &content, 0).map(|block| Digest::of(&block))
}

/// A pool that was let in since counts on what it was given. Its first block is another one then; what
/// the run itself put there is no use.
fn refuse_extended(run: &Run<'_, '_>, extend: &ExtendPool) -> Result<(), String> {
    let LargerPool { uuid, name, seen, .. } = &extend.pool;
    let found = run.world.pools.get(&(extend.vg, *uuid)).map(|found| found.digest);
    if found.is_some() && (found == *seen || found == made(run, *uuid)) {
        return Ok(());
    }
    Err(format!("thin pool {name} was used since, and may count on what it was given"))
}
