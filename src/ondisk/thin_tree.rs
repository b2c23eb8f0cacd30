//! The btrees of thin-pool metadata, as far as they list the devices of a pool.
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
//! The values of an internal node are blocks. In the details tree a leaf has {mapped blocks: 8,
//! transaction id: 8, creation time: 4, snapshot time: 4}, by device; in the top level of the
//! mapping tree the root of each device's own tree.
//!
//! # Source
//! Linux `drivers/md/persistent-data/dm-btree-internal.h`, `struct node_header`;
//! `drivers/md/dm-thin-metadata.c`, `struct disk_device_details`.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::thin_pool::ThinDevice;
use crate::ondisk::bytes::{u32_at, u64_at};
use crate::ondisk::thin_superblock::{BLOCK_SIZE, checksum};

const SALT: u32 = 121_107;
const INTERNAL: u32 = 1;
const LEAF: u32 = 2;
const HEADER: usize = 32;
/// No tree of 64-bit keys is deeper.
const DEPTH_MAX: usize = 16;
/// Device numbers have 24 bits.
const DEVICE_MAX: u64 = (1 << 24) - 1;

/// A block of metadata.
pub type Block = [u8; BLOCK_SIZE];

/// The devices of the details tree, by number.
///
/// # Errors
/// Which block is wrong and why, for people.
pub fn read_details(
    root: u64,
    read: &mut dyn FnMut(u64) -> Result<Block, String>,
) -> Result<BTreeMap<u32, ThinDevice>, String> {
    let mut devices = BTreeMap::new();
    Walk::new(24, read).down(root, &mut |device, value| {
        let found = ThinDevice {
            mapped_blocks: u64_at(value, 0)?,
            transaction_id: u64_at(value, 8)?,
            creation_time: u32_at(value, 16)?,
            snapshot_time: u32_at(value, 20)?,
        };
        devices.insert(device, found);
        Some(())
    })?;
    Ok(devices)
}

/// The numbers of the devices that have a mapping tree.
///
/// # Errors
/// Which block is wrong and why, for people.
pub fn read_mapped_devices(
    root: u64,
    read: &mut dyn FnMut(u64) -> Result<Block, String>,
) -> Result<BTreeSet<u32>, String> {
    let mut devices = BTreeSet::new();
    Walk::new(8, read).down(root, &mut |device, _| {
        devices.insert(device);
        Some(())
    })?;
    Ok(devices)
}

/// The checksum that a node with these bytes should have.
pub fn node_checksum(block: &Block) -> u32 {
    checksum(block, SALT)
}

struct Walk<'a> {
    value_size: usize,
    read: &'a mut dyn FnMut(u64) -> Result<Block, String>,
    seen: BTreeSet<u64>,
    last: Option<u64>,
}

impl<'a> Walk<'a> {
    fn new(value_size: usize, read: &'a mut dyn FnMut(u64) -> Result<Block, String>) -> Self {
        Self { value_size, read, seen: BTreeSet::new(), last: None }
    }

    /// Hands every device and its value to `take`, in order.
    fn down(
        &mut self,
        root: u64,
        take: &mut dyn FnMut(u32, &[u8]) -> Option<()>,
    ) -> Result<(), String> {
        // What is left to be visited, the next one last; with its depth.
        let mut left = vec![(root, 0)];
        while let Some((number, depth)) = left.pop() {
            let bad = |why: &str| format!("block {number}: {why}");
            if depth > DEPTH_MAX || !self.seen.insert(number) {
                return Err(bad("the tree leads in a circle"));
            }
            let block = (self.read)(number).map_err(|why| bad(&why))?;
            let node = Node::of(&block, number).map_err(|why| bad(&why))?;
            if !node.is_leaf {
                let children: Option<Vec<u64>> =
                    (0..node.entries).map(|at| u64_at(node.value(at, 8)?, 0)).collect();
                let children = children.ok_or_else(|| bad("it is cut off"))?;
                left.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
                continue;
            }
            if node.value_size != self.value_size {
                return Err(bad("it is a leaf of another tree"));
            }
            for at in 0..node.entries {
                let found = node.key(at).zip(node.value(at, self.value_size));
                let (key, value) = found.ok_or_else(|| bad("it is cut off"))?;
                if key > DEVICE_MAX || self.last.is_some_and(|last| last >= key) {
                    return Err(bad("its keys are not in order"));
                }
                self.last = Some(key);
                let device = u32::try_from(key).map_err(|_| bad("its keys are not in order"))?;
                take(device, value).ok_or_else(|| bad("it is cut off"))?;
            }
        }
        Ok(())
    }
}

struct Node<'b> {
    block: &'b Block,
    is_leaf: bool,
    entries: usize,
    room: usize,
    value_size: usize,
}

impl<'b> Node<'b> {
    fn of(block: &'b Block, number: u64) -> Result<Self, String> {
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

    fn key(&self, at: usize) -> Option<u64> {
        u64_at(self.block, at.checked_mul(8)?.checked_add(HEADER)?)
    }

    fn value(&self, at: usize, size: usize) -> Option<&'b [u8]> {
        let values = self.room.checked_mul(8)?.checked_add(HEADER)?;
        let start = at.checked_mul(size)?.checked_add(values)?;
        self.block.get(start..start.checked_add(size)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u64, flags: u32, value_size: usize, entries: &[(u64, Vec<u8>)]) -> Block {
        let mut block = [0; BLOCK_SIZE];
        let room = 4064 / (8 + value_size) / 3 * 3;
        block[4..8].copy_from_slice(&flags.to_le_bytes());
        block[8..16].copy_from_slice(&number.to_le_bytes());
        for (at, value) in [(16, entries.len()), (20, room), (24, value_size)] {
            let value = u32::try_from(value).unwrap();
            block[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        for (at, (key, value)) in entries.iter().enumerate() {
            block[HEADER + at * 8..][..8].copy_from_slice(&key.to_le_bytes());
            let values = HEADER + room * 8 + at * value_size;
            block[values..values + value_size].copy_from_slice(value);
        }
        let sum = node_checksum(&block);
        block[..4].copy_from_slice(&sum.to_le_bytes());
        block
    }

    fn details(mapped: u64) -> Vec<u8> {
        let words = [mapped, 3, 1 << 32 | 7];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn leaf(number: u64, devices: &[u64]) -> Block {
        let entries: Vec<_> = devices.iter().map(|device| (*device, details(*device))).collect();
        node(number, LEAF, 24, &entries)
    }

    fn inner(number: u64, children: &[(u64, u64)]) -> Block {
        let entries: Vec<_> =
            children.iter().map(|(key, block)| (*key, block.to_le_bytes().to_vec())).collect();
        node(number, INTERNAL, 8, &entries)
    }

    fn read(blocks: &[Block], root: u64) -> Result<Vec<u32>, String> {
        let found = read_details(root, &mut |number| {
            let block = usize::try_from(number).ok().and_then(|at| blocks.get(at));
            block.copied().ok_or_else(|| "behind the end".to_owned())
        });
        found.map(|devices| devices.into_keys().collect())
    }

    #[test]
    fn devices_of_a_tree_of_two_levels() {
        let blocks = [inner(0, &[(1, 1), (7, 2)]), leaf(1, &[1, 2]), leaf(2, &[7, 16_777_215])];
        assert_eq!(read(&blocks, 0), Ok(vec![1, 2, 7, 16_777_215]));
        let found = read_details(1, &mut |_| Ok(blocks[1])).unwrap();
        let expected =
            ThinDevice { mapped_blocks: 2, transaction_id: 3, creation_time: 7, snapshot_time: 1 };
        assert_eq!(found[&2], expected);
        assert_eq!(read(&[leaf(0, &[])], 0), Ok(Vec::new()));
    }

    #[test]
    fn damaged_trees() {
        for (blocks, why) in [
            (vec![leaf(1, &[1])], "block 0: it says that it is another block"),
            (vec![leaf(0, &[2, 1])], "block 0: its keys are not in order"),
            (vec![leaf(0, &[1 << 24])], "block 0: its keys are not in order"),
            (vec![inner(0, &[(1, 0)])], "block 0: the tree leads in a circle"),
            (vec![inner(0, &[(1, 5)])], "block 5: behind the end"),
            (vec![node(0, LEAF, 8, &[])], "block 0: it is a leaf of another tree"),
            (vec![node(0, 3, 24, &[])], "block 0: it is no node of a tree"),
            (
                vec![inner(0, &[(1, 1), (2, 2)]), leaf(1, &[4]), leaf(2, &[3])],
                "block 2: its keys are not in order",
            ),
        ] {
            assert_eq!(read(&blocks, 0), Err(why.to_owned()));
        }
        let mut flipped = leaf(0, &[1]);
        flipped[100] ^= 1;
        assert_eq!(read(&[flipped], 0), Err("block 0: its checksum is wrong".to_owned()));
        let mut crowded = leaf(0, &[1]);
        crowded[16] = 200;
        let sum = node_checksum(&crowded);
        crowded[..4].copy_from_slice(&sum.to_le_bytes());
        let why = "block 0: it claims more entries than there is room for";
        assert_eq!(read(&[crowded], 0), Err(why.to_owned()));
    }
}
