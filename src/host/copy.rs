//! Reading the content of an LV, and copying it to a file.
//!
//! A copy is made beside its target, synced, described by a manifest, and only then given its
//! name; `parts` has how.

pub mod flow;
pub mod map;
mod parts;
mod pieces;
pub mod sink;
pub mod thin;
mod unreadable;

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::AtomicBool;

use sha2::{Digest as _, Sha256};

use crate::host::{ActError, HostError, Performed, Progress, ReadHost};
use crate::ids::{DeviceName, Digest};
use crate::model::inventory::CopyManifest;
use crate::operation::act::{Content, ContentFrom, CopyFile};
use crate::units::Bytes;

use flow::{Copied, Way};
use parts::Parts;
pub use parts::{clean_up, settle};
use pieces::{Cursor, Where};
use sink::Sink;

/// How much is read at once.
const CHUNK: Bytes = Bytes::new(8 << 20);
/// Runs of zeros shorter than this are written out.
pub const HOLE: usize = 64 << 10;

/// What the next bytes of the content are.
enum Stretch {
    Zeros(Bytes),
    Data(Vec<u8>),
    /// They cannot be read.
    Bad(Bytes),
}

impl Stretch {
    fn len(&self) -> Bytes {
        match self {
            Self::Zeros(len) | Self::Bad(len) => *len,
            Self::Data(bytes) => Bytes::of_len(bytes.len()),
        }
    }
}

/// Takes stretches in order; false when no more are wanted.
type Take<'a> = dyn FnMut(Bytes, Stretch) -> Result<bool, HostError> + 'a;

/// Reads the content from start to end, in stretches of at most [`CHUNK`]. What cannot be read is an
/// error.
fn read_through(
    host: &dyn ReadHost,
    content: &Content,
    progress: &mut dyn FnMut(Progress),
    mut take: impl FnMut(Bytes, Stretch) -> Result<(), HostError>,
) -> Result<Bytes, HostError> {
    let read =
        |device: &DeviceName, offset, len| Ok(vec![Stretch::Data(host.read(device, offset, len)?)]);
    walk(host, content, Bytes::ZERO, &read, progress, &mut |at, stretch| {
        take(at, stretch).map(|()| true)
    })
}

/// Reads the content from `start` on. What cannot be read is told as such.
fn read_from(
    host: &dyn ReadHost,
    content: &Content,
    start: Bytes,
    progress: &mut dyn FnMut(Progress),
    take: &mut Take<'_>,
) -> Result<Bytes, HostError> {
    let last_good = RefCell::new(None);
    let read = |device: &DeviceName, offset, len| {
        unreadable::read(host, (device, offset, len), &mut last_good.borrow_mut())
    };
    walk(host, content, start, &read, progress, take)
}

/// How a stretch of a device is read.
type Reader<'a> = dyn Fn(&DeviceName, Bytes, Bytes) -> Result<Vec<Stretch>, HostError> + 'a;

fn walk(
    host: &dyn ReadHost,
    content: &Content,
    start: Bytes,
    read: &Reader<'_>,
    progress: &mut dyn FnMut(Progress),
    take: &mut Take<'_>,
) -> Result<Bytes, HostError> {
    let doing = |why: &str| HostError::because("read", format!("LV {}", content.name), why);
    let total = content.len.bytes().ok_or_else(|| doing("it is larger than any device"))?;
    let mut at = start.sectors_floor();
    let mut cursor = Cursor::default();
    while let Some((place, len)) = cursor.piece_at(host, content, at).map_err(|e| doing(&e))? {
        let mut start = at.bytes().ok_or_else(|| doing("it is larger than any device"))?;
        let len = len.bytes().ok_or_else(|| doing("a piece is too large"))?;
        let stretches = match place {
            Where::Zero => vec![Stretch::Zeros(len)],
            Where::On(device, sector) => {
                let offset = sector.bytes().ok_or_else(|| doing("a piece is out of reach"))?;
                read_stretch(host, (device, offset, len), read)?
            }
            Where::Away => return Err(doing("a PV of it is not there")),
        };
        for stretch in stretches {
            let len = stretch.len();
            if !take(start, stretch)? {
                return Ok(total);
            }
            start = start.saturating_add(len);
            at =
                at.checked_add(len.sectors_floor()).ok_or_else(|| doing("a piece is too large"))?;
            progress(Progress::Bytes { done: start, total });
        }
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

fn read_stretch(
    host: &dyn ReadHost,
    (device, offset, len): (&DeviceName, Bytes, Bytes),
    read: &Reader<'_>,
) -> Result<Vec<Stretch>, HostError> {
    let zeros = host.zeros_at(device, offset)?.min(len);
    // Whole sectors, so that the next piece begins at one.
    match zeros.sectors_floor().bytes().filter(|zeros| !zeros.is_zero()) {
        Some(zeros) => Ok(vec![Stretch::Zeros(zeros)]),
        None => read(device, offset, len),
    }
}

/// The first `len` bytes of the content, or all of it.
pub fn head_of(host: &dyn ReadHost, content: &Content, len: Bytes) -> Result<Vec<u8>, HostError> {
    let short = Content { len: content.len.min(len.sectors_floor()), ..content.clone() };
    let mut head = Vec::new();
    read_through(host, &short, &mut |_| {}, |_, stretch| {
        match stretch {
            Stretch::Data(bytes) => head.extend(bytes),
            Stretch::Zeros(len) | Stretch::Bad(len) => {
                head.resize(head.len() + len.to_usize().unwrap_or(0), 0);
            }
        }
        Ok(())
    })?;
    Ok(head)
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
        Stretch::Zeros(len) | Stretch::Bad(len) => {
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
            Stretch::Zeros(len) | Stretch::Bad(len) => write_zeros(start, len, write),
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
        Stretch::Data(_) | Stretch::Zeros(_) | Stretch::Bad(_) => Ok(()),
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

/// Copies the content to a new file, or goes on where an earlier try of the same run was stopped. When
/// it fails, what it made is removed again; when it is interrupted, that stays.
///
/// # Errors
/// [`ActError`]; `Interrupted` when it can be gone on with.
pub fn copy_to_file(
    host: &dyn ReadHost,
    content: &Content,
    to: &CopyFile,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Performed, ActError> {
    let parts = Parts::make(to)?;
    let map = to.map_part();
    let way = Way { map: &map, stop };
    let copied = match flow::copy(host, content, Sink::new(parts.content(), true), &way, progress) {
        Err(error @ ActError::Interrupted(_)) => return Err(error),
        Err(ActError::Host(error)) => return Err(parts.give_up(error).into()),
        other => other?,
    };
    let (vg, lv, name) = (content.vg, content.lv, content.name.clone());
    let Copied { sha256, size, .. } = copied;
    let manifest = CopyManifest {
        format_version: 1,
        vg,
        lv,
        name,
        size,
        sha256,
        unreadable: copied.bad.iter().map(|(at, len)| [at.get(), len.get()]).collect(),
    };
    parts.publish(&manifest, !copied.bad.is_empty()).map_err(|error| parts.give_up(error))?;
    let beside = format!("{} has which, as ddrescue does", to.map());
    Ok(Performed { sha256: Some(sha256), written: copied.written, notes: copied.notes(&beside) })
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
