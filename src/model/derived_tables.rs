//! The tables that the kernel should have of a VG's LVs, from the metadata alone.
//!
//! Only for types whose table follows from the metadata word by word: linear, striped, error, zero,
//! thin, and the layers of classic snapshots. Of all others nothing is said.
//!
//! # Source
//! LVM2 `lib/activate/dev_manager.c`, `_add_target_to_dtree`, `_add_segment_to_dtree`; kernel
//! `Documentation/admin-guide/device-mapper`.

use crate::ids::PvUuid;
use crate::model::live::LvmLayer;
use crate::model::parts::{Role, Roles, SnapshotLink, is_snapshot_link, snapshot_link};
use crate::model::segment::{Area, Segment, SegmentKind};
use crate::model::vg::{Lv, Vg};
use crate::units::{Extents, Sectors};

/// A device that the kernel has when its LV is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedDevice {
    /// Which layer of which LV.
    pub layer: LvmLayer,
    /// Its table.
    pub table: Vec<DerivedLine>,
}

/// A line of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedLine {
    /// First sector.
    pub start: Sectors,
    /// How many.
    pub len: Sectors,
    /// The target.
    pub target: &'static str,
    /// Its arguments.
    pub args: Vec<Word>,
}

/// A word of the arguments of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// As it is.
    Text(String),
    /// The number of the device of a PV.
    Pv(PvUuid),
    /// The number of a device of an LV.
    Layer(LvmLayer),
}

/// Every device of the VG whose table can be told.
pub fn derived_tables(vg: &Vg) -> Vec<DerivedDevice> {
    let deriving = Deriving { vg, roles: Roles::of(vg) };
    let lvs = vg.lvs.iter().filter(|lv| !is_snapshot_link(lv));
    lvs.flat_map(|lv| deriving.devices(lv)).collect()
}

struct Deriving<'vg> {
    vg: &'vg Vg,
    roles: Roles<'vg>,
}

impl<'vg> Deriving<'vg> {
    fn devices(&self, lv: &Lv) -> Vec<DerivedDevice> {
        let own = self.lines(lv);
        if let Some(link) = self.link(lv, Role::SnapshotStore) {
            let cow = self.device(lv, "cow", own);
            return cow.into_iter().chain(self.snapshot(lv, &link)).collect();
        }
        if self.link(lv, Role::SnapshotOrigin).is_some() {
            let real = self.device(lv, "real", own);
            return real.into_iter().chain(self.origin(lv)).collect();
        }
        // What another LV lies on has a suffix that depends on what it is there.
        let suffix = match self.roles.users(&lv.name) {
            [] | [(_, Role::MirrorImage | Role::MirrorLog | Role::RaidImage | Role::RaidMeta)] => {
                ""
            }
            [(_, Role::ThinPoolData)] => "tdata",
            [(_, Role::ThinPoolMetadata)] => "tmeta",
            [(_, Role::CacheOrigin | Role::WritecacheOrigin)] => "real",
            [(_, Role::CachePoolData)] => "cdata",
            [(_, Role::CachePoolMetadata)] => "cmeta",
            [(_, Role::WritecacheFast)] => "cvol",
            _ => return Vec::new(),
        };
        self.device(lv, suffix, own).into_iter().collect()
    }

    fn link(&self, lv: &Lv, role: Role) -> Option<SnapshotLink<'vg>> {
        let (link, _) = self.roles.users(&lv.name).iter().find(|(_, of)| *of == role)?;
        snapshot_link(link)
    }

    fn layer(&self, lv: &Lv, suffix: &str) -> LvmLayer {
        LvmLayer { vg: self.vg.uuid, lv: lv.uuid, suffix: suffix.to_owned() }
    }

    fn device(
        &self,
        lv: &Lv,
        suffix: &str,
        table: Option<Vec<DerivedLine>>,
    ) -> Option<DerivedDevice> {
        Some(DerivedDevice { layer: self.layer(lv, suffix), table: table? })
    }

    /// One line, as long as this LV.
    fn whole(&self, lv: &Lv, target: &'static str, args: Vec<Word>) -> Option<Vec<DerivedLine>> {
        let len = lv.len().sectors(self.vg.extent_size)?;
        Some(vec![DerivedLine { start: Sectors::ZERO, len, target, args }])
    }

    /// What people know as the snapshot: as long as its origin. While one is merged into the origin, or
    /// waits for that, there are two tables that each may have.
    fn snapshot(&self, store: &Lv, link: &SnapshotLink<'_>) -> Option<DerivedDevice> {
        let origin = self.vg.lv(link.origin).filter(|origin| !self.is_merged_into(origin))?;
        let over = self.over_store(origin, store, link);
        self.device(store, "", self.whole(origin, "snapshot", over))
    }

    /// What people know as the origin.
    fn origin(&self, lv: &Lv) -> Option<DerivedDevice> {
        if self.is_merged_into(lv) {
            return None;
        }
        let real = vec![Word::Layer(self.layer(lv, "real"))];
        self.device(lv, "", self.whole(lv, "snapshot-origin", real))
    }

    fn is_merged_into(&self, origin: &Lv) -> bool {
        let links = self.roles.users(&origin.name).iter();
        let mut links = links.filter(|(_, role)| *role == Role::SnapshotOrigin);
        links.any(|(link, _)| snapshot_link(link).is_some_and(|link| link.is_merging))
    }

    fn over_store(&self, origin: &Lv, store: &Lv, link: &SnapshotLink<'_>) -> Vec<Word> {
        vec![
            Word::Layer(self.layer(origin, "real")),
            Word::Layer(self.layer(store, "cow")),
            Word::Text("P".to_owned()),
            number(link.chunk_size.get()),
        ]
    }

    /// A line for each segment; none where one of them is of a type that is not derived.
    fn lines(&self, lv: &Lv) -> Option<Vec<DerivedLine>> {
        let lines: Vec<DerivedLine> =
            lv.segments.iter().map(|segment| self.line(segment)).collect::<Option<_>>()?;
        (!lines.is_empty()).then_some(lines)
    }

    fn line(&self, segment: &Segment) -> Option<DerivedLine> {
        let start = segment.start.sectors(self.vg.extent_size)?;
        let len = segment.len.sectors(self.vg.extent_size)?;
        let (target, args) = match &segment.kind {
            SegmentKind::Striped { stripes, stripe_size } => match stripes.as_slice() {
                [only] => ("linear", self.place(only)?),
                several => {
                    let count = u64::try_from(several.len()).ok()?;
                    let mut args = vec![number(count), number(stripe_size.as_ref()?.get())];
                    for area in several {
                        args.extend(self.place(area)?);
                    }
                    ("striped", args)
                }
            },
            SegmentKind::Thin { pool, device_id, external_origin: None, merge: None, .. } => {
                let pool = self.vg.lv(pool)?;
                let args =
                    vec![Word::Layer(self.layer(pool, "tpool")), number((*device_id).into())];
                ("thin", args)
            }
            SegmentKind::Error => ("error", Vec::new()),
            SegmentKind::Zero => ("zero", Vec::new()),
            SegmentKind::Thin { .. }
            | SegmentKind::Mirror { .. }
            | SegmentKind::Raid { .. }
            | SegmentKind::Snapshot { .. }
            | SegmentKind::ThinPool { .. }
            | SegmentKind::CachePool { .. }
            | SegmentKind::Cache { .. }
            | SegmentKind::Writecache { .. }
            | SegmentKind::Integrity { .. }
            | SegmentKind::Vdo { .. }
            | SegmentKind::VdoPool { .. }
            | SegmentKind::Unknown { .. } => return None,
        };
        Some(DerivedLine { start, len, target, args })
    }

    /// The device of an area, and from which sector on. Of areas on LVs nothing is said: a pvmove is
    /// under way.
    fn place(&self, area: &Area) -> Option<Vec<Word>> {
        let Area::Pv { pv, first } = area else { return None };
        let pv = self.vg.pvs.get(*pv)?;
        let first: Extents = *first;
        let sector = pv.extent_start(first, self.vg.extent_size)?;
        Some(vec![Word::Pv(pv.uuid), number(sector.get())])
    }
}

fn number(number: u64) -> Word {
    Word::Text(number.to_string())
}
