//! LVs that are gone: where they are described, what comes with them, and what speaks against.

use std::collections::BTreeMap;

use crate::diff::bring::{follow_ups, half_way_why, parts_to_bring, was_snapshot_store};
use crate::diff::claims::{Claims, claims_of};
use crate::diff::{Base, Change, Claim, Context, Diff, LostLv, Refusal, RefusalCode};
use crate::ids::{LvName, LvUuid};
use crate::model::timeline::Version;
use crate::model::vg::{Lv, Vg};
use crate::plan::document::RecoverFrom;
use crate::plan::hazard::{Hazard, HazardKind};
use crate::plan::resolve::{PresentLv, version_for};
use crate::text::search::{Wanted, versions_with};
use crate::text::vg_of;

/// Finds LVs that the plan wants and the VG does not have.
pub fn lost_lvs(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    for goal in &context.goals.present {
        match lost_lv(context, base, goal, &mut diff.notes) {
            Ok(Some(lost)) => diff.changes.push(Change::RecoverLv(Box::new(lost))),
            Ok(None) => {}
            Err(refusal) => diff.refusals.push(refusal),
        }
    }
}

fn object(goal: &PresentLv) -> String {
    format!("LV {}", goal.name)
}

fn lost_lv(
    context: &Context<'_>,
    base: &Base,
    goal: &PresentLv,
    notes: &mut Vec<String>,
) -> Result<Option<LostLv>, Refusal> {
    let refuse = |code, why: String| Refusal::new(code, object(goal), why);
    if is_present(context, base, goal)? {
        return Ok(None);
    }
    let (version, vg) = source(context, goal, notes)?;
    let wanted = wanted(goal);
    let gone = || refuse(RefusalCode::NotRecoverable, "its description cannot be read".to_owned());
    let lv = wanted.find(&vg).ok_or_else(gone)?;
    if let Some(now) = base.vg.lv_by_uuid(lv.uuid) {
        return already_there(goal, now);
    }
    let as_name = goal.recover_as.clone().unwrap_or_else(|| goal.name.clone());
    let parts = parts_to_bring(&vg, lv, &base.vg).map_err(|why| {
        refuse(RefusalCode::NotRecoverable, why)
            .with_help("another version may serve: `recover_from: {seqno: …}`")
    })?;
    if was_snapshot_store(context.vg, version, lv) {
        let why = "it was a snapshot, of which this version only shows the store".to_owned();
        return Err(refuse(RefusalCode::NotRecoverable, why));
    }
    let names = new_names(base, goal, lv, &parts, &as_name)?;
    let whole: Vec<&Lv> = std::iter::once(lv).chain(parts.iter().copied()).collect();
    let claims = claims_of(context.vg, base, version, &vg, &whole)
        .map_err(|refusal| Refusal { object: object(goal), ..refusal })?;
    let size = lv.len().bytes_shown(vg.extent_size);
    let mut lv_notes = follow_ups(&vg, lv);
    lv_notes.extend(claims.notes.iter().cloned());
    Ok(Some(LostLv {
        name: lv.name.clone(),
        as_name,
        uuid: lv.uuid,
        size,
        seqno: version.seqno(),
        content: version.content(),
        names: names.into_iter().collect(),
        hazard: reuse_hazard(&goal.name, &claims),
        claims: claims.extents.iter().map(|(pv, ranges)| Claim::new(*pv, ranges)).collect(),
        notes: lv_notes,
        is_active: version.is_from_table(),
    }))
}

fn wanted(goal: &PresentLv) -> Wanted<'_> {
    goal.uuid.map_or(Wanted::Name(&goal.name), Wanted::Uuid)
}

/// Whether the LV that is meant is there. Without a UUID a name that is taken settles it, unless
/// the plan asks for another name: then it must say which LV of that name it means.
fn is_present(context: &Context<'_>, base: &Base, goal: &PresentLv) -> Result<bool, Refusal> {
    let Some(now) = base.vg.lv(&goal.name) else {
        return Ok(false);
    };
    if goal.uuid.is_some_and(|uuid| uuid != now.uuid) {
        return Ok(false);
    }
    if goal.uuid.is_some() || goal.recover_as.is_none() {
        return Ok(true);
    }
    let mut others: Vec<LvUuid> = versions_with(&context.vg.timeline, Wanted::Name(&goal.name))
        .filter_map(|(_, vg)| vg.lv(&goal.name).map(|lv| lv.uuid))
        .filter(|uuid| *uuid != now.uuid)
        .collect();
    others.sort_unstable();
    others.dedup();
    if others.is_empty() {
        return Ok(true);
    }
    let uuids: Vec<String> = others.iter().map(ToString::to_string).collect();
    let why = format!("an LV {} exists ({}), and others bore the name before", goal.name, now.uuid);
    Err(Refusal::new(RefusalCode::NameTaken, object(goal), why)
        .with_help(format!("add `uuid:` with the one that is meant: {}", uuids.join(", "))))
}

/// The LV exists by UUID: under a name the plan gives, or under another.
fn already_there(goal: &PresentLv, now: &Lv) -> Result<Option<LostLv>, Refusal> {
    if now.name == goal.name || Some(&now.name) == goal.recover_as.as_ref() {
        return Ok(None);
    }
    let why = format!("it is not lost: it is called {} now", now.name);
    Err(Refusal::new(RefusalCode::LvRenamed, object(goal), why)
        .with_help(format!("write `{}` in the plan, or rename it with lvrename", now.name)))
}

/// The version that describes the LV: the one the plan names, or the newest in which it is whole.
fn source<'a>(
    context: &Context<'a>,
    goal: &PresentLv,
    notes: &mut Vec<String>,
) -> Result<(&'a Version, Vg), Refusal> {
    let refuse = |why: String| Refusal::new(RefusalCode::NotRecoverable, object(goal), why);
    if let Some(version) = version_for(context.vg, &goal.recover_from).map_err(refuse)? {
        let vg = vg_of(&version.text).map_err(|error| refuse(error.to_string()))?;
        return match wanted(goal).find(&vg) {
            Some(_) => Ok((version, vg)),
            None => Err(refuse(format!("seqno {} does not have it", version.seqno()))),
        };
    }
    let only_table = goal.recover_from == RecoverFrom::DeviceTable;
    let mut half_way = Vec::new();
    for (version, vg) in versions_with(&context.vg.timeline, wanted(goal)) {
        if only_table && !version.is_from_table() {
            continue;
        }
        let Some(lv) = wanted(goal).find(&vg) else {
            continue;
        };
        match half_way_why(context.vg, version, &vg, lv) {
            None => {
                if !half_way.is_empty() {
                    notes.push(format!("LV {}: passed over {}", goal.name, half_way.join(", ")));
                }
                refuse_branches(context, goal, version, lv)?;
                return Ok((version, vg));
            }
            Some(why) => half_way.push(format!("seqno {} ({why})", version.seqno())),
        }
    }
    Err(refuse(if only_table {
        "no device is active that is this LV and that the metadata does not know".to_owned()
    } else if half_way.is_empty() {
        "no version that still stands describes it".to_owned()
    } else {
        format!("every version that describes it is half-way: {}", half_way.join(", "))
    }))
}

/// Two versions with one number must not describe the LV differently.
fn refuse_branches(
    context: &Context<'_>,
    goal: &PresentLv,
    version: &Version,
    lv: &Lv,
) -> Result<(), Refusal> {
    let differs = |other: &&Version| {
        let vg = vg_of(&other.text).ok();
        vg.is_some_and(|vg| wanted(goal).find(&vg).is_some_and(|o| o.segments != lv.segments))
    };
    let branches = context.vg.timeline.branches(version.seqno());
    match branches.iter().find(differs) {
        None => Ok(()),
        Some(other) => {
            let (seqno, one, two) =
                (version.seqno(), version.content().short(), other.content().short());
            let why = format!("two versions with seqno {seqno} describe it differently");
            Err(Refusal::new(RefusalCode::MetadataBranches, object(goal), why).with_help(format!(
                "name one: `recover_from: {{seqno: {seqno}, digest: {one}}}` or `{two}`"
            )))
        }
    }
}

/// What the LV and its parts will be called; every name must be free.
fn new_names(
    base: &Base,
    goal: &PresentLv,
    lv: &Lv,
    parts: &[&Lv],
    as_name: &LvName,
) -> Result<BTreeMap<LvName, LvName>, Refusal> {
    let mut names = BTreeMap::from([(lv.name.clone(), as_name.clone())]);
    for part in parts {
        let new = part.name.with_prefix_replaced(&lv.name, as_name).map_err(|error| {
            Refusal::new(RefusalCode::NameTaken, object(goal), error.to_string())
        })?;
        names.insert(part.name.clone(), new);
    }
    match names.values().find(|new| base.vg.lv(new).is_some()) {
        None => Ok(names),
        Some(taken) => {
            let why = format!("the name {taken} belongs to another LV now");
            Err(Refusal::new(RefusalCode::NameTaken, object(goal), why)
                .with_help("give it another name with `recover_as:`"))
        }
    }
}

fn reuse_hazard(name: &LvName, claims: &Claims) -> Option<Hazard> {
    if claims.reused.is_empty() {
        return None;
    }
    let total: u64 = claims.extents.values().flatten().map(|range| range.len().get()).sum();
    let reused: u64 = claims.reused.iter().map(|reuse| reuse.range.len().get()).sum();
    // Whole per cent would show 0 for what may be the file system's first block.
    let percent = reused.saturating_mul(10_000) / total.max(1);
    let mut loss = vec![format!(
        "LV {name}: {reused} of its {total} extents ({}.{:02} %) were in use by others since",
        percent / 100,
        percent % 100
    )];
    loss.extend(claims.reused.iter().map(|reuse| {
        format!("PV {} extents {}: LV {} (seqno {})", reuse.pv, reuse.range, reuse.lv, reuse.seqno)
    }));
    Some(Hazard { kind: HazardKind::ReusedExtents, object: name.to_string(), loss })
}
