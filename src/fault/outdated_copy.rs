//! A metadata area in use that holds an older version than the others.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::choice::Standing;
use crate::model::inventory::Inventory;

const KIND: Kind = Kind {
    kind: FaultKind::OutdatedCopy,
    severity: Severity::Warning,
    matters: "LVM warns about inconsistent metadata; should the newer copies be lost, the VG would \
              go back to this one",
    plan: Some("plans/metadata-areas.yaml"),
};

/// Finds them. A PV flagged MISSING, or dropped by the VG, is behind by nature and told of there.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut faults = Vec::new();
    for on_disk in inventory.vgs.values() {
        let (Standing::Clear { seqno, outvoted, .. }, Some(vg)) =
            (&on_disk.standing, &on_disk.current)
        else {
            continue;
        };
        for copy in outvoted {
            let Some(device) = inventory.device(&copy.device) else {
                continue;
            };
            let Some(pv) = device.pv().and_then(|pv| vg.pv(pv.uuid)) else {
                continue;
            };
            if pv.is_missing() {
                continue;
            }
            let object = format!("PV {} metadata area {}", pv.uuid, copy.area);
            let found = format!("holds seqno {}, the VG is at seqno {seqno}", copy.seqno);
            let mut fault = KIND.fault(object, found).of_vg(vg.uuid).on(&device.name);
            fault.offset = device.areas().get(copy.area).map(|area| area.offset);
            faults.push(fault.advise("bring it up to date with the ready plan"));
        }
    }
    faults
}
