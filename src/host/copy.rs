//! Reading the content of an LV, and copying it to a file.
//!
//! A copy is made beside its target, synced, described by a manifest, and only then given its
//! name, with a link that fails where something has the name already. A manifest beside the target
//! therefore always tells of a finished copy.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::host::{ActError, HostError, Performed, Progress, ReadHost};
use crate::ids::{DeviceName, Digest};
use crate::model::inventory::{CopyManifest, MANIFEST_SUFFIX};
use crate::model::mapping::Place;
use crate::operation::act::Content;
use crate::units::{Bytes, Sectors};

/// What a copy under way is called: its target, with this behind.
const PART_SUFFIX: &str = ".lvmend-part";
/// How much is read at once.
const CHUNK: Bytes = Bytes::new(4 << 20);
/// Runs of zeros shorter than this are written out.
const HOLE: usize = 64 << 10;

/// Reads of a device that may know where it holds only zeros.
pub trait ContentReader: ReadHost {
    /// How many bytes from here on are certainly zero.
    ///
    /// # Errors
    /// [`HostError`], when the device cannot tell.
    fn zeros_at(&self, device: &DeviceName, offset: Bytes) -> Result<Bytes, HostError>;
}

/// What the next bytes of the content are.
enum Stretch {
    Zeros(Bytes),
    Data(Vec<u8>),
}

/// Reads the content from start to end, in stretches of at most [`CHUNK`].
fn read_through(
    host: &dyn ContentReader,
    content: &Content,
    progress: &mut dyn FnMut(Progress),
    mut take: impl FnMut(Bytes, Stretch) -> Result<(), HostError>,
) -> Result<Bytes, HostError> {
    let doing = |why: &str| HostError::because("read", format!("LV {}", content.name), why);
    let total = content.map.len().bytes().ok_or_else(|| doing("it is larger than any device"))?;
    let mut at = Sectors::ZERO;
    while let Some(piece) = content.map.piece_at(at, CHUNK.sectors_floor()) {
        let start = at.bytes().ok_or_else(|| doing("it is larger than any device"))?;
        let mut len = piece.len.bytes().ok_or_else(|| doing("a piece is too large"))?;
        let stretch = match piece.place {
            Place::Zero => Stretch::Zeros(len),
            Place::Pv { pv, sector } => {
                let device =
                    content.devices.get(&pv).ok_or_else(|| doing("a PV of it is not there"))?;
                let offset = sector.bytes().ok_or_else(|| doing("a piece is out of reach"))?;
                let zeros = host.zeros_at(device, offset)?.min(len);
                // Whole sectors, so that the next piece begins at one.
                match zeros.sectors_floor().bytes().filter(|zeros| !zeros.is_zero()) {
                    Some(zeros) => {
                        len = zeros;
                        Stretch::Zeros(zeros)
                    }
                    None => Stretch::Data(host.read(device, offset, len)?),
                }
            }
        };
        take(start, stretch)?;
        at = at.checked_add(len.sectors_floor()).ok_or_else(|| doing("a piece is too large"))?;
        progress(Progress { done: start.saturating_add(len), total });
    }
    Ok(total)
}

/// The digest of the content, and of nothing else.
pub fn digest_of(
    host: &dyn ContentReader,
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

/// Copies the content to a new file at this absolute path.
pub fn copy_to_file(
    host: &dyn ContentReader,
    content: &Content,
    path: &str,
    progress: &mut dyn FnMut(Progress),
) -> Result<Performed, ActError> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(HostError::because("make", path, "it exists already").into());
    }
    let part = format!("{path}{PART_SUFFIX}");
    let error = |doing| move |cause| HostError::new(doing, path, cause);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(&part)
        .map_err(|cause| HostError::new("make", &part, cause))?;
    let mut writer = SparseWriter { file: &file, hasher: Sha256::new(), written: Bytes::ZERO };
    let total = read_through(host, content, progress, |start, stretch| {
        hash(&mut writer.hasher, &stretch);
        match stretch {
            Stretch::Zeros(_) => Ok(()),
            Stretch::Data(bytes) => writer.write(start, &bytes).map_err(error("write")),
        }
    })?;
    let (written, hasher) = (writer.written, writer.hasher);
    file.set_len(total.get()).map_err(error("write"))?;
    file.sync_all().map_err(error("sync"))?;
    let sha256 = Digest::from_raw(hasher.finalize().into());
    let manifest = CopyManifest {
        format_version: 1,
        vg: content.vg,
        lv: content.lv,
        name: content.name.clone(),
        size: total,
        sha256,
    };
    write_manifest(path, &manifest)?;
    fs::hard_link(&part, path).map_err(error("name"))?;
    fs::remove_file(&part).map_err(error("name"))?;
    sync_directory_of(path).map_err(error("sync the directory of"))?;
    Ok(Performed { sha256: Some(sha256), written })
}

struct SparseWriter<'a> {
    file: &'a File,
    hasher: Sha256,
    written: Bytes,
}

impl SparseWriter<'_> {
    /// Writes what is not zero; the rest stays a hole.
    fn write(&mut self, start: Bytes, bytes: &[u8]) -> io::Result<()> {
        let mut offset = start.get();
        for block in bytes.chunks(HOLE) {
            if block.iter().any(|byte| *byte != 0) {
                self.file.write_all_at(block, offset)?;
                self.written = self.written.saturating_add(Bytes::of_len(block.len()));
            }
            offset += block.len() as u64;
        }
        Ok(())
    }
}

fn write_manifest(path: &str, manifest: &CopyManifest) -> Result<(), HostError> {
    let name = format!("{path}{MANIFEST_SUFFIX}");
    let part = format!("{name}{PART_SUFFIX}");
    let error = |cause: io::Error| HostError::new("write", &name, cause);
    let mut json = serde_json::to_vec_pretty(manifest).map_err(|e| error(io::Error::other(e)))?;
    json.push(b'\n');
    fs::write(&part, json).map_err(error)?;
    File::open(&part).and_then(|file| file.sync_all()).map_err(error)?;
    fs::rename(&part, &name).map_err(error)
}

fn sync_directory_of(path: &str) -> io::Result<()> {
    match Path::new(path).parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Removes what an unfinished copy left: its part, and its manifest where the copy has no name.
pub fn clean_up(path: &str) -> Result<(), HostError> {
    let manifest = format!("{path}{MANIFEST_SUFFIX}");
    let mut leavings = vec![format!("{path}{PART_SUFFIX}"), format!("{manifest}{PART_SUFFIX}")];
    if fs::symlink_metadata(path).is_err() {
        leavings.push(manifest);
    }
    for leaving in leavings {
        match fs::remove_file(&leaving) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(HostError::new("remove", leaving, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
