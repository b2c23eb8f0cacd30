//! Two segments on the same extents, or a segment beyond the end of its PV.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::extent_map::{ExtentMap, MapProblem};
use crate::model::inventory::Inventory;

const KIND: Kind = Kind {
    kind: FaultKind::ExtentsInConflict,
    severity: Severity::Critical,
    matters: "LVM refuses the VG; where both LVs were written, one destroyed the other",
    plan: None,
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut faults = Vec::new();
    for vg in inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_ref()) {
        for problem in ExtentMap::of(vg).problems() {
            let (pv, found) = match problem {
                MapProblem::Overlap { pv, range, one, other } => {
                    (pv, format!("extents {range} belong to LV {one} and to LV {other}"))
                }
                MapProblem::BeyondEnd { pv, range, pe_count, lv } => {
                    (pv, format!("LV {lv} takes extents {range}, the PV has {pe_count}"))
                }
            };
            faults.push(
                KIND.fault(format!("PV {pv}"), found)
                    .of_vg(vg.uuid)
                    .advise("find a sound version with `lvmend history list`"),
            );
        }
    }
    faults
}
