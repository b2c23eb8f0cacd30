//! A PV flagged MISSING: the VG was written while it was away.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;

const KIND: Kind = Kind {
    kind: FaultKind::MissingPv,
    severity: Severity::Critical,
    matters: "LVs with a piece on it are partial and are not activated, although their data may \
              all be there",
    plan: Some("plans/returned-pv.yaml"),
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut faults = Vec::new();
    for on_disk in inventory.vgs.values() {
        let Some(vg) = &on_disk.current else { continue };
        for pv in vg.pvs.iter().filter(|pv| pv.is_missing()) {
            let object = format!("PV {}", pv.uuid);
            let devices = inventory.devices_of(pv.uuid);
            let fault = match devices.first() {
                Some(device) => KIND
                    .fault(object, format!("flagged MISSING in VG {}, and it is there", vg.name))
                    .on(&device.name)
                    .advise(
                        "take the mark off with the ready plan; never `vgreduce --removemissing`, \
                         which throws the data away",
                    ),
                None => Fault {
                    plan: None,
                    ..KIND.fault(
                        object,
                        format!("flagged MISSING in VG {}, and no device carries it", vg.name),
                    )
                }
                .advise("find the device; never `vgreduce --removemissing` before it is given up"),
            };
            faults.push(fault.of_vg(vg.uuid));
        }
    }
    faults
}
