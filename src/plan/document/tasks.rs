//! What is done at every apply.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::LvName;
use crate::plan::schema_types::{
    AttemptsSchema, FileSystemTypeSchema, NameSchema, SizeSchema, TextSchema, TimeSchema,
};
use crate::units::{Bytes, Seconds};

/// Something to be done at every apply.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Copies the content of an LV.
    Copy(CopyTask),
    /// Makes a snapshot of an LV, mounts it read-only, runs programs, and removes it again. Only on a
    /// running machine.
    SnapshotBackup(SnapshotBackupTask),
}

impl Task {
    /// Whether it changes the metadata of the VG.
    pub const fn writes_metadata(&self) -> bool {
        match self {
            Self::Copy(_) => false,
            Self::SnapshotBackup(_) => true,
        }
    }
}

/// Copies the content of an LV.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyTask {
    /// The LV.
    #[schemars(with = "NameSchema")]
    pub from: LvName,
    /// Where to.
    pub to: CopyTarget,
}

/// Where a copy goes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CopyTarget {
    /// To a new file, sparse, with a manifest beside it; an absolute path.
    #[schemars(with = "TextSchema")]
    File(String),
    /// Over an LV of this VG that is at least as large. What it holds is overwritten.
    #[schemars(with = "NameSchema")]
    LogicalVolume(LvName),
}

/// Makes a snapshot of an LV, mounts it read-only, runs programs, and removes it again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotBackupTask {
    /// The LV whose content is backed up; it is active and may be mounted.
    #[schemars(with = "NameSchema")]
    pub origin: LvName,
    /// What the snapshot is called. One of that name that an earlier run of this plan left is removed
    /// first.
    #[schemars(with = "NameSchema")]
    pub snapshot: LvName,
    /// How much may be written to the origin while the snapshot is there: `5GiB`. Left out, a thin
    /// snapshot is made, which takes its room from the pool; only of a thin LV.
    #[serde(default, deserialize_with = "crate::plan::schema_types::size")]
    #[schemars(with = "SizeSchema")]
    pub size: Option<Bytes>,
    /// How often it is tried to make the snapshot and to mount it; 1 to 100.
    #[serde(default = "ten")]
    #[schemars(with = "AttemptsSchema")]
    pub attempts: u8,
    /// How long it is waited between two attempts.
    #[serde(
        default = "one_second",
        deserialize_with = "crate::plan::schema_types::time",
        serialize_with = "crate::plan::schema_types::shown"
    )]
    #[schemars(with = "TimeSchema")]
    pub retry_delay: Seconds,
    /// Where it is mounted.
    pub mount: SnapshotMount,
    /// Programs that are run while it is mounted, one after another. The first that fails ends the
    /// backup.
    #[serde(default)]
    pub run: Vec<RunTask>,
    /// Whether the snapshot stays, unmounted, until the next run.
    #[serde(default)]
    pub keep: bool,
}

const fn ten() -> u8 {
    10
}

const fn one_second() -> Seconds {
    Seconds::new(1)
}

/// Where and how a snapshot is mounted; always read-only.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotMount {
    /// An empty place: a directory on which nothing is mounted; an absolute path.
    #[schemars(with = "TextSchema")]
    pub at: String,
    /// The type of the file system as `mount -t` takes it; `auto` looks.
    #[serde(default = "auto", rename = "type")]
    #[schemars(with = "FileSystemTypeSchema")]
    pub fs_type: String,
    /// What is done about a journal that was not written back.
    #[serde(default)]
    pub journal: Journal,
    /// Further mount options, as `mount -o` takes them.
    #[serde(default)]
    #[schemars(with = "Vec<TextSchema>")]
    pub options: Vec<String>,
}

fn auto() -> String {
    "auto".to_owned()
}

/// What is done about a journal that was not written back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Journal {
    /// It is left as it is, and the snapshot can only be read.
    #[default]
    Skip,
    /// It is replayed, on the snapshot; never on the origin.
    Replay,
}

/// A program that is run while a snapshot is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunTask {
    /// The program and its arguments; no shell.
    #[schemars(with = "Vec<TextSchema>")]
    pub argv: Vec<String>,
    /// How long it may take; then it is stopped, and the backup has failed.
    #[serde(deserialize_with = "crate::plan::schema_types::time")]
    #[schemars(with = "TimeSchema")]
    pub timeout: Seconds,
}
