//! What is not done to a stack, whatever the metadata says.

use std::collections::BTreeSet;

use crate::model::live::LvmLayer;
use crate::model::table::TableLine;
use crate::model::table_goal::{DeviceNow, StackDevice, Then, named};

/// Whether it has a live table and will have another, or none.
pub fn changes_table(device: &StackDevice) -> bool {
    device.then != Then::Stay && !device.live().is_empty()
}

/// What a live table leads to and the one to come does not may be nowhere else: devices that no metadata
/// describes, and blocks that only a cache holds.
pub fn refuse_cut_off(devices: &[StackDevice], strays: &BTreeSet<LvmLayer>) -> Result<(), String> {
    for device in devices.iter().filter(|device| changes_table(device)) {
        let is_cache =
            |line: &TableLine| matches!(line.target.as_str(), "cache" | "writecache" | "era");
        if device.live().iter().any(is_cache) {
            return Err(format!(
                "{} runs a cache that the metadata does not describe so: what was written may be in the cache \
                 alone",
                device.name
            ));
        }
        let stray = named(device.live()).into_iter().find(|layer| strays.contains(*layer));
        if let Some(stray) = stray {
            return Err(format!(
                "{} lies on device {stray}, which no metadata describes: what it shows may be nowhere else",
                device.name
            ));
        }
    }
    Ok(())
}

/// A device that may be somebody's only map to data is not suspended for the sake of others.
pub fn refuse_under_strays(
    devices: &[StackDevice],
    strays: &BTreeSet<LvmLayer>,
) -> Result<(), String> {
    let is_left =
        |device: &&StackDevice| strays.contains(&device.layer) && device.then == Then::Stay;
    for stray in devices.iter().filter(is_left) {
        let is_half_done = |now: &DeviceNow| now.suspended || now.waiting.is_some();
        if stray.now.as_ref().is_some_and(is_half_done) {
            return Err(format!(
                "{} is suspended or has a table that waits, and no metadata describes it",
                stray.name
            ));
        }
        let below = named(stray.live());
        let reloaded = devices.iter().find(|d| d.is_reloaded() && below.contains(&d.layer));
        if let Some(device) = reloaded {
            return Err(format!(
                "{} lies on {}, and no metadata describes it",
                stray.name, device.name
            ));
        }
    }
    Ok(())
}
