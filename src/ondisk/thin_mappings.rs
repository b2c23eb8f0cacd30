//! What the mapping trees of a thin pool come to: by device, and by data block.
//!
//! A value is a data block, and in the low 24 bits the snapshot clock when it was mapped. Devices that
//! were snapshotted share nodes; each node is read once, whoever leads to it.
//!
//! # Source
//! Linux `drivers/md/dm-thin-metadata.c`, `pack_block_time`, `unpack_block_time`.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::ondisk::bytes::u64_at;
use crate::ondisk::thin_node::Node;
use crate::ondisk::thin_space::BlockSet;
use crate::ondisk::thin_tree::{
    DEPTH_MAX, Left, ReadBlock, children_of, keys_of, read_device_roots,
};

pub(super) const TIME_BITS: u32 = 24;
/// The latest snapshot clock that a mapping has room for.
pub const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// The mappings of a device, or of a part of its tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mappings {
    /// How many there are.
    pub count: u64,
    /// The latest snapshot clock among them.
    pub newest: u64,
    /// A sum over what each of them says: the same for the same mappings, whatever nodes they are in.
    pub sum: u128,
}

impl Mappings {
    fn add(&mut self, place: u64, value: u64) {
        let digest =
            Sha256::new().chain_update(place.to_le_bytes()).chain_update(value.to_le_bytes());
        let bytes: [u8; 32] = digest.finalize().into();
        let hash = bytes.iter().take(16).fold(0, |sum: u128, byte| sum << 8 | u128::from(*byte));
        self.join(Self { count: 1, newest: value & TIME_MASK, sum: hash });
    }

    fn join(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.newest = self.newest.max(other.newest);
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// What all devices map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllMappings {
    /// By device.
    pub devices: BTreeMap<u32, Mappings>,
    /// The data blocks that any of them maps.
    pub blocks: BlockSet,
}

/// Reads the mappings of a pool with so many data blocks.
///
/// # Errors
/// Which block is wrong and why, for people.
pub fn read_mappings(
    root: u64,
    blocks: u64,
    read: &mut ReadBlock<'_>,
) -> Result<AllMappings, String> {
    let mut found = BlockSet::of(blocks)?;
    let take = &mut |_: u64, value: u64| found.add(value >> TIME_BITS);
    let devices = Walk { read, take, known: BTreeMap::new() }.devices(root)?;
    Ok(AllMappings { devices, blocks: found })
}

/// How many data blocks stand for two places, or were mapped at two times: the kernel takes none of
/// them for shared with the other, and would write to both. No sound pool has any.
///
/// # Errors
/// Which block is wrong and why, for people; or that the pool is too large to tell.
pub fn blocks_mapped_twice(
    root: u64,
    blocks: u64,
    read: &mut ReadBlock<'_>,
) -> Result<u64, String> {
    let count = usize::try_from(blocks).ok().filter(|_| blocks <= TOLD_MAX);
    let count = count.ok_or("the pool has too many data blocks to compare them one by one")?;
    // What is known of each block: nothing, or a hash of its place and time.
    let mut known = vec![0_u32; count];
    let mut twice: u64 = 0;
    let take = &mut |place: u64, value: u64| {
        let of = [place.to_le_bytes(), (value & TIME_MASK).to_le_bytes()].concat();
        let hash = crc32c::crc32c(&of) | 1;
        let slot = known.get_mut(usize::try_from(value >> TIME_BITS).ok()?)?;
        if *slot != 0 && *slot != hash {
            twice = twice.saturating_add(1);
        }
        *slot = hash;
        Some(())
    };
    Walk { read, take, known: BTreeMap::new() }.devices(root)?;
    Ok(twice)
}

/// The mappings of several states of a pool, which share most of their nodes.
pub struct BySum {
    blocks: u64,
    known: BTreeMap<u64, Known>,
}

impl BySum {
    /// Of a pool with so many data blocks.
    pub const fn of(blocks: u64) -> Self {
        Self { blocks, known: BTreeMap::new() }
    }

    /// The mappings of each device of one of them.
    ///
    /// # Errors
    /// Which block is wrong and why, for people.
    pub fn devices(
        &mut self,
        root: u64,
        read: &mut ReadBlock<'_>,
    ) -> Result<BTreeMap<u32, Mappings>, String> {
        let blocks = self.blocks;
        let take = &mut |_: u64, value: u64| (value >> TIME_BITS < blocks).then_some(());
        let mut walk = Walk { read, take, known: std::mem::take(&mut self.known) };
        let found = walk.devices(root);
        self.known = walk.known;
        found
    }
}

/// More data blocks than these are not compared one by one: it would take 2 GiB of memory.
const TOLD_MAX: u64 = 1 << 29;

/// What is known of a node: what it comes to, and its first and last key.
type Known = (Mappings, Option<(u64, u64)>);

struct Walk<'a, 'r> {
    read: &'a mut ReadBlock<'r>,
    /// Takes each mapping of a node once; what it does not take is damage.
    take: &'a mut dyn FnMut(u64, u64) -> Option<()>,
    known: BTreeMap<u64, Known>,
}

impl Walk<'_, '_> {
    fn devices(&mut self, root: u64) -> Result<BTreeMap<u32, Mappings>, String> {
        let mut devices = BTreeMap::new();
        for (device, root) in read_device_roots(root, self.read)? {
            let top = Left { number: root, depth: 0, low: 0, end: None };
            let (mappings, _) = self.node(&top).map_err(|why| format!("device {device}: {why}"))?;
            devices.insert(device, mappings);
        }
        Ok(devices)
    }

    /// What a node comes to. It is no deeper than a tree may be, and so is this.
    fn node(&mut self, at: &Left) -> Result<Known, String> {
        let bad = |why: &str| format!("block {}: {why}", at.number);
        if at.depth > DEPTH_MAX {
            return Err(bad("the tree leads in a circle"));
        }
        if let Some(known) = self.known.get(&at.number) {
            let is_in_place = known
                .1
                .is_none_or(|(first, last)| first >= at.low && at.end.is_none_or(|end| last < end));
            return if is_in_place { Ok(*known) } else { Err(bad("its keys are not in order")) };
        }
        let block = (self.read)(at.number).map_err(|why| bad(&why))?;
        let node = Node::of(&block, at.number).map_err(|why| bad(&why))?;
        let keys = keys_of(&node, at).map_err(bad)?;
        let mut found = Mappings::default();
        let mut ends = keys.first().copied().zip(keys.last().copied());
        if node.is_leaf {
            for (place, value) in values_of(&node, keys).map_err(bad)? {
                (self.take)(place, value)
                    .ok_or_else(|| bad("it maps a block that there is not"))?;
                found.add(place, value);
            }
        } else {
            let children = children_of(&node, at, &keys).ok_or_else(|| bad("it is cut off"))?;
            for child in children {
                let (mappings, keys) = self.node(&child)?;
                found.join(mappings);
                ends = ends.zip(keys).map(|((first, _), (_, last))| (first, last));
            }
        }
        self.known.insert(at.number, (found, ends));
        Ok((found, ends))
    }
}

/// Places and what stands there, packed with the time as it is.
pub(super) fn values_of(node: &Node<'_>, keys: Vec<u64>) -> Result<Vec<(u64, u64)>, &'static str> {
    if node.value_size != 8 {
        return Err("it is a leaf of another tree");
    }
    let value = |(index, place): (usize, u64)| Some((place, u64_at(node.value(index, 8)?, 0)?));
    keys.into_iter().enumerate().map(value).collect::<Option<_>>().ok_or("it is cut off")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ondisk::thin_node::{Block, write_node};

    pub(in crate::ondisk) fn tree(number: u64, is_leaf: bool, entries: &[(u64, u64)]) -> Block {
        let entries: Vec<_> = entries.iter().map(|(key, to)| (*key, to.to_le_bytes())).collect();
        write_node(number, is_leaf, &entries)
    }

    pub(in crate::ondisk) fn mapped(place: u64, block: u64, time: u64) -> (u64, u64) {
        (place, block << TIME_BITS | time)
    }

    fn pool() -> Vec<Block> {
        vec![
            tree(0, true, &[(1, 1), (2, 1), (9, 2), (16_777_215, 5)]),
            tree(1, false, &[(0, 3), (1 << 40, 4)]),
            tree(2, true, &[]),
            tree(3, true, &[mapped(0, 7, 0), mapped(1, 8, 1)]),
            tree(4, true, &[mapped(1 << 40, 9, 2)]),
            // It shares block 8 with devices 1 and 2, in a node of its own.
            tree(5, true, &[mapped(0, 6, 3), mapped(1, 8, 1)]),
        ]
    }

    fn reading(blocks: &[Block]) -> impl FnMut(u64) -> Result<Block, String> + '_ {
        |number| {
            let block = usize::try_from(number).ok().and_then(|at| blocks.get(at));
            block.copied().ok_or_else(|| "it lies behind the end".to_owned())
        }
    }

    #[test]
    fn mappings_by_device_and_block() {
        let blocks = pool();
        let found = read_mappings(0, 10, &mut reading(&blocks)).unwrap();
        let brief: Vec<_> = found.devices.iter().map(|(d, m)| (*d, m.count, m.newest)).collect();
        assert_eq!(brief, [(1, 3, 2), (2, 3, 2), (9, 0, 0), (16_777_215, 2, 3)]);
        assert_eq!(found.devices[&1], found.devices[&2]);
        let (mut all, mut none) = (BlockSet::of(10).unwrap(), BlockSet::of(10).unwrap());
        for block in 6..10 {
            all.add(block).unwrap();
        }
        assert_eq!(found.blocks, all);
        none.add(6).unwrap();
        assert_eq!((all.without(&none), none.without(&all)), (3, 0));
        assert_eq!(blocks_mapped_twice(0, 10, &mut reading(&blocks)), Ok(0));
    }

    #[test]
    fn the_sum_tells_mappings_and_not_nodes() {
        let mut one = pool();
        // The same mappings of device 1 in one leaf.
        one[1] = tree(1, true, &[mapped(0, 7, 0), mapped(1, 8, 1), mapped(1 << 40, 9, 2)]);
        let sums = |blocks: &[Block]| {
            let found = read_mappings(0, 10, &mut reading(blocks)).unwrap().devices;
            found.into_values().map(|mappings| mappings.sum).collect::<Vec<_>>()
        };
        assert_eq!(sums(&one), sums(&pool()));
        // As many, to another block; at another place; at another time.
        for changed in [mapped(1 << 40, 5, 2), mapped(1 << 41, 9, 2), mapped(1 << 40, 9, 3)] {
            let mut other = pool();
            other[4] = tree(4, true, &[changed]);
            assert_ne!(sums(&other)[0], sums(&pool())[0]);
        }
    }

    #[test]
    fn blocks_that_stand_for_two_places() {
        for other in [mapped(0, 8, 1), mapped(1, 8, 3)] {
            let mut blocks = pool();
            blocks[5] = tree(5, true, &[other]);
            assert_eq!(blocks_mapped_twice(0, 10, &mut reading(&blocks)), Ok(1), "{other:?}");
        }
    }

    #[test]
    fn damaged_trees() {
        let why = |at: usize, block: Block| {
            let mut blocks = pool();
            blocks[at] = block;
            read_mappings(0, 10, &mut reading(&blocks)).unwrap_err()
        };
        let mut flipped = pool()[5];
        flipped[50] ^= 1;
        assert_eq!(why(5, flipped), "device 16777215: block 5: its checksum is wrong");
        let behind = tree(5, true, &[mapped(0, 10, 1)]);
        assert_eq!(why(5, behind), "device 16777215: block 5: it maps a block that there is not");
        let circle = tree(5, false, &[(0, 5)]);
        assert_eq!(why(5, circle), "device 16777215: block 5: the tree leads in a circle");
        // A node that is known by now, in a place that is not its own.
        let stolen = tree(5, false, &[(0, 4), (3, 3)]);
        assert_eq!(why(5, stolen), "device 16777215: block 4: its keys are not in order");
        let details = write_node(5, true, &[(1, [0; 24])]);
        assert_eq!(why(5, details), "device 16777215: block 5: it is a leaf of another tree");
    }
}
