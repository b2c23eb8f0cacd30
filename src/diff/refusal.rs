//! What speaks against a plan.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The stable code of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// No metadata of the VG can be trusted.
    NoMetadata,
    /// Equal numbers, different content.
    MetadataBranches,
    /// One PV on two devices.
    DuplicatePv,
    /// No device carries the PV.
    PvAbsent,
    /// The PV left the VG meanwhile.
    PvNotInVg,
    /// The device given for a PV is not that PV.
    WrongDevice,
    /// The device cannot be written.
    ReadOnlyDevice,
    /// The PV does not fit on the device.
    DeviceTooSmall,
    /// Several devices could be the PV.
    UnclearDevice,
    /// The LV exists under another name.
    LvRenamed,
    /// The name belongs to another LV.
    NameTaken,
    /// Extents belong to somebody else now.
    ExtentsTaken,
    /// The LV cannot be brought back from metadata alone.
    NotRecoverable,
    /// The PV's layout changed since.
    LayoutChanged,
    /// A copy cannot be made.
    CopyRefused,
    /// A hazard that the plan does not accept.
    HazardNotAccepted,
    /// An operation would meet a world it must not be done to.
    Unfit,
    /// Only a running machine can do it.
    NeedsKernel,
    /// Somebody uses the volume, or the device.
    VolumeInUse,
    /// The plan leaves an LV active that the one to be deactivated goes with, or that needs it.
    LeftActive,
    /// A lock manager guards the VG: other hosts may use it.
    VgShared,
    /// The VG was handed over.
    VgExported,
    /// The VG belongs to another host.
    ForeignSystemId,
    /// The VG may not be written.
    ReadOnlyVg,
    /// Commands that name the VG may mean another one.
    AmbiguousVgName,
    /// A PV stands where LVM does not look.
    PvLeftOut,
    /// Tables wait to be taken into use, by whoever resumes next.
    WaitingTables,
    /// Devices are suspended.
    SuspendedDevices,
    /// A live device that the metadata does not know maps extents that the plan needs.
    StrayDevice,
    /// LVM2 cannot do what is asked of it.
    LvmTooOld,
    /// The device that is to become a PV is not there.
    DeviceAbsent,
    /// Something stands on the device that is to become a PV.
    DeviceNotBlank,
    /// Somebody uses the device that is to become a PV.
    DeviceInUse,
    /// The run would cut off its own journal.
    StateDirectory,
    /// The thin pool is active, and what ails it shows only when it is not.
    PoolActive,
    /// LVM's text and the thin pool tell different things.
    PoolContradiction,
    /// A rebuild of a thin pool loses more than the plan allows, or what it loses cannot be told.
    UnknownLoss,
    /// The VG has too little room.
    NoRoom,
    /// No snapshot is made of the LV, or not mounted there.
    SnapshotRefused,
    /// A program that the plan names is not run.
    ProgramRefused,
}

/// Something that speaks against the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its code.
    pub code: RefusalCode,
    /// About what.
    pub object: String,
    /// Why.
    pub why: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Refusal {
    /// A refusal without advice.
    pub fn new(code: RefusalCode, object: impl fmt::Display, why: impl Into<String>) -> Self {
        Self { code, object: object.to_string(), why: why.into(), help: None }
    }

    /// Whether it may pass by itself: who uses something now may be gone soon.
    pub fn may_pass(&self) -> bool {
        self.code == RefusalCode::VolumeInUse
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
