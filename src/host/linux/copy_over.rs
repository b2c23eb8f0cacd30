//! Copying content over an LV: as much as the content is long, and nothing behind it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::sync::atomic::AtomicBool;

use crate::host::copy::flow::{self, Way};
use crate::host::copy::sink::Sink;
use crate::host::linux::block::number_of;
use crate::host::linux::mapped;
use crate::host::{ActError, HostError, KeptFile, Performed, Progress, ReadHost};
use crate::operation::act::{Content, CopyDevice};
use crate::units::Bytes;

/// Copies, reads back what was written, and syncs; goes on where an earlier try of the same run was
/// stopped. What could not be read comes as a map, to be kept with the run.
pub fn copy_over(
    host: &dyn ReadHost,
    content: &Content,
    to: &CopyDevice,
    (scratch, begun, stop): (&str, i64, &AtomicBool),
    progress: &mut dyn FnMut(Progress),
) -> Result<(Performed, Option<KeptFile>), ActError> {
    let target = open(to)?;
    let map = format!("{scratch}/lvmend-copy-{}-{begun}.map", to.dm_uuid);
    let way = Way { map: &map, stop };
    let copied = flow::copy(host, content, Sink::new(&target, false), &way, progress);
    if let Err(error @ ActError::Interrupted(_)) = copied {
        return Err(error);
    }
    let kept = File::open(&map);
    let _ = fs::remove_file(&map);
    let copied = copied?;
    let name = format!("unreadable-{}.map", content.name);
    let notes =
        copied.notes(&format!("{name} among the files of the run has which, as ddrescue does"));
    let kept = if copied.bad.is_empty() {
        None
    } else {
        let content = kept.map_err(|cause| HostError::new("open", &map, cause))?;
        Some(KeptFile { name, content })
    };
    Ok((Performed { sha256: Some(copied.sha256), written: copied.written, notes }, kept))
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
