//! A copy of a thin pool's metadata, in a file that may be changed: it is dumped as it stands; or
//! with what can be set right set right; or repaired by the tools, which may take older trees.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use crate::host::thin_tools::ThinTools;
use crate::model::thin_pool::{
    Compared, Coverage, METADATA_BLOCK, Mend, PoolByText, Rebuilt, ThinSuperblock,
    ThinSuperblockBlock, Told,
};
use crate::ondisk::thin_mappings::{AllMappings, blocks_mapped_twice, read_mappings};
use crate::ondisk::thin_mend::{Mended, mend};
use crate::ondisk::thin_node::Block;
use crate::ondisk::thin_space::{BlockSet, read_allocated};
use crate::ondisk::thin_superblock::{
    BLOCK_SIZE, held_mapping_root, parse_thin_superblock, without_needs_check,
};
use crate::ondisk::thin_tree::{ReadBlock, read_details};
use crate::units::Bytes;

const NOT_MENDED: &str = "nothing of it can be set right";

/// A copy of a pool's metadata.
pub struct MetadataCopy<'a> {
    /// What dumps it.
    pub tools: &'a ThinTools,
    /// Where it is.
    pub path: String,
    /// How long the metadata is.
    pub size: Bytes,
    /// What LVM's text says of the pool.
    pub text: &'a PoolByText,
}

impl MetadataCopy<'_> {
    /// Dumps it, with as little set right as can be; tells what.
    ///
    /// # Errors
    /// Why it could not be dumped, for people.
    pub fn dump(&self, to: &str) -> Result<Option<Mend>, String> {
        let mut against = match self.dump_changed(None, &[], to) {
            Ok(()) => return Ok(None),
            Err(why) => vec![why],
        };
        let mended = self.mended().and_then(|mended| {
            self.dump_changed(Some(mended.mend), &mended.blocks, to).map(|()| mended.mend)
        });
        match mended {
            Ok(mend) => return Ok(Some(mend)),
            Err(why) => against.push(why),
        }
        match self.dump_changed(Some(Mend::Repair), &[], to) {
            Ok(()) => Ok(Some(Mend::Repair)),
            Err(why) => {
                against.push(why);
                Err(against.join("; "))
            }
        }
    }

    /// Dumps it with this set right, and nothing else.
    ///
    /// # Errors
    /// Why it could not be dumped, for people.
    pub fn dump_with(&self, way: Option<Mend>, to: &str) -> Result<(), String> {
        match way {
            None | Some(Mend::Repair) => self.dump_changed(way, &[], to),
            Some(Mend::SuperblockChecksum | Mend::Superblock { .. } | Mend::DeviceList) => {
                let mended = self.mended()?;
                if Some(mended.mend) != way {
                    return Err(NOT_MENDED.to_owned());
                }
                self.dump_changed(way, &mended.blocks, to)
            }
        }
    }

    /// Dumps it with these blocks changed. When that fails it is what it was.
    fn dump_changed(
        &self,
        way: Option<Mend>,
        blocks: &[(u64, Block)],
        to: &str,
    ) -> Result<(), String> {
        let before = self.swap(blocks)?;
        let flag = self.swap(&self.unflagged()?)?;
        let said = self.tools.dump(&self.path, to, way == Some(Mend::Repair));
        said.and_then(|said| said).map_err(|said| {
            let dump = if way == Some(Mend::Repair) { "thin_dump -r" } else { "thin_dump" };
            // What was written last is put back first.
            match self.swap(&flag).and_then(|_| self.swap(&before)).and_then(|_| self.cut()) {
                Ok(()) => format!("{dump}: {said}"),
                Err(why) => format!("{dump}: {said}; {why}"),
            }
        })
    }

    /// What its superblock tells, and the devices that it leads to.
    fn told(&self) -> Result<Told, String> {
        told(&mut read_blocks(&self.path)?)
    }

    /// What came of it: new metadata in a file or device, checked by the tools and compared with this.
    ///
    /// # Errors
    /// What is wrong with the new metadata, for people.
    pub fn rebuilt(&self, mend: Option<Mend>, new: &str) -> Result<Rebuilt, String> {
        let checked = self.tools.check(new)?;
        checked.map_err(|said| format!("thin_check of what was rebuilt: {said}"))?;
        // It may have been activated a moment ago, and what was written went past the page cache.
        let mut read = read_blocks(new)?;
        let (new, mapped) = told_and_mapped(&mut read)?;
        let compared = self.compare(&new.superblock, &mapped, &mut read);
        Ok(Rebuilt { mend, old: self.told(), new, compared })
    }

    /// Compares it with new metadata, mapping by mapping.
    fn compare(
        &self,
        new: &ThinSuperblock,
        mapped: &AllMappings,
        read: &mut ReadBlock<'_>,
    ) -> Compared {
        Compared {
            differing: self.differing(mapped),
            coverage: self.coverage(&mapped.blocks),
            twice: blocks_mapped_twice(new.mapping_root, new.data.blocks, read),
        }
    }

    fn superblock(&self) -> Result<ThinSuperblock, String> {
        match parse_thin_superblock(&read_blocks(&self.path)?(0)?) {
            ThinSuperblockBlock::Sound(superblock) => Ok(superblock),
            ThinSuperblockBlock::Zeroed
            | ThinSuperblockBlock::Foreign
            | ThinSuperblockBlock::Damaged(_) => Err("there is no sound superblock".to_owned()),
        }
    }

    /// Devices that do not map the very same here and there.
    fn differing(&self, new: &AllMappings) -> Result<Vec<u32>, String> {
        let ThinSuperblock { mapping_root, data, .. } = self.superblock()?;
        let old = read_mappings(mapping_root, data.blocks, &mut read_blocks(&self.path)?)?.devices;
        let ids: BTreeSet<u32> = old.keys().chain(new.devices.keys()).copied().collect();
        Ok(ids.into_iter().filter(|id| old.get(id) != new.devices.get(id)).collect())
    }

    /// What is in use here and not mapped there, and the other way. What only a metadata snapshot
    /// holds need not be mapped.
    fn coverage(&self, mapped: &BlockSet) -> Result<Coverage, String> {
        let read = &mut read_blocks(&self.path)?;
        let old = self.superblock()?;
        let used = read_allocated(old.data_bitmap_root, old.data.blocks, read)?;
        let mut needless = mapped.clone();
        if let Some(held) = old.held_root {
            let no = |why: String| format!("the metadata snapshot that it holds: {why}");
            let root = held_mapping_root(&read(held).map_err(no)?)
                .ok_or_else(|| no("it is no superblock".to_owned()))?;
            needless.join(&read_mappings(root, old.data.blocks, read).map_err(no)?.blocks);
        }
        Ok(Coverage { unmapped: used.without(&needless), stray: mapped.without(&used) })
    }

    fn mended(&self) -> Result<Mended, String> {
        let blocks = self.size.get() / METADATA_BLOCK.get();
        let mended = mend(self.text, blocks, &mut read_blocks(&self.path)?)?;
        mended.ok_or_else(|| NOT_MENDED.to_owned())
    }

    /// The superblock without the flag that it needs a check, which is what the new metadata is given:
    /// one generation of the tools takes the flag over, the other does not.
    fn unflagged(&self) -> Result<Vec<(u64, Block)>, String> {
        let first = read_blocks(&self.path)?(0)?;
        match parse_thin_superblock(&first) {
            ThinSuperblockBlock::Sound(found) if found.needs_check => {
                Ok(vec![(0, without_needs_check(first))])
            }
            ThinSuperblockBlock::Sound(_)
            | ThinSuperblockBlock::Zeroed
            | ThinSuperblockBlock::Foreign
            | ThinSuperblockBlock::Damaged(_) => Ok(Vec::new()),
        }
    }

    /// Writes blocks, and tells what stood there; nothing of those that stood behind the end.
    fn swap(&self, blocks: &[(u64, Block)]) -> Result<Vec<(u64, Block)>, String> {
        let error = |error: std::io::Error| format!("{}: {error}", self.path);
        let mut read = read_blocks(&self.path)?;
        let file = OpenOptions::new().write(true).open(&self.path).map_err(error)?;
        let mut before = Vec::new();
        for (number, block) in blocks {
            before.extend(read(*number).ok().map(|block| (*number, block)));
            file.write_all_at(block, number.saturating_mul(METADATA_BLOCK.get())).map_err(error)?;
        }
        Ok(before)
    }

    /// Takes off what was written behind the end.
    fn cut(&self) -> Result<(), String> {
        let file = OpenOptions::new().write(true).open(&self.path);
        file.and_then(|file| file.set_len(self.size.get()))
            .map_err(|error| format!("{}: {error}", self.path))
    }
}

/// Reads blocks of metadata in a file.
///
/// # Errors
/// Why it cannot be opened, for people.
pub fn read_blocks(path: &str) -> Result<impl FnMut(u64) -> Result<Block, String> + use<>, String> {
    let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    Ok(move |number: u64| {
        let mut block: Block = [0; BLOCK_SIZE];
        let behind = || "it lies behind the end".to_owned();
        let offset = number.checked_mul(METADATA_BLOCK.get()).ok_or_else(behind)?;
        file.read_exact_at(&mut block, offset).map_err(|error| error.to_string())?;
        Ok(block)
    })
}

/// What a superblock tells, and the devices that it leads to.
///
/// # Errors
/// What is wrong with it, for people.
pub fn told(read: &mut ReadBlock<'_>) -> Result<Told, String> {
    match parse_thin_superblock(&read(0)?) {
        ThinSuperblockBlock::Sound(superblock) => {
            let devices = read_details(superblock.details_root, read)?;
            Ok(Told { superblock, devices })
        }
        ThinSuperblockBlock::Zeroed
        | ThinSuperblockBlock::Foreign
        | ThinSuperblockBlock::Damaged(_) => Err("there is no sound superblock".to_owned()),
    }
}

/// The same of metadata that was just made, and what it maps: as many blocks as each device says. One
/// generation of the tools counts them when it restores, the other believes the dump.
///
/// # Errors
/// What is wrong with it, for people.
pub fn told_and_mapped(read: &mut ReadBlock<'_>) -> Result<(Told, AllMappings), String> {
    let told = told(read)?;
    let ThinSuperblock { mapping_root, data, needs_check, .. } = told.superblock;
    let mapped = read_mappings(mapping_root, data.blocks, read)?;
    let says = told.devices.iter().map(|(device, found)| (*device, found.mapped_blocks));
    if !says.eq(mapped.devices.iter().map(|(device, mappings)| (*device, mappings.count))) {
        return Err("its devices do not map as many blocks as they say".to_owned());
    }
    if needs_check {
        return Err("it is flagged needs_check".to_owned());
    }
    Ok((told, mapped))
}
