//! A segment type that this program does not know.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;
use crate::model::segment::SegmentKind;

const KIND: Kind = Kind {
    kind: FaultKind::UnknownSegment,
    severity: Severity::Note,
    matters: "lvmend keeps its text as it is, but cannot tell which extents the LV takes",
    plan: None,
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut faults = Vec::new();
    for vg in inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_ref()) {
        for lv in &vg.lvs {
            for segment in &lv.segments {
                let SegmentKind::Unknown { type_name } = &segment.kind else {
                    continue;
                };
                let object = format!("LV {}/{}", vg.name, lv.name);
                let found = format!("has a segment of type `{type_name}`");
                faults.push(
                    KIND.fault(object, found)
                        .of_vg(vg.uuid)
                        .advise("a newer lvmend or LVM2 may know it"),
                );
            }
        }
    }
    faults
}
