//! A PV of the current metadata that no device carries and that is not flagged MISSING.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::device::Content;
use crate::model::inventory::Inventory;

const KIND: Kind = Kind {
    kind: FaultKind::AbsentPv,
    severity: Severity::Critical,
    matters: "LVs with a piece on it cannot be read as a whole, and the next command that writes \
              the VG will flag it MISSING",
    plan: None,
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let could_be_lost =
        inventory.devices.iter().any(|d| matches!(d.content, Content::LostLabel(_)));
    let mut faults = Vec::new();
    for on_disk in inventory.vgs.values() {
        let Some(vg) = &on_disk.current else { continue };
        for pv in vg.pvs.iter().filter(|pv| !pv.is_missing()) {
            if !inventory.devices_of(pv.uuid).is_empty() {
                continue;
            }
            let hint = pv.device_hint.as_ref().map(|hint| format!(", last at {hint}"));
            let found =
                format!("VG {} has it, no device carries it{}", vg.name, hint.unwrap_or_default());
            let advice = if could_be_lost {
                "a device without a label was found, see `lost-label`: it may be this PV"
            } else {
                "find the device before anything writes this VG"
            };
            let fault = KIND.fault(format!("PV {}", pv.uuid), found);
            faults.push(fault.of_vg(vg.uuid).advise(advice));
        }
    }
    faults
}
