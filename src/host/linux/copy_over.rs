//! Copying content over an LV: as much as the content is long, and nothing behind it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};

use crate::host::copy;
use crate::host::linux::block::number_of;
use crate::host::linux::mapped;
use crate::host::{ActError, HostError, Performed, Progress, ReadHost};
use crate::ids::DeviceName;
use crate::operation::act::{Content, CopyDevice};
use crate::units::Bytes;

/// Copies, syncs, reads back and compares.
pub fn copy_over(
    host: &dyn ReadHost,
    content: &Content,
    to: &CopyDevice,
    progress: &mut dyn FnMut(Progress),
) -> Result<Performed, ActError> {
    let target = open(to)?;
    let error = |doing| move |cause| HostError::new(doing, &to.path, cause);
    let mut written = Bytes::ZERO;
    let mut write = |start: Bytes, bytes: &[u8]| {
        written = written.saturating_add(Bytes::of_len(bytes.len()));
        target.write_all_at(bytes, start.get()).map_err(error("write"))
    };
    let (sha256, size) = copy::copy_through(host, content, progress, &mut write)?;
    target.sync_all().map_err(error("sync"))?;
    let back = copy::digest_of_device(host, &DeviceName::whole(to.path.as_str()), size, progress)?;
    if back != sha256 {
        return Err(ActError::ContentDiffers { found: back, expected: sha256 });
    }
    Ok(Performed { sha256: Some(sha256), written, ..Performed::default() })
}

/// Opens the target, and makes sure that it is the LV that is meant and that nobody else has it.
pub(super) fn open(to: &CopyDevice) -> Result<File, ActError> {
    let refuse = |why: &str| Err(HostError::because("write over", &to.path, why).into());
    // Exclusively: a mounted or otherwise used device cannot be opened so.
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_EXCL | nix::libc::O_CLOEXEC)
        .open(&to.path)
        .map_err(|cause| HostError::new("open", &to.path, cause))?;
    let found = file.metadata().map_err(|cause| HostError::new("look at", &to.path, cause))?;
    if !found.file_type().is_block_device() {
        return refuse("it is no block device");
    }
    let number = number_of(found.rdev());
    let mapped = mapped::devices().devices;
    let mapped = mapped.iter().find(|mapped| Some(mapped.number) == number);
    if mapped.is_none_or(|mapped| mapped.uuid.raw() != to.dm_uuid) {
        return refuse("another device has this name by now");
    }
    let size = size_of(&file).map_err(|cause| HostError::new("measure", &to.path, cause))?;
    if size < to.size {
        return refuse("it is smaller than what is to be copied");
    }
    Ok(file)
}

fn size_of(file: &File) -> io::Result<Bytes> {
    use std::io::{Seek, SeekFrom};
    let mut file = file;
    file.seek(SeekFrom::End(0)).map(Bytes::new)
}
