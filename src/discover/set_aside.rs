//! Devices that carry a PV which LVM sees elsewhere, and at which it does not look: the paths of a
//! multipath device, the parts of an array, clones that somebody hid. They are no second place of
//! the PV, and nothing of them is read or written.

use std::collections::BTreeSet;

use crate::ids::PvUuid;
use crate::model::device::Device;
use crate::model::live::Live;

/// Sets them aside. A PV that LVM sees on several devices, or on none, keeps all of them.
pub fn set_aside(devices: &mut Vec<Device>, live: &Live) {
    let pv_of = |device: &Device| device.pv().map(|on| on.uuid);
    let looked_at = devices.iter().filter(|device| live.left_out(device).is_none());
    let seen: BTreeSet<PvUuid> = looked_at.filter_map(pv_of).collect();
    devices.retain(|device| {
        let is_seen_elsewhere = pv_of(device).is_some_and(|pv| seen.contains(&pv));
        let left = live.left_out(device).filter(|_| is_seen_elsewhere);
        // Between duplicates LVM picks one by its own rules: that is no reason to believe it.
        left.is_none_or(|left| left.why.raw().to_lowercase().contains("duplicate"))
    });
}
