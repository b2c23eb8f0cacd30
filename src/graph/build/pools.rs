//! Thin pools: changes to operations.

use crate::diff::{ActiveLv, Change, FlaggedPool, RebuiltPool};
use crate::graph::build::Builder;
use crate::ids::{LvName, LvUuid, VgName};
use crate::model::pools::pool;
use crate::model::segment::SegmentKind;
use crate::operation::{
    ClearNeedsCheck, CreatePoolMetadata, DropThinLv, ExtendPool, MakePoolSpare, Operation,
    RebuildPoolMetadata, SetTransactionId, SwapPoolMetadata,
};

impl Builder<'_> {
    /// What is done about a pool, or in it.
    pub(super) fn of_pool(&self, name: &VgName, change: &Change) -> Vec<Operation> {
        let (vg, name) = (self.goals.vg, name.clone());
        vec![match change.clone() {
            Change::RebuildPool(pool) => return self.rebuild(&name, &pool),
            Change::ExtendPool(pool) => Operation::ExtendPool(ExtendPool { vg, name, pool }),
            Change::SetTransactionId(pool) => {
                Operation::SetTransactionId(SetTransactionId { vg, name, pool })
            }
            Change::DropThinLv(lv) => Operation::DropThinLv(DropThinLv { vg, name, lv }),
            Change::MakeSpare(spare) => Operation::MakePoolSpare(MakePoolSpare { vg, name, spare }),
            Change::ClearNeedsCheck(pool) => {
                Operation::ClearNeedsCheck(ClearNeedsCheck { vg, name, pool })
            }
            Change::WriteLabel(_)
            | Change::WriteAreas(_)
            | Change::ReloadStack(_)
            | Change::RestorePv(_)
            | Change::RecoverLv(_)
            | Change::Extend(_)
            | Change::Deactivate(_)
            | Change::Activate(_)
            | Change::Refresh(_) => return Vec::new(),
        }]
    }

    /// New metadata of a thin pool: an LV for it, what goes into it, and its place in the pool.
    fn rebuild(&self, name: &VgName, pool: &RebuiltPool) -> Vec<Operation> {
        let vg = self.goals.vg;
        let (one, two, three) = (name.clone(), name.clone(), name.clone());
        vec![
            Operation::CreatePoolMetadata(CreatePoolMetadata { vg, name: one, pool: pool.clone() }),
            Operation::RebuildPoolMetadata(RebuildPoolMetadata {
                vg,
                name: two,
                pool: pool.clone(),
            }),
            Operation::SwapPoolMetadata(SwapPoolMetadata { vg, name: three, pool: pool.clone() }),
        ]
    }

    /// Pools that this plan rebuilds and that come into use with these LVs.
    pub(super) fn new_metadata_of(&self, lvs: &[ActiveLv]) -> Vec<LvName> {
        let Some(vg) = self.current() else { return Vec::new() };
        let lies_in = |lv: &ActiveLv, wanted: &RebuiltPool| {
            let segments = vg.lv_by_uuid(lv.uuid).map_or(&[][..], |lv| lv.segments.as_slice());
            let mut segments = segments.iter().map(|segment| &segment.kind);
            lv.uuid == wanted.uuid
                || segments.any(
                    |kind| matches!(kind, SegmentKind::Thin { pool, .. } if *pool == wanted.name),
                )
        };
        let rebuilt = self.diff.changes.iter().filter_map(|change| {
            let Change::RebuildPool(pool) = change else { return None };
            lvs.iter().any(|lv| lies_in(lv, pool)).then(|| pool.name.clone())
        });
        rebuilt.collect()
    }

    /// The metadata of thin pools that are rebuilt, or whose flag is cleared.
    pub(super) fn thin_metadata(&self) -> Vec<LvUuid> {
        let Some(vg) = self.current() else { return Vec::new() };
        let mut found: Vec<LvUuid> = Vec::new();
        for change in &self.diff.changes {
            let (Change::RebuildPool(RebuiltPool { uuid, .. })
            | Change::ClearNeedsCheck(FlaggedPool { uuid, .. })) = change
            else {
                continue;
            };
            let lv = vg.lv_by_uuid(*uuid);
            let found_pool = lv.and_then(|lv| pool(self.inventory, vg, lv));
            found.extend(found_pool.map(|pool| pool.metadata.uuid));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
