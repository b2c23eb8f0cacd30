//! Reading block devices past the page cache: LVM2 writes past it, and what is compared before and
//! after a step must be what is on the disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};

use crate::model::live::DevNumber;
use crate::units::Bytes;

/// No block device has larger logical blocks, and no memory page is smaller.
const ALIGNMENT: usize = 4096;

/// Opens a device for reading, and makes sure that it is the one that is meant.
pub fn open(path: &str, expected: DevNumber) -> io::Result<File> {
    let open = |flags| OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = match open(nix::libc::O_DIRECT) {
        Ok(file) => file,
        // Some drivers only know the page cache.
        Err(error) if error.raw_os_error() == Some(nix::libc::EINVAL) => open(0)?,
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    if !found.file_type().is_block_device() {
        return Err(io::Error::other("it is no block device"));
    }
    let number = number_of(found.rdev());
    if number != expected {
        return Err(io::Error::other(format!(
            "it is device {number} by now, expected {expected}: another one has its name"
        )));
    }
    Ok(file)
}

/// The number of a device, as file systems have it.
pub fn number_of(rdev: u64) -> DevNumber {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    DevNumber {
        major: number(nix::sys::stat::major(rdev)),
        minor: number(nix::sys::stat::minor(rdev)),
    }
}

/// Reads exactly `len` bytes. Reads begin and end at whole blocks, so a few more may be read.
pub fn read_exact(file: &File, offset: Bytes, len: usize, size: Bytes) -> io::Result<Vec<u8>> {
    let block = ALIGNMENT as u64;
    let start = offset.get() / block * block;
    let end = offset.get().saturating_add(len as u64).next_multiple_of(block).min(size.get());
    let skip = usize::try_from(offset.get() - start).map_err(io::Error::other)?;
    let span = usize::try_from(end.saturating_sub(start)).map_err(io::Error::other)?;
    let mut buffer = vec![0_u8; span + ALIGNMENT];
    let at = buffer.as_ptr().align_offset(ALIGNMENT);
    let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let aligned = buffer.get_mut(at..at.saturating_add(span)).ok_or_else(short)?;
    file.read_exact_at(aligned, start)?;
    let wanted = aligned.get(skip..skip.saturating_add(len)).ok_or_else(short)?;
    Ok(wanted.to_vec())
}
