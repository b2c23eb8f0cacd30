//! Rebuilding the metadata of a thin pool in extents of images.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::host::copy;
use crate::host::image::ImageHost;
use crate::host::storage::WritableStorage;
use crate::host::thin_rebuild::Rebuilding;
use crate::host::{ActError, HostError, KeptFile, Performed};
use crate::ids::DeviceName;
use crate::model::mapping::Place;
use crate::operation::act::{Content, ContentFrom, RebuildThin};
use crate::units::Bytes;

/// How much is written at once.
const CHUNK: Bytes = Bytes::new(4 << 20);

/// Makes new metadata in the scratch directory, holds it to what is known, and writes it, all of it,
/// to where it is to lie.
pub fn rebuild<S: WritableStorage>(
    host: &mut ImageHost<S>,
    within: &str,
    (act, to): (&RebuildThin, &Content),
) -> Result<(Performed, KeptFile), ActError> {
    let rebuilding = Rebuilding::begin(host, within, act)?;
    let path = rebuilding.file();
    let error = |doing| move |cause| HostError::new(doing, "the new metadata", cause);
    let size = to.len.bytes().ok_or_else(|| rebuilding.failed("it is too large".to_owned()))?;
    let file = File::options().read(true).write(true).create_new(true).open(&path);
    let file = file.map_err(error("make"))?;
    file.set_len(size.get()).map_err(error("make"))?;
    let restored = rebuilding.tools().restore(&rebuilding.dump(), &path);
    restored
        .and_then(|said| said.map_err(|said| format!("thin_restore: {said}")))
        .map_err(|why| rebuilding.failed(why))?;
    let first = rebuilding.hold(&path)?;
    let dump = rebuilding.end(host)?;
    write_through(host, &file, to)?;
    Ok((Performed { sha256: Some(first), ..Performed::default() }, dump))
}

/// Writes a file to where an LV lies, syncs, and reads it back.
fn write_through<S: WritableStorage>(
    host: &mut ImageHost<S>,
    file: &File,
    to: &Content,
) -> Result<(), ActError> {
    let doing = |why: &str| HostError::because("write", format!("LV {}", to.name), why);
    let ContentFrom::Pvs { map, devices } = &to.from else {
        return Err(doing("it does not lie on PVs").into());
    };
    let mut touched: Vec<DeviceName> = Vec::new();
    for piece in map.pieces() {
        let Place::Pv { pv, sector } = piece.place else {
            return Err(doing("a part of it lies nowhere").into());
        };
        let device = devices.get(&pv).ok_or_else(|| doing("a PV of it is not there"))?;
        let reach = || doing("it is out of reach");
        let (start, offset) = (piece.start.bytes(), sector.bytes());
        let (start, offset) = (start.ok_or_else(reach)?, offset.ok_or_else(reach)?);
        let len = piece.len.bytes().ok_or_else(reach)?;
        let mut done = Bytes::ZERO;
        while done < len {
            let now = len.saturating_sub(done).min(CHUNK);
            let mut bytes = vec![0; now.to_usize().ok_or_else(reach)?];
            file.read_exact_at(&mut bytes, start.saturating_add(done).get())
                .map_err(|cause| HostError::new("read", "the new metadata", cause))?;
            host.write_at(device, offset.saturating_add(done), &bytes)?;
            done = done.saturating_add(now);
        }
        touched.push(device.clone());
    }
    touched.sort();
    touched.dedup();
    host.sync(&touched)?;
    let is_same = is_same(host, file, to)?;
    if is_same { Ok(()) } else { Err(doing("it does not read back as it was written").into()) }
}

fn is_same(host: &dyn crate::host::ReadHost, file: &File, to: &Content) -> Result<bool, HostError> {
    let mut is_same = true;
    copy::copy_through(host, to, &mut |_| {}, &mut |start, bytes| {
        let mut written = vec![0; bytes.len()];
        file.read_exact_at(&mut written, start.get())
            .map_err(|cause| HostError::new("read", "the new metadata", cause))?;
        is_same &= written == bytes;
        Ok(())
    })?;
    Ok(is_same)
}
