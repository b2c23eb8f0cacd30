//! The types of a plan document, version 1.
//!
//! The JSON Schema in `schemas/` is generated from these types; their comments are what an editor
//! shows. A key is added when what it asks for is built, never before.

mod device_tables;
mod tasks;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{Digest, LvName, LvUuid, PlanName, VgName, VgUuid};
use crate::plan::glob::LvPattern;
use crate::plan::hazard::HazardKind;
use crate::plan::schema_types::{
    DigestPrefix, DigestSchema, LvPatternSchema, NameSchema, One, PercentSchema, PvKey,
    PvKeySchema, SizeSchema, TextSchema, TimeSchema, UuidSchema,
};
use crate::units::{Bytes, Seconds};

pub use device_tables::{DeviceTables, TablesState};
pub use tasks::{CopyTarget, CopyTask, Journal, RunTask, SnapshotBackupTask, SnapshotMount, Task};

/// A recovery plan: what state a volume group should be in.
///
/// What is absent is left alone, never removed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "lvmend recovery plan")]
pub struct Document {
    /// Version of the plan format; always 1.
    pub version: One,
    /// A short name: letters, digits, `.`, `_`, `+` and `-`.
    #[schemars(with = "NameSchema")]
    pub name: PlanName,
    /// What the plan is for, in a sentence.
    #[serde(default)]
    #[schemars(with = "TextSchema")]
    pub summary: Option<String>,
    /// A ticket or change request.
    #[serde(default)]
    #[schemars(with = "TextSchema")]
    pub reference: Option<String>,
    /// The volume group this plan is about.
    pub volume_group: VolumeGroup,
    /// PVs by UUID; `*` means every PV of the current metadata.
    #[serde(default)]
    #[schemars(with = "BTreeMap<PvKeySchema, PhysicalVolume>")]
    pub physical_volumes: BTreeMap<PvKey, PhysicalVolume>,
    /// LVs by name. A glob means every visible LV of the current metadata that matches.
    #[serde(default, deserialize_with = "crate::plan::schema_types::lv_patterns")]
    #[schemars(with = "BTreeMap<LvPatternSchema, LogicalVolume>")]
    pub logical_volumes: BTreeMap<LvPattern, LogicalVolume>,
    /// Thin pools by name.
    #[serde(default, deserialize_with = "crate::plan::schema_types::thin_pools")]
    #[schemars(with = "BTreeMap<NameSchema, ThinPool>")]
    pub thin_pools: BTreeMap<LvName, ThinPool>,
    /// The kernel's tables.
    #[serde(default)]
    #[schemars(with = "DeviceTables")]
    pub device_tables: Option<DeviceTables>,
    /// Done at every apply, in this order, after the states above hold.
    #[serde(default)]
    pub tasks: Vec<Task>,
    /// What must hold before anything is called done.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// What is accepted, and what happens on failure.
    #[serde(default)]
    pub policy: Policy,
}

/// The volume group a plan is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeGroup {
    /// Its name.
    #[schemars(with = "NameSchema")]
    pub name: VgName,
    /// Its UUID; needed when two VGs share the name.
    #[serde(default)]
    #[schemars(with = "UuidSchema")]
    pub uuid: Option<VgUuid>,
    /// The state of its metadata areas.
    #[serde(default)]
    #[schemars(with = "Metadata")]
    pub metadata: Option<Metadata>,
    /// Blank devices that become PVs, by absolute path; met when they are PVs of this VG already.
    #[serde(default)]
    #[schemars(with = "Vec<TextSchema>")]
    pub extend_with: Vec<String>,
}

/// The state of a VG's metadata areas.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// `sound`: every label and area good, and all areas agree.
    pub state: MetadataState,
    /// Where the metadata comes from when no area has it.
    #[serde(default)]
    pub recover_from: RecoverFrom,
}

/// The state metadata areas should be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetadataState {
    /// Every label and area good, and all areas agree.
    Sound,
}

/// A PV of the VG.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhysicalVolume {
    /// `attached`: label and metadata areas good, not flagged MISSING, device present.
    pub state: PvState,
    /// Where it is; where a lost label is written again.
    #[serde(default)]
    #[schemars(with = "TextSchema")]
    pub device: Option<String>,
}

/// The state a PV should be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PvState {
    /// Label and metadata areas good, not flagged MISSING, device present.
    Attached,
}

/// An LV of the VG.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogicalVolume {
    /// `present`: recovered from older metadata when it is gone.
    #[serde(default)]
    #[schemars(with = "LvState")]
    pub state: Option<LvState>,
    /// Its UUID; without it the newest LV of that name is meant.
    #[serde(default)]
    #[schemars(with = "UuidSchema")]
    pub uuid: Option<LvUuid>,
    /// Which metadata describes it, when it is gone.
    #[serde(default)]
    pub recover_from: RecoverFrom,
    /// Another name, when this one is taken meanwhile.
    #[serde(default)]
    #[schemars(with = "NameSchema")]
    pub recover_as: Option<LvName>,
    /// Whether its device is there. The only key that a glob may have.
    #[serde(default)]
    #[schemars(with = "Activation")]
    pub activation: Option<Activation>,
}

/// Whether an LV is active: whether the kernel has its device. Only on a running machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Its device is there. An LV that the same plan recovers is activated read-only.
    Active,
    /// Neither its device nor its layers are there; refused while somebody uses it.
    Inactive,
    /// As it is; also where a glob says otherwise.
    Unchanged,
}

/// The state an LV should be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LvState {
    /// Recovered from older metadata when it is gone.
    Present,
}

/// A thin pool. Only on a running machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThinPool {
    /// Its metadata.
    #[serde(default)]
    #[schemars(with = "PoolMetadata")]
    pub metadata: Option<PoolMetadata>,
    /// Its data.
    #[serde(default)]
    #[schemars(with = "PoolData")]
    pub data: Option<PoolData>,
    /// Of the pool and its thin LVs, as far as `logical_volumes` does not name them. `active` leaves
    /// out thin LVs that are flagged to be skipped at activation.
    #[serde(default)]
    #[schemars(with = "Activation")]
    pub activation: Option<Activation>,
}

/// The metadata of a thin pool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolMetadata {
    /// `sound`: `thin_check` passes, it is not flagged `needs_check`, transaction ids agree, and
    /// every thin LV has its device.
    pub state: MetadataState,
    /// How it is mended when it is not sound.
    #[serde(default)]
    pub method: PoolMethod,
    /// It is at least so large: `4GiB`.
    #[serde(default, deserialize_with = "crate::plan::schema_types::size")]
    #[schemars(with = "SizeSchema")]
    pub min_size: Option<Bytes>,
    /// No more of it is used than this; 1 to 99.
    #[serde(default)]
    #[schemars(with = "PercentSchema")]
    pub max_used_percent: Option<u8>,
    /// How many mapped blocks a rebuild may lose, in all; none unless it says so.
    #[serde(default)]
    pub max_lost_mappings: u64,
    /// `present`: the VG has a spare for pool metadata, as large as the largest of its pools.
    #[serde(default)]
    pub spare: Option<SpareState>,
}

/// The spare for pool metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpareState {
    /// It is there, and large enough.
    Present,
}

/// How the metadata of a thin pool is mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PoolMethod {
    /// By what is wrong: a flag alone is cleared, what is full is extended, what is damaged is
    /// rebuilt.
    #[default]
    Auto,
    /// It is extended, and never rebuilt.
    Extend,
    /// It is rebuilt in a new volume, even where less would do.
    Rebuild,
}

/// The data of a thin pool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolData {
    /// It is at least so large: `2TiB`.
    #[serde(default, deserialize_with = "crate::plan::schema_types::size")]
    #[schemars(with = "SizeSchema")]
    pub min_size: Option<Bytes>,
    /// No more of it is used than this; 1 to 99.
    #[serde(default)]
    #[schemars(with = "PercentSchema")]
    pub max_used_percent: Option<u8>,
}

/// Which metadata to use: `newest`, a version, a file, or the kernel's table.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecoverFrom {
    /// The newest that serves.
    #[default]
    Newest,
    /// A version that stands somewhere.
    Version {
        /// Its number.
        seqno: u32,
        /// The beginning of its content digest, where versions share the number.
        digest: Option<DigestPrefix>,
    },
    /// A file with metadata; an absolute path.
    File(String),
    /// The live table of the LV, which is active although the metadata lost it.
    DeviceTable,
}

/// What must hold before anything is called done.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The content of an LV has this SHA-256 digest.
    Sha256(Sha256Check),
}

/// The content of an LV has this SHA-256 digest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sha256Check {
    /// The LV.
    #[schemars(with = "NameSchema")]
    pub logical_volume: LvName,
    /// 64 hexadecimal digits.
    #[schemars(with = "DigestSchema")]
    pub digest: Digest,
}

/// What is accepted, and what happens on failure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Hazards that are accepted, each for one object.
    #[serde(default)]
    pub accept: Vec<Acceptance>,
    /// What happens when an operation fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What is done about those who use what has to be free.
    #[serde(default)]
    pub busy: Busy,
}

/// What is done about those who use what has to be free.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Busy {
    /// How long others are waited for: whoever uses an LV that must be free, another run, LVM's
    /// own locks. `30s` (the default), `2m`, `1h`.
    #[serde(
        deserialize_with = "crate::plan::schema_types::time",
        serialize_with = "crate::plan::schema_types::shown"
    )]
    #[schemars(with = "TimeSchema")]
    pub wait: Seconds,
    /// Mount points that may be unmounted for as long as an LV of this VG has to be free; absolute
    /// paths.
    #[schemars(with = "Vec<TextSchema>")]
    pub unmount: Vec<String>,
}

impl Default for Busy {
    fn default() -> Self {
        Self { wait: Seconds::new(30), unmount: Vec::new() }
    }
}

/// A hazard that is accepted for one object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// Which hazard.
    pub hazard: HazardKind,
    /// The object as the plan's output names it: an LV or VG name, a PV UUID, or a device.
    #[schemars(with = "NameSchema")]
    pub object: String,
    /// Why the loss is accepted.
    #[schemars(with = "TextSchema")]
    pub because: String,
}

/// What happens when an operation fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Everything done is undone, as far as it has an exact undo.
    #[default]
    RollBack,
    /// Everything stays as it is, for a person to look at.
    Stop,
}
