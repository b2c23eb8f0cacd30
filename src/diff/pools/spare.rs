//! The spare for pool metadata.

use serde::{Deserialize, Serialize};

use crate::diff::{Base, Change, Context, LargerPool, RebuiltPool};
use crate::ids::{Digest, LvName, LvUuid, LvmUuid};
use crate::model::parts::pool_metadata_spare;
use crate::model::segment::SegmentKind;
use crate::model::thin_pool::METADATA_MAX;
use crate::model::vg::{Lv, Vg};
use crate::plan::document::SpareState;
use crate::units::Extents;

/// A spare that is made, or made longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSpare {
    /// What it is called.
    pub name: LvName,
    /// Its UUID, when it is new.
    pub uuid: Option<LvUuid>,
    /// How long it is to be.
    pub size: Extents,
    /// How long it is; nothing when there is none.
    pub from: Extents,
}

/// The spare, where the plan wants one and it is not there or too short.
pub(super) fn missing_spare(
    context: &Context<'_>,
    base: &Base,
    changes: &[Change],
) -> Option<NewSpare> {
    let wants = |pool: &crate::plan::resolve::WantedPool| {
        pool.wanted.metadata.as_ref().and_then(|metadata| metadata.spare)
            == Some(SpareState::Present)
    };
    context.goals.thin_pools.iter().find(|pool| wants(pool))?;
    let vg = base.vg.as_ref();
    let size = largest_metadata(vg, changes);
    let is_taken = changes
        .iter()
        .any(|change| matches!(change, Change::RebuildPool(RebuiltPool { spare: Some(_), .. })));
    // Another one has to be made then, under another name.
    let spare = pool_metadata_spare(vg).filter(|_| !is_taken);
    let from = spare.map_or(Extents::ZERO, Lv::len);
    if size <= from {
        return None;
    }
    if let Some(spare) = spare {
        return Some(NewSpare { name: spare.name.clone(), uuid: None, size, from });
    }
    let name = free_name(vg)?;
    let of = format!("spare for pool metadata {name} of {}, {}", vg.uuid, size.get());
    let uuid = LvUuid(LvmUuid::of_digest(&Digest::of(of.as_bytes())));
    Some(NewSpare { name, uuid: Some(uuid), size, from })
}

/// The longest metadata of any pool, as it will be.
///
/// # Source
/// LVM2 `lib/metadata/pool_manip.c`, `handle_pool_metadata_spare`.
fn largest_metadata(vg: &Vg, changes: &[Change]) -> Extents {
    let of_pool = |lv: &Lv| {
        let metadata = lv.segments.iter().find_map(|segment| {
            let (SegmentKind::ThinPool { metadata, .. } | SegmentKind::CachePool { metadata, .. }) =
                &segment.kind
            else {
                return None;
            };
            vg.lv(metadata)
        })?;
        let larger = changes.iter().map(|change| {
            if let Change::ExtendPool(LargerPool { uuid, metadata: Some(size), .. })
            | Change::RebuildPool(RebuiltPool { uuid, size, .. }) = change
                && *uuid == lv.uuid
            {
                return *size;
            }
            Extents::ZERO
        });
        Some(larger.fold(metadata.len(), Extents::max))
    };
    let largest = vg.lvs.iter().filter_map(of_pool).max().unwrap_or(Extents::ZERO);
    largest.min(METADATA_MAX.in_extents(vg.extent_size))
}

/// `lvol0_pmspare` and so on, as LVM calls it.
fn free_name(vg: &Vg) -> Option<LvName> {
    let names = (0..1000).map(|number| format!("lvol{number}_pmspare"));
    names.filter_map(|name| name.parse::<LvName>().ok()).find(|name| vg.lv(name).is_none())
}
