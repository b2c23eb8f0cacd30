//! Which extents of which PV belong to whom.

use std::collections::BTreeMap;

use crate::ids::{LvName, PvUuid};
use crate::model::segment::Area;
use crate::model::vg::Vg;
use crate::units::Extents;

/// A run of extents on one PV: `first` up to, but not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExtentRange {
    /// First extent.
    pub first: Extents,
    /// The extent behind the last one.
    pub end: Extents,
}

impl ExtentRange {
    /// `len` extents from `first` on; `None` when that passes 64 bits or is empty.
    pub fn new(first: Extents, len: Extents) -> Option<Self> {
        let end = first.checked_add(len)?;
        (!len.is_zero()).then_some(Self { first, end })
    }

    /// How many extents.
    pub fn len(&self) -> Extents {
        self.end.saturating_sub(self.first)
    }

    /// Whether there are none; ranges made by [`ExtentRange::new`] never are.
    pub fn is_empty(&self) -> bool {
        self.first >= self.end
    }

    /// What two ranges have in common.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let both = Self { first: self.first.max(other.first), end: self.end.min(other.end) };
        (!both.is_empty()).then_some(both)
    }
}

impl std::fmt::Display for ExtentRange {
    /// Prints `first-last`, as LVM's own command lines take it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.first.get(), self.end.get().saturating_sub(1))
    }
}

/// A run of extents and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation<'vg> {
    /// The extents on the PV.
    pub range: ExtentRange,
    /// The LV whose segment lies there; perhaps a hidden part.
    pub lv: &'vg LvName,
    /// The logical extent of that LV's segment at `range.first`, for plain areas; for striped
    /// segments the first logical extent of the segment.
    pub lv_extent: Extents,
}

/// Something no sound VG has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapProblem<'vg> {
    /// Two segments on the same extents.
    Overlap {
        /// The PV.
        pv: PvUuid,
        /// The extents both have.
        range: ExtentRange,
        /// One owner.
        one: &'vg LvName,
        /// The other; perhaps the same LV.
        other: &'vg LvName,
    },
    /// A segment past the PV's last extent.
    BeyondEnd {
        /// The PV.
        pv: PvUuid,
        /// The extents of the segment.
        range: ExtentRange,
        /// How many extents the PV has.
        pe_count: Extents,
        /// Whose segment.
        lv: &'vg LvName,
    },
}

/// The allocations of every PV of one VG, sorted by extent.
#[derive(Debug, Default)]
pub struct ExtentMap<'vg> {
    by_pv: BTreeMap<PvUuid, Vec<Allocation<'vg>>>,
    problems: Vec<MapProblem<'vg>>,
}

impl<'vg> ExtentMap<'vg> {
    /// Collects what every segment of this VG takes.
    pub fn of(vg: &'vg Vg) -> Self {
        let mut map = Self::default();
        for pv in &vg.pvs {
            map.by_pv.insert(pv.uuid, Vec::new());
        }
        for lv in &vg.lvs {
            for segment in &lv.segments {
                for area in segment.kind.areas() {
                    let Area::Pv { pv, first } = area else {
                        continue;
                    };
                    let Some(pv) = vg.pvs.get(*pv) else { continue };
                    let Some(range) = ExtentRange::new(*first, segment.area_len()) else {
                        continue;
                    };
                    if range.end > pv.pe_count {
                        map.problems.push(MapProblem::BeyondEnd {
                            pv: pv.uuid,
                            range,
                            pe_count: pv.pe_count,
                            lv: &lv.name,
                        });
                    }
                    let allocation = Allocation { range, lv: &lv.name, lv_extent: segment.start };
                    map.by_pv.entry(pv.uuid).or_default().push(allocation);
                }
            }
        }
        map.sort_and_check();
        map
    }

    fn sort_and_check(&mut self) {
        for (pv, allocations) in &mut self.by_pv {
            allocations.sort_by_key(|a| (a.range, a.lv));
            let mut widest: Option<&Allocation<'_>> = None;
            for allocation in allocations.iter() {
                let both = widest.and_then(|w| w.range.intersection(&allocation.range));
                if let (Some(widest), Some(range)) = (widest, both) {
                    self.problems.push(MapProblem::Overlap {
                        pv: *pv,
                        range,
                        one: widest.lv,
                        other: allocation.lv,
                    });
                }
                if widest.is_none_or(|w| allocation.range.end > w.range.end) {
                    widest = Some(allocation);
                }
            }
        }
    }

    /// What lies on this PV, sorted by extent; empty for a PV the VG does not have.
    pub fn on(&self, pv: PvUuid) -> &[Allocation<'vg>] {
        self.by_pv.get(&pv).map_or(&[], Vec::as_slice)
    }

    /// Overlaps and segments past the end.
    pub fn problems(&self) -> &[MapProblem<'vg>] {
        &self.problems
    }

    /// Who has a part of these extents, and which part.
    pub fn owners_in(&self, pv: PvUuid, range: ExtentRange) -> Vec<(ExtentRange, &'vg LvName)> {
        self.on(pv)
            .iter()
            .filter_map(|a| a.range.intersection(&range).map(|both| (both, a.lv)))
            .collect()
    }

    /// How many extents of this PV are taken.
    pub fn allocated_on(&self, pv: PvUuid) -> Extents {
        self.on(pv).iter().map(|a| a.range.len()).sum()
    }

    /// How many extents are taken in all.
    pub fn allocated(&self) -> Extents {
        self.by_pv.keys().map(|pv| self.allocated_on(*pv)).sum()
    }
}

/// Joins ranges that touch or overlap; the result is sorted.
pub fn joined(mut ranges: Vec<ExtentRange>) -> Vec<ExtentRange> {
    ranges.sort_unstable();
    let mut out: Vec<ExtentRange> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.first <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// The extents each LV takes, by PV, sorted and joined.
pub fn taken_by<'a>(
    vg: &Vg,
    lvs: impl IntoIterator<Item = &'a crate::model::vg::Lv>,
) -> BTreeMap<PvUuid, Vec<ExtentRange>> {
    let mut taken: BTreeMap<PvUuid, Vec<ExtentRange>> = BTreeMap::new();
    for segment in lvs.into_iter().flat_map(|lv| &lv.segments) {
        for area in segment.kind.areas() {
            let Area::Pv { pv, first } = area else {
                continue;
            };
            let Some(pv) = vg.pvs.get(*pv) else { continue };
            let range = ExtentRange::new(*first, segment.area_len());
            taken.entry(pv.uuid).or_default().extend(range);
        }
    }
    for ranges in taken.values_mut() {
        *ranges = joined(std::mem::take(ranges));
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, end: u64) -> ExtentRange {
        ExtentRange { first: Extents::new(first), end: Extents::new(end) }
    }

    #[test]
    fn ranges_join_and_intersect() {
        assert_eq!(
            joined(vec![range(5, 7), range(0, 2), range(2, 4), range(6, 9)]),
            [range(0, 4), range(5, 9)]
        );
        assert_eq!(range(0, 4).intersection(&range(2, 9)), Some(range(2, 4)));
        assert_eq!(range(0, 4).intersection(&range(4, 9)), None);
        assert_eq!(range(3, 4).to_string(), "3-3");
        assert_eq!(ExtentRange::new(Extents::new(u64::MAX), Extents::new(1)), None);
        assert_eq!(ExtentRange::new(Extents::new(1), Extents::ZERO), None);
    }
}
