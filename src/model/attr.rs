//! The attribute letters of `lvs`, `vgs` and `pvs`, as far as metadata alone can tell them.
//!
//! State and open count belong to the kernel and are shown as `-`; the legs of mirrors and RAID
//! LVs show as out of sync, as `lvs` shows them while they are inactive.
//!
//! # Source
//! lvs(8), vgs(8), pvs(8), "Notes" on the attr fields; LVM2 `lib/metadata/lv.c`, `lv_attr_dup`.

use crate::ids::{ForeignText, PvUuid};
use crate::model::flags::{LvFlag, LvStatus, PvStatus, VgStatus};
use crate::model::parts::{Role, Roles, is_pool_metadata_spare, parts_of};
use crate::model::segment::{Area, SegmentKind};
use crate::model::vg::{Lv, Pv, Vg};

/// Whether a part of this LV lies on a PV for which `is_absent` holds.
pub fn is_partial(vg: &Vg, lv: &Lv, is_absent: &dyn Fn(PvUuid) -> bool) -> bool {
    let lies_on_absent = |lv: &Lv| {
        lv.segments.iter().flat_map(|s| s.kind.areas()).any(|area| match area {
            Area::Pv { pv, .. } => vg.pvs.get(*pv).is_some_and(|pv| is_absent(pv.uuid)),
            Area::Lv { .. } => false,
        })
    };
    let pool = pool_of(vg, lv);
    std::iter::once(lv)
        .chain(parts_of(vg, lv))
        .chain(pool)
        .chain(pool.into_iter().flat_map(|pool| parts_of(vg, pool)))
        .any(lies_on_absent)
}

fn pool_of<'vg>(vg: &'vg Vg, lv: &Lv) -> Option<&'vg Lv> {
    lv.pool().and_then(|pool| vg.lv(pool))
}

/// The ten letters of `lvs -o lv_attr`.
pub fn lv_attr(vg: &Vg, roles: &Roles<'_>, lv: &Lv, is_absent: &dyn Fn(PvUuid) -> bool) -> String {
    [
        volume_type(roles, lv),
        permissions(lv),
        allocation(lv),
        if lv.status.has(LvStatus::FixedMinor) { 'm' } else { '-' },
        '-',
        '-',
        target_type(roles, lv),
        if zeroes_blocks(vg, lv) { 'z' } else { '-' },
        if is_partial(vg, lv, is_absent) { 'p' } else { '-' },
        if lv.flags.has(LvFlag::ActivationSkip) { 'k' } else { '-' },
    ]
    .iter()
    .collect()
}

fn volume_type(roles: &Roles<'_>, lv: &Lv) -> char {
    if lv.status.has(LvStatus::Pvmove) {
        return 'p';
    }
    if is_pool_metadata_spare(lv) {
        return 'e';
    }
    type_by_merge(roles, lv).or_else(|| type_by_kind(lv)).unwrap_or_else(|| type_by_role(roles, lv))
}

/// Origins and snapshots that are being merged come before anything else.
fn type_by_merge(roles: &Roles<'_>, lv: &Lv) -> Option<char> {
    let merges = |user: &Lv| {
        user.segments.iter().any(|s| matches!(s.kind, SegmentKind::Snapshot { merging: true, .. }))
    };
    for (user, role) in roles.users(&lv.name) {
        let is_target = *role == Role::MergeTarget;
        if is_target || (*role == Role::SnapshotOrigin && merges(user)) {
            return Some('O');
        }
        if *role == Role::SnapshotStore && merges(user) {
            return Some('S');
        }
    }
    let thin_merge = |s: &SegmentKind| matches!(s, SegmentKind::Thin { merge: Some(_), .. });
    lv.segments.iter().any(|s| thin_merge(&s.kind)).then_some('S')
}

/// What the LV's own segment type tells, unless what it is to others tells more.
fn type_by_kind(lv: &Lv) -> Option<char> {
    let unsynced = |letter: char| {
        if lv.status.has(LvStatus::NotSynced) { letter.to_ascii_uppercase() } else { letter }
    };
    match &lv.segments.first()?.kind {
        SegmentKind::ThinPool { .. } => Some('t'),
        SegmentKind::Thin { .. } => Some('V'),
        SegmentKind::VdoPool { .. } => Some('d'),
        SegmentKind::Vdo { .. } => Some('v'),
        SegmentKind::CachePool { .. }
        | SegmentKind::Cache { .. }
        | SegmentKind::Writecache { .. } => Some('C'),
        SegmentKind::Mirror { .. } => Some(unsynced('m')),
        SegmentKind::Raid { .. } => Some(unsynced('r')),
        SegmentKind::Integrity { .. } => Some('g'),
        SegmentKind::Striped { .. }
        | SegmentKind::Snapshot { .. }
        | SegmentKind::Error
        | SegmentKind::Zero
        | SegmentKind::Unknown { .. } => None,
    }
}

/// What the LV is to those that refer to it.
fn type_by_role(roles: &Roles<'_>, lv: &Lv) -> char {
    let is_virtual =
        lv.segments.iter().any(|s| matches!(s.kind, SegmentKind::Error | SegmentKind::Zero));
    for (_, role) in roles.users(&lv.name) {
        let letter = match role {
            Role::SnapshotStore => 's',
            Role::SnapshotOrigin
            | Role::ExternalOrigin
            | Role::CacheOrigin
            | Role::WritecacheOrigin => 'o',
            Role::ThinPoolData => 'T',
            Role::VdoPoolData => 'D',
            Role::CachePoolData | Role::CachePool | Role::WritecacheFast => 'C',
            Role::ThinPoolMetadata
            | Role::CachePoolMetadata
            | Role::RaidMeta
            | Role::IntegrityMetadata => 'e',
            Role::MirrorLog => 'l',
            Role::MirrorImage | Role::RaidImage if !is_virtual => 'I',
            Role::MirrorImage
            | Role::RaidImage
            | Role::Layer
            | Role::ThinPool
            | Role::MergeTarget
            | Role::VdoPool
            | Role::IntegrityOrigin => continue,
        };
        return letter;
    }
    if is_virtual { 'v' } else { '-' }
}

fn permissions(lv: &Lv) -> char {
    if lv.status.has(LvStatus::Pvmove) {
        '-'
    } else if lv.is_writable() {
        'w'
    } else if lv.status.has(LvStatus::Read) {
        'r'
    } else {
        '-'
    }
}

fn allocation_letter(policy: Option<&ForeignText>, default: char) -> char {
    match policy.map(ForeignText::raw) {
        Some("contiguous") => 'c',
        Some("cling" | "cling_by_tags") => 'l',
        Some("normal") => 'n',
        Some("anywhere") => 'a',
        Some(_) | None => default,
    }
}

fn allocation(lv: &Lv) -> char {
    let letter = allocation_letter(lv.allocation.as_ref(), 'i');
    if lv.status.has(LvStatus::Locked) { letter.to_ascii_uppercase() } else { letter }
}

fn target_type(roles: &Roles<'_>, lv: &Lv) -> char {
    let own = lv.segments.first().and_then(|segment| target_of_kind(&segment.kind));
    own.or_else(|| target_by_role(roles, lv)).unwrap_or_else(|| {
        let is_virtual = lv.segments.first().is_some_and(|s| {
            matches!(
                s.kind,
                SegmentKind::Error
                    | SegmentKind::Zero
                    | SegmentKind::Vdo { .. }
                    | SegmentKind::VdoPool { .. }
            )
        });
        if is_virtual { 'v' } else { '-' }
    })
}

fn target_of_kind(kind: &SegmentKind) -> Option<char> {
    match kind {
        SegmentKind::Mirror { .. } => Some('m'),
        SegmentKind::Raid { .. } => Some('r'),
        SegmentKind::ThinPool { .. } | SegmentKind::Thin { .. } => Some('t'),
        SegmentKind::Cache { .. }
        | SegmentKind::CachePool { .. }
        | SegmentKind::Writecache { .. } => Some('C'),
        SegmentKind::Unknown { .. } => Some('u'),
        SegmentKind::Striped { .. }
        | SegmentKind::Snapshot { .. }
        | SegmentKind::Integrity { .. }
        | SegmentKind::Vdo { .. }
        | SegmentKind::VdoPool { .. }
        | SegmentKind::Error
        | SegmentKind::Zero => None,
    }
}

fn target_by_role(roles: &Roles<'_>, lv: &Lv) -> Option<char> {
    roles.users(&lv.name).iter().find_map(|(_, role)| match role {
        Role::MirrorImage | Role::MirrorLog => Some('m'),
        Role::RaidImage | Role::RaidMeta => Some('r'),
        Role::SnapshotOrigin | Role::SnapshotStore => Some('s'),
        Role::CachePool | Role::CacheOrigin | Role::WritecacheFast | Role::WritecacheOrigin => {
            Some('C')
        }
        Role::Layer
        | Role::ThinPoolData
        | Role::ThinPoolMetadata
        | Role::ThinPool
        | Role::MergeTarget
        | Role::ExternalOrigin
        | Role::CachePoolData
        | Role::CachePoolMetadata
        | Role::IntegrityOrigin
        | Role::IntegrityMetadata
        | Role::VdoPoolData
        | Role::VdoPool => None,
    })
}

fn zeroes_blocks(vg: &Vg, lv: &Lv) -> bool {
    let of_pool = |pool: &Lv| {
        pool.segments
            .iter()
            .any(|s| matches!(s.kind, SegmentKind::ThinPool { zero_new_blocks: true, .. }))
    };
    of_pool(lv) || pool_of(vg, lv).is_some_and(of_pool)
}

/// The six letters of `vgs -o vg_attr`.
pub fn vg_attr(vg: &Vg, is_absent: &dyn Fn(PvUuid) -> bool) -> String {
    let flag = |holds: bool, letter: char| if holds { letter } else { '-' };
    let owner = if vg.status.has(VgStatus::Clustered) {
        'c'
    } else {
        flag(vg.lock_type.is_some() || vg.status.has(VgStatus::Shared), 's')
    };
    [
        if vg.is_writable() { 'w' } else { 'r' },
        flag(vg.status.has(VgStatus::Resizeable), 'z'),
        flag(vg.status.has(VgStatus::Exported), 'x'),
        flag(vg.pvs.iter().any(|pv| is_absent(pv.uuid)), 'p'),
        allocation_letter(vg.allocation.as_ref(), 'n'),
        owner,
    ]
    .iter()
    .collect()
}

/// The three letters of `pvs -o pv_attr`, for a PV of a VG.
pub fn pv_attr(pv: &Pv, is_duplicate: bool, is_absent: &dyn Fn(PvUuid) -> bool) -> String {
    let flag = |holds: bool, letter: char| if holds { letter } else { '-' };
    let first = match (is_duplicate, pv.status.has(PvStatus::Allocatable)) {
        (true, _) => 'd',
        (false, true) => 'a',
        (false, false) => 'u',
    };
    [first, flag(pv.status.has(PvStatus::Exported), 'x'), flag(is_absent(pv.uuid), 'm')]
        .iter()
        .collect()
}
