//! A member PV whose header does not say that it belongs to a VG.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;

const KIND: Kind = Kind {
    kind: FaultKind::PvNotMarked,
    severity: Severity::Note,
    matters: "the next command that writes the VG rewrites this header, and empties the pointers \
              of its metadata areas for a moment: a crash then loses the VG from sight",
    plan: None,
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut faults = Vec::new();
    for vg in inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_ref()) {
        for pv in &vg.pvs {
            for device in inventory.devices_of(pv.uuid) {
                if device.pv().is_some_and(|on| on.in_use == Some(true)) {
                    continue;
                }
                let found = format!("VG {} has it, its own header does not say so", vg.name);
                faults.push(
                    KIND.fault(format!("PV {}", pv.uuid), found)
                        .of_vg(vg.uuid)
                        .on(&device.name)
                        .advise("make sure that a backup of the metadata exists: `vgcfgbackup`"),
                );
            }
        }
    }
    faults
}
