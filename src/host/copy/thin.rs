//! Finding the blocks of a thin LV, in the mapping tree of a pool that is not active.

use crate::host::ReadHost;
use crate::model::mapping::Place;
use crate::model::thin_pool::METADATA_BLOCK;
use crate::ondisk::bytes::u64_at;
use crate::ondisk::thin_mappings::unpack;
use crate::ondisk::thin_node::{Block, Node};
use crate::ondisk::thin_tree::{DEPTH_MAX, read_device_roots};
use crate::operation::act::{Content, ContentFrom, ThinContent};
use crate::units::{Bytes, Sectors};

/// What stands at a place of a thin LV.
pub enum Mapped {
    /// A stretch of the pool's data.
    To {
        /// Where it begins.
        sector: Sectors,
        /// How long it is at least.
        len: Sectors,
    },
    /// Nothing, for so long at least.
    Not {
        /// How long.
        len: Sectors,
    },
}

/// A leaf of the mapping tree, and where the next one begins.
struct Leaf {
    /// Blocks of the LV, each with the block of the pool.
    entries: Vec<(u64, u64)>,
    /// The first block of the LV that it tells of.
    low: u64,
    /// The first that it does not tell of any more.
    end: Option<u64>,
}

/// The leaf that was looked at last.
#[derive(Default)]
pub struct ThinCursor {
    root: Option<u64>,
    leaf: Option<Leaf>,
}

impl ThinCursor {
    /// What stands at this sector.
    ///
    /// # Errors
    /// Which block of the metadata is wrong and why, for people.
    pub fn find(
        &mut self,
        host: &dyn ReadHost,
        thin: &ThinContent,
        at: Sectors,
    ) -> Result<Mapped, String> {
        let size = thin.block.get().max(1);
        let (place, within) = (at.get() / size, at.get() % size);
        let is_there = |leaf: &Leaf| leaf.low <= place && leaf.end.is_none_or(|end| place < end);
        let leaf = match self.leaf.take().filter(is_there) {
            Some(leaf) => leaf,
            None => self.leaf_of(host, thin, place)?,
        };
        let found = leaf.stretch(place);
        self.leaf = Some(leaf);
        let sectors = |blocks: u64| blocks.saturating_mul(size).saturating_sub(within);
        match found {
            Stretch::Data { block, blocks } => {
                let sector = block.checked_mul(size).and_then(|first| first.checked_add(within));
                let sector = sector.ok_or("a block is out of reach")?;
                Ok(Mapped::To { sector: Sectors::new(sector), len: Sectors::new(sectors(blocks)) })
            }
            Stretch::Hole { blocks } => Ok(Mapped::Not { len: Sectors::new(sectors(blocks)) }),
        }
    }

    /// The leaf that tells of this block.
    fn leaf_of(
        &mut self,
        host: &dyn ReadHost,
        thin: &ThinContent,
        place: u64,
    ) -> Result<Leaf, String> {
        let read = &mut |number: u64| read_block(host, &thin.metadata, number);
        let root = match self.root {
            Some(root) => root,
            None => *read_device_roots(thin.mapping_root, read)?
                .get(&thin.device)
                .ok_or("its pool has no mappings of it")?,
        };
        self.root = Some(root);
        let (mut number, mut low, mut end) = (root, 0, None);
        for _ in 0..=DEPTH_MAX {
            let bad = |why: &str| format!("block {number} of the pool's metadata: {why}");
            let block = read(number).map_err(|why| bad(&why))?;
            let node = Node::of(&block, number).map_err(|why| bad(&why))?;
            let entries = entries_of(&node).filter(|entries| is_in_order(entries, low, end));
            let entries = entries.ok_or_else(|| bad("its keys are not in order"))?;
            if node.is_leaf {
                let unpacked = entries.into_iter().map(|(place, value)| (place, unpack(value).0));
                return Ok(Leaf { entries: unpacked.collect(), low, end });
            }
            let next = entries.partition_point(|(key, _)| *key <= place);
            let following = entries.get(next).map(|(key, _)| *key);
            let Some((key, child)) = next.checked_sub(1).and_then(|at| entries.get(at)) else {
                // In front of the first key.
                return Ok(Leaf { entries: Vec::new(), low, end: following.or(end) });
            };
            (low, end, number) = (*key, following.or(end), *child);
        }
        Err(format!("block {number} of the pool's metadata: the tree leads in a circle"))
    }
}

fn entries_of(node: &Node<'_>) -> Option<Vec<(u64, u64)>> {
    if node.value_size != 8 {
        return None;
    }
    let entry = |at: usize| Some((node.key(at)?, u64_at(node.value(at, 8)?, 0)?));
    (0..node.entries).map(entry).collect()
}

fn is_in_order(entries: &[(u64, u64)], low: u64, end: Option<u64>) -> bool {
    let is_in = |key: u64| key >= low && end.is_none_or(|end| key < end);
    entries.is_sorted_by(|a, b| a.0 < b.0) && entries.iter().all(|(key, _)| is_in(*key))
}

enum Stretch {
    Data { block: u64, blocks: u64 },
    Hole { blocks: u64 },
}

impl Leaf {
    /// What stands at this block of the LV, as long as it goes on so.
    fn stretch(&self, place: u64) -> Stretch {
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

/// A block of a pool's metadata. It may lie on several pieces.
///
/// # Errors
/// Why it cannot be read, for people.
pub fn read_block(host: &dyn ReadHost, content: &Content, number: u64) -> Result<Block, String> {
    let behind = || "it lies behind the end".to_owned();
    let start = number.checked_mul(METADATA_BLOCK.get()).map(Bytes::new).ok_or_else(behind)?;
    let mut at = start.sectors_floor();
    let end = at.checked_add(METADATA_BLOCK.sectors_floor()).ok_or_else(behind)?;
    let ContentFrom::Pvs { map, devices } = &content.from else {
        return Err("the metadata is active".to_owned());
    };
    let mut bytes = Vec::new();
    while at < end {
        let piece = map.piece_at(at, end.saturating_sub(at)).ok_or_else(behind)?;
        let len = piece.len.bytes().filter(|len| !len.is_zero()).ok_or_else(behind)?;
        match piece.place {
            Place::Zero => bytes.resize(bytes.len().saturating_add(as_len(len)?), 0),
            Place::Pv { pv, sector } => {
                let away = || "a PV that it lies on is not there".to_owned();
                let device = devices.get(&pv).ok_or_else(away)?;
                let offset = sector.bytes().ok_or_else(behind)?;
                bytes.extend(host.read(device, offset, len).map_err(|error| error.in_full())?);
            }
        }
        at = at.checked_add(piece.len).filter(|_| piece.len > Sectors::ZERO).ok_or_else(behind)?;
    }
    Block::try_from(bytes).map_err(|_| behind())
}

fn as_len(len: Bytes) -> Result<usize, String> {
    usize::try_from(len.get()).map_err(|_| "a piece is too large".to_owned())
}
