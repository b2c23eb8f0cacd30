//! Reading the content of an LV, and copying it to a file.
//!
//! A copy is made beside its target, synced, described by a manifest, and only then given its
//! name; `parts` has how.

mod parts;
mod pieces;
pub mod thin;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest as _, Sha256};

use crate::host::{ActError, HostError, Performed, Progress, ReadHost};
use crate::ids::{DeviceName, Digest};
use crate::model::inventory::CopyManifest;
use crate::operation::act::{Content, ContentFrom, CopyFile};
use crate::units::{Bytes, Sectors};

use parts::Parts;
pub use parts::clean_up;
use pieces::{Cursor, Where};

/// How much is read at once.
const CHUNK: Bytes = Bytes::new(4 << 20);
/// Runs of zeros shorter than this are written out.
pub const HOLE: usize = 64 << 10;

/// What the next bytes of the content are.
enum Stretch {
    Zeros(Bytes),
    Data(Vec<u8>),
}

/// Reads the content from start to end, in stretches of at most [`CHUNK`].
fn read_through(
    host: &dyn ReadHost,
    content: &Content,
    progress: &mut dyn FnMut(Progress),
    mut take: impl FnMut(Bytes, Stretch) -> Result<(), HostError>,
) -> Result<Bytes, HostError> {
    let doing = |why: &str| HostError::because("read", format!("LV {}", content.name), why);
    let total = content.len.bytes().ok_or_else(|| doing("it is larger than any device"))?;
    let mut at = Sectors::ZERO;
    let mut cursor = Cursor::default();
    while let Some((place, len)) = cursor.piece_at(host, content, at).map_err(|e| doing(&e))? {
        let start = at.bytes().ok_or_else(|| doing("it is larger than any device"))?;
        let len = len.bytes().ok_or_else(|| doing("a piece is too large"))?;
        let (stretch, len) = match place {
            Where::Zero => (Stretch::Zeros(len), len),
            Where::On(device, sector) => {
                let offset = sector.bytes().ok_or_else(|| doing("a piece is out of reach"))?;
                read_stretch(host, device, offset, len)?
            }
            Where::Away => return Err(doing("a PV of it is not there")),
        };
        take(start, stretch)?;
        at = at.checked_add(len.sectors_floor()).ok_or_else(|| doing("a piece is too large"))?;
        progress(Progress::Bytes { done: start.saturating_add(len), total });
    }
    if let ContentFrom::Thin(thin) = &content.from {
        // Where its blocks lie changes when the pool is used.
        let first = thin::read_block(host, &thin.metadata, 0).map_err(|why| doing(&why))?;
        if Digest::of(&first) != thin.seen {
            return Err(doing("its pool was used meanwhile"));
        }
    }
    Ok(total)
}

/// The first `len` bytes of the content, or all of it.
pub fn head_of(host: &dyn ReadHost, content: &Content, len: Bytes) -> Result<Vec<u8>, HostError> {
    let short = Content { len: content.len.min(len.sectors_floor()), ..content.clone() };
    let mut head = Vec::new();
    read_through(host, &short, &mut |_| {}, |_, stretch| {
        match stretch {
            Stretch::Data(bytes) => head.extend(bytes),
            Stretch::Zeros(len) => head.resize(head.len() + len.to_usize().unwrap_or(0), 0),
        }
        Ok(())
    })?;
    Ok(head)
}

fn read_stretch(
    host: &dyn ReadHost,
    device: &DeviceName,
    offset: Bytes,
    len: Bytes,
) -> Result<(Stretch, Bytes), HostError> {
    let zeros = host.zeros_at(device, offset)?.min(len);
    // Whole sectors, so that the next piece begins at one.
    match zeros.sectors_floor().bytes().filter(|zeros| !zeros.is_zero()) {
        Some(zeros) => Ok((Stretch::Zeros(zeros), zeros)),
        None => Ok((Stretch::Data(host.read(device, offset, len)?), len)),
    }
}

/// The digest of the content, and of nothing else.
pub fn digest_of(
    host: &dyn ReadHost,
    content: &Content,
    progress: &mut dyn FnMut(Progress),
) -> Result<Digest, ActError> {
    let mut hasher = Sha256::new();
    read_through(host, content, progress, |_, stretch| {
        hash(&mut hasher, &stretch);
        Ok(())
    })?;
    Ok(Digest::from_raw(hasher.finalize().into()))
}

fn hash(hasher: &mut Sha256, stretch: &Stretch) {
    static ZEROS: [u8; HOLE] = [0; HOLE];
    match stretch {
        Stretch::Data(bytes) => hasher.update(bytes),
        Stretch::Zeros(len) => {
            let mut left = len.to_usize().unwrap_or(0);
            while let Some(zeros) = ZEROS.get(..left.min(HOLE)).filter(|z| !z.is_empty()) {
                hasher.update(zeros);
                left -= zeros.len();
            }
        }
    }
}

/// Reads content and holds it to a digest.
pub fn compare(
    host: &dyn ReadHost,
    content: &Content,
    expected: Digest,
    progress: &mut dyn FnMut(Progress),
) -> Result<Performed, ActError> {
    let found = digest_of(host, content, progress)?;
    if found == expected {
        Ok(Performed { sha256: Some(found), ..Performed::default() })
    } else {
        Err(ActError::ContentDiffers { found, expected })
    }
}

/// Takes bytes of the content, and where in it they begin.
pub type Write<'a> = dyn FnMut(Bytes, &[u8]) -> Result<(), HostError> + 'a;

/// Hands on all of the content, zeros included, from start to end; tells its digest and size.
pub fn copy_through(
    host: &dyn ReadHost,
    content: &Content,
    progress: &mut dyn FnMut(Progress),
    write: &mut Write<'_>,
) -> Result<(Digest, Bytes), HostError> {
    let mut hasher = Sha256::new();
    let size = read_through(host, content, progress, |start, stretch| {
        hash(&mut hasher, &stretch);
        match stretch {
            Stretch::Data(bytes) => write(start, &bytes),
            Stretch::Zeros(len) => write_zeros(start, len, write),
        }
    })?;
    Ok((Digest::from_raw(hasher.finalize().into()), size))
}

/// Hands on what of the content is not zeros, in stretches; tells a digest of that, of where each
/// stretch begins, and of how long the content is; and its size.
pub fn copy_data(
    host: &dyn ReadHost,
    content: &Content,
    write: &mut Write<'_>,
) -> Result<(Digest, Bytes), HostError> {
    let mut hasher = Sha256::new();
    let size = read_through(host, content, &mut |_| {}, |start, stretch| match stretch {
        Stretch::Data(bytes) if bytes.iter().any(|byte| *byte != 0) => {
            hasher.update(start.get().to_le_bytes());
            hasher.update(&bytes);
            write(start, &bytes)
        }
        Stretch::Data(_) | Stretch::Zeros(_) => Ok(()),
    })?;
    hasher.update(size.get().to_le_bytes());
    Ok((Digest::from_raw(hasher.finalize().into()), size))
}

fn write_zeros(start: Bytes, len: Bytes, write: &mut Write<'_>) -> Result<(), HostError> {
    static ZEROS: [u8; HOLE] = [0; HOLE];
    let mut done = Bytes::ZERO;
    while done < len {
        let left = len.saturating_sub(done).to_usize().unwrap_or(HOLE).min(HOLE);
        let zeros = ZEROS.get(..left).unwrap_or(&ZEROS);
        write(start.saturating_add(done), zeros)?;
        done = done.saturating_add(Bytes::of_len(zeros.len()));
    }
    Ok(())
}

/// The digest of the first `size` bytes of a device.
pub fn digest_of_device(
    host: &dyn ReadHost,
    device: &DeviceName,
    size: Bytes,
    progress: &mut dyn FnMut(Progress),
) -> Result<Digest, HostError> {
    let mut hasher = Sha256::new();
    let mut done = Bytes::ZERO;
    while done < size {
        let len = size.saturating_sub(done).min(CHUNK);
        hasher.update(host.read(device, done, len)?);
        done = done.saturating_add(len);
        progress(Progress::Bytes { done, total: size });
    }
    Ok(Digest::from_raw(hasher.finalize().into()))
}

/// Copies the content to a new file. When that fails, what this call made is removed again.
pub fn copy_to_file(
    host: &dyn ReadHost,
    content: &Content,
    to: &CopyFile,
    progress: &mut dyn FnMut(Progress),
) -> Result<Performed, HostError> {
    let parts = Parts::make(to)?;
    let (manifest, written) =
        fill(host, content, &parts, progress).map_err(|error| parts.give_up(error))?;
    parts.publish(&manifest).map_err(|error| parts.give_up(error))?;
    Ok(Performed { sha256: Some(manifest.sha256), written, ..Performed::default() })
}

/// Writes the content into its part and syncs it; tells what its manifest is to say, and how much
/// was written.
fn fill(
    host: &dyn ReadHost,
    content: &Content,
    parts: &Parts<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(CopyManifest, Bytes), HostError> {
    let file = parts.content();
    let error = |doing| move |cause| HostError::new(doing, parts.path(), cause);
    let mut writer = SparseWriter { file, hasher: Sha256::new(), written: Bytes::ZERO };
    let size = read_through(host, content, progress, |start, stretch| {
        hash(&mut writer.hasher, &stretch);
        match stretch {
            Stretch::Zeros(_) => Ok(()),
            Stretch::Data(bytes) => writer.write(start, &bytes).map_err(error("write")),
        }
    })?;
    let (written, hasher) = (writer.written, writer.hasher);
    file.set_len(size.get()).map_err(error("write"))?;
    file.sync_all().map_err(error("sync"))?;
    let sha256 = Digest::from_raw(hasher.finalize().into());
    let (vg, lv, name) = (content.vg, content.lv, content.name.clone());
    Ok((CopyManifest { format_version: 1, vg, lv, name, size, sha256 }, written))
}

struct SparseWriter<'a> {
    file: &'a File,
    hasher: Sha256,
    written: Bytes,
}

impl SparseWriter<'_> {
    fn write(&mut self, start: Bytes, bytes: &[u8]) -> io::Result<()> {
        let written = write_sparsely(self.file, start, bytes)?;
        self.written = self.written.saturating_add(written);
        Ok(())
    }
}

/// Writes what is not zero, and tells how much that is; the rest stays a hole, once the file is given
/// its length.
pub fn write_sparsely(file: &File, start: Bytes, bytes: &[u8]) -> io::Result<Bytes> {
    let (mut offset, mut written) = (start, Bytes::ZERO);
    for block in bytes.chunks(HOLE) {
        let len = Bytes::of_len(block.len());
        if block.iter().any(|byte| *byte != 0) {
            file.write_all_at(block, offset.get())?;
            written = written.saturating_add(len);
        }
        offset = offset.saturating_add(len);
    }
    Ok(written)
}
