//! What the metadata of a thin pool says of itself: superblock, and the thin devices it knows.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::Digest;
use crate::units::{Bytes, Sectors};

/// LVM gives the kernel no more metadata than this: 15.81 GiB.
///
/// # Source
/// LVM2 `libdm/libdevmapper.h`, `DM_THIN_MAX_METADATA_SIZE`.
pub const METADATA_MAX: Bytes = Bytes::new(16_580_608 << 10);
/// Size of a metadata block.
pub const METADATA_BLOCK: Bytes = Bytes::new(4096);

/// The kernel holds back no more blocks of metadata than these.
const RESERVE_MAX: u64 = (4 << 20) / METADATA_BLOCK.get();

/// How many blocks a space map counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceUsed {
    /// All of them.
    pub blocks: u64,
    /// Those in use.
    pub allocated: u64,
}

/// How many of so many blocks of metadata the kernel holds back: a tenth, but no more than 4 MiB.
///
/// # Source
/// Linux `drivers/md/dm-thin-metadata.c`, `__set_metadata_reserve`.
const fn metadata_reserve(blocks: u64) -> u64 {
    let tenth = blocks / 10;
    if tenth < RESERVE_MAX { tenth } else { RESERVE_MAX }
}

/// How large metadata has to be for so many blocks of it to be no more than so many percent, what
/// the kernel holds back counted.
pub fn metadata_for(allocated: u64, percent: u8) -> Bytes {
    let percent = u128::from(percent.clamp(1, 100));
    let used = u128::from(allocated) * 100;
    let of = |reserve: u128| (used + reserve * 100).div_ceil(percent);
    // Where a tenth of it is held back only the rest serves.
    let small = percent.checked_sub(10).filter(|rest| *rest > 0).map(|rest| used.div_ceil(rest));
    let blocks = match small {
        Some(blocks) if blocks / 10 < u128::from(RESERVE_MAX) => blocks,
        Some(_) | None => of(u128::from(RESERVE_MAX)),
    };
    let blocks = u64::try_from(blocks).unwrap_or(u64::MAX);
    Bytes::new(blocks.saturating_mul(METADATA_BLOCK.get()))
}

/// A sound superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThinSuperblock {
    /// Whether the kernel refuses to write before a check.
    pub needs_check: bool,
    /// Version of the format.
    pub version: u32,
    /// The snapshot clock.
    pub time: u32,
    /// The transaction id; LVM's text has one to compare with.
    pub transaction_id: u64,
    /// Where a metadata snapshot is held, when there is one.
    pub held_root: Option<u64>,
    /// The data device.
    pub data: SpaceUsed,
    /// Block of the root of the tree that leads to the bitmaps of data blocks.
    pub data_bitmap_root: u64,
    /// The metadata device.
    pub metadata: SpaceUsed,
    /// Block of the mapping tree's root.
    pub mapping_root: u64,
    /// Block of the device details tree's root.
    pub details_root: u64,
    /// How long a data block is.
    pub data_block: Sectors,
}

/// What block 0 of a pool's metadata holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinSuperblockBlock {
    /// Nothing but zeros: the kernel would make a new, empty pool of it.
    Zeroed,
    /// No superblock.
    Foreign,
    /// A superblock, and what is wrong with it first.
    Damaged(ThinSuperblockDamage),
    /// A sound superblock.
    Sound(ThinSuperblock),
}

/// What can be wrong with a superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinSuperblockDamage {
    /// The checksum does not match.
    Checksum,
    /// A version nobody wrote.
    Version,
    /// It says that it is another block.
    BlockNumber,
    /// Block sizes that the kernel would refuse.
    BlockSize,
}

impl ThinSuperblockDamage {
    /// What is wrong, for people.
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Checksum => "its checksum is wrong",
            Self::Version => "its version is none that there is",
            Self::BlockNumber => "it says that it is another block",
            Self::BlockSize => "it has block sizes that there are not",
        }
    }
}

impl SpaceUsed {
    /// How much is used, in whole percents rounded down: 100 only when nothing is free.
    pub fn percent(self) -> u8 {
        let Self { blocks, allocated } = self;
        if allocated >= blocks {
            return 100;
        }
        let percent = u128::from(allocated) * 100 / u128::from(blocks.max(1));
        u8::try_from(percent).unwrap_or(100)
    }

    /// Of metadata, as the kernel counts it: what it holds back, so that a pool can still be mended,
    /// counts as used.
    #[must_use]
    pub fn with_reserve(self) -> Self {
        let allocated = self.allocated.saturating_add(metadata_reserve(self.blocks));
        Self { allocated: allocated.min(self.blocks), ..self }
    }

    /// The other way.
    #[must_use]
    pub fn without_reserve(self) -> Self {
        let allocated = self.allocated.saturating_sub(metadata_reserve(self.blocks));
        Self { allocated, ..self }
    }

    /// What is used, in blocks of this size.
    pub fn bytes(self, block: Bytes) -> Bytes {
        Bytes::new(self.allocated.saturating_mul(block.get()))
    }

    /// How many are free.
    pub fn free(self) -> u64 {
        self.blocks.saturating_sub(self.allocated)
    }
}

/// A device of a pool, as its details tree has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThinDevice {
    /// How many data blocks it maps, shared ones included.
    pub mapped_blocks: u64,
    /// The transaction in which it was made.
    pub transaction_id: u64,
    /// The snapshot clock when it was made.
    pub creation_time: u32,
    /// The snapshot clock when it was last snapshotted.
    pub snapshot_time: u32,
}

/// What stands in the metadata LV of a pool that is not active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolMetadata {
    /// The digest of its first block, which is another one after every commit.
    pub digest: Digest,
    /// Its first block.
    pub block: ThinSuperblockBlock,
    /// The devices of the details tree, by number; why it could not be read.
    pub details: Result<BTreeMap<u32, ThinDevice>, String>,
    /// The numbers of devices that have a mapping tree; why they could not be read. That the trees
    /// themselves are sound only `thin_check` tells.
    pub mapped: Result<BTreeSet<u32>, String>,
}

impl PoolMetadata {
    /// Its superblock, if that is sound.
    pub fn superblock(&self) -> Option<&ThinSuperblock> {
        match &self.block {
            ThinSuperblockBlock::Sound(superblock) => Some(superblock),
            ThinSuperblockBlock::Zeroed
            | ThinSuperblockBlock::Foreign
            | ThinSuperblockBlock::Damaged(_) => None,
        }
    }

    /// What is seen to be damaged without walking the trees, for people; empty when nothing is.
    pub fn damage(&self) -> Vec<String> {
        let mut found = Vec::new();
        match &self.block {
            ThinSuperblockBlock::Zeroed => found.push(
                "its superblock is all zeros: the kernel would make a new, empty pool of it"
                    .to_owned(),
            ),
            ThinSuperblockBlock::Foreign => {
                found.push("block 0 of it is no superblock".to_owned());
            }
            ThinSuperblockBlock::Damaged(damage) => {
                found.push(format!("its superblock is damaged: {}", damage.shown()));
            }
            ThinSuperblockBlock::Sound(_) => {
                if let Err(why) = &self.details {
                    found.push(format!("its list of devices cannot be read: {why}"));
                }
                if let Err(why) = &self.mapped {
                    found.push(format!("its mapping tree cannot be read: {why}"));
                }
            }
        }
        found
    }
}

/// What came of judging, and perhaps rebuilding, a copy of a pool's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolTrial {
    /// What `thin_check` says against it.
    pub checked: Result<(), String>,
    /// What a rebuild makes of it; none where none was tried.
    pub rebuilt: Option<Result<Rebuilt, String>>,
}

/// What is set right in a copy of the old metadata before it is dumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mend {
    /// The checksum of the superblock.
    SuperblockChecksum,
    /// The superblock, made anew from LVM's text and the trees that are left.
    Superblock {
        /// How many other states of the pool are left, and agree with LVM's text as well.
        others: u32,
    },
    /// The list of devices, made anew from the mapping trees and LVM's text.
    DeviceList,
    /// Whatever the tools find that is whole; it may be of an older transaction.
    Repair,
}

impl Mend {
    /// For people.
    pub const fn shown(self) -> &'static str {
        match self {
            Self::SuperblockChecksum => {
                "the checksum of its superblock is set right in the copy: what it says agrees with LVM \
                 and with the trees"
            }
            Self::Superblock { .. } => {
                "its superblock is made anew in the copy, from LVM's text and from trees that are left \
                 and agree with it"
            }
            Self::DeviceList => {
                "its list of devices is made anew in the copy, from the mapping trees and LVM's text; \
                 what was written before the last snapshot of the pool counts as shared with one, and \
                 needs a free block when it is written again"
            }
            Self::Repair => "the old metadata is repaired on the way: `thin_dump -r`",
        }
    }
}

/// What LVM's text says of a pool, for metadata that does not tell all itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolByText {
    /// The transaction id.
    pub transaction_id: u64,
    /// How long a data block is.
    pub data_block: Sectors,
    /// How many whole blocks the data has room for.
    pub data_blocks: u64,
    /// The devices of thin LVs, each with the transaction in which it was made.
    pub devices: BTreeMap<u32, u64>,
}

/// A superblock and the devices that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The superblock.
    pub superblock: ThinSuperblock,
    /// Its devices, by number.
    pub devices: BTreeMap<u32, ThinDevice>,
}

/// How the data blocks that were in use stand to those that repaired metadata maps. An older tree
/// maps blocks that were given back since, and misses those that were given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Blocks that were in use, and that it does not map.
    pub unmapped: u64,
    /// Blocks that it maps, and that were not in use.
    pub stray: u64,
}

/// Metadata that was rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// What had to be set right on the way; none where the old could be dumped as it stands.
    pub mend: Option<Mend>,
    /// What the old metadata told, once that was set right; why nothing is known of it.
    pub old: Result<Told, String>,
    /// What the new metadata tells.
    pub new: Told,
    /// What comes of comparing the two, mapping by mapping.
    pub compared: Compared,
}

/// What comes of comparing old and new metadata, mapping by mapping; why that cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Devices whose mappings are not the very same in both.
    pub differing: Result<Vec<u32>, String>,
    /// Whether the new maps what was in use.
    pub coverage: Result<Coverage, String>,
    /// How many data blocks stand for two places in the new, so that the kernel would write one volume
    /// over another.
    pub twice: Result<u64, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_as_large_as_it_has_to_be_and_not_larger() {
        for allocated in [1, 11, 461, 5_000, 9_000, 9_215, 9_216, 100_000, 4_000_000] {
            for percent in [11, 50, 80, 95, 99] {
                let size = metadata_for(allocated, percent);
                let blocks = size.get() / METADATA_BLOCK.get();
                let reaches = |blocks: u64| {
                    let used = allocated + metadata_reserve(blocks);
                    used * 100 <= blocks * u64::from(percent)
                };
                assert!(reaches(blocks), "{allocated} at {percent} %: {blocks}");
                let less = blocks.checked_sub(20).filter(|less| *less > 0);
                assert!(
                    !less.is_some_and(reaches),
                    "{allocated} at {percent} %: {blocks} is too many"
                );
            }
        }
        assert!(metadata_for(u64::MAX, 1).get() > METADATA_MAX.get());
    }

    #[test]
    fn what_the_kernel_holds_back() {
        let used = SpaceUsed { blocks: 1024, allocated: 11 };
        assert_eq!(used.with_reserve().allocated, 113);
        assert_eq!(used.with_reserve().without_reserve(), used);
        assert_eq!(SpaceUsed { blocks: 512, allocated: 470 }.with_reserve().percent(), 100);
    }
}
