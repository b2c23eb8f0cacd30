//! Segments: what a stretch of an LV is made of.
//!
//! # Source
//! `lvm-segment types`: LVM2 `lib/striped/striped.c`, `lib/mirror/mirrored.c`, `lib/raid/raid.c`,
//! `lib/snapshot/snapshot.c`, `lib/thin/thin.c`, `lib/cache_segtype/cache.c`,
//! `lib/writecache/writecache.c`, `lib/integrity/integrity.c`, `lib/vdo/vdo.c`.

mod settings;

use crate::ids::{ForeignText, LvName};
use crate::units::{Extents, Sectors};

pub use settings::{
    CacheHalves, CacheMode, CacheSettings, Discards, IntegritySettings, RaidSettings,
    WritecacheSettings,
};

/// A stretch of an LV, in logical extents, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First logical extent.
    pub start: Extents,
    /// Logical extents in it; never zero.
    pub len: Extents,
    /// What it is made of.
    pub kind: SegmentKind,
    /// Words glued to the type, such as `CACHE_USES_CACHEVOL`; empty for most.
    pub type_flags: Vec<ForeignText>,
}

/// Where a piece of a segment lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Area {
    /// On a PV, from this physical extent on.
    Pv {
        /// Index into [`crate::model::vg::Vg::pvs`].
        pv: usize,
        /// First physical extent.
        first: Extents,
    },
    /// On another LV, from this logical extent on.
    Lv {
        /// The other LV.
        lv: LvName,
        /// First logical extent there.
        first: Extents,
    },
}

impl Area {
    /// The LV it lies on, when it lies on one.
    pub fn lv(&self) -> Option<&LvName> {
        match self {
            Self::Lv { lv, .. } => Some(lv),
            Self::Pv { .. } => None,
        }
    }
}

/// One leg of a RAID LV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaidLeg {
    /// The LV with superblock and write-intent bitmap; `raid0` has none.
    pub meta: Option<LvName>,
    /// The LV with the data.
    pub image: LvName,
}

/// A message LVM still has to send to a thin pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThinMessage {
    /// Make the device of this thin LV.
    Create(LvName),
    /// Delete the device with this number.
    Delete(u32),
}

/// What a segment is made of, by segment type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// `striped`; with one stripe it is what people call linear.
    Striped {
        /// Sectors of one stripe before the next begins; none for linear.
        stripe_size: Option<Sectors>,
        /// In stripe order; never empty.
        stripes: Vec<Area>,
    },
    /// `mirror`, the old mirroring, also used by pvmove.
    Mirror {
        /// The LV that remembers what is in sync; none keeps that in memory.
        log: Option<LvName>,
        /// Sectors per region of the log.
        region_size: Sectors,
        /// One area per leg, each as long as the segment.
        images: Vec<Area>,
    },
    /// `raid0` to `raid10`.
    Raid {
        /// The level as spelled in the text: `raid1`, `raid5_ls`, …
        level: RaidLevel,
        /// Sectors of one stripe; zero for `raid1`.
        stripe_size: Sectors,
        /// In leg order; never empty.
        legs: Vec<RaidLeg>,
        /// Copies of each block, for `raid10`.
        data_copies: Option<u64>,
        /// How the kernel keeps them in sync.
        settings: RaidSettings,
    },
    /// `snapshot`: the link between an origin and its copy-on-write store.
    Snapshot {
        /// What the snapshot is of.
        origin: LvName,
        /// The store of the snapshot; people know the snapshot by this LV's name.
        cow_store: LvName,
        /// Whether the snapshot is being merged into its origin.
        merging: bool,
        /// Sectors per chunk.
        chunk_size: Sectors,
    },
    /// `thin-pool`.
    ThinPool {
        /// The LV with the mapping trees (`_tmeta`).
        metadata: LvName,
        /// The LV with the blocks (`_tdata`).
        data: LvName,
        /// How many changes LVM made to the pool.
        transaction_id: u64,
        /// Sectors per block.
        chunk_size: Sectors,
        /// Whether new blocks are zeroed before use.
        zero_new_blocks: bool,
        /// What becomes of discards.
        discards: Discards,
        /// What LVM still has to tell the kernel.
        messages: Vec<ThinMessage>,
    },
    /// `thin`.
    Thin {
        /// The pool it lives in.
        pool: LvName,
        /// The pool's transaction when it was made.
        transaction_id: u64,
        /// Its number in the pool.
        device_id: u32,
        /// The read-only LV outside the pool that unmapped blocks are read from.
        external_origin: Option<LvName>,
        /// The thin LV it was snapshotted from.
        origin: Option<LvName>,
        /// The thin LV it is being merged into.
        merge: Option<LvName>,
    },
    /// `cache-pool`.
    CachePool {
        /// The LV with cached blocks (`_cdata`).
        data: LvName,
        /// The LV with the map (`_cmeta`).
        metadata: LvName,
        /// How it caches; none where the text says what this program does not know.
        settings: Option<CacheSettings>,
    },
    /// `cache`.
    Cache {
        /// The cache pool, or the cachevol.
        pool: LvName,
        /// The slow LV (`_corig`).
        origin: LvName,
        /// How a cachevol is shared out, and how it caches; none with a cache pool.
        halves: Option<CacheHalves>,
    },
    /// `writecache`.
    Writecache {
        /// The fast LV (`_cvol`).
        fast: LvName,
        /// The slow LV (`_wcorig`).
        origin: LvName,
        /// How it caches; none where the text says what this program does not know.
        settings: Option<WritecacheSettings>,
    },
    /// `integrity`, below a RAID image.
    Integrity {
        /// The LV with the data.
        origin: LvName,
        /// The LV with the checksums.
        metadata: Option<LvName>,
        /// How it checks.
        settings: IntegritySettings,
    },
    /// `vdo`.
    Vdo {
        /// The VDO pool.
        pool: LvName,
    },
    /// `vdo-pool`.
    VdoPool {
        /// The LV below (`_vdata`).
        data: LvName,
    },
    /// `error`: every access fails.
    Error,
    /// `zero`: reads zeros, swallows writes.
    Zero,
    /// A type this program does not know; its text is kept as it is.
    Unknown {
        /// The type as spelled, with its flags.
        type_name: ForeignText,
    },
}

/// The RAID levels of LVM texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RaidLevel {
    /// Striping over LVs without metadata.
    Raid0,
    /// Striping over LVs with metadata.
    Raid0Meta,
    /// Mirroring.
    Raid1,
    /// Striping with a parity disk (`raid4`).
    Raid4,
    /// Striping with rotating parity, any layout.
    Raid5(&'static str),
    /// Striping with two parities, any layout.
    Raid6(&'static str),
    /// Striping over mirrors.
    Raid10(&'static str),
}

/// Every spelling of a RAID level LVM2 knows (`lib/metadata/segtype.h`, `SEG_TYPE_NAME_RAID*`).
const RAID_LEVELS: [(&str, RaidLevel); 21] = [
    ("raid0", RaidLevel::Raid0),
    ("raid0_meta", RaidLevel::Raid0Meta),
    ("raid1", RaidLevel::Raid1),
    ("raid4", RaidLevel::Raid4),
    ("raid5", RaidLevel::Raid5("raid5")),
    ("raid5_n", RaidLevel::Raid5("raid5_n")),
    ("raid5_la", RaidLevel::Raid5("raid5_la")),
    ("raid5_ls", RaidLevel::Raid5("raid5_ls")),
    ("raid5_ra", RaidLevel::Raid5("raid5_ra")),
    ("raid5_rs", RaidLevel::Raid5("raid5_rs")),
    ("raid6", RaidLevel::Raid6("raid6")),
    ("raid6_nc", RaidLevel::Raid6("raid6_nc")),
    ("raid6_nr", RaidLevel::Raid6("raid6_nr")),
    ("raid6_zr", RaidLevel::Raid6("raid6_zr")),
    ("raid6_la_6", RaidLevel::Raid6("raid6_la_6")),
    ("raid6_ls_6", RaidLevel::Raid6("raid6_ls_6")),
    ("raid6_ra_6", RaidLevel::Raid6("raid6_ra_6")),
    ("raid6_rs_6", RaidLevel::Raid6("raid6_rs_6")),
    ("raid6_n_6", RaidLevel::Raid6("raid6_n_6")),
    ("raid10", RaidLevel::Raid10("raid10")),
    ("raid10_near", RaidLevel::Raid10("raid10_near")),
];

impl RaidLevel {
    /// The level with this spelling.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        RAID_LEVELS.iter().find(|(name, _)| name.as_bytes() == text).map(|(_, level)| *level)
    }

    /// The level as texts spell it.
    pub fn text(self) -> &'static str {
        RAID_LEVELS.iter().find(|(_, level)| *level == self).map_or("raid", |(name, _)| *name)
    }

    /// Whether every leg holds the whole content.
    pub const fn is_mirroring(self) -> bool {
        matches!(self, Self::Raid1)
    }
}

impl SegmentKind {
    /// The segment type as `lvs -o segtype` prints it.
    pub fn type_name(&self) -> String {
        match self {
            Self::Striped { stripes, .. } if stripes.len() == 1 => "linear".to_owned(),
            Self::Striped { .. } => "striped".to_owned(),
            Self::Mirror { .. } => "mirror".to_owned(),
            Self::Raid { level, .. } => level.text().to_owned(),
            Self::Snapshot { .. } => "snapshot".to_owned(),
            Self::ThinPool { .. } => "thin-pool".to_owned(),
            Self::Thin { .. } => "thin".to_owned(),
            Self::CachePool { .. } => "cache-pool".to_owned(),
            Self::Cache { .. } => "cache".to_owned(),
            Self::Writecache { .. } => "writecache".to_owned(),
            Self::Integrity { .. } => "integrity".to_owned(),
            Self::Vdo { .. } => "vdo".to_owned(),
            Self::VdoPool { .. } => "vdo-pool".to_owned(),
            Self::Error => "error".to_owned(),
            Self::Zero => "zero".to_owned(),
            Self::Unknown { type_name } => type_name.to_string(),
        }
    }

    /// The areas that lie directly on PVs or LVs by extent.
    pub fn areas(&self) -> &[Area] {
        match self {
            Self::Striped { stripes, .. } => stripes,
            Self::Mirror { images, .. } => images,
            Self::Raid { .. }
            | Self::Snapshot { .. }
            | Self::ThinPool { .. }
            | Self::Thin { .. }
            | Self::CachePool { .. }
            | Self::Cache { .. }
            | Self::Writecache { .. }
            | Self::Integrity { .. }
            | Self::Vdo { .. }
            | Self::VdoPool { .. }
            | Self::Error
            | Self::Zero
            | Self::Unknown { .. } => &[],
        }
    }
}

impl Segment {
    /// The extents of each area: a striped segment is shared out, every other area is as long
    /// as the segment.
    pub fn area_len(&self) -> Extents {
        if let SegmentKind::Striped { stripes, .. } = &self.kind {
            let parts = u64::try_from(stripes.len()).unwrap_or(u64::MAX).max(1);
            return Extents::new(self.len.get() / parts);
        }
        self.len
    }
}
