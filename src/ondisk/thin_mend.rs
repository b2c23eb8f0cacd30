//! What can be set right in a copy of thin-pool metadata, so that it can be dumped as it stands.
//!
//! The tools that repair look for any roots that are whole: of two generations they may take the
//! older one, and they leave out devices without mappings. Where the mapping tree is whole and its
//! root is known nothing needs to be looked for: what is missing follows from the tree itself, and
//! from LVM's text.

use std::collections::BTreeMap;

use crate::model::thin_pool::{
    Mend, PoolByText, SpaceUsed, ThinDevice, ThinSuperblock, ThinSuperblockBlock,
    ThinSuperblockDamage,
};
use crate::ondisk::thin_mappings::{Mappings, TIME_MASK, read_mappings};
use crate::ondisk::thin_node::Block;
use crate::ondisk::thin_roots::find_roots;
use crate::ondisk::thin_superblock::{made_anew, parse_thin_superblock, signed, with_details_root};
use crate::ondisk::thin_tree::{ReadBlock, read_details, write_details};

/// The version of the format that the kernel writes.
const VERSION: u32 = 2;

/// What is set right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// What it is.
    pub mend: Mend,
    /// The blocks that become other ones; some may lie behind the end of the metadata.
    pub blocks: Vec<(u64, Block)>,
}

/// What can be set right in metadata of so many blocks; nothing where it is none of what can be.
///
/// # Errors
/// Why what is damaged cannot be set right, for people.
pub fn mend(
    text: &PoolByText,
    blocks: u64,
    read: &mut ReadBlock<'_>,
) -> Result<Option<Mended>, String> {
    let first = read(0)?;
    match parse_thin_superblock(&first) {
        ThinSuperblockBlock::Damaged(ThinSuperblockDamage::Checksum) => {
            let block = signed(first);
            let ThinSuperblockBlock::Sound(says) = parse_thin_superblock(&block) else {
                return Err("more of its superblock is damaged than the checksum".to_owned());
            };
            match check_says(text, &says, read) {
                Ok(()) => {
                    Ok(Some(Mended { mend: Mend::SuperblockChecksum, blocks: vec![(0, block)] }))
                }
                Err(why) => found(text, blocks, read)
                    .map(Some)
                    .map_err(|none| format!("{why}; without it, {none}")),
            }
        }
        ThinSuperblockBlock::Sound(found) if read_details(found.details_root, read).is_ok() => {
            Ok(None)
        }
        ThinSuperblockBlock::Sound(found) => {
            let devices = devices_by_mappings(text, &found, read)?;
            let mut nodes = write_details(&devices, blocks);
            let root = nodes.last().map_or(0, |(number, _)| *number);
            nodes.push((0, with_details_root(first, root)));
            Ok(Some(Mended { mend: Mend::DeviceList, blocks: nodes }))
        }
        ThinSuperblockBlock::Zeroed
        | ThinSuperblockBlock::Foreign
        | ThinSuperblockBlock::Damaged(_) => {
            let none = |none: String| format!("there is no superblock, and {none}");
            found(text, blocks, read).map(Some).map_err(none)
        }
    }
}

/// A superblock that leads to what is left of the trees.
fn found(text: &PoolByText, blocks: u64, read: &mut ReadBlock<'_>) -> Result<Mended, String> {
    let roots = find_roots(text, blocks, read)?;
    let says = ThinSuperblock {
        needs_check: false,
        version: VERSION,
        time: roots.time,
        transaction_id: text.transaction_id,
        held_root: None,
        data: SpaceUsed { blocks: text.data_blocks, allocated: 0 },
        data_bitmap_root: roots.bitmap.unwrap_or(0),
        metadata: SpaceUsed { blocks, allocated: blocks },
        mapping_root: roots.mapping,
        details_root: roots.details,
        data_block: text.data_block,
    };
    let mend = Mend::Superblock { others: roots.others };
    Ok(Mended { mend, blocks: vec![(0, made_anew(&says))] })
}

/// Any byte of it may be the wrong one: what it says has to be what others say.
fn check_says(
    text: &PoolByText,
    says: &ThinSuperblock,
    read: &mut ReadBlock<'_>,
) -> Result<(), String> {
    let differs =
        |what: &str| format!("its superblock is damaged, and has another {what} than LVM");
    if says.transaction_id != text.transaction_id {
        return Err(differs("transaction id"));
    }
    if says.data_block != text.data_block {
        return Err(differs("size of data blocks"));
    }
    if says.data.blocks != text.data_blocks {
        return Err(differs("number of data blocks"));
    }
    let details = read_details(says.details_root, read)?;
    let mapped = read_mappings(says.mapping_root, says.data.blocks, read)?.devices;
    let told = details.iter().map(|(device, found)| (*device, found.mapped_blocks));
    if !told.eq(mapped.iter().map(|(device, mappings)| (*device, mappings.count))) {
        return Err("its superblock is damaged, and the trees it leads to do not agree".to_owned());
    }
    if !text.devices.keys().all(|device| mapped.contains_key(device)) {
        return Err(differs("list of devices"));
    }
    let of_devices = details.values().map(|found| found.creation_time.max(found.snapshot_time));
    let of_mappings = mapped.values().map(|mappings| mappings.newest);
    let newest = of_devices.map(u64::from).chain(of_mappings).max().unwrap_or(0);
    // It counts snapshots. Below what is there the kernel would take what is shared for a volume's own;
    // above what a mapping has room for it would run into the numbers of data blocks.
    if !(newest..=TIME_MASK).contains(&u64::from(says.time)) {
        return Err("its superblock is damaged, and of another time than its trees".to_owned());
    }
    Ok(())
}

/// The devices that have a mapping tree, with the blocks that each maps. That all of them were
/// snapshotted by now makes the kernel copy a block that is not shared, and never write one that is.
///
/// # Source
/// Linux `drivers/md/dm-thin-metadata.c`, `__snapshotted_since`.
fn devices_by_mappings(
    text: &PoolByText,
    superblock: &ThinSuperblock,
    read: &mut ReadBlock<'_>,
) -> Result<BTreeMap<u32, ThinDevice>, String> {
    let mapped = read_mappings(superblock.mapping_root, superblock.data.blocks, read)?.devices;
    let (last, time) = (superblock.transaction_id, superblock.time);
    let device = |(device, mappings): (u32, Mappings)| {
        let mapped_blocks = mappings.count;
        let transaction_id = text.devices.get(&device).copied().unwrap_or(last);
        let (creation_time, snapshot_time) = (time, time);
        (device, ThinDevice { mapped_blocks, transaction_id, creation_time, snapshot_time })
    };
    Ok(mapped.into_iter().map(device).collect())
}
