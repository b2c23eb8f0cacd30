//! A copy of a thin pool's metadata, in a file that may be changed: it is dumped as it stands; or
//! with what can be set right set right; or repaired by the tools, which may take older trees.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use crate::host::thin_tools::ThinTools;
use crate::model::thin_pool::{
    Coverage, METADATA_BLOCK, Mend, PoolByText, ThinSuperblock, ThinSuperblockBlock, Told,
};
use crate::ondisk::thin_mend::{Mended, mend};
use crate::ondisk::thin_node::Block;
use crate::ondisk::thin_space::{read_allocated, read_mapped};
use crate::ondisk::thin_superblock::{BLOCK_SIZE, parse_thin_superblock};
use crate::ondisk::thin_tree::{ReadBlock, count_mappings, read_details};
use crate::units::Bytes;

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
        let Err(as_it_stands) = self.tools.dump(&self.path, to, false)? else { return Ok(None) };
        let mut against = vec![format!("thin_dump: {as_it_stands}")];
        match self.mended() {
            Ok(None) => {}
            Ok(Some(mended)) => match self.dump_mended(&mended, to) {
                Ok(()) => return Ok(Some(mended.mend)),
                Err(why) => against.push(why),
            },
            Err(why) => against.push(why),
        }
        match self.tools.dump(&self.path, to, true)? {
            Ok(()) => Ok(Some(Mend::Repair)),
            Err(said) => {
                against.push(format!("thin_dump -r: {said}"));
                Err(against.join("; "))
            }
        }
    }

    /// Dumps it with this set right, and nothing else.
    ///
    /// # Errors
    /// Why it could not be dumped, for people.
    pub fn dump_with(&self, mend: Option<Mend>, to: &str) -> Result<(), String> {
        let said = match mend {
            None => self.tools.dump(&self.path, to, false)?,
            Some(Mend::Repair) => self.tools.dump(&self.path, to, true)?,
            Some(mend @ (Mend::SuperblockChecksum | Mend::DeviceList)) => {
                let mended = self.mended()?.filter(|mended| mended.mend == mend);
                let mended = mended.ok_or("it is not damaged as it was when the plan was made")?;
                return self.dump_mended(&mended, to);
            }
        };
        said.map_err(|said| format!("thin_dump: {said}"))
    }

    /// What its superblock tells, and the devices that it leads to.
    ///
    /// # Errors
    /// Why that cannot be read, for people.
    pub fn told(&self) -> Result<Told, String> {
        told(&mut read_blocks(&self.path)?)
    }

    /// Whether new metadata maps what this says is in use.
    ///
    /// # Errors
    /// Why that cannot be told, for people.
    pub fn coverage(&self, new: &Told, read_new: &mut ReadBlock<'_>) -> Result<Coverage, String> {
        let read_old = &mut read_blocks(&self.path)?;
        let ThinSuperblockBlock::Sound(old) = parse_thin_superblock(&read_old(0)?) else {
            return Err("there is no sound superblock".to_owned());
        };
        let used = read_allocated(old.data_bitmap_root, old.data.blocks, read_old)?;
        let ThinSuperblock { mapping_root, data, .. } = new.superblock;
        let mapped = read_mapped(mapping_root, data.blocks, read_new)?;
        Ok(Coverage { unmapped: used.without(&mapped), stray: mapped.without(&used) })
    }

    fn mended(&self) -> Result<Option<Mended>, String> {
        let blocks = self.size.get() / METADATA_BLOCK.get();
        mend(self.text, blocks, &mut read_blocks(&self.path)?)
    }

    fn dump_mended(&self, mended: &Mended, to: &str) -> Result<(), String> {
        self.write(&mended.blocks)?;
        let said = self.tools.dump(&self.path, to, false)?;
        said.map_err(|said| format!("thin_dump of what was set right: {said}"))
    }

    fn write(&self, blocks: &[(u64, Block)]) -> Result<(), String> {
        let error = |error: std::io::Error| format!("{}: {error}", self.path);
        let file = OpenOptions::new().write(true).open(&self.path).map_err(error)?;
        for (number, block) in blocks {
            file.write_all_at(block, number.saturating_mul(METADATA_BLOCK.get())).map_err(error)?;
        }
        Ok(())
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

/// The same of metadata that was just made: each device must map as many blocks as it says. One
/// generation of the tools counts them when it restores, the other believes the dump.
///
/// # Errors
/// What is wrong with it, for people.
pub fn told_and_counted(read: &mut ReadBlock<'_>) -> Result<Told, String> {
    let told = told(read)?;
    let counted = count_mappings(told.superblock.mapping_root, read)?;
    let says = told.devices.iter().map(|(device, found)| (*device, found.mapped_blocks));
    if says.collect::<BTreeMap<_, _>>() != counted {
        return Err("its devices do not map as many blocks as they say".to_owned());
    }
    Ok(told)
}
