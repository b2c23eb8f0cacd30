//! The btrees of thin-pool metadata, as far as they list the devices of a pool.
//!
//! The values of an internal node are blocks. In the details tree a leaf has {mapped blocks: 8,
//! transaction id: 8, creation time: 4, snapshot time: 4}, by device; in the top level of the
//! mapping tree the root of each device's own tree, which has a value of 8 bytes for every block
//! that is mapped.
//!
//! # Source
//! Linux `drivers/md/dm-thin-metadata.c`, `struct disk_device_details`, `pack_block_time`.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::thin_pool::ThinDevice;
use crate::ondisk::bytes::{u32_at, u64_at};
use crate::ondisk::thin_node::{Block, Node, room_for, write_node};

/// No tree of 64-bit keys is deeper.
pub const DEPTH_MAX: usize = 16;
/// Device numbers have 24 bits.
const DEVICE_MAX: u32 = (1 << 24) - 1;
/// What the details tree has of a device, in bytes.
const DETAILS_SIZE: usize = 24;

/// Reads a block of metadata; why it could not be read, for people.
pub type ReadBlock<'a> = dyn FnMut(u64) -> Result<Block, String> + 'a;

/// The devices of the details tree, by number.
///
/// # Errors
/// Which block is wrong and why, for people.
pub fn read_details(
    root: u64,
    read: &mut ReadBlock<'_>,
) -> Result<BTreeMap<u32, ThinDevice>, String> {
    let mut devices = BTreeMap::new();
    walk(root, DETAILS_SIZE, read, &mut |key, value| {
        let found = ThinDevice {
            mapped_blocks: u64_at(value, 0)?,
            transaction_id: u64_at(value, 8)?,
            creation_time: u32_at(value, 16)?,
            snapshot_time: u32_at(value, 20)?,
        };
        devices.insert(device(key)?, found);
        Some(())
    })?;
    Ok(devices)
}

/// The nodes of a details tree with these devices, the root last, in blocks from `first` on.
pub fn write_details(devices: &BTreeMap<u32, ThinDevice>, first: u64) -> Vec<(u64, Block)> {
    let entries: Vec<(u64, [u8; DETAILS_SIZE])> = devices
        .iter()
        .map(|(device, found)| {
            let times = u64::from(found.snapshot_time) << 32 | u64::from(found.creation_time);
            let words = [found.mapped_blocks, found.transaction_id, times].map(u64::to_le_bytes);
            let mut value = [0; DETAILS_SIZE];
            for (to, from) in value.iter_mut().zip(words.concat()) {
                *to = from;
            }
            (u64::from(*device), value)
        })
        .collect();
    let mut nodes = Vec::new();
    let mut level = write_level(&mut nodes, first, true, &entries);
    while level.len() > 1 {
        level = write_level(&mut nodes, first, false, &level);
    }
    nodes
}

/// Writes nodes with these entries; the entries that lead to them.
fn write_level<const SIZE: usize>(
    nodes: &mut Vec<(u64, Block)>,
    first: u64,
    is_leaf: bool,
    entries: &[(u64, [u8; SIZE])],
) -> Vec<(u64, [u8; 8])> {
    let chunks: Vec<_> = entries.chunks(room_for(SIZE)).collect();
    // A tree without devices is an empty leaf.
    let chunks = if chunks.is_empty() { vec![entries] } else { chunks };
    let mut leading = Vec::new();
    for chunk in chunks {
        let number = first.saturating_add(u64::try_from(nodes.len()).unwrap_or(u64::MAX));
        nodes.push((number, write_node(number, is_leaf, chunk)));
        leading.push((chunk.first().map_or(0, |(key, _)| *key), number.to_le_bytes()));
    }
    leading
}

/// The numbers of the devices that have a mapping tree.
///
/// # Errors
/// Which block is wrong and why, for people.
pub fn read_mapped_devices(root: u64, read: &mut ReadBlock<'_>) -> Result<BTreeSet<u32>, String> {
    Ok(read_device_roots(root, read)?.into_keys().collect())
}

/// The root of each device's mapping tree.
///
/// # Errors
/// Which block is wrong and why, for people.
pub fn read_device_roots(
    root: u64,
    read: &mut ReadBlock<'_>,
) -> Result<BTreeMap<u32, u64>, String> {
    let mut roots = BTreeMap::new();
    walk(root, 8, read, &mut |key, value| {
        roots.insert(device(key)?, u64_at(value, 0)?);
        Some(())
    })?;
    Ok(roots)
}

/// A device number; none that there cannot be.
fn device(key: u64) -> Option<u32> {
    u32::try_from(key).ok().filter(|device| *device <= DEVICE_MAX)
}

/// A node that is to be visited: what its parent says of it.
pub(super) struct Left {
    pub number: u64,
    pub depth: usize,
    /// No key of it is lower.
    pub low: u64,
    /// All keys of it are lower.
    pub end: Option<u64>,
}

/// Hands every key and its value to `take`, in order; what it does not take is damage. As every
/// node has keys of its own alone, no block is visited twice on one level.
pub(super) fn walk(
    root: u64,
    value_size: usize,
    read: &mut ReadBlock<'_>,
    take: &mut dyn FnMut(u64, &[u8]) -> Option<()>,
) -> Result<(), String> {
    // The next one last.
    let mut left = vec![Left { number: root, depth: 0, low: 0, end: None }];
    while let Some(next) = left.pop() {
        let number = next.number;
        let bad = |why: &str| format!("block {number}: {why}");
        if next.depth > DEPTH_MAX {
            return Err(bad("the tree leads in a circle"));
        }
        let block = read(number).map_err(|why| bad(&why))?;
        let node = Node::of(&block, number).map_err(|why| bad(&why))?;
        let keys = keys_of(&node, &next).map_err(bad)?;
        if !node.is_leaf {
            let children = children_of(&node, &next, &keys).ok_or_else(|| bad("it is cut off"))?;
            left.extend(children.into_iter().rev());
            continue;
        }
        if node.value_size != value_size {
            return Err(bad("it is a leaf of another tree"));
        }
        for (at, key) in keys.into_iter().enumerate() {
            let value = node.value(at, value_size).ok_or_else(|| bad("it is cut off"))?;
            take(key, value).ok_or_else(|| bad("it has a key that there cannot be"))?;
        }
    }
    Ok(())
}

/// The keys of a node, in order, and as its parent says they are.
pub(super) fn keys_of(node: &Node<'_>, from: &Left) -> Result<Vec<u64>, &'static str> {
    let keys: Option<Vec<u64>> = (0..node.entries).map(|at| node.key(at)).collect();
    let keys = keys.ok_or("it is cut off")?;
    let is_in_place = |key: &u64| *key >= from.low && from.end.is_none_or(|end| *key < end);
    if !keys.is_sorted_by(|a, b| a < b) || !keys.iter().all(is_in_place) {
        return Err("its keys are not in order");
    }
    // Only a tree with nothing in it has a node with nothing in it.
    if keys.is_empty() && (from.depth > 0 || !node.is_leaf) {
        return Err("it is empty");
    }
    Ok(keys)
}

pub(super) fn children_of(node: &Node<'_>, from: &Left, keys: &[u64]) -> Option<Vec<Left>> {
    let child = |(at, low): (usize, &u64)| {
        let number = u64_at(node.value(at, 8)?, 0)?;
        let end = keys.get(at.checked_add(1)?).copied().or(from.end);
        Some(Left { number, depth: from.depth.checked_add(1)?, low: *low, end })
    };
    keys.iter().enumerate().map(child).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ondisk::thin_node::node_checksum;

    fn leaf(number: u64, devices: &[u64]) -> Block {
        let details = |mapped: u64| {
            let mut value = [0; DETAILS_SIZE];
            value[0] = u8::try_from(mapped & 0xff).unwrap();
            value[8] = 3;
            (value[16], value[20]) = (7, 1);
            value
        };
        let entries: Vec<_> = devices.iter().map(|device| (*device, details(*device))).collect();
        write_node(number, true, &entries)
    }

    fn inner(number: u64, children: &[(u64, u64)]) -> Block {
        let entries: Vec<_> =
            children.iter().map(|(key, block)| (*key, block.to_le_bytes())).collect();
        write_node(number, false, &entries)
    }

    fn mappings(number: u64, blocks: &[(u64, u64)]) -> Block {
        let entries: Vec<_> = blocks.iter().map(|(key, to)| (*key, to.to_le_bytes())).collect();
        write_node(number, true, &entries)
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
            (vec![leaf(0, &[1 << 24])], "block 0: it has a key that there cannot be"),
            (vec![inner(0, &[(1, 0)])], "block 0: the tree leads in a circle"),
            (vec![inner(0, &[(1, 5)])], "block 5: behind the end"),
            (vec![mappings(0, &[])], "block 0: it is a leaf of another tree"),
            (
                vec![inner(0, &[(1, 1), (2, 2)]), leaf(1, &[4]), leaf(2, &[3])],
                "block 1: its keys are not in order",
            ),
            (
                vec![inner(0, &[(1, 1), (5, 1)]), leaf(1, &[1, 2])],
                "block 1: its keys are not in order",
            ),
            (vec![inner(0, &[(1, 1)]), leaf(1, &[])], "block 1: it is empty"),
            (vec![inner(0, &[])], "block 0: it is empty"),
        ] {
            assert_eq!(read(&blocks, 0), Err(why.to_owned()));
        }
        let mut flipped = leaf(0, &[1]);
        flipped[100] ^= 1;
        assert_eq!(read(&[flipped], 0), Err("block 0: its checksum is wrong".to_owned()));
        for (at, value, why) in [
            (16, 200, "block 0: it claims more entries than there is room for"),
            (4, 3, "block 0: it is no node of a tree"),
        ] {
            let mut odd = leaf(0, &[1]);
            odd[at] = value;
            let sum = node_checksum(&odd);
            odd[..4].copy_from_slice(&sum.to_le_bytes());
            assert_eq!(read(&[odd], 0), Err(why.to_owned()));
        }
    }

    #[test]
    fn details_are_written_as_they_are_read() {
        for count in [0, 1, 126, 127, 40_000] {
            let device = |id: u32| ThinDevice {
                mapped_blocks: u64::from(id) << 20,
                transaction_id: 5,
                creation_time: id,
                snapshot_time: 9,
            };
            let devices: BTreeMap<u32, ThinDevice> =
                (0..count).map(|id| (id * 3, device(id))).collect();
            let nodes = write_details(&devices, 1000);
            let by_number: BTreeMap<u64, Block> = nodes.iter().copied().collect();
            let root = nodes.last().unwrap().0;
            let found = read_details(root, &mut |number| Ok(by_number[&number]));
            assert_eq!(found, Ok(devices));
        }
    }
}
