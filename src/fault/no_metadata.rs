//! A VG of which no area points to a sound text, though traces of it stand.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::choice::Standing;
use crate::model::device::{Content, RingContent};
use crate::model::inventory::{Inventory, VgOnDisk};

const KIND: Kind = Kind {
    kind: FaultKind::NoMetadata,
    severity: Severity::Critical,
    matters: "LVM does not find the VG, although older texts of it stand and its data may be \
              intact",
    plan: Some("plans/metadata-areas.yaml"),
};

/// Finds them. A VG whose texts stand only in rings of PVs that belong to others now is history.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut faults = Vec::new();
    for on_disk in inventory.vgs.values() {
        if on_disk.standing != Standing::None || !is_orphaned(inventory, on_disk) {
            continue;
        }
        let newest = on_disk.timeline.highest_seqno().unwrap_or(0);
        let count = on_disk.timeline.versions().len();
        let name = on_disk.name().map(ToString::to_string).unwrap_or_default();
        let found = format!(
            "no area points to a sound text; {count} older versions stand, up to seqno {newest}"
        );
        faults.push(KIND.fault(format!("VG {name}"), found).of_vg(on_disk.uuid).advise(
            "bring back the newest version that serves with the ready plan; see `lvmend history \
             list`",
        ));
    }
    faults
}

/// Whether a text of the VG stands on a device on which no text counts.
fn is_orphaned(inventory: &Inventory, on_disk: &VgOnDisk) -> bool {
    inventory.devices.iter().any(|device| {
        let is_pv = matches!(device.content, Content::Pv(_) | Content::LostLabel(_));
        let counts = device.areas().iter().any(|area| area.committed.good().is_some());
        let stands =
            device.areas().iter().flat_map(|area| &area.ring).any(|text| match &text.text {
                RingContent::Whole(key) => {
                    inventory.texts.get(key).is_some_and(|text| text.vg_uuid == on_disk.uuid)
                }
                RingContent::Cut { .. } => false,
            });
        is_pv && !counts && stands
    })
}
