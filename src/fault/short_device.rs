//! A device shorter than the PV on it.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;
use crate::units::{Bytes, Sectors};

const KIND: Kind = Kind {
    kind: FaultKind::ShortDevice,
    severity: Severity::Critical,
    matters: "LVs with extents past its end cannot be activated, or fail when that part is read",
    plan: None,
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut faults = Vec::new();
    for vg in inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_ref()) {
        for pv in &vg.pvs {
            let end = pv.extent_start(pv.pe_count, vg.extent_size).and_then(Sectors::bytes);
            for device in inventory.devices_of(pv.uuid) {
                if end.is_some_and(|end| end <= device.size) {
                    continue;
                }
                let needs = end.unwrap_or(Bytes::new(u64::MAX));
                let found =
                    format!("its extents end at {needs}, {} is {} long", device.name, device.size);
                faults.push(
                    KIND.fault(format!("PV {}", pv.uuid), found)
                        .of_vg(vg.uuid)
                        .on(&device.name)
                        .advise("an image may be cut off; a disk may be another than it was"),
                );
            }
        }
    }
    faults
}
