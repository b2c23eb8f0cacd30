//! What must come back together with a lost LV, and what metadata alone cannot bring back.

use crate::ids::LvName;
use crate::model::inventory::VgOnDisk;
use crate::model::parts::{Role, Roles, parts_of, references};
use crate::model::segment::SegmentKind;
use crate::model::timeline::Version;
use crate::model::unfinished::{Unfinished, unfinished};
use crate::model::vg::{Lv, Vg};
use crate::text::vg_of;

/// Why this description is a state that some command was passing through, when it is one.
pub fn half_way_why(
    on_disk: &VgOnDisk,
    version: &Version,
    vg: &Vg,
    lv: &Lv,
) -> Option<&'static str> {
    if is_intermediate(on_disk, version) {
        return Some("the command that wrote it went on to write another");
    }
    std::iter::once(lv).chain(parts_of(vg, lv)).find_map(|lv| {
        if lv.segments.iter().any(|s| s.kind == SegmentKind::Error) {
            return Some("a part was already emptied");
        }
        unfinished(lv).first().map(|what| match what {
            Unfinished::Pvmove => "a pvmove was under way",
            Unfinished::Reshape => "a reshape was under way",
            Unfinished::Merge(_) => "a merge was under way",
            Unfinished::PoolMessages(_) => "messages to the pool were pending",
        })
    })
}

/// LVM numbers the writes of one command: a version followed by a `Write[2] from …` is one that
/// the command itself did not leave behind.
fn is_intermediate(on_disk: &VgOnDisk, version: &Version) -> bool {
    let Some(next) = version.seqno().checked_add(1) else { return false };
    on_disk.timeline.branches(next).iter().any(|after| {
        let description = after.text.description.as_ref();
        description.is_some_and(|text| text.raw().starts_with("Write["))
    })
}

/// The LVs that must come back with this one: its hidden parts, and with a thin pool everything
/// that lives in it.
///
/// # Errors
/// Why metadata alone cannot bring this LV back, for people.
pub fn parts_to_bring<'vg>(vg: &'vg Vg, lv: &Lv, now: &Vg) -> Result<Vec<&'vg Lv>, String> {
    let roles = Roles::of(vg);
    if roles.is(&lv.name, Role::SnapshotStore) {
        return Err("it is a snapshot: its store only made sense together with its origin, which \
                    was written without it since"
            .to_owned());
    }
    if let Some((user, _)) = roles.users(&lv.name).iter().find(|(_, role)| role.is_part()) {
        return Err(format!("it is a hidden part of LV {}: ask for that one", user.name));
    }
    refuse_thin(lv, now)?;
    let mut brought = parts_of(vg, lv);
    for thin in thin_lvs_of(vg, &lv.name) {
        brought.push(thin);
        brought.extend(origins_gone(vg, thin, now));
    }
    brought.sort_by_key(|part| vg.by_name.get(&part.name));
    brought.dedup_by_key(|part| part.uuid);
    for part in std::iter::once(lv).chain(brought.iter().copied()) {
        part.segments.iter().try_for_each(|segment| recoverable(part, &segment.kind))?;
    }
    Ok(brought)
}

/// Every thin LV of this pool, in the order of the text.
fn thin_lvs_of<'vg>(vg: &'vg Vg, pool: &LvName) -> impl Iterator<Item = &'vg Lv> {
    vg.lvs.iter().filter(move |lv| lv.pool() == Some(pool))
}

/// External origins of a thin LV that are gone as well.
fn origins_gone<'vg>(vg: &'vg Vg, thin: &Lv, now: &Vg) -> Vec<&'vg Lv> {
    let named = references(thin).filter(|(_, role)| *role == Role::ExternalOrigin);
    let gone =
        named.filter_map(|(name, _)| vg.lv(name)).filter(|lv| now.lv_by_uuid(lv.uuid).is_none());
    gone.flat_map(|origin| std::iter::once(origin).chain(parts_of(vg, origin))).collect()
}

/// A thin LV alone: its mappings went when it was removed, or it comes back with its pool.
fn refuse_thin(lv: &Lv, now: &Vg) -> Result<(), String> {
    let Some(pool) = lv.pool() else { return Ok(()) };
    if now.lv(pool).is_none() {
        return Err(format!("its pool {pool} is gone as well: ask for {pool}, which brings it"));
    }
    Err(format!(
        "it is a thin LV of pool {pool}: which blocks were its own stood only in the pool's \
         metadata, where removing it deleted them"
    ))
}

fn recoverable(lv: &Lv, kind: &SegmentKind) -> Result<(), String> {
    let name = &lv.name;
    match kind {
        SegmentKind::Striped { .. }
        | SegmentKind::Mirror { .. }
        | SegmentKind::Raid { .. }
        | SegmentKind::ThinPool { .. }
        | SegmentKind::Thin { .. }
        | SegmentKind::CachePool { .. }
        | SegmentKind::Cache { .. }
        | SegmentKind::Writecache { .. }
        | SegmentKind::Integrity { .. }
        | SegmentKind::Zero => Ok(()),
        SegmentKind::Snapshot { .. } => Err(format!("LV {name} is the link of a snapshot")),
        SegmentKind::Vdo { .. } | SegmentKind::VdoPool { .. } => {
            Err(format!("LV {name} is a VDO volume, whose own metadata must be mended first"))
        }
        SegmentKind::Error => Err(format!("LV {name} was already emptied in this version")),
        SegmentKind::Unknown { type_name } => {
            Err(format!("LV {name} has a segment of the unknown type `{type_name}`"))
        }
    }
}

/// What a person should know about an LV of this kind once it is back.
pub fn follow_ups(vg: &Vg, lv: &Lv) -> Vec<String> {
    let name = &lv.name;
    let mut notes = Vec::new();
    for segment in &lv.segments {
        if let SegmentKind::ThinPool { transaction_id, .. } = &segment.kind {
            notes.push(format!(
                "LV {name} is a thin pool: LVM activates it only if its own metadata is at \
                 transaction {transaction_id}"
            ));
        }
        if matches!(segment.kind, SegmentKind::Mirror { .. }) {
            notes.push(format!(
                "LV {name} is a mirror: the kernel may synchronise its legs from the first at \
                 activation"
            ));
        }
        if matches!(segment.kind, SegmentKind::Cache { .. }) {
            notes.push(format!(
                "LV {name} is cached: blocks that were only in a writeback cache come back with \
                 the cache"
            ));
        }
    }
    if Roles::of(vg).is(name, Role::SnapshotOrigin) {
        notes.push(format!("LV {name} had snapshots, which do not come back with it"));
    }
    notes
}

/// Whether the LV was the store of a snapshot in the version before: `lvremove` turns it into a
/// plain LV for a moment, and a text that only an archive holds does not tell that it did.
pub fn was_snapshot_store(on_disk: &VgOnDisk, version: &Version, lv: &Lv) -> bool {
    let Some(before) = version.seqno().checked_sub(1) else { return false };
    on_disk.timeline.branches(before).iter().any(|older| {
        vg_of(&older.text).is_ok_and(|vg| {
            vg.lv_by_uuid(lv.uuid).is_some_and(|l| Roles::of(&vg).is(&l.name, Role::SnapshotStore))
        })
    })
}
