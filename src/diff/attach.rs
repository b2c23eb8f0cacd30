//! PVs flagged MISSING that are there again, and what happened while they were away.

use std::collections::{BTreeMap, BTreeSet};

use crate::diff::{Base, Change, Context, Diff, Refusal, RefusalCode, ReturnedPv};
use crate::ids::{Digest, LvName, LvUuid, PvUuid};
use crate::model::device::{Device, RingContent};
use crate::model::extent_map::ExtentMap;
use crate::model::parts::{Role, Roles};
use crate::model::segment::{Area, RaidLevel, SegmentKind};
use crate::model::vg::{Lv, Pv, Vg};
use crate::plan::hazard::{Hazard, HazardKind};
use crate::text::vg_of;
use crate::units::{Bytes, Sectors};

/// Finds PVs that the plan wants attached and the metadata has flagged MISSING.
pub fn returned_pvs(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    for goal in &context.goals.attached {
        let Some(pv) = base.vg.pv(goal.uuid) else {
            continue;
        };
        let devices = context.inventory.devices_of(pv.uuid);
        if let [device] = devices.as_slice()
            && let Err(refusal) = check_layout(base, pv, device)
        {
            diff.refusals.push(refusal);
            continue;
        }
        let gets_label = diff
            .changes
            .iter()
            .any(|change| matches!(change, Change::WriteLabel(lost) if lost.pv == pv.uuid));
        // A PV that is nowhere was refused where its label was looked for.
        if pv.is_missing() && (!devices.is_empty() || gets_label) {
            let device = devices.first().copied();
            diff.changes.push(Change::RestorePv(returned(context, base, pv, device)));
        }
    }
}

/// The label must place the data where the metadata expects it.
fn check_layout(base: &Base, pv: &Pv, device: &Device) -> Result<(), Refusal> {
    let object = format!("PV {}", pv.uuid);
    let Some(on) = device.pv() else { return Ok(()) };
    let start = on.data_areas.first().map(|area| area.offset);
    if start.is_some() && start != pv.pe_start.bytes() {
        let why = format!(
            "data begins at byte {} by the label on {}, at byte {} by the metadata",
            start.map_or(0, Bytes::get),
            device.name,
            pv.pe_start.bytes().map_or(0, Bytes::get)
        );
        return Err(Refusal::new(RefusalCode::LayoutChanged, object, why));
    }
    let end = pv.extent_start(pv.pe_count, base.vg.extent_size).and_then(Sectors::bytes);
    if end.is_none_or(|end| end > device.size) {
        let why = format!("{} is {} long, too short for its extents", device.name, device.size);
        return Err(Refusal::new(RefusalCode::DeviceTooSmall, object, why)
            .with_help("is the image cut off? Compare its size with the disk's"));
    }
    Ok(())
}

fn returned(context: &Context<'_>, base: &Base, pv: &Pv, device: Option<&Device>) -> ReturnedPv {
    let roles = Roles::of(&base.vg);
    let saw = device.and_then(|device| last_seen(context, base, device));
    let mut meanwhile = what_happened(context, base, pv.uuid, saw);
    let (legs, hazards) = stale_legs(context, base, &roles, pv);
    meanwhile.extend(legs);
    let on_pv = lvs_on(&base.vg, pv.uuid);
    let tops: BTreeSet<&LvName> = on_pv.iter().map(|lv| &roles.top_of(lv).name).collect();
    ReturnedPv {
        pv: pv.uuid,
        saw,
        lvs: tops.into_iter().cloned().collect(),
        meanwhile,
        hazards,
        pieces: pieces_digest(&base.vg, pv.uuid),
    }
}

fn lvs_on(vg: &Vg, pv: PvUuid) -> Vec<&Lv> {
    let is_on = |area: &Area| match area {
        Area::Pv { pv: index, .. } => vg.pvs.get(*index).is_some_and(|p| p.uuid == pv),
        Area::Lv { .. } => false,
    };
    let has_piece = |lv: &&Lv| lv.segments.iter().flat_map(|s| s.kind.areas()).any(is_on);
    vg.lvs.iter().filter(has_piece).collect()
}

/// Which pieces of which LVs lie on the PV: what a restore changes the reach of.
fn pieces_digest(vg: &Vg, pv: PvUuid) -> Digest {
    let map = ExtentMap::of(vg);
    let uuid = |name: &LvName| vg.lv(name).map(|lv| lv.uuid.to_string()).unwrap_or_default();
    let lines: Vec<String> = map
        .on(pv)
        .iter()
        .map(|a| format!("{} {} {}\n", a.range, uuid(a.lv), a.lv_extent.get()))
        .collect();
    Digest::of(lines.concat().as_bytes())
}

/// The newest version of this VG that stands on the device itself.
fn last_seen(context: &Context<'_>, base: &Base, device: &Device) -> Option<u32> {
    let keys = device.areas().iter().flat_map(|area| {
        let ring = area.ring.iter().filter_map(|text| match &text.text {
            RingContent::Whole(key) => Some(*key),
            RingContent::Cut { .. } => None,
        });
        area.committed.good().into_iter().chain(ring)
    });
    keys.filter_map(|key| context.inventory.texts.get(&key))
        .filter(|text| text.vg_uuid == base.vg.uuid)
        .map(|text| text.seqno)
        .max()
}

/// What versions that the PV did not see did to its pieces.
fn what_happened(context: &Context<'_>, base: &Base, pv: PvUuid, saw: Option<u32>) -> Vec<String> {
    let versions = context.vg.timeline.versions();
    let first_missing = || {
        versions
            .iter()
            .filter_map(|v| vg_of(&v.text).ok())
            .find(|vg| vg.pv(pv).is_some_and(Pv::is_missing))
            .map(|vg| vg.seqno.saturating_sub(1))
    };
    let Some(seen) = saw.or_else(first_missing) else {
        return vec!["which versions it missed is not known".to_owned()];
    };
    let seen_vg = versions.iter().find(|v| v.seqno() == seen).and_then(|v| vg_of(&v.text).ok());
    let Some(before) = seen_vg else {
        return vec![format!("seqno {seen}, which it saw last, stands nowhere any more")];
    };
    let (old, new) = (pieces_by_lv(&before, pv), pieces_by_lv(&base.vg, pv));
    let mut told = Vec::new();
    for (uuid, (name, pieces)) in &old {
        match new.get(uuid) {
            None => told.push(format!("LV {name}: its piece on this PV was given up")),
            Some((_, now)) if now != pieces => {
                told.push(format!("LV {name}: its piece on this PV was changed"));
            }
            Some(_) => {}
        }
    }
    for (uuid, (name, _)) in &new {
        if !old.contains_key(uuid) {
            told.push(format!("LV {name}: was given a piece on this PV"));
        }
    }
    told
}

type Pieces = Vec<(String, u64)>;

fn pieces_by_lv(vg: &Vg, pv: PvUuid) -> BTreeMap<LvUuid, (LvName, Pieces)> {
    let mut by_lv: BTreeMap<LvUuid, (LvName, Pieces)> = BTreeMap::new();
    let map = ExtentMap::of(vg);
    for allocation in map.on(pv) {
        let Some(lv) = vg.lv(allocation.lv) else {
            continue;
        };
        let entry = by_lv.entry(lv.uuid).or_insert_with(|| (lv.name.clone(), Vec::new()));
        entry.1.push((allocation.range.to_string(), allocation.lv_extent.get()));
    }
    by_lv
}

/// Legs of mirrors and RAID LVs on this PV: what they missed and who brings them up to date.
fn stale_legs(
    context: &Context<'_>,
    base: &Base,
    roles: &Roles<'_>,
    pv: &Pv,
) -> (Vec<String>, Vec<Hazard>) {
    let mut told = Vec::new();
    let mut hazards = Vec::new();
    let mut seen = BTreeSet::new();
    for part in lvs_on(&base.vg, pv.uuid) {
        hazards.extend(stale_store(base, roles, part));
        for (user, role) in roles.users(&part.name) {
            let is_leg = matches!(role, Role::MirrorImage | Role::RaidImage);
            if !is_leg || !seen.insert(&user.name) {
                continue;
            }
            let top = roles.top_of(user);
            for segment in &user.segments {
                let (line, hazard) = judge_leg(context, base, pv.uuid, &segment.kind, top);
                told.extend(line);
                hazards.extend(hazard);
            }
        }
    }
    (told, hazards)
}

/// The store of a snapshot that was away while its origin was written to lacks what was overwritten
/// there: nothing on it tells, and the snapshot would show a mixture of then and now.
fn stale_store(base: &Base, roles: &Roles<'_>, store: &Lv) -> Option<Hazard> {
    let users = roles.users(&store.name);
    let (snapshot, _) = users.iter().find(|(_, role)| *role == Role::SnapshotStore)?;
    let origin_of = |kind: &SegmentKind| {
        if let SegmentKind::Snapshot { origin, .. } = kind { base.vg.lv(origin) } else { None }
    };
    let origins = snapshot.segments.iter().filter_map(|segment| origin_of(&segment.kind));
    let is_there = |lv: &Lv| {
        lv.segments.iter().flat_map(|s| s.kind.areas()).any(|area| match area {
            Area::Pv { pv, .. } => base.vg.pvs.get(*pv).is_some_and(|p| !p.is_missing()),
            Area::Lv { .. } => true,
        })
    };
    let mut origins = origins.filter(|origin| is_there(origin));
    let origin = origins.next()?;
    let loss = format!(
        "a snapshot of LV {} whose store on this PV may lack what was overwritten in the origin \
         meanwhile: it may show a mixture of then and now",
        origin.name
    );
    Some(stale(&store.name, &loss))
}

fn judge_leg(
    context: &Context<'_>,
    base: &Base,
    pv: PvUuid,
    kind: &SegmentKind,
    top: &Lv,
) -> (Option<String>, Option<Hazard>) {
    let name = &top.name;
    let images = legs_of(kind);
    if images.is_empty() {
        return (None, None);
    }
    let lies_on = |image: &LvName, is_it: &dyn Fn(&Pv) -> bool| {
        base.vg.lv(image).is_some_and(|lv| {
            lv.segments.iter().flat_map(|s| s.kind.areas()).any(|area| match area {
                Area::Pv { pv, .. } => base.vg.pvs.get(*pv).is_some_and(is_it),
                Area::Lv { .. } => false,
            })
        })
    };
    let was_away = |image: &LvName| lies_on(image, &|p| p.is_missing());
    if images.iter().all(|image| was_away(image)) {
        let line = format!("LV {name}: all its legs were away, so none of them missed a write");
        return (Some(line), None);
    }
    let is_gone = |p: &Pv| p.uuid != pv && context.inventory.devices_of(p.uuid).is_empty();
    let other_gone = images.iter().any(|image| lies_on(image, &is_gone));
    if matches!(kind, SegmentKind::Mirror { .. }) {
        let loss = "its leg on this PV may lack what was written meanwhile, and a mirror keeps no \
                    record that proves otherwise: the kernel may read, or copy from, the stale leg";
        return (None, Some(stale(name, loss)));
    }
    if other_gone {
        let loss = "its leg on this PV may be behind, and another leg is away now: what this leg \
                    missed cannot be rebuilt from it";
        return (None, Some(stale(name, loss)));
    }
    let line = format!(
        "LV {name}: its leg on this PV may have missed writes; the kernel compares the legs' \
         superblocks at activation and rebuilds the one that is behind"
    );
    (Some(line), None)
}

/// The legs of a mirror or of a RAID LV with redundancy.
fn legs_of(kind: &SegmentKind) -> Vec<&LvName> {
    if let SegmentKind::Mirror { images, .. } = kind {
        return images.iter().filter_map(Area::lv).collect();
    }
    if let SegmentKind::Raid { level, legs, .. } = kind {
        let has_redundancy = !matches!(level, RaidLevel::Raid0 | RaidLevel::Raid0Meta);
        return legs.iter().filter(|_| has_redundancy).map(|leg| &leg.image).collect();
    }
    Vec::new()
}

fn stale(lv: &LvName, loss: &str) -> Hazard {
    let loss = vec![format!("LV {lv}: {loss}")];
    Hazard { kind: HazardKind::StaleLeg, object: lv.to_string(), loss }
}
