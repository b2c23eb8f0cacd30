//! Putting back, from the evidence, what an operation wrote over as a whole.

use crate::execute::engine::Run;
use crate::execute::evidence::Manifest;
use crate::execute::step::perform_all;
use crate::host::HostError;
use crate::ids::{DeviceName, Digest};
use crate::operation::Operation;
use crate::operation::act::{Act, Region, Write, WriteOf};
use crate::operation::regions_of_extents;
use crate::units::Bytes;

/// Puts back what stood in the extents that this operation wrote over, in a world that was observed
/// right before.
pub(crate) fn put_back(run: &mut Run<'_, '_>, operation: &Operation) -> Result<(), String> {
    let claims = operation.contract().writes_over();
    if claims.is_empty() {
        return Ok(());
    }
    // Somebody else may have them by now.
    if let Operation::RebuildPoolMetadata(rebuild) = operation
        && !rebuild.has_its_extents(&run.world)
    {
        return Err(format!(
            "LV {} is not on the extents any more that were written over: nothing is put back there",
            rebuild.pool.beside
        ));
    }
    let regions = regions_of_extents(&run.world, run.state.started.vg, claims);
    let regions = regions.map_err(|unfit| unfit.why)?;
    let manifest = manifest(run).map_err(|error| error.in_full())?;
    let mut devices: Vec<DeviceName> = Vec::new();
    for region in &regions {
        put_back_region(run, region, &manifest)?;
        devices.push(region.device.clone());
    }
    devices.sort();
    devices.dedup();
    perform_all(run, &[Act::Sync(devices)]).map(drop).map_err(|error| error.to_string())
}

fn manifest(run: &Run<'_, '_>) -> Result<Manifest, HostError> {
    let name = "evidence/manifest.json";
    let json = run.engine.store.get(&run.name, name)?;
    serde_json::from_slice(&json).map_err(|e| HostError::because("read", name, e.to_string()))
}

/// Piece by piece, as it was saved, so that memory stays bounded.
fn put_back_region(
    run: &mut Run<'_, '_>,
    region: &Region,
    manifest: &Manifest,
) -> Result<(), String> {
    let mut left = region.len;
    for saved in manifest.files.iter().filter(|saved| saved.region.device == region.device) {
        let end = |region: &Region| region.offset.saturating_add(region.len);
        let first = saved.region.offset.max(region.offset);
        let len = end(&saved.region).min(end(region)).saturating_sub(first);
        if len.is_zero() {
            continue;
        }
        let bytes = run.engine.store.get(&run.name, &format!("evidence/{}", saved.file));
        let bytes = bytes.map_err(|error| error.in_full())?;
        if Digest::of(&bytes) != saved.sha256 {
            return Err(format!("evidence/{} is not what was saved", saved.file));
        }
        let at = first.saturating_sub(saved.region.offset);
        let range = at.to_usize().zip(at.saturating_add(len).to_usize());
        let piece = range.and_then(|(from, to)| bytes.get(from..to));
        let piece = piece.ok_or_else(|| format!("evidence/{} is too short", saved.file))?;
        let (device, bytes) = (region.device.clone(), piece.to_vec());
        let write = Write { device, offset: first, bytes, of: WriteOf::PutBack };
        perform_all(run, &[Act::Write(write)]).map_err(|error| error.to_string())?;
        let found = run.engine.host.read(&region.device, first, len);
        if found.map_err(|error| error.in_full())? != piece {
            return Err("the devices do not read back as they were".to_owned());
        }
        left = left.saturating_sub(len);
    }
    if left == Bytes::ZERO {
        return Ok(());
    }
    Err(format!("the evidence lacks {left} of {}", region.device))
}
