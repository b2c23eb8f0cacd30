//! Copies with equal numbers and different content.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::choice::Standing;
use crate::model::inventory::Inventory;

const KIND: Kind = Kind {
    kind: FaultKind::MetadataBranches,
    severity: Severity::Critical,
    matters: "LVM takes whichever it happens to scan first and leaves the other alone: the same \
              VG may look different after a reboot",
    plan: Some("plans/metadata-areas.yaml"),
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut faults = Vec::new();
    for on_disk in inventory.vgs.values() {
        let Standing::Branches { seqno, copies } = &on_disk.standing else {
            continue;
        };
        let copies: Vec<String> = copies
            .iter()
            .map(|copy| format!("{} area {} has {}", copy.device, copy.area, copy.content.short()))
            .collect();
        let name = on_disk.name().map(ToString::to_string).unwrap_or_default();
        let found = format!("different texts with seqno {seqno}: {}", copies.join(", "));
        faults.push(
            KIND.fault(format!("VG {name}"), found).of_vg(on_disk.uuid).advise(
                "compare them with `lvmend history diff`, and name the right one in the plan",
            ),
        );
    }
    faults
}
