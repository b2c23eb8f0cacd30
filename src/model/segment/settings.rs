//! How the kernel is told to run a segment: what stands in its text beside the parts.
//!
//! # Source
//! LVM2 `lib/raid/raid.c`, `lib/thin/thin.c`, `lib/cache_segtype/cache.c`,
//! `lib/writecache/writecache.c`, `lib/integrity/integrity.c`, the `_text_import` of each.

use std::collections::BTreeMap;

use crate::units::Sectors;

/// How legs of a RAID LV are kept in sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RaidSettings {
    /// Sectors per bit of the write-intent bitmap; the kernel chooses where nothing is said.
    pub region_size: Option<Sectors>,
    /// Synchronises at least so fast, in KiB per second.
    pub min_recovery_rate: Option<u64>,
    /// Synchronises at most so fast, in KiB per second.
    pub max_recovery_rate: Option<u64>,
    /// Writes that may be outstanding on legs that are mostly written.
    pub write_behind: Option<u64>,
    /// Whether it is being given another shape.
    pub is_reshaping: bool,
}

/// What a thin pool does with discards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discards {
    /// Frees blocks and tells the disks.
    Passdown,
    /// Frees blocks.
    NoPassdown,
    /// Nothing.
    Ignore,
    /// The text says what this program does not know.
    Unknown,
}

/// When a cache writes to the slow LV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMode {
    /// At once, beside the cache.
    Writethrough,
    /// Later: the cache alone may hold what was written.
    Writeback,
    /// At once, past the cache.
    Passthrough,
}

impl CacheMode {
    /// The mode as texts and tables spell it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Writethrough => "writethrough",
            Self::Writeback => "writeback",
            Self::Passthrough => "passthrough",
        }
    }
}

/// How a cache works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// Sectors per block.
    pub chunk_size: Sectors,
    /// Its mode.
    pub mode: CacheMode,
    /// The policy's name.
    pub policy: String,
    /// What the policy is told, by key.
    pub policy_settings: BTreeMap<String, u64>,
    /// The format of its metadata, 1 or 2.
    pub metadata_format: u64,
}

/// How a cachevol is shared out, in sectors from its begin, and how it caches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheHalves {
    /// Where the map begins, and how long it is.
    pub metadata: (Sectors, Sectors),
    /// Where cached blocks begin, and how many sectors they have.
    pub data: (Sectors, Sectors),
    /// How it caches.
    pub settings: CacheSettings,
}

/// How a writecache works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritecacheSettings {
    /// Bytes per block.
    pub block_size: u64,
    /// What else it is told, by key.
    pub options: BTreeMap<String, u64>,
}

/// How an integrity layer checks; what is not said is the kernel's choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntegritySettings {
    /// `J`, `B` …: how data and checksums are kept together.
    pub mode: Option<String>,
    /// Bytes of a checksum.
    pub tag_size: Option<u64>,
    /// How checksums are made.
    pub internal_hash: Option<String>,
}
