//! The superblock of a thin pool, block 0 of its metadata LV.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | checksum of bytes 4 to 4095 |
//! | 4 | 4 | flags; bit 0: needs check |
//! | 8 | 8 | block number, 0 |
//! | 16 | 16 | UUID, zeros |
//! | 32 | 8 | magic 27022010 |
//! | 40 | 4 | version |
//! | 44 | 4 | snapshot clock |
//! | 48 | 8 | transaction id |
//! | 56 | 8 | block of the metadata snapshot, 0 for none |
//! | 64 | 128 | root of the data space map |
//! | 192 | 128 | root of the metadata space map |
//! | 320 | 8 | root of the mapping tree |
//! | 328 | 8 | root of the device details |
//! | 336 | 4 | data block size in sectors |
//! | 340 | 4 | metadata block size in sectors, 8 |
//! | 344 | 8 | metadata blocks |
//!
//! A space map root begins with {blocks: 8, allocated blocks: 8, bitmap root: 8}. The checksum is CRC-32C without
//! the final inversion, XORed with 160774.
//!
//! # Source
//! Linux `drivers/md/dm-thin-metadata.c`, `struct thin_disk_superblock`, `sb_check`;
//! `drivers/md/persistent-data/dm-space-map-common.h`, `struct disk_sm_root`.

use crate::model::thin_pool::{
    SpaceUsed, ThinSuperblock, ThinSuperblockBlock, ThinSuperblockDamage,
};
use crate::ondisk::bytes::{array_at, u32_at, u64_at};
use crate::units::Sectors;

/// Size of a metadata block in bytes.
pub const BLOCK_SIZE: usize = 4096;

const MAGIC: u64 = 27_022_010;
const CHECKSUM_SALT: u32 = 160_774;
/// Where the root of the details tree stands.
const DETAILS_ROOT: usize = 328;
const FLAG_NEEDS_CHECK: u32 = 1;
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=2;
const METADATA_BLOCK_SECTORS: u32 = 8;
const DATA_BLOCK_MIN: u32 = 128;
const DATA_BLOCK_MAX: u32 = 2_097_152;

/// Reads block 0 of a pool's metadata.
pub fn parse_thin_superblock(block: &[u8; BLOCK_SIZE]) -> ThinSuperblockBlock {
    if block.iter().all(|byte| *byte == 0) {
        return ThinSuperblockBlock::Zeroed;
    }
    if u64_at(block, 32) != Some(MAGIC) {
        return ThinSuperblockBlock::Foreign;
    }
    if let Some(damage) = damage_of(block) {
        return ThinSuperblockBlock::Damaged(damage);
    }
    fields_of(block).map_or(ThinSuperblockBlock::Foreign, ThinSuperblockBlock::Sound)
}

/// The checksum that a superblock with these bytes should have.
pub fn superblock_checksum(block: &[u8; BLOCK_SIZE]) -> u32 {
    checksum(block, CHECKSUM_SALT)
}

/// The block with the checksum that it should have.
pub fn signed(mut block: [u8; BLOCK_SIZE]) -> [u8; BLOCK_SIZE] {
    let sum = superblock_checksum(&block);
    for (to, from) in block.iter_mut().zip(sum.to_le_bytes()) {
        *to = from;
    }
    block
}

/// The block without the flag that it needs a check, signed.
pub fn without_needs_check(mut block: [u8; BLOCK_SIZE]) -> [u8; BLOCK_SIZE] {
    for byte in block.iter_mut().skip(4).take(1) {
        *byte &= !1;
    }
    signed(block)
}

/// The root of the mapping tree in a metadata snapshot, which is a superblock in another block.
pub fn held_mapping_root(block: &[u8; BLOCK_SIZE]) -> Option<u64> {
    let sum = u32_at(block, 0)? == superblock_checksum(block);
    let is_superblock = sum && u64_at(block, 32)? == MAGIC;
    u64_at(block, 320).filter(|_| is_superblock)
}

/// The block with another root of the details tree, signed.
pub fn with_details_root(mut block: [u8; BLOCK_SIZE], root: u64) -> [u8; BLOCK_SIZE] {
    for (to, from) in block.iter_mut().skip(DETAILS_ROOT).zip(root.to_le_bytes()) {
        *to = from;
    }
    signed(block)
}

/// A superblock that leads to these trees, signed. What it says of the space maps beyond that is not
/// known: it is only good for a dump.
pub fn made_anew(says: &ThinSuperblock) -> [u8; BLOCK_SIZE] {
    let mut block = [0; BLOCK_SIZE];
    let data_block = u32::try_from(says.data_block.get()).unwrap_or(0);
    let fields: [(usize, &[u8]); 13] = [
        (32, &MAGIC.to_le_bytes()),
        (40, &says.version.to_le_bytes()),
        (44, &says.time.to_le_bytes()),
        (48, &says.transaction_id.to_le_bytes()),
        (64, &says.data.blocks.to_le_bytes()),
        (72, &says.data.allocated.to_le_bytes()),
        (80, &says.data_bitmap_root.to_le_bytes()),
        (192, &says.metadata.blocks.to_le_bytes()),
        (200, &says.metadata.allocated.to_le_bytes()),
        (320, &says.mapping_root.to_le_bytes()),
        (DETAILS_ROOT, &says.details_root.to_le_bytes()),
        (336, &data_block.to_le_bytes()),
        (340, &METADATA_BLOCK_SECTORS.to_le_bytes()),
    ];
    let bytes = fields.iter().flat_map(|(at, bytes)| (*at..).zip(bytes.iter()));
    for (at, byte) in bytes.chain((344..).zip(&says.metadata.blocks.to_le_bytes())) {
        if let Some(to) = block.get_mut(at) {
            *to = *byte;
        }
    }
    signed(block)
}

/// The checksum of a metadata block; each kind of block has a salt of its own.
pub(super) fn checksum(block: &[u8], salt: u32) -> u32 {
    !crc32c::crc32c(block.get(4..).unwrap_or(&[])) ^ salt
}

fn damage_of(block: &[u8; BLOCK_SIZE]) -> Option<ThinSuperblockDamage> {
    if u32_at(block, 0) != Some(superblock_checksum(block)) {
        return Some(ThinSuperblockDamage::Checksum);
    }
    if u64_at(block, 8) != Some(0) {
        return Some(ThinSuperblockDamage::BlockNumber);
    }
    if !u32_at(block, 40).is_some_and(|version| VERSIONS.contains(&version)) {
        return Some(ThinSuperblockDamage::Version);
    }
    let is_possible = |size: u32| {
        (DATA_BLOCK_MIN..=DATA_BLOCK_MAX).contains(&size) && size.is_multiple_of(DATA_BLOCK_MIN)
    };
    if !u32_at(block, 336).is_some_and(is_possible)
        || u32_at(block, 340) != Some(METADATA_BLOCK_SECTORS)
    {
        return Some(ThinSuperblockDamage::BlockSize);
    }
    None
}

fn fields_of(block: &[u8]) -> Option<ThinSuperblock> {
    let space_at = |offset: usize| {
        Some(SpaceUsed { blocks: u64_at(block, offset)?, allocated: u64_at(block, offset + 8)? })
    };
    Some(ThinSuperblock {
        needs_check: u32::from_le_bytes(array_at(block, 4)?) & FLAG_NEEDS_CHECK != 0,
        version: u32_at(block, 40)?,
        time: u32_at(block, 44)?,
        transaction_id: u64_at(block, 48)?,
        held_root: u64_at(block, 56).filter(|held| *held != 0),
        data: space_at(64)?,
        data_bitmap_root: u64_at(block, 80)?,
        metadata: space_at(192)?,
        mapping_root: u64_at(block, 320)?,
        details_root: u64_at(block, DETAILS_ROOT)?,
        data_block: Sectors::new(u64::from(u32_at(block, 336)?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(change: impl Fn(&mut [u8; BLOCK_SIZE])) -> [u8; BLOCK_SIZE] {
        let mut block = [0; BLOCK_SIZE];
        block[32..40].copy_from_slice(&MAGIC.to_le_bytes());
        block[40] = 2;
        block[48] = 7;
        block[336..340].copy_from_slice(&128_u32.to_le_bytes());
        block[340] = 8;
        change(&mut block);
        let sum = checksum(&block, CHECKSUM_SALT);
        block[..4].copy_from_slice(&sum.to_le_bytes());
        block
    }

    #[test]
    fn the_checksum_is_castagnoli_without_final_inversion() {
        assert_eq!(checksum(b"....123456789", 0), 0x1cf9_6d7c);
        assert_eq!(checksum(&[0; BLOCK_SIZE], CHECKSUM_SALT), 0x58cf_d397);
    }

    #[test]
    fn a_sound_block_is_read() {
        let ThinSuperblockBlock::Sound(found) = parse_thin_superblock(&signed(|_| ())) else {
            panic!("not sound");
        };
        assert_eq!((found.transaction_id, found.held_root, found.needs_check), (7, None, false));
        assert_eq!(found.data_block, Sectors::new(128));
    }

    #[test]
    fn what_is_wrong_is_said() {
        use ThinSuperblockDamage::{BlockNumber, BlockSize, Checksum, Version};
        let damaged = |change: fn(&mut [u8; BLOCK_SIZE])| parse_thin_superblock(&signed(change));
        assert_eq!(parse_thin_superblock(&[0; BLOCK_SIZE]), ThinSuperblockBlock::Zeroed);
        assert_eq!(damaged(|b| b[32] = 0), ThinSuperblockBlock::Foreign);
        assert_eq!(damaged(|b| b[8] = 1), ThinSuperblockBlock::Damaged(BlockNumber));
        assert_eq!(damaged(|b| b[40] = 3), ThinSuperblockBlock::Damaged(Version));
        assert_eq!(damaged(|b| b[340] = 1), ThinSuperblockBlock::Damaged(BlockSize));
        assert_eq!(damaged(|b| b[336] = 1), ThinSuperblockBlock::Damaged(BlockSize));
        let mut flipped = signed(|_| ());
        flipped[4000] ^= 1;
        assert_eq!(parse_thin_superblock(&flipped), ThinSuperblockBlock::Damaged(Checksum));
    }
}
