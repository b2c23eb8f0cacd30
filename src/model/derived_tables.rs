//! The devices that the kernel should have of a VG's LVs, and their tables, from the metadata alone.
//!
//! Where a table does not follow from the metadata word by word nothing is said of it: a table that is
//! only nearly derived would be a false alarm at best.
//!
//! # Source
//! LVM2 `lib/activate/dev_manager.c`, `_add_target_to_dtree`, `_add_segment_to_dtree`; kernel
//! `Documentation/admin-guide/device-mapper`.

mod cached;
mod mirrored;
mod targets;
mod thin;

use std::collections::BTreeSet;

use crate::ids::LvUuid;
use crate::model::live::{LvmLayer, lvm_device_name};
use crate::model::parts::{Role, Roles, SnapshotLink, is_snapshot_link, snapshot_link};
use crate::model::segment::SegmentKind;
use crate::model::table::{TableLine, Word};
use crate::model::vg::{Lv, Vg};
use crate::units::{Bytes, Extents, Sectors};

/// What the kernel uses of a thin pool's metadata: 255 times 16,384 blocks.
const POOL_METADATA_MAX: Bytes = Bytes::new(255 * 16_384 * 4096);

/// What should be there of a VG.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// Every device that the kernel can have of LVs whose devices are known.
    pub devices: Vec<DerivedDevice>,
    /// LVs of which nobody here can tell what devices they have.
    pub opaque: BTreeSet<LvUuid>,
}

/// A device that the kernel has when its LV is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedDevice {
    /// Which layer of which LV.
    pub layer: LvmLayer,
    /// What it is called.
    pub name: String,
    /// Its table; none where that cannot be told.
    pub table: Option<DerivedTable>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedTable {
    /// Its lines.
    pub lines: Vec<TableLine>,
    /// Another that it may have as well: while a snapshot is merged into its origin, or waits for that.
    pub or: Option<Vec<TableLine>>,
    /// Whether it says everything that is to be loaded, not only what can be compared.
    pub is_whole: bool,
}

impl From<Vec<TableLine>> for DerivedTable {
    fn from(lines: Vec<TableLine>) -> Self {
        Self { lines, or: None, is_whole: true }
    }
}

impl Derived {
    /// The device of this layer.
    pub fn device(&self, layer: &LvmLayer) -> Option<&DerivedDevice> {
        self.devices.iter().find(|device| device.layer == *layer)
    }
}

/// Every device of the VG.
pub fn derived_tables(vg: &Vg) -> Derived {
    let deriving = Deriving { vg, roles: Roles::of(vg) };
    let mut derived = Derived::default();
    if vg.lvs.iter().any(is_of_unknown_type) {
        // Any LV may be a part of that one.
        derived.opaque.extend(vg.lvs.iter().map(|lv| lv.uuid));
        return derived;
    }
    for lv in vg.lvs.iter().filter(|lv| !is_snapshot_link(lv)) {
        match deriving.devices(lv) {
            Some(devices) => derived.devices.extend(devices),
            None => {
                derived.opaque.insert(lv.uuid);
            }
        }
    }
    derived
}

fn is_of_unknown_type(lv: &Lv) -> bool {
    lv.segments.iter().any(|segment| matches!(segment.kind, SegmentKind::Unknown { .. }))
}

/// VDO has layers of its own.
fn is_vdo(lv: &Lv) -> bool {
    let is_it =
        |kind: &SegmentKind| matches!(kind, SegmentKind::Vdo { .. } | SegmentKind::VdoPool { .. });
    lv.segments.iter().any(|segment| is_it(&segment.kind))
}

struct Deriving<'vg> {
    vg: &'vg Vg,
    roles: Roles<'vg>,
}

impl<'vg> Deriving<'vg> {
    /// The devices of an LV; none when it is not known which it has.
    fn devices(&self, lv: &Lv) -> Option<Vec<DerivedDevice>> {
        if is_vdo(lv) {
            return None;
        }
        if let Some(devices) = self.of_pool(lv).or_else(|| self.of_cache_pool(lv)) {
            return devices;
        }
        let own = self.lines(lv);
        if let Some(link) = self.link(lv, Role::SnapshotStore) {
            return Some(vec![self.device(lv, "cow", own), self.snapshot(lv, &link)]);
        }
        if self.link(lv, Role::SnapshotOrigin).is_some() {
            return Some(vec![self.device(lv, "real", own), self.origin(lv)]);
        }
        match self.roles.users(&lv.name) {
            [] => Some(vec![self.device(lv, "", own)]),
            [(_, role)] => self.of_part(lv, *role, own),
            [(_, first), rest @ ..] => {
                let is_origin = *first == Role::ExternalOrigin
                    && rest.iter().all(|(_, role)| *role == Role::ExternalOrigin);
                is_origin.then(|| self.external_origin(lv, own))
            }
        }
    }

    /// What another LV lies on has a suffix that depends on what it is there.
    fn of_part(
        &self,
        lv: &Lv,
        role: Role,
        own: Option<DerivedTable>,
    ) -> Option<Vec<DerivedDevice>> {
        let suffix = match role {
            Role::MirrorImage
            | Role::MirrorLog
            | Role::RaidImage
            | Role::RaidMeta
            | Role::IntegrityOrigin
            | Role::IntegrityMetadata => "",
            Role::ThinPoolData => "tdata",
            // LVM2 lets the kernel see no more of it than the kernel can use.
            Role::ThinPoolMetadata
                if lv.len().bytes_shown(self.vg.extent_size) > POOL_METADATA_MAX =>
            {
                return Some(vec![self.device(lv, "tmeta", None)]);
            }
            Role::ThinPoolMetadata => "tmeta",
            Role::CacheOrigin | Role::WritecacheOrigin => "real",
            Role::CachePoolData => "cdata",
            Role::CachePoolMetadata => "cmeta",
            Role::WritecacheFast => "cvol",
            Role::CachePool => return self.cachevol(lv, own),
            Role::ExternalOrigin => return Some(self.external_origin(lv, own)),
            Role::Layer
            | Role::ThinPool
            | Role::MergeTarget
            | Role::VdoPoolData
            | Role::VdoPool
            | Role::SnapshotOrigin
            | Role::SnapshotStore => return None,
        };
        Some(vec![self.device(lv, suffix, own)])
    }

    fn link(&self, lv: &Lv, role: Role) -> Option<SnapshotLink<'vg>> {
        let (link, _) = self.roles.users(&lv.name).iter().find(|(_, of)| *of == role)?;
        snapshot_link(link)
    }

    fn layer(&self, lv: &Lv, suffix: &str) -> LvmLayer {
        LvmLayer { vg: self.vg.uuid, lv: lv.uuid, suffix: suffix.to_owned() }
    }

    fn device(&self, lv: &Lv, suffix: &str, table: Option<DerivedTable>) -> DerivedDevice {
        let mut name = lvm_device_name(&self.vg.name, &lv.name);
        // Other suffixes stand for what the name of a part says already.
        if let "real" | "cow" | "tpool" = suffix
            && !self.roles.is_part(&lv.name)
        {
            name = format!("{name}-{suffix}");
        }
        DerivedDevice { layer: self.layer(lv, suffix), name, table }
    }

    /// One line, as long as this LV.
    fn whole(&self, lv: &Lv, target: &str, args: Vec<Word>) -> Option<Vec<TableLine>> {
        self.one_line(lv.len(), target, args)
    }

    fn one_line(&self, len: Extents, target: &str, args: Vec<Word>) -> Option<Vec<TableLine>> {
        let len = len.sectors(self.vg.extent_size)?;
        Some(vec![TableLine { start: Sectors::ZERO, len, target: target.to_owned(), args }])
    }

    /// What people know as the snapshot: as long as its origin was when it was made. Once it is merged into the origin it
    /// leads nowhere.
    fn snapshot(&self, store: &Lv, link: &SnapshotLink<'_>) -> DerivedDevice {
        let table = || {
            let origin = self.vg.lv(link.origin)?;
            let over = self.over_store(origin, store, link);
            let own = self.one_line(link.len, "snapshot", over)?;
            if link.is_merging {
                let gone = self.one_line(link.len, "error", Vec::new())?;
                return Some(DerivedTable { lines: gone, or: Some(own), is_whole: true });
            }
            Some(DerivedTable::from(own))
        };
        self.device(store, "", table())
    }

    /// What people know as the origin.
    fn origin(&self, lv: &Lv) -> DerivedDevice {
        let users = self.roles.users(&lv.name).iter();
        let links = users.filter(|(_, role)| *role == Role::SnapshotOrigin);
        let merging =
            links.filter_map(|(link, _)| snapshot_link(link)).find(|link| link.is_merging);
        let table = || {
            let own =
                self.whole(lv, "snapshot-origin", vec![Word::Layer(self.layer(lv, "real"))])?;
            let Some(link) = merging else { return Some(DerivedTable::from(own)) };
            let over = self.over_store(lv, self.vg.lv(link.store)?, &link);
            let merge = self.whole(lv, "snapshot-merge", over)?;
            Some(DerivedTable { lines: merge, or: Some(own), is_whole: true })
        };
        self.device(lv, "", table())
    }

    fn over_store(&self, origin: &Lv, store: &Lv, link: &SnapshotLink<'_>) -> Vec<Word> {
        vec![
            Word::Layer(self.layer(origin, "real")),
            Word::Layer(self.layer(store, "cow")),
            Word::text("P"),
            Word::number(link.chunk_size.get()),
        ]
    }

    /// What thin LVs read that was never written through them; itself a device on top of that when it is
    /// active.
    fn external_origin(&self, lv: &Lv, own: Option<DerivedTable>) -> Vec<DerivedDevice> {
        let over = vec![Word::Layer(self.layer(lv, "real")), Word::number(0)];
        let top = self.whole(lv, "linear", over).map(DerivedTable::from);
        vec![self.device(lv, "real", own), self.device(lv, "", top)]
    }
}
