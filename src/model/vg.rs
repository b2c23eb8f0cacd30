//! A volume group as one metadata text describes it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::ids::{ForeignText, LvName, LvUuid, PvSection, PvUuid, VgName, VgUuid};
use crate::model::flags::{LvFlag, LvStatus, PvFlag, PvStatus, VgFlag, VgStatus, Words};
use crate::model::segment::{Segment, SegmentKind};
use crate::units::{Bytes, Extents, Sectors};

/// A volume group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vg {
    /// Its UUID.
    pub uuid: VgUuid,
    /// Its name: the name of the text's main section.
    pub name: VgName,
    /// The number of this version.
    pub seqno: u32,
    /// Status words.
    pub status: Words<VgStatus>,
    /// Flag words.
    pub flags: Words<VgFlag>,
    /// Tags, in the order written.
    pub tags: Vec<ForeignText>,
    /// The host that owns it, when one does.
    pub system_id: Option<ForeignText>,
    /// The lock manager that owns it, when one does.
    pub lock_type: Option<ForeignText>,
    /// Sectors per extent; never zero.
    pub extent_size: Sectors,
    /// How many copies LVM keeps in use; 0 means all.
    pub metadata_copies: u64,
    /// `normal` unless written.
    pub allocation: Option<ForeignText>,
    /// PVs in the order of the text.
    pub pvs: Vec<Pv>,
    /// LVs in the order of the text, hidden ones included.
    pub lvs: Vec<Lv>,
    /// Names of LVs that only history knows (`record_lvs_history`).
    pub historical_lvs: Vec<LvName>,
    /// Index of [`Vg::lvs`] by name.
    pub by_name: Arc<BTreeMap<LvName, usize>>,
}

/// A physical volume of a VG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pv {
    /// What this one text calls it; shifts from text to text.
    pub section: PvSection,
    /// Its UUID.
    pub uuid: PvUuid,
    /// Where it was when the text was written.
    pub device_hint: Option<ForeignText>,
    /// Status words.
    pub status: Words<PvStatus>,
    /// Flag words.
    pub flags: Words<PvFlag>,
    /// Tags.
    pub tags: Vec<ForeignText>,
    /// Size of the device, when the text tells.
    pub dev_size: Option<Sectors>,
    /// Where extent 0 begins on the device.
    pub pe_start: Sectors,
    /// How many extents it has.
    pub pe_count: Extents,
    /// Start of the bootloader area, when there is one.
    pub ba_start: Option<Sectors>,
    /// Size of the bootloader area.
    pub ba_size: Option<Sectors>,
}

/// A logical volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lv {
    /// Its name.
    pub name: LvName,
    /// Its UUID.
    pub uuid: LvUuid,
    /// Status words.
    pub status: Words<LvStatus>,
    /// Flag words.
    pub flags: Words<LvFlag>,
    /// Tags.
    pub tags: Vec<ForeignText>,
    /// When it was made, in seconds since 1970.
    pub creation_time: Option<i64>,
    /// Where it was made.
    pub creation_host: Option<ForeignText>,
    /// How its extents are chosen, unless inherited.
    pub allocation: Option<ForeignText>,
    /// Its segments, contiguous from logical extent 0.
    pub segments: Vec<Segment>,
}

impl Pv {
    /// Whether LVM takes extents for LVs from it.
    pub fn gives_extents(&self) -> bool {
        self.status.has(PvStatus::Allocatable) && !self.is_missing()
    }

    /// Whether the VG was written while this PV was absent.
    pub fn is_missing(&self) -> bool {
        self.flags.has(PvFlag::Missing) || self.status.has(PvStatus::Missing)
    }

    /// The first sector behind extent `extent`'s predecessor: where that extent begins.
    pub fn extent_start(&self, extent: Extents, extent_size: Sectors) -> Option<Sectors> {
        self.pe_start.checked_add(extent.sectors(extent_size)?)
    }

    /// Where its extents lie on the device, free ones included. What cannot be counted reaches to
    /// the end of all numbers.
    pub fn data_range(&self, extent_size: Sectors) -> Range<Bytes> {
        let end = self.extent_start(self.pe_count, extent_size).and_then(Sectors::bytes);
        let start = self.pe_start.bytes();
        start.unwrap_or(Bytes::new(u64::MAX))..end.unwrap_or(Bytes::new(u64::MAX))
    }
}

impl Lv {
    /// Whether people see it in `lvs` without `-a`.
    ///
    /// The store of a classic snapshot lacks VISIBLE although people know the snapshot by its
    /// name; [`Vg::is_shown`] settles that.
    pub fn has_visible(&self) -> bool {
        self.status.has(LvStatus::Visible)
    }

    /// Its length in logical extents.
    pub fn len(&self) -> Extents {
        self.segments.iter().map(|s| s.len).sum()
    }

    /// The thin or VDO pool it lives in, when it lives in one.
    pub fn pool(&self) -> Option<&LvName> {
        self.segments.iter().find_map(|segment| match &segment.kind {
            SegmentKind::Thin { pool, .. } | SegmentKind::Vdo { pool } => Some(pool),
            SegmentKind::Striped { .. }
            | SegmentKind::Mirror { .. }
            | SegmentKind::Raid { .. }
            | SegmentKind::Snapshot { .. }
            | SegmentKind::ThinPool { .. }
            | SegmentKind::CachePool { .. }
            | SegmentKind::Cache { .. }
            | SegmentKind::Writecache { .. }
            | SegmentKind::Integrity { .. }
            | SegmentKind::VdoPool { .. }
            | SegmentKind::Error
            | SegmentKind::Zero
            | SegmentKind::Unknown { .. } => None,
        })
    }

    /// Whether it has no extents at all.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether it is linear or striped: plain arithmetic on extents.
    pub fn is_striped(&self) -> bool {
        self.segments.iter().all(|segment| matches!(segment.kind, SegmentKind::Striped { .. }))
    }

    /// Whether it may be written.
    pub fn is_writable(&self) -> bool {
        self.status.has(LvStatus::Write)
    }
}

impl Vg {
    /// The LV with this name.
    pub fn lv(&self, name: &LvName) -> Option<&Lv> {
        self.by_name.get(name).and_then(|index| self.lvs.get(*index))
    }

    /// The same without this LV.
    #[must_use]
    pub fn without(&self, name: &LvName) -> Self {
        let mut rest = self.clone();
        rest.lvs.retain(|lv| lv.name != *name);
        let named = rest.lvs.iter().enumerate().map(|(index, lv)| (lv.name.clone(), index));
        rest.by_name = Arc::new(named.collect());
        rest
    }

    /// The LV with this UUID.
    pub fn lv_by_uuid(&self, uuid: LvUuid) -> Option<&Lv> {
        self.lvs.iter().find(|lv| lv.uuid == uuid)
    }

    /// The PV with this UUID.
    pub fn pv(&self, uuid: PvUuid) -> Option<&Pv> {
        self.pvs.iter().find(|pv| pv.uuid == uuid)
    }

    /// Where in [`Vg::pvs`] the PV with this UUID stands.
    pub fn pv_index(&self, uuid: PvUuid) -> Option<usize> {
        self.pvs.iter().position(|pv| pv.uuid == uuid)
    }

    /// All extents of all PVs.
    pub fn extent_count(&self) -> Extents {
        self.pvs.iter().map(|pv| pv.pe_count).sum()
    }

    /// Whether it may be written: neither read-only nor handed away.
    pub fn is_writable(&self) -> bool {
        self.status.has(VgStatus::Write)
    }

    /// Whether its texts say WRITE_LOCKED where others say WRITE.
    ///
    /// # Source
    /// LVM2 `lib/format_text/export.c`, `vg_flag_write_locked`.
    pub fn hides_write(&self) -> bool {
        self.system_id.as_ref().is_some_and(|id| !id.is_empty()) || self.lock_type.is_some()
    }
}
