//! One leaf of a thin device's mapping tree: what stands at a place.

use crate::ondisk::thin_mappings::{TIME_BITS, values_of};
use crate::ondisk::thin_node::Node;
use crate::ondisk::thin_tree::{DEPTH_MAX, Left, ReadBlock, children_of, keys_of};

/// A leaf of a device's tree.
#[derive(Debug)]
pub struct Leaf {
    /// Places, each with its data block.
    entries: Vec<(u64, u64)>,
    /// The first place that it tells of.
    low: u64,
    /// The first that it does not tell of any more.
    end: Option<u64>,
}

/// What stands at a place, for so many blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// Data blocks, one behind the other.
    Data {
        /// The first.
        block: u64,
        /// How many.
        blocks: u64,
    },
    /// Nothing.
    Hole {
        /// How many.
        blocks: u64,
    },
}

/// The leaf of a device's tree that tells of this place.
///
/// # Errors
/// Which block is wrong and why, for people.
pub fn leaf_at(root: u64, place: u64, read: &mut ReadBlock<'_>) -> Result<Leaf, String> {
    let mut at = Left { number: root, depth: 0, low: 0, end: None };
    loop {
        let bad = |why: &str| format!("block {}: {why}", at.number);
        if at.depth > DEPTH_MAX {
            return Err(bad("the tree leads in a circle"));
        }
        let block = read(at.number).map_err(|why| bad(&why))?;
        let node = Node::of(&block, at.number).map_err(|why| bad(&why))?;
        let keys = keys_of(&node, &at).map_err(bad)?;
        if node.is_leaf {
            let entries = entries_of(&node, keys).map_err(bad)?;
            return Ok(Leaf { entries, low: at.low, end: at.end });
        }
        let mut children = children_of(&node, &at, &keys).ok_or_else(|| bad("it is cut off"))?;
        children.retain(|child| child.low <= place);
        // In front of the first key there is none.
        let Some(child) = children.pop() else {
            let end = keys.first().copied();
            return Ok(Leaf { entries: Vec::new(), low: at.low, end });
        };
        at = child;
    }
}

fn entries_of(node: &Node<'_>, keys: Vec<u64>) -> Result<Vec<(u64, u64)>, &'static str> {
    let values = values_of(node, keys)?;
    Ok(values.into_iter().map(|(place, value)| (place, value >> TIME_BITS)).collect())
}

impl Leaf {
    /// Whether it is the one to ask.
    pub fn tells_of(&self, place: u64) -> bool {
        self.low <= place && self.end.is_none_or(|end| place < end)
    }

    /// What stands at this place, as long as it goes on so.
    pub fn stretch(&self, place: u64) -> Stretch {
        let next = self.entries.partition_point(|(key, _)| *key < place);
        let rest = self.entries.get(next..).unwrap_or(&[]);
        match rest.first() {
            Some((key, block)) if *key == place => {
                let goes_on = rest.iter().zip(0_u64..).take_while(|((key, to), index)| {
                    (key.checked_sub(*index), to.checked_sub(*index)) == (Some(place), Some(*block))
                });
                Stretch::Data { block: *block, blocks: u64::try_from(goes_on.count()).unwrap_or(1) }
            }
            first => {
                let until = first.map(|(key, _)| *key).or(self.end).unwrap_or(u64::MAX);
                Stretch::Hole { blocks: until.saturating_sub(place).max(1) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ondisk::thin_mappings::tests::{mapped, tree};

    #[test]
    fn what_stands_at_a_place() {
        let blocks = [
            tree(0, false, &[(4, 1), (1 << 40, 2)]),
            tree(1, true, &[mapped(4, 7, 0), mapped(5, 8, 1), mapped(6, 3, 0)]),
            tree(2, true, &[mapped(1 << 40, 9, 2)]),
            tree(3, false, &[(0, 3)]),
        ];
        let reading = &mut |number: u64| {
            let block = usize::try_from(number).ok().and_then(|at| blocks.get(at));
            block.copied().ok_or_else(|| "it lies behind the end".to_owned())
        };
        let mut at = |place: u64| {
            let leaf = leaf_at(0, place, reading).unwrap();
            assert!(leaf.tells_of(place));
            leaf.stretch(place)
        };
        let data = |block, blocks| Stretch::Data { block, blocks };
        let hole = |blocks| Stretch::Hole { blocks };
        assert_eq!([at(0), at(4), at(5), at(6)], [hole(4), data(7, 2), data(8, 1), data(3, 1)]);
        assert_eq!([at(7), at(1 << 40)], [hole((1 << 40) - 7), data(9, 1)]);
        assert_eq!(at(u64::MAX - 1), hole(1));
        let circle = leaf_at(3, 9, reading).unwrap_err();
        assert_eq!(circle, "block 3: the tree leads in a circle");
    }
}
