//! Choosing free extents for an LV, where LVM2 has no command that would.

use crate::ids::PvUuid;
use crate::model::extent_map::{ExtentMap, ExtentRange, joined};
use crate::model::vg::{Pv, Vg};
use crate::units::Extents;

/// So many free extents of PVs that LVM takes extents from, but for those in `besides`: the first run
/// that is long enough, else the first that there are; none where there are too few.
pub fn allocate(
    vg: &Vg,
    needed: Extents,
    besides: &[(PvUuid, ExtentRange)],
) -> Option<Vec<(PvUuid, ExtentRange)>> {
    let map = ExtentMap::of(vg);
    let free: Vec<(PvUuid, ExtentRange)> = vg
        .pvs
        .iter()
        .filter(|pv| pv.gives_extents())
        .flat_map(|pv| free_of(&map, pv, besides).into_iter().map(|range| (pv.uuid, range)))
        .collect();
    if let Some((pv, range)) = free.iter().find(|(_, range)| range.len() >= needed) {
        return ExtentRange::new(range.first, needed).map(|range| vec![(*pv, range)]);
    }
    let mut left = needed;
    let mut taken = Vec::new();
    for (pv, range) in free {
        let Some(range) = ExtentRange::new(range.first, range.len().min(left)) else { break };
        left = left.saturating_sub(range.len());
        taken.push((pv, range));
    }
    left.is_zero().then_some(taken)
}

fn free_of(map: &ExtentMap<'_>, pv: &Pv, besides: &[(PvUuid, ExtentRange)]) -> Vec<ExtentRange> {
    let mut free = Vec::new();
    let mut first = Extents::ZERO;
    let others = besides.iter().filter(|(on, _)| *on == pv.uuid).map(|(_, range)| *range);
    let taken = map.on(pv.uuid).iter().map(|taken| taken.range).chain(others);
    for taken in joined(taken.collect()) {
        free.extend(ExtentRange::new(first, taken.first.saturating_sub(first)));
        first = first.max(taken.end);
    }
    free.extend(ExtentRange::new(first, pv.pe_count.saturating_sub(first)));
    free
}
