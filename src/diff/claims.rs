//! Extents that something takes; and those a lost LV needs: whose they are now, and whose they
//! were in between.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::diff::{Base, Refusal, RefusalCode};
use crate::ids::{LvName, LvUuid, PvUuid};
use crate::model::extent_map::{ExtentMap, ExtentRange, joined, taken_by};
use crate::model::inventory::VgOnDisk;
use crate::model::segment::SegmentKind;
use crate::model::timeline::Version;
use crate::model::vg::{Lv, Vg};
use crate::text::vg_of;
use crate::units::Extents;

/// Extents on one PV.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The PV.
    pub pv: PvUuid,
    /// First extent of each run, and how many.
    pub extents: Vec<(u64, u64)>,
}

impl Claim {
    /// These ranges of a PV.
    pub fn new(pv: PvUuid, ranges: &[ExtentRange]) -> Self {
        let extents = ranges.iter().map(|r| (r.first.get(), r.len().get())).collect();
        Self { pv, extents }
    }

    /// These extents, in their order: a claim for each run.
    pub fn in_order(pieces: &[(PvUuid, ExtentRange)]) -> Vec<Self> {
        pieces.iter().map(|(pv, range)| Self::new(*pv, &[*range])).collect()
    }

    /// Its runs.
    pub fn ranges(&self) -> impl Iterator<Item = (PvUuid, ExtentRange)> + '_ {
        let range = |(first, len): &(u64, u64)| {
            ExtentRange::new(Extents::new(*first), Extents::new(*len)).map(|range| (self.pv, range))
        };
        self.extents.iter().filter_map(range)
    }
}

/// What a lost LV takes, and what that may cost.
#[derive(Debug)]
pub struct Claims {
    /// Extents by PV, sorted and joined.
    pub extents: BTreeMap<PvUuid, Vec<ExtentRange>>,
    /// Those that others used since, each counted once.
    pub reused: Vec<Reuse>,
    /// What cannot be known.
    pub notes: Vec<String>,
}

/// Extents that somebody used in between.
#[derive(Debug)]
pub struct Reuse {
    /// The PV.
    pub pv: PvUuid,
    /// The extents.
    pub range: ExtentRange,
    /// Who used them first.
    pub lv: LvName,
    /// In which version that shows first.
    pub seqno: u32,
}

/// Checks the extents of an LV and its parts against the VG as it is and as it was since.
pub fn claims_of(
    on_disk: &VgOnDisk,
    base: &Base,
    version: &Version,
    old: &Vg,
    whole: &[&Lv],
) -> Result<Claims, Refusal> {
    check_layout(base, old, whole)?;
    refuse_unknown(base)?;
    let extents = taken_by(old, whole.iter().copied());
    refuse_taken(base, &extents)?;
    let own: Vec<LvUuid> = whole.iter().map(|lv| lv.uuid).collect();
    let since: Vec<&Version> = on_disk
        .timeline
        .versions()
        .iter()
        .filter(|v| v.seqno() >= version.seqno() && v.content() != version.content())
        .collect();
    let reused = reused_since(&since, &extents, &own);
    Ok(Claims { extents, reused, notes: gaps(on_disk, version, base) })
}

/// The PVs must be laid out as they were: another extent size or data start shifts everything.
fn check_layout(base: &Base, old: &Vg, whole: &[&Lv]) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal::new(RefusalCode::LayoutChanged, "", why));
    if old.extent_size != base.vg.extent_size {
        let (old, new) = (old.extent_size, base.vg.extent_size);
        return refuse(format!("the extent size was {old} then and is {new} now"));
    }
    for (pv, ranges) in taken_by(old, whole.iter().copied()) {
        let Some(now) = base.vg.pv(pv) else {
            return refuse(format!("PV {pv}, which it lies on, is not in the VG any more"));
        };
        if old.pv(pv).is_some_and(|then| then.pe_start != now.pe_start) {
            return refuse(format!("data on PV {pv} begins elsewhere now"));
        }
        if ranges.iter().any(|range| range.end > now.pe_count) {
            return refuse(format!("PV {pv} has only {} now", now.pe_count));
        }
    }
    Ok(())
}

/// A segment of a type that is not known may lie anywhere.
fn refuse_unknown(base: &Base) -> Result<(), Refusal> {
    for lv in &base.vg.lvs {
        for segment in &lv.segments {
            if let SegmentKind::Unknown { type_name } = &segment.kind {
                let why = format!(
                    "LV {} has a segment of the unknown type `{type_name}`: which extents are free \
                     cannot be told",
                    lv.name
                );
                return Err(Refusal::new(RefusalCode::NotRecoverable, "", why));
            }
        }
    }
    Ok(())
}

fn refuse_taken(base: &Base, extents: &BTreeMap<PvUuid, Vec<ExtentRange>>) -> Result<(), Refusal> {
    let map = ExtentMap::of(&base.vg);
    let mut owners = Vec::new();
    for (pv, ranges) in extents {
        for range in ranges {
            for (range, lv) in map.owners_in(*pv, *range) {
                owners.push(format!("PV {pv} extents {range}: LV {lv}"));
            }
        }
    }
    if owners.is_empty() {
        return Ok(());
    }
    let why = format!("extents it needs belong to others now: {}", owners.join("; "));
    Err(Refusal::new(RefusalCode::ExtentsTaken, "", why).with_help(
        "bringing it back would make two LVs share extents and destroy both. What was not given \
         away can still be read from the disk by hand",
    ))
}

/// Which of these extents others held in any version since, whoever was first.
fn reused_since(
    since: &[&Version],
    extents: &BTreeMap<PvUuid, Vec<ExtentRange>>,
    own: &[LvUuid],
) -> Vec<Reuse> {
    let mut found: Vec<Reuse> = Vec::new();
    for version in since {
        let Ok(vg) = vg_of(&version.text) else {
            continue;
        };
        let map = ExtentMap::of(&vg);
        for (pv, ranges) in extents {
            for (range, lv) in ranges.iter().flat_map(|range| map.owners_in(*pv, *range)) {
                if vg.lv(lv).is_some_and(|lv| own.contains(&lv.uuid)) {
                    continue;
                }
                let known = found.iter().filter(|r| r.pv == *pv).map(|r| r.range).collect();
                for range in without(range, &joined(known)) {
                    let (lv, seqno) = (lv.clone(), version.seqno());
                    found.push(Reuse { pv: *pv, range, lv, seqno });
                }
            }
        }
    }
    found.sort_by_key(|reuse| (reuse.pv, reuse.range));
    found
}

/// What is left of a range without the others, which are sorted and joined.
fn without(range: ExtentRange, others: &[ExtentRange]) -> Vec<ExtentRange> {
    let mut left = Vec::new();
    let mut first = range.first;
    for other in others.iter().filter(|other| other.intersection(&range).is_some()) {
        if other.first > first {
            left.push(ExtentRange { first, end: other.first });
        }
        first = first.max(other.end);
    }
    if first < range.end {
        left.push(ExtentRange { first, end: range.end });
    }
    left
}

fn gaps(on_disk: &VgOnDisk, version: &Version, base: &Base) -> Vec<String> {
    let gaps = on_disk.timeline.gaps_between(version.seqno(), base.text.seqno);
    let (Some(first), Some(last)) = (gaps.first(), gaps.last()) else {
        return Vec::new();
    };
    let which = match gaps.len() {
        1 => format!("version {first} stands"),
        n => format!("{n} versions between {first} and {last} stand"),
    };
    vec![format!(
        "{which} nowhere any more: whether extents were in use by others then is not known"
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Extents;

    #[test]
    fn ranges_lose_what_is_known() {
        let range = |first, end| ExtentRange { first: Extents::new(first), end: Extents::new(end) };
        assert_eq!(without(range(0, 10), &[]), [range(0, 10)]);
        assert_eq!(without(range(0, 10), &[range(2, 4), range(8, 20)]), [range(0, 2), range(4, 8)]);
        assert_eq!(without(range(3, 4), &[range(0, 9)]), []);
    }
}
