//! Faults: named, explained deviations found in an inventory. One file per kind; each says what
//! was found, why it matters and what mends it.

mod absent_pv;
mod damaged_area;
mod disputed_pv;
mod duplicate_pv;
mod duplicate_vg_name;
mod extents_in_conflict;
mod half_active_pool;
mod interrupted_commit;
mod layer_off_tree;
mod left_out_pv;
mod live;
mod lost_label;
mod metadata_branches;
mod missing_node;
mod missing_pv;
mod name_taken;
mod no_metadata;
mod outdated_copy;
mod outdated_pv;
mod pools;
mod pv_not_marked;
mod shared_log;
mod short_device;
mod stale_device_number;
mod stale_table;
mod stray_device;
mod suspended_device;
mod thin_data_full;
mod thin_device_without_lv;
mod thin_lv_without_device;
mod thin_metadata_damaged;
mod thin_metadata_full;
mod thin_needs_check;
mod thin_transaction_id;
mod unfinished_command;
mod unknown_segment;
mod waiting_table;

use std::fmt;

use serde::Serialize;

use crate::ids::{DeviceName, VgUuid};
use crate::model::inventory::Inventory;
use crate::units::Bytes;

/// A kind of fault. The names are those of reports and of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// A live device whose LV the metadata does not know. First of all: what mends other faults,
    /// a reboot above all, may destroy what this one tells of.
    StrayDevice,
    /// Two live devices that write to one log or metadata device.
    SharedLog,
    /// A live device that no LV has any more.
    LayerOffTree,
    /// A suspended device.
    SuspendedDevice,
    /// A live table that maps a device that is gone, or is another.
    StaleDeviceNumber,
    /// A live table is not what the metadata says.
    StaleTable,
    /// No metadata area of the VG points to a sound text.
    NoMetadata,
    /// Equal numbers, different content.
    MetadataBranches,
    /// Two LVs on the same extents, or beyond the end of a PV.
    ExtentsInConflict,
    /// One PV on two devices.
    DuplicatePv,
    /// A PV that two VGs claim.
    DisputedPv,
    /// A PV whose label is gone.
    LostLabel,
    /// A PV on a device that LVM does not look at.
    LeftOutPv,
    /// A PV flagged MISSING.
    MissingPv,
    /// A PV that no device carries.
    AbsentPv,
    /// A PV that the VG dropped while it was away.
    OutdatedPv,
    /// Metadata of a thin pool that is seen to be damaged.
    ThinMetadataDamaged,
    /// Thin LVs whose device their pool does not have.
    ThinLvWithoutDevice,
    /// A thin pool and LVM's text at different transactions.
    ThinTransactionId,
    /// A thin pool that is not to be written before a check.
    ThinNeedsCheck,
    /// A thin pool with hardly any room left for metadata.
    ThinMetadataFull,
    /// A thin pool with hardly any data blocks left.
    ThinDataFull,
    /// The name of an LV's device belongs to another device.
    NameTaken,
    /// A live device without its node.
    MissingNode,
    /// A table that waits in an inactive slot.
    WaitingTable,
    /// A pool that is not active while a part of it is.
    HalfActivePool,
    /// Devices of a thin pool that no LV has.
    ThinDeviceWithoutLv,
    /// A metadata area whose header or text is damaged, or that points to nothing.
    DamagedArea,
    /// A metadata area that is behind the others.
    OutdatedCopy,
    /// A device shorter than its PV.
    ShortDevice,
    /// Two VGs with one name.
    DuplicateVgName,
    /// A command left its work half done.
    UnfinishedCommand,
    /// A command was interrupted before it committed.
    InterruptedCommit,
    /// A segment type that is not known.
    UnknownSegment,
    /// A member PV whose header does not say so.
    PvNotMarked,
}

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Data cannot be reached, or is in danger.
    Critical,
    /// Redundancy is lost, or the next command may do harm.
    Warning,
    /// Worth knowing.
    Note,
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// How bad.
    pub severity: Severity,
    /// What kind.
    pub kind: FaultKind,
    /// The VG, when it is known.
    pub vg: Option<VgUuid>,
    /// About what: a VG, a PV by UUID, an LV, a device.
    pub object: String,
    /// On which device.
    pub device: Option<DeviceName>,
    /// From which byte of it on.
    pub offset: Option<Bytes>,
    /// What was found.
    pub found: String,
    /// Why it matters.
    pub matters: &'static str,
    /// The ready plan that mends it, when there is one.
    pub plan: Option<&'static str>,
    /// What to do.
    pub advice: String,
}

/// What all faults of one kind have in common.
struct Kind {
    kind: FaultKind,
    severity: Severity,
    matters: &'static str,
    plan: Option<&'static str>,
}

impl Kind {
    fn fault(&self, object: impl fmt::Display, found: impl Into<String>) -> Fault {
        Fault {
            severity: self.severity,
            kind: self.kind,
            vg: None,
            object: object.to_string(),
            device: None,
            offset: None,
            found: found.into(),
            matters: self.matters,
            plan: self.plan,
            advice: String::new(),
        }
    }
}

impl Fault {
    fn of_vg(mut self, vg: VgUuid) -> Self {
        self.vg = Some(vg);
        self
    }

    fn on(mut self, device: &DeviceName) -> Self {
        self.device = Some(device.clone());
        self
    }

    fn at(mut self, offset: Bytes) -> Self {
        self.offset = Some(offset);
        self
    }

    fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }
}

impl FaultKind {
    /// The name as reports print it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StrayDevice => "stray-device",
            Self::SharedLog => "shared-log",
            Self::LayerOffTree => "layer-off-tree",
            Self::SuspendedDevice => "suspended-device",
            Self::StaleDeviceNumber => "stale-device-number",
            Self::StaleTable => "stale-table",
            Self::NoMetadata => "no-metadata",
            Self::MetadataBranches => "metadata-branches",
            Self::ExtentsInConflict => "extents-in-conflict",
            Self::DuplicatePv => "duplicate-pv",
            Self::DisputedPv => "disputed-pv",
            Self::LostLabel => "lost-label",
            Self::LeftOutPv => "left-out-pv",
            Self::MissingPv => "missing-pv",
            Self::AbsentPv => "absent-pv",
            Self::OutdatedPv => "outdated-pv",
            Self::ThinMetadataDamaged => "thin-metadata-damaged",
            Self::ThinLvWithoutDevice => "thin-lv-without-device",
            Self::ThinTransactionId => "thin-transaction-id",
            Self::ThinNeedsCheck => "thin-needs-check",
            Self::ThinMetadataFull => "thin-metadata-full",
            Self::ThinDataFull => "thin-data-full",
            Self::NameTaken => "name-taken",
            Self::MissingNode => "missing-node",
            Self::WaitingTable => "waiting-table",
            Self::HalfActivePool => "half-active-pool",
            Self::ThinDeviceWithoutLv => "thin-device-without-lv",
            Self::DamagedArea => "damaged-area",
            Self::OutdatedCopy => "outdated-copy",
            Self::ShortDevice => "short-device",
            Self::DuplicateVgName => "duplicate-vg-name",
            Self::UnfinishedCommand => "unfinished-command",
            Self::InterruptedCommit => "interrupted-commit",
            Self::UnknownSegment => "unknown-segment",
            Self::PvNotMarked => "pv-not-marked",
        }
    }
}

/// Every fault of an inventory: the worst first, then by kind and object.
pub fn find(inventory: &Inventory) -> Vec<Fault> {
    let finders: [fn(&Inventory) -> Vec<Fault>; 35] = [
        absent_pv::find,
        damaged_area::find,
        disputed_pv::find,
        duplicate_pv::find,
        duplicate_vg_name::find,
        extents_in_conflict::find,
        half_active_pool::find,
        interrupted_commit::find,
        layer_off_tree::find,
        left_out_pv::find,
        lost_label::find,
        metadata_branches::find,
        missing_node::find,
        missing_pv::find,
        name_taken::find,
        no_metadata::find,
        outdated_copy::find,
        outdated_pv::find,
        pv_not_marked::find,
        shared_log::find,
        short_device::find,
        stale_device_number::find,
        stale_table::find,
        stray_device::find,
        suspended_device::find,
        thin_data_full::find,
        thin_device_without_lv::find,
        thin_lv_without_device::find,
        thin_metadata_damaged::find,
        thin_metadata_full::find,
        thin_needs_check::find,
        thin_transaction_id::find,
        unfinished_command::find,
        unknown_segment::find,
        waiting_table::find,
    ];
    let mut faults: Vec<Fault> = finders.iter().flat_map(|find| find(inventory)).collect();
    faults.sort_by(|a, b| key(a).cmp(&key(b)));
    faults
}

type Key<'a> =
    (Severity, FaultKind, Option<VgUuid>, &'a str, Option<&'a DeviceName>, Option<Bytes>);

fn key(fault: &Fault) -> Key<'_> {
    let Fault { severity, kind, vg, object, device, offset, .. } = fault;
    (*severity, *kind, *vg, object, device.as_ref(), *offset)
}
