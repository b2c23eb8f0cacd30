//! Evidence: raw bytes saved before the first write, read back and synced.
//!
//! `evidence/manifest.json` says which file holds which bytes of which device, so that they can be
//! put back with `dd` in a rescue shell.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::host::{HostError, ReadHost, RunStore};
use crate::ids::Digest;
use crate::model::live::Live;
use crate::operation::act::Region;
use crate::units::Bytes;

/// What was saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format; 1.
    pub format_version: u32,
    /// The files.
    pub files: Vec<SavedRegion>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedRegion {
    /// Its name, beside the manifest.
    pub file: String,
    /// Where its bytes come from.
    pub region: Region,
    /// Their digest.
    pub sha256: Digest,
}

/// No file of evidence is larger, so that memory stays bounded whatever the disks say.
const PIECE_MAX: Bytes = Bytes::new(16 << 20);

/// A stretch in pieces of at most [`PIECE_MAX`].
fn pieces(region: &Region) -> impl Iterator<Item = Region> {
    let mut begun = Bytes::ZERO;
    std::iter::from_fn(move || {
        let offset = region.offset.checked_add(begun)?;
        let len = region.len.saturating_sub(begun).min(PIECE_MAX);
        begun = begun.saturating_add(len);
        (!len.is_zero()).then(|| Region { device: region.device.clone(), offset, len })
    })
}

/// Every device-mapper device with its live and its waiting table, as `dmsetup create NAME -u UUID`
/// takes it: of a device that the metadata does not know, the table is all there is.
pub fn tables(live: &Live) -> String {
    let mut text = String::new();
    for device in &live.mapped {
        let state = if device.suspended { " suspended" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "# {} {} uuid {} open {}{state}",
            device.name, device.number, device.uuid, device.open_count
        );
        for line in &device.live {
            let _ = writeln!(text, "{}: {line}", device.name);
        }
        for line in &device.inactive {
            let _ = writeln!(text, "# waiting: {line}");
        }
    }
    text
}

/// Saves these stretches, the kernel's tables where there is a kernel, and a manifest.
pub fn save(
    host: &dyn ReadHost,
    store: &mut dyn RunStore,
    run: &str,
    regions: &[Region],
    tables: Option<&str>,
) -> Result<Manifest, HostError> {
    if let Some(tables) = tables {
        store.put(run, "evidence/dmsetup-table.txt", tables.as_bytes())?;
    }
    let mut files = Vec::with_capacity(regions.len());
    for (index, region) in regions.iter().flat_map(pieces).enumerate() {
        let bytes = host.read(&region.device, region.offset, region.len)?;
        let file = format!("{index:04}.bin");
        let name = format!("evidence/{file}");
        store.put(run, &name, &bytes)?;
        let sha256 = Digest::of(&bytes);
        if Digest::of(&store.get(run, &name)?) != sha256 {
            return Err(HostError::because("save", &name, "it does not read back as written"));
        }
        files.push(SavedRegion { file, region, sha256 });
    }
    let manifest = Manifest { format_version: 1, files };
    let json = serde_json::to_vec_pretty(&manifest)
        .map_err(|e| HostError::because("save", "evidence/manifest.json", e.to_string()))?;
    store.put(run, "evidence/manifest.json", &json)?;
    Ok(manifest)
}
