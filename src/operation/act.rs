//! Acts: the few things operations are made of. The host performs them one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diff::{Expected, RebuiltDevice};
use crate::ids::{DeviceName, Digest, LvName, LvUuid, PvUuid, VgUuid};
use crate::model::inventory::MANIFEST_SUFFIX;
use crate::model::mapping::ContentMap;
use crate::model::thin_pool::{Mend, PoolByText};
use crate::operation::command::{CommandLine, LockedWrite};
use crate::operation::reload::Reload;
use crate::units::{Bytes, Seconds, Sectors};

/// A stretch of a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Region {
    /// The device.
    pub device: DeviceName,
    /// Where it begins.
    pub offset: Bytes,
    /// How long it is.
    pub len: Bytes,
}

/// What a write puts where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteOf {
    /// A label sector.
    Label,
    /// A metadata text into a ring.
    Text,
    /// A metadata area header whose precommitted slot points to the new text.
    Precommit,
    /// A metadata area header whose committed slot points to the new text.
    Commit,
    /// What stood there before.
    PutBack,
}

impl WriteOf {
    /// In words, for reports.
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Text => "metadata text",
            Self::Precommit => "area header, precommitted",
            Self::Commit => "area header, committed",
            Self::PutBack => "what stood there before",
        }
    }
}

/// Bytes to be written to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub device: DeviceName,
    /// From which byte on.
    pub offset: Bytes,
    /// What.
    pub bytes: Vec<u8>,
    /// What it is.
    pub of: WriteOf,
}

impl Write {
    /// The stretch it changes.
    pub fn region(&self) -> Region {
        let len = Bytes::of_len(self.bytes.len());
        Region { device: self.device.clone(), offset: self.offset, len }
    }
}

/// The content of an LV, and where it lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// The VG.
    pub vg: VgUuid,
    /// The LV.
    pub lv: LvUuid,
    /// What it is called.
    pub name: LvName,
    /// How long it is.
    pub len: Sectors,
    /// Where it is read from.
    pub from: ContentFrom,
}

/// Where content is read from.
#[derive(Clone, Debug, PartialEq)]
pub enum ContentFrom {
    /// From the PVs, piece by piece.
    Pvs {
        /// The pieces.
        map: Arc<ContentMap>,
        /// The device of each PV it lies on.
        devices: BTreeMap<PvUuid, DeviceName>,
    },
    /// From the blocks of its pool, by the mappings in the pool's metadata.
    Thin(Arc<ThinContent>),
    /// From the LV's own device: the kernel has it, and may hold what is not on the PVs yet.
    Own(DeviceName),
}

impl ContentFrom {
    /// What tells one place from another, as far as that stays.
    pub fn place(&self) -> String {
        match self {
            Self::Pvs { map, .. } => format!("{map:?}"),
            Self::Thin(thin) => format!("{}", thin.seen),
            Self::Own(_) => String::new(),
        }
    }
}

/// Where the content of a thin LV lies, as long as its pool is not active.
#[derive(Clone, Debug, PartialEq)]
pub struct ThinContent {
    /// The metadata of its pool.
    pub metadata: Content,
    /// The data of its pool.
    pub data: Content,
    /// How long a data block is.
    pub block: Sectors,
    /// Block of the mapping tree's root.
    pub mapping_root: u64,
    /// Its device number.
    pub device: u32,
    /// The digest of the metadata's first block: another one when somebody used the pool.
    pub seen: Digest,
    /// What shows where nothing is mapped, where that is not zeros.
    pub origin: Option<Content>,
}

/// The file that a copy goes to, and what it is called until it is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyFile {
    /// Where it goes; an absolute path.
    pub path: String,
    /// Seconds since 1970: when the run began. It stands in the names of the parts, so that a run
    /// that is taken up again finds its own parts and no other run takes them for its own.
    pub begun: i64,
}

impl CopyFile {
    /// What the copy is called until it is whole.
    pub fn part(&self) -> String {
        format!("{}.lvmend-part-{}", self.path, self.begun)
    }

    /// Where it stands how far the copy has come, until it is whole.
    pub fn map_part(&self) -> String {
        format!("{}.map", self.part())
    }

    /// Where it stands what could not be read, when something could not.
    pub fn map(&self) -> String {
        format!("{}.map", self.path)
    }

    /// What its manifest is called.
    pub fn manifest(&self) -> String {
        format!("{}{MANIFEST_SUFFIX}", self.path)
    }

    /// What its manifest is called until it is whole.
    pub fn manifest_part(&self) -> String {
        format!("{}.lvmend-part-{}", self.manifest(), self.begun)
    }
}

/// An LV whose content is overwritten: its device, as it is checked right before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyDevice {
    /// The device-mapper device, as a path.
    pub path: String,
    /// Its UUID, as device-mapper has it.
    pub dm_uuid: String,
    /// How long it is at least.
    pub size: Bytes,
}

/// Metadata of a thin pool that is rebuilt in another LV.
#[derive(Clone, Debug, PartialEq)]
pub struct RebuildThin {
    /// The old metadata.
    pub content: Content,
    /// Where the new goes.
    pub to: RebuildTo,
    /// What LVM's text says of the pool.
    pub text: PoolByText,
    /// What has to be set right of the old on the way.
    pub mend: Option<Mend>,
    /// The devices it must have, and how many blocks each maps.
    pub devices: Vec<RebuiltDevice>,
    /// What else it must tell.
    pub expected: Expected,
}

/// Where rebuilt metadata goes.
#[derive(Clone, Debug, PartialEq)]
pub enum RebuildTo {
    /// Into an active LV.
    Device(CopyDevice),
    /// To where an LV lies, on images.
    Extents(Content),
}

impl RebuildTo {
    /// For people.
    pub fn shown(&self) -> &str {
        match self {
            Self::Device(device) => &device.path,
            Self::Extents(content) => content.name.as_str(),
        }
    }
}

/// A program that the plan names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedProgram {
    /// As it is run.
    pub command: CommandLine,
    /// What stands in its environment beside what every program gets.
    pub environment: BTreeMap<String, String>,
    /// How long it may take; then it is stopped.
    pub timeout: Seconds,
    /// The snapshot it works on, by the name of its device: it is stopped when that is lost.
    pub snapshot: Option<String>,
}

/// One thing to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Saves stretches of devices into the run's evidence, reads them back and syncs.
    Save(Vec<Region>),
    /// Writes to a device.
    Write(Write),
    /// Returns when everything written to these devices will survive a power cut.
    Sync(Vec<DeviceName>),
    /// Copies content to a new file, with a manifest beside it.
    CopyToFile {
        /// What.
        content: Content,
        /// Where to.
        to: CopyFile,
    },
    /// Runs a program that writes. Its exit code counts for little: what is observed afterwards
    /// tells what it did.
    Run(CommandLine),
    /// Waits until the device of an LV that was just made has its node, and looks whether it can be mounted
    /// there.
    ReadyToMount {
        /// What device-mapper calls it.
        name: String,
        /// Where it is to be mounted.
        at: String,
    },
    /// Runs a program that writes, and runs it again while what has to be free is in use.
    RunWhenFree(CommandLine),
    /// Runs a program that the plan names.
    RunProgram(PlannedProgram),
    /// Writes metadata by a program of LVM2 under LVM's own locks, if nobody wrote since.
    WriteLocked(LockedWrite),
    /// Copies content over an LV that is at least as large; nothing behind it is written.
    CopyToDevice {
        /// What.
        content: Content,
        /// Where to.
        to: CopyDevice,
        /// Seconds since 1970: when the run began, by which it finds how far it came.
        begun: i64,
    },
    /// Gives the devices of a stack their tables, in one suspension.
    ReloadTree(Box<Reload>),
    /// Rebuilds the metadata of a thin pool in another LV, and holds the result to what is known.
    RebuildThin(RebuildThin),
    /// Reads content and compares its digest.
    CompareContent {
        /// What.
        content: Content,
        /// What it must be.
        expected: Digest,
    },
}
