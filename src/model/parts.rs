//! Who belongs to whom: the hidden parts an LV is built from, and the LVs it merely leans on.
//!
//! Nothing in a metadata text says "I am a RAID image"; roles follow from who refers to an LV.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::LvName;
use crate::model::segment::{Area, SegmentKind};
use crate::model::vg::{Lv, Vg};
use crate::units::{Extents, Sectors};

/// What one LV is to another that refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A stretch of the other lies directly on it, as under pvmove.
    Layer,
    /// A leg of a `mirror`.
    MirrorImage,
    /// The log of a `mirror`.
    MirrorLog,
    /// A RAID image.
    RaidImage,
    /// A RAID leg's superblock and bitmap.
    RaidMeta,
    /// Data of a thin pool.
    ThinPoolData,
    /// Metadata of a thin pool.
    ThinPoolMetadata,
    /// The pool of a thin LV.
    ThinPool,
    /// The LV outside the pool that a thin LV reads unmapped blocks from.
    ExternalOrigin,
    /// The thin LV that another is being merged into.
    MergeTarget,
    /// Data of a cache pool.
    CachePoolData,
    /// Metadata of a cache pool.
    CachePoolMetadata,
    /// The cache pool or cachevol of a cached LV.
    CachePool,
    /// The slow LV below a cache.
    CacheOrigin,
    /// The fast LV of a writecache.
    WritecacheFast,
    /// The slow LV below a writecache.
    WritecacheOrigin,
    /// Data below an integrity layer.
    IntegrityOrigin,
    /// Checksums of an integrity layer.
    IntegrityMetadata,
    /// The LV below a VDO pool.
    VdoPoolData,
    /// The VDO pool of an LV.
    VdoPool,
    /// What a classic snapshot is of.
    SnapshotOrigin,
    /// The store of a classic snapshot.
    SnapshotStore,
}

impl Role {
    /// Whether the LV referred to is a part of the one that refers: made with it, gone with it.
    pub const fn is_part(self) -> bool {
        match self {
            Self::Layer
            | Self::MirrorImage
            | Self::MirrorLog
            | Self::RaidImage
            | Self::RaidMeta
            | Self::ThinPoolData
            | Self::ThinPoolMetadata
            | Self::CachePoolData
            | Self::CachePoolMetadata
            | Self::CachePool
            | Self::CacheOrigin
            | Self::WritecacheFast
            | Self::WritecacheOrigin
            | Self::IntegrityOrigin
            | Self::IntegrityMetadata
            | Self::VdoPoolData => true,
            Self::ThinPool
            | Self::ExternalOrigin
            | Self::MergeTarget
            | Self::VdoPool
            | Self::SnapshotOrigin
            | Self::SnapshotStore => false,
        }
    }
}

/// Every LV that this segment refers to, in the order of the text, with its role.
pub fn references_of(kind: &SegmentKind) -> Vec<(&LvName, Role)> {
    match kind {
        SegmentKind::Striped { stripes, .. } => lv_areas(stripes, Role::Layer),
        SegmentKind::Mirror { log, images, .. } => {
            let mut found: Vec<_> = log.iter().map(|lv| (lv, Role::MirrorLog)).collect();
            found.extend(lv_areas(images, Role::MirrorImage));
            found
        }
        SegmentKind::Raid { legs, .. } => legs
            .iter()
            .flat_map(|leg| {
                let meta = leg.meta.iter().map(|lv| (lv, Role::RaidMeta));
                meta.chain(std::iter::once((&leg.image, Role::RaidImage)))
            })
            .collect(),
        SegmentKind::Snapshot { origin, cow_store, .. } => {
            vec![(origin, Role::SnapshotOrigin), (cow_store, Role::SnapshotStore)]
        }
        SegmentKind::ThinPool { metadata, data, .. } => {
            vec![(metadata, Role::ThinPoolMetadata), (data, Role::ThinPoolData)]
        }
        SegmentKind::Thin { pool, external_origin, merge, .. } => {
            let mut found = vec![(pool, Role::ThinPool)];
            found.extend(external_origin.iter().map(|lv| (lv, Role::ExternalOrigin)));
            found.extend(merge.iter().map(|lv| (lv, Role::MergeTarget)));
            found
        }
        SegmentKind::CachePool { data, metadata, .. } => {
            vec![(data, Role::CachePoolData), (metadata, Role::CachePoolMetadata)]
        }
        SegmentKind::Cache { pool, origin, .. } => {
            vec![(pool, Role::CachePool), (origin, Role::CacheOrigin)]
        }
        SegmentKind::Writecache { fast, origin, .. } => {
            vec![(fast, Role::WritecacheFast), (origin, Role::WritecacheOrigin)]
        }
        SegmentKind::Integrity { origin, metadata, .. } => {
            let mut found = vec![(origin, Role::IntegrityOrigin)];
            found.extend(metadata.iter().map(|lv| (lv, Role::IntegrityMetadata)));
            found
        }
        SegmentKind::Vdo { pool } => vec![(pool, Role::VdoPool)],
        SegmentKind::VdoPool { data } => vec![(data, Role::VdoPoolData)],
        SegmentKind::Error | SegmentKind::Zero | SegmentKind::Unknown { .. } => Vec::new(),
    }
}

fn lv_areas(areas: &[Area], role: Role) -> Vec<(&LvName, Role)> {
    areas
        .iter()
        .filter_map(|area| match area {
            Area::Lv { lv, .. } => Some((lv, role)),
            Area::Pv { .. } => None,
        })
        .collect()
}

/// Every LV that this LV refers to.
pub fn references(lv: &Lv) -> impl Iterator<Item = (&LvName, Role)> {
    lv.segments.iter().flat_map(|segment| references_of(&segment.kind))
}

/// The parts of an LV, their parts included, without the LV itself; in the order of the text.
///
/// A name that the VG does not have is left out; the typed reader reports it.
pub fn parts_of<'vg>(vg: &'vg Vg, lv: &Lv) -> Vec<&'vg Lv> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&LvName> = part_names(lv).collect();
    while let Some(name) = open.pop() {
        let Some(index) = vg.by_name.get(name) else {
            continue;
        };
        if found.insert(*index) {
            open.extend(vg.lvs.get(*index).into_iter().flat_map(part_names));
        }
    }
    found.into_iter().filter_map(|index| vg.lvs.get(index)).collect()
}

fn part_names(lv: &Lv) -> impl Iterator<Item = &LvName> {
    references(lv).filter(|(_, role)| role.is_part()).map(|(name, _)| name)
}

/// For every LV that others refer to: who, and as what. Built once per VG.
#[derive(Debug, Default)]
pub struct Roles<'vg> {
    users: BTreeMap<&'vg LvName, Vec<(&'vg Lv, Role)>>,
}

impl<'vg> Roles<'vg> {
    /// Reads all references of this VG.
    pub fn of(vg: &'vg Vg) -> Self {
        let mut users: BTreeMap<&LvName, Vec<(&Lv, Role)>> = BTreeMap::new();
        for lv in &vg.lvs {
            for (name, role) in references(lv) {
                users.entry(name).or_default().push((lv, role));
            }
        }
        Self { users }
    }

    /// Who refers to this LV, and as what.
    pub fn users(&self, name: &LvName) -> &[(&'vg Lv, Role)] {
        self.users.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether another LV refers to this one in this role.
    pub fn is(&self, name: &LvName, role: Role) -> bool {
        self.users(name).iter().any(|(_, r)| *r == role)
    }

    /// Whether this LV is a part of another.
    pub fn is_part(&self, name: &LvName) -> bool {
        self.users(name).iter().any(|(_, role)| role.is_part())
    }

    /// Whether people see the LV in `lvs` without `-a`: visible ones, and the stores of classic
    /// snapshots unless they are being merged, but not the `snapshotN` links.
    pub fn is_shown(&self, lv: &Lv) -> bool {
        if is_snapshot_link(lv) {
            return false;
        }
        let stores = self.users(&lv.name).iter().find(|(_, role)| *role == Role::SnapshotStore);
        let merges = |link: &Lv| snapshot_link(link).is_some_and(|link| link.is_merging);
        lv.has_visible() || stores.is_some_and(|(link, _)| !merges(link))
    }

    /// The visible LV at the top of the stack this one is a part of; itself when it is none.
    pub fn top_of(&self, lv: &'vg Lv) -> &'vg Lv {
        let mut top = lv;
        // A stack is at most a handful deep; the bound keeps a circular text from looping.
        for _ in 0..32 {
            match self.users(&top.name).iter().find(|(_, role)| role.is_part()) {
                Some((user, _)) => top = user,
                None => break,
            }
        }
        top
    }
}

/// The LVs that LVM activates and deactivates only together: an origin of classic snapshots, which
/// commands must name, and then its snapshots. Of all others, the LV alone.
pub fn activated_together<'vg>(vg: &'vg Vg, lv: &'vg Lv) -> Vec<&'vg Lv> {
    let links = || vg.lvs.iter().filter_map(snapshot_link);
    let origin = links().find(|link| *link.store == lv.name).map_or(&lv.name, |link| link.origin);
    let stores = links().filter(|link| link.origin == origin);
    let stores = stores.filter_map(|link| vg.lv(link.store));
    vg.lv(origin).into_iter().chain(stores).collect()
}

/// LVs that need this one while they are active, and are no parts of it, such as thin LVs their pool.
pub fn leaning_on<'vg>(vg: &'vg Vg, lv: &Lv) -> Vec<&'vg Lv> {
    let leans =
        |other: &&Lv| references(other).any(|(name, role)| !role.is_part() && *name == lv.name);
    vg.lvs.iter().filter(|other| !is_snapshot_link(other)).filter(leans).collect()
}

/// How a classic snapshot stands to its origin.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotLink<'vg> {
    /// What it is a snapshot of.
    pub origin: &'vg LvName,
    /// Its store, which people know as the snapshot.
    pub store: &'vg LvName,
    /// Whether it is merged into its origin, or waits for that.
    pub is_merging: bool,
    /// Sectors per chunk.
    pub chunk_size: Sectors,
    /// How long the snapshot is: as its origin was.
    pub len: Extents,
}

/// What the pseudo LV says that ties a classic snapshot to its origin; none of any other LV.
pub fn snapshot_link(lv: &Lv) -> Option<SnapshotLink<'_>> {
    lv.segments.iter().find_map(|segment| {
        let SegmentKind::Snapshot { origin, cow_store: store, merging, chunk_size } = &segment.kind
        else {
            return None;
        };
        let (is_merging, chunk_size, len) = (*merging, *chunk_size, segment.len);
        Some(SnapshotLink { origin, store, is_merging, chunk_size, len })
    })
}

/// Whether this is the pseudo LV that ties a classic snapshot to its origin.
pub fn is_snapshot_link(lv: &Lv) -> bool {
    snapshot_link(lv).is_some()
}

/// The VG's spare for pool metadata; LVM allows one.
pub fn pool_metadata_spare(vg: &Vg) -> Option<&Lv> {
    vg.lvs.iter().find(|lv| is_pool_metadata_spare(lv))
}

/// Whether this is the VG's spare for pool metadata.
///
/// # Source
/// LVM2 `lib/format_text/import_vsn1.c`: hidden, and `_pmspare` in the name.
pub fn is_pool_metadata_spare(lv: &Lv) -> bool {
    !lv.has_visible() && lv.name.as_str().contains("_pmspare")
}
