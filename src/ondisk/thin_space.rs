//! Which data blocks of a thin pool its space map says are in use.
//!
//! The root of the space map is a btree of index entries {bitmap block: 8, free blocks: 4, none free
//! before: 4}. A bitmap has a checksum of 4 bytes, 4 unused ones, its block number of 8, and then two
//! bits for each data block, four to a byte, the lowest first: 0 for a block that nobody has.
//!
//! # Source
//! Linux `drivers/md/persistent-data/dm-space-map-common.h`, `struct disk_index_entry`,
//! `struct disk_bitmap_header`; `dm-space-map-common.c`, `sm_lookup_bitmap`.

use crate::ondisk::bytes::{u32_at, u64_at};
use crate::ondisk::thin_superblock::checksum;
use crate::ondisk::thin_tree::{ReadBlock, walk};

const SALT: u32 = 240_779;
const HEADER: usize = 16;
const ENTRIES_PER_BYTE: u64 = 4;
/// How many data blocks a bitmap tells of.
const ENTRIES: u64 = (4096 - 16) * ENTRIES_PER_BYTE;
/// LVM makes no pool with more: the kernel's largest metadata could not map them.
const BLOCKS_MAX: u64 = 1 << 33;

/// A set of data blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSet {
    words: Vec<u64>,
    len: u64,
}

impl BlockSet {
    /// An empty set for so many blocks.
    pub(super) fn of(len: u64) -> Result<Self, String> {
        let words = usize::try_from(len.div_ceil(64)).ok().filter(|_| len <= BLOCKS_MAX);
        let words = words.ok_or("it has more data blocks than there can be")?;
        Ok(Self { words: vec![0; words], len })
    }

    /// Adds one; nothing where the pool has no such block.
    pub(super) fn add(&mut self, block: u64) -> Option<()> {
        let at = usize::try_from(block / 64).ok()?;
        let word = self.words.get_mut(at).filter(|_| block < self.len)?;
        *word |= 1 << (block % 64);
        Some(())
    }

    /// Adds all of another set.
    pub fn join(&mut self, other: &Self) {
        for (word, others) in self.words.iter_mut().zip(&other.words) {
            *word |= others;
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// How many are in this set and not in the other one.
    pub fn without(&self, other: &Self) -> u64 {
        let others = other.words.iter().chain(std::iter::repeat(&0));
        self.words.iter().zip(others).map(|(a, b)| u64::from((a & !b).count_ones())).sum()
    }
}

/// The blocks that the space map says are in use.
///
/// # Errors
/// Which block is wrong and why, for people.
pub fn read_allocated(
    root: u64,
    blocks: u64,
    read: &mut ReadBlock<'_>,
) -> Result<BlockSet, String> {
    let mut found = BlockSet::of(blocks)?;
    let mut bitmaps = Vec::new();
    walk(root, 16, read, &mut |index, entry| {
        bitmaps.push((index, u64_at(entry, 0)?));
        Some(())
    })?;
    for (index, number) in bitmaps {
        let bad = |why: &str| format!("block {number}: {why}");
        let first = index.checked_mul(ENTRIES).filter(|first| *first < blocks);
        let first = first.ok_or_else(|| bad("its index is out of reach"))?;
        let block = read(number).map_err(|why| bad(&why))?;
        if u32_at(&block, 0) != Some(checksum(&block, SALT)) {
            return Err(bad("its checksum is wrong"));
        }
        if u64_at(&block, 8) != Some(number) {
            return Err(bad("it says that it is another block"));
        }
        let counts =
            block.iter().skip(HEADER).flat_map(|byte| (0..4).map(move |at| byte >> (at * 2) & 3));
        for (at, count) in (first..).zip(counts) {
            // A bitmap is as long as it is, however few blocks the pool has.
            if count != 0 {
                found.add(at).ok_or_else(|| bad("it tells of blocks that there are not"))?;
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ondisk::thin_node::{Block, write_node};

    fn bitmap(number: u64, counts: &[(usize, u8)]) -> Block {
        let mut block = [0; 4096];
        block[8..16].copy_from_slice(&number.to_le_bytes());
        for (at, count) in counts {
            block[HEADER + at / 4] |= count << (at % 4 * 2);
        }
        let sum = checksum(&block, SALT);
        block[..4].copy_from_slice(&sum.to_le_bytes());
        block
    }

    fn index(bitmaps: &[(u64, u64)]) -> Block {
        let entry = |(index, number): &(u64, u64)| {
            let mut value = [0; 16];
            value[..8].copy_from_slice(&number.to_le_bytes());
            (*index, value)
        };
        write_node(0, true, &bitmaps.iter().map(entry).collect::<Vec<_>>())
    }

    fn allocated(blocks: &[Block], len: u64) -> Result<Vec<u64>, String> {
        let found = read_allocated(0, len, &mut |number| {
            let block = usize::try_from(number).ok().and_then(|at| blocks.get(at));
            block.copied().ok_or_else(|| "it lies behind the end".to_owned())
        })?;
        let is_in = |block: &u64| {
            let mut one = BlockSet::of(len).unwrap();
            one.add(*block).unwrap();
            one.without(&found) == 0
        };
        Ok((0..len).filter(is_in).collect())
    }

    #[test]
    fn counts_of_every_kind_are_in_use() {
        let blocks = [
            index(&[(0, 1), (1, 2)]),
            bitmap(1, &[(0, 1), (5, 2), (6, 3), (16_319, 1)]),
            bitmap(2, &[(3, 1)]),
        ];
        assert_eq!(allocated(&blocks, ENTRIES + 4), Ok(vec![0, 5, 6, 16_319, 16_323]));
    }

    #[test]
    fn damaged_bitmaps() {
        let sound = bitmap(1, &[(0, 1), (9, 1)]);
        let mut flipped = sound;
        flipped[20] ^= 1;
        let other = bitmap(2, &[]);
        for (block, len, why) in [
            (flipped, 10, "block 1: its checksum is wrong"),
            (other, 10, "block 1: it says that it is another block"),
            (sound, 9, "block 1: it tells of blocks that there are not"),
        ] {
            assert_eq!(allocated(&[index(&[(0, 1)]), block], len), Err(why.to_owned()));
        }
        // Of the second one the first block can be counted, and the last cannot.
        for far in [u64::MAX, u64::MAX / ENTRIES, 1] {
            let why = "block 1: its index is out of reach".to_owned();
            assert_eq!(allocated(&[index(&[(far, 1)]), bitmap(1, &[])], 10), Err(why));
        }
        let many = "it has more data blocks than there can be".to_owned();
        assert_eq!(allocated(&[], u64::MAX), Err(many));
    }
}
