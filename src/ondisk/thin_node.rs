//! A node of a btree in thin-pool metadata.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | checksum of bytes 4 to 4095 |
//! | 4 | 4 | flags: 1 internal node, 2 leaf |
//! | 8 | 8 | block number |
//! | 16 | 4 | entries |
//! | 20 | 4 | entries it has room for |
//! | 24 | 4 | size of a value in bytes |
//! | 32 | 8 each | keys, as many as there is room for; then the values |
//!
//! # Source
//! Linux `drivers/md/persistent-data/dm-btree-internal.h`, `struct node_header`;
//! `drivers/md/persistent-data/dm-btree.c`, `calc_max_entries`.

use crate::ondisk::bytes::{u32_at, u64_at};
use crate::ondisk::thin_superblock::{BLOCK_SIZE, checksum};

const SALT: u32 = 121_107;
const INTERNAL: u32 = 1;
const LEAF: u32 = 2;
const HEADER: usize = 32;

/// A block of metadata.
pub type Block = [u8; BLOCK_SIZE];

/// The checksum that a node with these bytes should have.
pub fn node_checksum(block: &Block) -> u32 {
    checksum(block, SALT)
}

/// How many entries a node with values of this size has room for.
pub const fn room_for(value_size: usize) -> usize {
    (BLOCK_SIZE - HEADER) / (8 + value_size) / 3 * 3
}

/// Writes a node; entries that it has no room for are left out.
pub fn write_node<const SIZE: usize>(
    number: u64,
    is_leaf: bool,
    entries: &[(u64, [u8; SIZE])],
) -> Block {
    let room = room_for(SIZE);
    let entries = entries.get(..room).unwrap_or(entries);
    let word = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
    let flags = if is_leaf { LEAF } else { INTERNAL };
    let mut bytes = [0; 4].to_vec();
    bytes.extend(flags.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend([entries.len(), room, SIZE, 0].map(word).concat());
    bytes.extend(entries.iter().flat_map(|(key, _)| key.to_le_bytes()));
    bytes.resize(HEADER + room * 8, 0);
    bytes.extend(entries.iter().flat_map(|(_, value)| value));
    let mut block = [0; BLOCK_SIZE];
    for (to, from) in block.iter_mut().zip(bytes) {
        *to = from;
    }
    let sum = node_checksum(&block);
    for (to, from) in block.iter_mut().zip(sum.to_le_bytes()) {
        *to = from;
    }
    block
}

/// A node that is what it says.
pub struct Node<'b> {
    block: &'b Block,
    /// Whether its values are those of the tree, and not further nodes.
    pub is_leaf: bool,
    /// How many entries it has.
    pub entries: usize,
    room: usize,
    /// How long a value is.
    pub value_size: usize,
}

impl<'b> Node<'b> {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn of(block: &'b Block, number: u64) -> Result<Self, String> {
        if u32_at(block, 0) != Some(node_checksum(block)) {
            return Err("its checksum is wrong".to_owned());
        }
        if u64_at(block, 8) != Some(number) {
            return Err("it says that it is another block".to_owned());
        }
        let field = |at: usize| u32_at(block, at).and_then(|value| usize::try_from(value).ok());
        let (Some(flags), Some(entries), Some(room), Some(value_size)) =
            (u32_at(block, 4), field(16), field(20), field(24))
        else {
            return Err("it is cut off".to_owned());
        };
        let fits = room
            .checked_mul(value_size.saturating_add(8))
            .and_then(|len| len.checked_add(HEADER))
            .is_some_and(|len| len <= BLOCK_SIZE);
        if entries > room || !fits {
            return Err("it claims more entries than there is room for".to_owned());
        }
        let is_leaf = match flags {
            LEAF => true,
            INTERNAL if value_size == 8 => false,
            _ => return Err("it is no node of a tree".to_owned()),
        };
        Ok(Self { block, is_leaf, entries, room, value_size })
    }

    /// The key of an entry.
    pub fn key(&self, at: usize) -> Option<u64> {
        u64_at(self.block, at.checked_mul(8)?.checked_add(HEADER)?)
    }

    /// The value of an entry.
    pub fn value(&self, at: usize, size: usize) -> Option<&'b [u8]> {
        let values = self.room.checked_mul(8)?.checked_add(HEADER)?;
        let start = at.checked_mul(size)?.checked_add(values)?;
        self.block.get(start..start.checked_add(size)?)
    }
}
