//! What changed about one LV between two versions.

use crate::model::compare::{
    Difference, extents_shown, list_shown, option_shown, segment_type, words_shown,
};
use crate::model::parts::{Role, references_of};
use crate::model::segment::{Area, Segment, SegmentKind};
use crate::model::vg::{Lv, Vg};
use crate::units::Extents;

/// What changed about an LV that both versions have.
pub fn differences_of_lv(from: (&Vg, &Lv), to: (&Vg, &Lv)) -> Vec<Difference> {
    let ((from_vg, old), (to_vg, new)) = (from, to);
    let name = || new.name.clone();
    let mut found = Vec::new();
    if old.name != new.name {
        found.push(Difference::LvRenamed {
            uuid: new.uuid,
            from: old.name.clone(),
            to: new.name.clone(),
        });
    }
    let (old_type, new_type) = (segment_type(old), segment_type(new));
    let converted = old_type != new_type;
    if converted {
        found.push(Difference::LvConverted { lv: name(), from: old_type, to: new_type });
    }
    let resized = size_difference(from, to);
    let same_size = resized.is_none();
    found.extend(resized);
    let (old_places, new_places) = (places(from_vg, old), places(to_vg, new));
    if same_size && !converted && old_places != new_places {
        let (from, to) = (old_places.join(", "), new_places.join(", "));
        found.push(Difference::LvMoved { lv: name(), from, to });
    }
    let mut setting = |setting, from: String, to: String| {
        if from != to {
            found.push(Difference::LvSetting { lv: name(), setting, from, to });
        }
    };
    setting("status", words_shown(old.status), words_shown(new.status));
    setting("flags", words_shown(old.flags), words_shown(new.flags));
    setting("tags", list_shown(&old.tags), list_shown(&new.tags));
    setting(
        "allocation policy",
        option_shown(old.allocation.as_ref()),
        option_shown(new.allocation.as_ref()),
    );
    for (what, from, to) in pool_settings(old, new) {
        setting(what, from, to);
    }
    found
}

fn size_difference(from: (&Vg, &Lv), to: (&Vg, &Lv)) -> Option<Difference> {
    let old = extents_shown(from.0, from.1.len());
    let new = extents_shown(to.0, to.1.len());
    let lv = || to.1.name.clone();
    match new.cmp(&old) {
        std::cmp::Ordering::Greater => {
            Some(Difference::LvGrown { lv: lv(), by: new.saturating_sub(old), to: new })
        }
        std::cmp::Ordering::Less => {
            Some(Difference::LvShrunk { lv: lv(), by: old.saturating_sub(new), to: new })
        }
        std::cmp::Ordering::Equal => None,
    }
}

/// Where each segment lies, PVs by UUID; also what the parts of other types are called.
fn places(vg: &Vg, lv: &Lv) -> Vec<String> {
    lv.segments.iter().flat_map(|segment| segment_places(vg, segment)).collect()
}

fn segment_places(vg: &Vg, segment: &Segment) -> Vec<String> {
    let areas = segment.kind.areas().iter().map(|area| match area {
        Area::Pv { pv, first } => {
            let end = first.saturating_add(segment.area_len());
            let last = end.saturating_sub(Extents::new(1));
            let pv = vg.pvs.get(*pv).map(|pv| pv.uuid.to_string()).unwrap_or_default();
            format!("{pv}:{}-{}", first.get(), last.get())
        }
        Area::Lv { lv, first } => format!("{lv}:{}", first.get()),
    });
    let parts = references_of(&segment.kind).into_iter();
    let parts = parts.filter(|(_, role)| role.is_part() && *role != Role::Layer);
    let parts = parts.map(|(name, _)| name.to_string());
    areas.chain(parts).collect()
}

/// Settings of thin pools and thin LVs that people ask about.
fn pool_settings(old: &Lv, new: &Lv) -> Vec<(&'static str, String, String)> {
    let settings = |lv: &Lv| -> Vec<(&'static str, String)> {
        let Some(segment) = lv.segments.first() else { return Vec::new() };
        if let SegmentKind::ThinPool { transaction_id, messages, .. } = &segment.kind {
            return vec![
                ("transaction id", transaction_id.to_string()),
                ("pending messages", messages.len().to_string()),
            ];
        }
        if let SegmentKind::Thin { device_id, .. } = &segment.kind {
            return vec![("device id", device_id.to_string())];
        }
        Vec::new()
    };
    let pairs = settings(old).into_iter().zip(settings(new));
    pairs.filter(|((one, _), (other, _))| one == other).map(|((w, a), (_, b))| (w, a, b)).collect()
}
