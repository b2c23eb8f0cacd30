//! What the metadata of a thin pool says of itself: superblock, and the thin devices it knows.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::Digest;
use crate::units::{Bytes, Sectors};

/// LVM gives the kernel no more metadata than this: 15.81 GiB.
///
/// # Source
/// LVM2 `libdm/libdevmapper.h`, `DM_THIN_MAX_METADATA_SIZE`.
pub const METADATA_MAX: Bytes = Bytes::new(16_580_608 << 10);
/// LVM makes no metadata smaller than this.
pub const METADATA_MIN: Bytes = Bytes::new(2 << 20);
/// Size of a metadata block.
pub const METADATA_BLOCK: Bytes = Bytes::new(4096);

/// How many blocks a space map counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceUsed {
    /// All of them.
    pub blocks: u64,
    /// Those in use.
    pub allocated: u64,
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
    /// How much is used, in whole percents rounded up: 100 only when nothing is free.
    pub fn percent(self) -> u8 {
        let Self { blocks, allocated } = self;
        if allocated >= blocks {
            return 100;
        }
        let percent = u128::from(allocated) * 100 / u128::from(blocks.max(1));
        u8::try_from(percent).unwrap_or(100)
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

impl Rebuilt {
    /// What shows that a repair took other trees than those that counted: a tool may take older
    /// ones that are whole, and says nothing. `old` is what stood there.
    pub fn other_than(
        &self,
        old: &ThinSuperblock,
        details: &BTreeMap<u32, ThinDevice>,
    ) -> Option<String> {
        if (self.superblock.transaction_id, self.superblock.time) != (old.transaction_id, old.time)
        {
            return Some("it is of another transaction or time than the old metadata".to_owned());
        }
        let differs = |(device, found): (&u32, &ThinDevice)| {
            let is_same = details.get(device).is_some_and(|old| {
                let key = |d: &ThinDevice| (d.transaction_id, d.creation_time, d.snapshot_time);
                key(old) == key(found) && found.mapped_blocks <= old.mapped_blocks
            });
            (!is_same).then(|| format!("its device {device} is not as the old metadata has it"))
        };
        self.details.iter().find_map(differs)
    }
}

/// Metadata that was rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Whether the old had to be repaired on the way, as it could not be dumped as it stands.
    pub repaired: bool,
    /// Its superblock.
    pub superblock: ThinSuperblock,
    /// Its devices, by number.
    pub details: BTreeMap<u32, ThinDevice>,
}
