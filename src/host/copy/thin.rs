//! Finding the blocks of a thin LV, in the mapping tree of a pool that is not active.

use crate::host::ReadHost;
use crate::model::mapping::Place;
use crate::model::thin_pool::METADATA_BLOCK;
use crate::ondisk::thin_leaf::{Leaf, Stretch, leaf_at};
use crate::ondisk::thin_node::Block;
use crate::ondisk::thin_tree::read_device_roots;
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
        let leaf = match self.leaf.take().filter(|leaf| leaf.tells_of(place)) {
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
        let of_pool = |why: String| format!("the metadata of its pool: {why}");
        let root = match self.root {
            Some(root) => root,
            None => *read_device_roots(thin.mapping_root, read)
                .map_err(of_pool)?
                .get(&thin.device)
                .ok_or("its pool has no mappings of it")?,
        };
        self.root = Some(root);
        leaf_at(root, place, read).map_err(of_pool)
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
