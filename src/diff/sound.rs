//! Metadata areas that are damaged, empty, behind, or left half-way by an interrupted command.

use crate::diff::{Base, BaseVersion, Change, Context, Diff, LostPv, UnsoundArea, UnsoundAreas};
use crate::ids::Digest;
use crate::model::device::{AreaHeader, Device, DiskArea, MetadataArea, SlotText};
use crate::model::vg::Pv;

/// Finds areas that have to be written for the plan's states to hold.
pub fn unsound_areas(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    let mut areas = Vec::new();
    let must_count = base.version != BaseVersion::Current;
    for pv in &base.vg.pvs {
        if is_judged(context, pv) {
            areas.extend(unsound_on(context, base, pv));
        }
    }
    for change in &diff.changes {
        if let Change::WriteLabel(lost) = change {
            areas.extend(unsound_behind_label(context, base, lost));
        }
    }
    areas.sort();
    if areas.is_empty() && !must_count {
        return;
    }
    diff.changes.push(Change::WriteAreas(UnsoundAreas {
        base: base.version.clone(),
        areas,
        hazard: base.hazard.clone(),
    }));
}

/// Whether the plan says anything about the areas of this PV. A PV flagged MISSING is out of the
/// VG's reach until it is attached again.
fn is_judged(context: &Context<'_>, pv: &Pv) -> bool {
    let attached = context.goals.attached.iter().any(|goal| goal.uuid == pv.uuid);
    attached || (context.goals.sound_metadata.is_some() && !pv.is_missing())
}

fn unsound_on(context: &Context<'_>, base: &Base, pv: &Pv) -> Vec<UnsoundArea> {
    let devices = context.inventory.devices_of(pv.uuid);
    let areas = devices.iter().filter_map(|device| device.pv()).flat_map(|on| &on.areas);
    // A returned PV is behind by nature; attaching it brings its areas up to date.
    let may_lag = pv.is_missing();
    areas
        .enumerate()
        .filter_map(|(index, area)| {
            let what = unsound(context, base.text.content, area, may_lag)?;
            Some(UnsoundArea { pv: pv.uuid, area: index, what })
        })
        .collect()
}

/// Areas of a PV that gets its label again: those that still stand are judged like any other,
/// those that do not are made anew.
fn unsound_behind_label(context: &Context<'_>, base: &Base, lost: &LostPv) -> Vec<UnsoundArea> {
    let standing = context.inventory.device(&lost.device).map_or(&[][..], Device::areas);
    let may_lag = base.vg.pv(lost.pv).is_some_and(Pv::is_missing);
    let what = |place: &DiskArea| {
        let found = standing.iter().find(|area| area.place() == *place);
        match found.filter(|_| lost.areas_found) {
            Some(area) => unsound(context, base.text.content, area, may_lag),
            None => Some("made anew with the label".to_owned()),
        }
    };
    let areas = lost.areas.iter().enumerate();
    areas
        .filter_map(|(area, place)| Some(UnsoundArea { pv: lost.pv, area, what: what(place)? }))
        .collect()
}

/// What is wrong with this area, if anything.
fn unsound(
    context: &Context<'_>,
    wanted: Digest,
    area: &MetadataArea,
    may_lag: bool,
) -> Option<String> {
    if let AreaHeader::Damaged { damage, .. } = &area.header {
        let damage: Vec<&str> = damage.iter().map(|d| d.shown()).collect();
        return Some(format!("header damaged: {}", damage.join(", ")));
    }
    if area.is_ignored() {
        return None;
    }
    let committed = match &area.committed {
        SlotText::Empty => Some("points to no text".to_owned()),
        SlotText::Ignored => None,
        SlotText::Damaged(why) => Some(format!("text damaged: {why}")),
        SlotText::Good(key) => {
            let text = context.inventory.texts.get(key);
            let same = text.is_some_and(|text| text.content == wanted);
            let seqno = text.map_or(0, |text| text.seqno);
            (!same && !may_lag).then(|| format!("holds seqno {seqno} instead"))
        }
    };
    committed.or_else(|| {
        let left = area.precommitted != SlotText::Empty;
        (left && !may_lag).then(|| "an interrupted command left a precommitted text".to_owned())
    })
}
