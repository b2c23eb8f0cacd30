//! Reading block devices as the disk has them.
//!
//! LVM2 writes past the page cache, which then may hold what stood there before. So reads go past
//! it too. Devices are opened for reading only: closing one that was open for writing makes udev
//! look at it, and may activate what stands on it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

use crate::host::HostError;
use crate::host::linux::block::{Block, attribute, number_of};
use crate::ondisk::placement::AREA_SIZE_MAX;
use crate::units::Bytes;

/// Memory and places on disk are aligned to this where they can be: no disk asks for more.
const ALIGNMENT: u64 = 4096;

/// Reads exactly `len` bytes of a device; `all` are the devices it may lie upon.
///
/// # Errors
/// [`HostError`]: past the end, too much at once, a node that is another device, a suspended
/// device, and the system's.
pub fn read(block: &Block, all: &[Block], offset: Bytes, len: Bytes) -> Result<Vec<u8>, HostError> {
    let because = |why: String| HostError::because("read", &block.node.name, why);
    if offset.checked_add(len).is_none_or(|end| end > block.size) {
        return Err(because(format!("{len} at byte {} reach past its end", offset.get())));
    }
    if len > AREA_SIZE_MAX {
        return Err(because("too much at once".to_owned()));
    }
    if let Some(suspended) = suspended_below(block, all) {
        let name = &suspended.node.name;
        return Err(because(format!(
            "{name} is suspended: reading would wait until it is resumed"
        )));
    }
    let error = |cause| HostError::new("read", &block.node.name, cause);
    let (file, direct) = open(block).map_err(error)?;
    let window = Window::around(offset, len, block, direct);
    window.read(&file).map_err(error)
}

/// The device or one that it lies upon, when that is suspended: whoever reads it waits.
pub fn suspended_below<'b>(block: &'b Block, all: &'b [Block]) -> Option<&'b Block> {
    let mut seen = Vec::new();
    let mut waiting = vec![block];
    while let Some(block) = waiting.pop() {
        if seen.contains(&block.node.number) {
            continue;
        }
        seen.push(block.node.number);
        if block.dm_uuid.is_some()
            && attribute(&block.sysfs(), "dm/suspended").is_some_and(|suspended| suspended == "1")
        {
            return Some(block);
        }
        let below = block.node.slaves.iter().chain(&block.partition_of);
        waiting.extend(below.filter_map(|n| all.iter().find(|block| block.node.number == *n)));
    }
    None
}

/// Opens a device past the page cache, or through it where the device knows no other way. A name
/// is only a hint: what was opened must have the number that sysfs has for it.
fn open(block: &Block) -> io::Result<(File, Direct)> {
    let path = Path::new(&block.path);
    // Before opening: a pipe in its place would wait for a writer.
    check(&fs::metadata(path)?, block)?;
    let open = |flags: OFlag| OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let (file, direct) = match open(OFlag::O_DIRECT) {
        Ok(file) => (file, Direct::Yes),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            (open(OFlag::empty())?, Direct::No)
        }
        Err(error) => return Err(error),
    };
    check(&file.metadata()?, block)?;
    Ok((file, direct))
}

fn check(found: &fs::Metadata, block: &Block) -> io::Result<()> {
    let expected = block.node.number;
    let number = number_of(found.rdev()).filter(|_| found.file_type().is_block_device());
    match number {
        Some(number) if number == expected => Ok(()),
        Some(number) => {
            let path = &block.path;
            Err(io::Error::other(format!("{path} is device {number} now, expected {expected}")))
        }
        None => Err(io::Error::other(format!("{} is no block device", block.path))),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direct {
    Yes,
    No,
}

/// The aligned stretch that is read for the bytes that are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    start: u64,
    len: u64,
    /// Where the wanted bytes begin in it, and how many they are.
    skip: u64,
    wanted: u64,
}

impl Window {
    fn around(offset: Bytes, len: Bytes, block: &Block, direct: Direct) -> Self {
        let (offset, wanted, size) = (offset.get(), len.get(), block.size.get());
        let unit = match direct {
            Direct::Yes => ALIGNMENT.max(block.block_size.get()),
            Direct::No => 1,
        };
        let start = offset - offset % unit;
        let end = (offset + wanted).div_ceil(unit).saturating_mul(unit).min(size);
        Self { start, len: end - start, skip: offset - start, wanted }
    }

    fn read(self, file: &File) -> io::Result<Vec<u8>> {
        let size = |size: u64| usize::try_from(size).map_err(io::Error::other);
        let (len, alignment) = (size(self.len)?, size(ALIGNMENT)?);
        let (skip, wanted) = (size(self.skip)?, size(self.wanted)?);
        let mut memory = vec![0; len + alignment];
        // O_DIRECT wants memory at a multiple of the block size.
        let lead = memory.as_ptr().align_offset(alignment);
        let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let aligned = lead.checked_add(len).and_then(|end| memory.get_mut(lead..end));
        file.read_exact_at(aligned.ok_or_else(short)?, self.start)?;
        memory.truncate(lead + skip + wanted);
        Ok(memory.split_off(lead + skip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DeviceName;
    use crate::model::live::{BlockNode, DevNumber};

    fn block(size: u64, block_size: u64) -> Block {
        Block {
            node: BlockNode {
                number: DevNumber { major: 7, minor: 0 },
                name: DeviceName::whole("/dev/null"),
                links: Vec::new(),
                identity: None,
                holders: Vec::new(),
                slaves: Vec::new(),
                component_of: None,
            },
            kernel_name: "no-such-device".to_owned(),
            path: "/dev/null".to_owned(),
            size: Bytes::new(size),
            read_only: false,
            partition_of: None,
            dm_uuid: None,
            is_md: false,
            block_size: Bytes::new(block_size),
        }
    }

    #[test]
    fn windows_are_aligned_and_end_with_the_device() {
        let window = |offset, len, direct| {
            let block = block(10_240, 512);
            let found = Window::around(Bytes::new(offset), Bytes::new(len), &block, direct);
            (found.start, found.len, found.skip, found.wanted)
        };
        assert_eq!(window(512, 512, Direct::Yes), (0, 4096, 512, 512));
        assert_eq!(window(4000, 200, Direct::Yes), (0, 8192, 4000, 200));
        assert_eq!(window(9728, 512, Direct::Yes), (8192, 2048, 1536, 512));
        assert_eq!(window(9728, 512, Direct::No), (9728, 512, 0, 512));
        assert_eq!(window(0, 0, Direct::Yes), (0, 0, 0, 0));
    }

    #[test]
    fn the_bytes_that_are_wanted_and_no_others() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..10_240_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
        io::Write::write_all(&mut file, &bytes).unwrap();
        for (offset, len) in [(0, 10), (4090, 20), (10_200, 40)] {
            let window = Window::around(
                Bytes::new(offset as u64),
                Bytes::new(len as u64),
                &block(10_240, 512),
                Direct::Yes,
            );
            assert_eq!(window.read(&file).unwrap(), &bytes[offset..offset + len]);
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let read = |offset, len| {
            let block = block(1 << 40, 512);
            let error = read(&block, &[], Bytes::new(offset), Bytes::new(len)).unwrap_err();
            error.in_full()
        };
        assert!(read(0, 512).contains("is no block device"));
        assert!(read(1 << 40, 1).contains("reach past its end"));
        assert!(read(u64::MAX, 2).contains("reach past its end"));
        assert!(read(0, 1 << 39).contains("too much at once"));
    }
}
