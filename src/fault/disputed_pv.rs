//! PVs that two VGs claim.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::ids::VgUuid;
use crate::model::inventory::Inventory;

const KIND: Kind = Kind {
    kind: FaultKind::DisputedPv,
    severity: Severity::Critical,
    matters: "a part of the metadata is out of date, and writing it would overwrite the metadata \
              of the volume group that the PV belongs to now",
    plan: None,
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut pvs: Vec<_> =
        inventory.devices.iter().filter_map(|d| d.pv()).map(|on| on.uuid).collect();
    pvs.sort_unstable();
    pvs.dedup();
    let mut faults = Vec::new();
    for pv in pvs {
        let claims = inventory.claims_on(pv);
        if claims.len() < 2 {
            continue;
        }
        let names: Vec<String> = claims.iter().map(|vg| shown(inventory, *vg)).collect();
        let found = format!("claimed by {}", names.join(" and by "));
        let mut fault = KIND.fault(format!("PV {pv}"), found).advise(
            "give the newest image of every disk of both volume groups; the one whose text stands \
             in the PV's own areas has it",
        );
        if let Some(device) = inventory.devices_of(pv).first() {
            fault = fault.on(&device.name);
        }
        faults.extend(claims.iter().map(|vg| fault.clone().of_vg(*vg)));
    }
    faults
}

fn shown(inventory: &Inventory, vg: VgUuid) -> String {
    let name = inventory.vgs.get(&vg).and_then(|on_disk| on_disk.name());
    name.map_or_else(|| format!("VG {vg}"), |name| format!("VG {name} ({vg})"))
}
