//! One PV on two devices: a clone, or one disk seen over two paths.

use std::collections::BTreeMap;

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::ids::PvUuid;
use crate::model::device::Device;
use crate::model::inventory::Inventory;

const KIND: Kind = Kind {
    kind: FaultKind::DuplicatePv,
    severity: Severity::Critical,
    matters: "LVM picks one of them by its own rules and refuses to change the VG; writing to the \
              wrong one loses data",
    plan: None,
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut by_uuid: BTreeMap<PvUuid, Vec<&Device>> = BTreeMap::new();
    for device in &inventory.devices {
        if let Some(pv) = device.pv() {
            by_uuid.entry(pv.uuid).or_default().push(device);
        }
    }
    let doubled = by_uuid.into_iter().filter(|(_, devices)| devices.len() > 1);
    doubled
        .map(|(uuid, devices)| {
            let names: Vec<String> = devices.iter().map(|d| d.name.to_string()).collect();
            let found = format!("its label stands on {}", names.join(" and "));
            KIND.fault(format!("PV {uuid}"), found)
                .advise("find out which is meant, and leave the other out")
        })
        .collect()
}
