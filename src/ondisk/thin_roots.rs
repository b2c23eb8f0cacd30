//! The trees of a thin pool whose superblock is gone.
//!
//! Every commit leaves the roots of the one before standing until their blocks are given out again, so
//! that several states of a pool may be whole. Only those count that agree with LVM's text: the very
//! devices it knows, each made in the very transaction it knows. Of several the latest is taken, as far
//! as that can be told: one whose data blocks are exactly those that a space map has in use, then by
//! the snapshot clock, then by how many data blocks it maps.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::Digest;
use crate::model::thin_pool::PoolByText;
use crate::ondisk::thin_mappings::{BySum, read_mappings};
use crate::ondisk::thin_node::Node;
use crate::ondisk::thin_space::{BlockSet, read_allocated};
use crate::ondisk::thin_tree::{ReadBlock, read_details, read_device_roots};

/// So many states are compared block by block: the latest by clock and number of mappings.
const COMPARED_MAX: usize = 8;

/// The roots of a state of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Of the details tree.
    pub details: u64,
    /// Of the mapping tree.
    pub mapping: u64,
    /// Of the tree that leads to the bitmaps of exactly the data blocks that are mapped.
    pub bitmap: Option<u64>,
    /// The latest snapshot clock in it.
    pub time: u32,
    /// How many other states agree with LVM's text as well.
    pub others: u32,
}

/// What a walk over all blocks finds that may be a root.
#[derive(Default)]
struct Candidates {
    details: Vec<u64>,
    mapping: Vec<u64>,
    bitmap: Vec<u64>,
}

/// A state, before its blocks are compared.
struct State {
    details: u64,
    mapping: u64,
    time: u64,
    count: u64,
}

/// Finds the trees, in metadata of so many blocks.
///
/// # Errors
/// Why there are none to be taken, for people.
pub fn find_roots(
    text: &PoolByText,
    blocks: u64,
    read: &mut ReadBlock<'_>,
) -> Result<Roots, String> {
    if text.devices.is_empty() {
        return Err("LVM knows no volume of the pool, which could tell its trees".to_owned());
    }
    let candidates = candidates(text, blocks, read);
    let states = states(text, &candidates, read);
    let none = "no trees are left that have the devices LVM knows, made when LVM says";
    let others = states.len().checked_sub(1).ok_or(none)?;
    let others = u32::try_from(others).unwrap_or(u32::MAX);
    let best = best(text, &candidates.bitmap, &states, read);
    let (state, bitmap) = best.ok_or("of no state that is left all data blocks can be told")?;
    let time = u32::try_from(state.time).map_err(|_| "its snapshot clock is absurd")?;
    let State { details, mapping, .. } = *state;
    Ok(Roots { details, mapping, bitmap, time, others })
}

fn candidates(text: &PoolByText, blocks: u64, read: &mut ReadBlock<'_>) -> Candidates {
    let first = text.devices.keys().next().map(|device| u64::from(*device));
    let mut found = Candidates::default();
    for number in 1..blocks {
        let Ok(block) = read(number) else { continue };
        let Ok(node) = Node::of(&block, number) else { continue };
        let key = node.key(0).filter(|_| node.entries > 0);
        if key == first && (!node.is_leaf || node.value_size == 24) {
            found.details.push(number);
        }
        if key == first && node.value_size == 8 {
            found.mapping.push(number);
        }
        if key == Some(0) && (!node.is_leaf || node.value_size == 16) {
            found.bitmap.push(number);
        }
    }
    found
}

/// Every pair of trees that are whole and agree, with each other and with the text; each state once, the
/// latest by clock and number of mappings first. What is kept of a tree is small, as there may be many.
fn states(text: &PoolByText, candidates: &Candidates, read: &mut ReadBlock<'_>) -> Vec<State> {
    let lists = lists(text, candidates, read);
    let mut sums = BySum::of(text.data_blocks);
    let mut known: BTreeSet<Digest> = BTreeSet::new();
    let mut states: Vec<State> = Vec::new();
    for mapping in &candidates.mapping {
        let is_known = read_device_roots(*mapping, read)
            .is_ok_and(|roots| roots.keys().eq(text.devices.keys()));
        let Some(mapped) = is_known.then(|| sums.devices(*mapping, read).ok()).flatten() else {
            continue;
        };
        let content = mapped.iter().flat_map(|(device, found)| {
            let sum = found.sum.to_le_bytes();
            [&device.to_le_bytes()[..], &found.count.to_le_bytes(), &sum].concat()
        });
        let counts = mapped.iter().map(|(device, found)| (*device, found.count));
        let Some((details, of_devices)) = lists.get(&digest_of(counts)) else { continue };
        if !known.insert(Digest::of(&content.collect::<Vec<u8>>())) {
            continue;
        }
        let time = mapped.values().map(|found| found.newest).max().unwrap_or(0).max(*of_devices);
        let count = mapped.values().fold(0, |sum: u64, found| sum.saturating_add(found.count));
        states.push(State { details: *details, mapping: *mapping, time, count });
    }
    states.sort_by_key(|state| std::cmp::Reverse((state.time, state.count, state.mapping)));
    states
}

/// Lists of the very devices that LVM knows, by how many blocks each maps: root and latest clock. Of
/// several with the same counts the latest.
fn lists(
    text: &PoolByText,
    candidates: &Candidates,
    read: &mut ReadBlock<'_>,
) -> BTreeMap<Digest, (u64, u64)> {
    let mut lists: BTreeMap<Digest, (u64, u64)> = BTreeMap::new();
    for root in &candidates.details {
        let Ok(found) = read_details(*root, read) else { continue };
        let made_in = found.iter().map(|(device, found)| (device, &found.transaction_id));
        if !made_in.eq(&text.devices) {
            continue;
        }
        let times = found.values().map(|d| d.creation_time.max(d.snapshot_time));
        let time = times.max().map_or(0, u64::from);
        let counts = found.iter().map(|(device, found)| (*device, found.mapped_blocks));
        let known = lists.entry(digest_of(counts)).or_insert((*root, time));
        if time > known.1 {
            *known = (*root, time);
        }
    }
    lists
}

fn digest_of(counts: impl Iterator<Item = (u32, u64)>) -> Digest {
    let bytes = counts
        .flat_map(|(device, count)| [&device.to_le_bytes()[..], &count.to_le_bytes()].concat());
    Digest::of(&bytes.collect::<Vec<u8>>())
}

/// The latest, and the space map that has exactly its data blocks in use.
fn best<'s>(
    text: &PoolByText,
    bitmaps: &[u64],
    states: &'s [State],
    read: &mut ReadBlock<'_>,
) -> Option<(&'s State, Option<u64>)> {
    let mut compared = Vec::new();
    for state in states.iter().take(COMPARED_MAX) {
        let Ok(mapped) = read_mappings(state.mapping, text.data_blocks, read) else { continue };
        compared.push((state, mapped.blocks, None));
    }
    // One after the other: those of a large pool are large.
    for root in bitmaps {
        let Ok(used) = read_allocated(*root, text.data_blocks, read) else { continue };
        for (_, blocks, bitmap) in &mut compared {
            if bitmap.is_none() && *blocks == used {
                *bitmap = Some(*root);
            }
        }
    }
    let rank = |(state, blocks, bitmap): &(&State, BlockSet, Option<u64>)| {
        (bitmap.is_some(), state.time, blocks.count(), state.count)
    };
    // Of equals the first: its root lies behind those of the others.
    let best = compared.into_iter().rev().max_by_key(rank);
    best.map(|(state, _, bitmap)| (state, bitmap))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::thin_pool::ThinDevice;
    use crate::ondisk::thin_mappings::tests::{mapped, tree};
    use crate::ondisk::thin_node::Block;
    use crate::ondisk::thin_tree::write_details;
    use crate::units::Sectors;

    fn list(number: u64, devices: &[(u32, u64, u64)]) -> Block {
        let device = |(id, mapped_blocks, transaction_id): &(u32, u64, u64)| {
            let (mapped_blocks, transaction_id) = (*mapped_blocks, *transaction_id);
            let (creation_time, snapshot_time) = (0, 1);
            (*id, ThinDevice { mapped_blocks, transaction_id, creation_time, snapshot_time })
        };
        write_details(&devices.iter().map(device).collect(), number)[0].1
    }

    /// Two states, one after the other: in the later device 2 maps a block more.
    fn pool() -> Vec<Block> {
        vec![
            [0; 4096],
            list(1, &[(1, 1, 5), (2, 1, 6)]),
            tree(2, true, &[(1, 4), (2, 5)]),
            list(3, &[(1, 1, 5), (2, 2, 6)]),
            tree(4, true, &[mapped(0, 7, 0)]),
            tree(5, true, &[mapped(0, 8, 1)]),
            tree(6, true, &[(1, 4), (2, 7)]),
            tree(7, true, &[mapped(0, 8, 1), mapped(1, 9, 1)]),
        ]
    }

    fn found(blocks: &[Block], devices: &[(u32, u64)]) -> Result<Roots, String> {
        let text = PoolByText {
            transaction_id: 6,
            data_block: Sectors::new(128),
            data_blocks: 10,
            devices: devices.iter().copied().collect(),
        };
        let count = u64::try_from(blocks.len()).unwrap();
        find_roots(&text, count, &mut |number| {
            let block = usize::try_from(number).ok().and_then(|at| blocks.get(at));
            block.copied().ok_or_else(|| "it lies behind the end".to_owned())
        })
    }

    const DEVICES: [(u32, u64); 2] = [(1, 5), (2, 6)];

    #[test]
    fn the_later_of_two_states() {
        let roots = Roots { details: 3, mapping: 6, bitmap: None, time: 1, others: 1 };
        assert_eq!(found(&pool(), &DEVICES), Ok(roots));
        // Overwritten since: only the earlier one is left.
        let mut earlier = pool();
        earlier[7] = [9; 4096];
        let roots = Roots { details: 1, mapping: 2, bitmap: None, time: 1, others: 0 };
        assert_eq!(found(&earlier, &DEVICES), Ok(roots));
    }

    #[test]
    fn only_what_lvm_knows_counts() {
        let none = "no trees are left that have the devices LVM knows, made when LVM says";
        for devices in [&[(1, 5)][..], &[(1, 5), (2, 7)], &[(1, 5), (2, 6), (3, 6)], &[(2, 6)]] {
            assert_eq!(found(&pool(), devices), Err(none.to_owned()), "{devices:?}");
        }
        assert!(found(&pool(), &[]).unwrap_err().contains("no volume of the pool"));
        // A list that does not count what the trees map.
        let mut odd = pool();
        odd[3] = list(3, &[(1, 2, 5), (2, 2, 6)]);
        odd[1] = [0; 4096];
        assert_eq!(found(&odd, &DEVICES), Err(none.to_owned()));
    }

    #[test]
    fn a_tree_that_leads_in_a_circle_is_none() {
        let mut circle = pool();
        circle[6] = tree(6, false, &[(1, 6), (2, 6)]);
        assert_eq!(found(&circle, &DEVICES).map(|roots| roots.mapping), Ok(2));
    }
}
