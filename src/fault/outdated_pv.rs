//! A device whose metadata names a VG that does not have it any more.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;

const KIND: Kind = Kind {
    kind: FaultKind::OutdatedPv,
    severity: Severity::Warning,
    matters: "the VG dropped it while it was away; `vgck --updatemetadata`, which LVM advises now, \
              wipes its label and metadata, which may be the last that knows of the LVs dropped \
              with it",
    plan: None,
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut faults = Vec::new();
    for device in &inventory.devices {
        let Some(pv) = device.pv() else { continue };
        let texts = pv.areas.iter().filter_map(|area| area.committed.good());
        let newest =
            texts.filter_map(|key| inventory.texts.get(&key)).max_by_key(|text| text.seqno);
        let Some(text) = newest else { continue };
        let current = inventory.vgs.get(&text.vg_uuid).and_then(|vg| vg.current.as_ref());
        let Some(vg) = current.filter(|vg| vg.pv(pv.uuid).is_none()) else {
            continue;
        };
        let found = format!(
            "its metadata (seqno {}) says it belongs to VG {}, which is at seqno {} without it",
            text.seqno, vg.name, vg.seqno
        );
        faults.push(
            KIND.fault(format!("PV {}", pv.uuid), found).of_vg(vg.uuid).on(&device.name).advise(
                "do not run `vgck --updatemetadata`; save the first and last MiB of the device, then see \
                     `lvmend history diff` for what was dropped",
            ),
        );
    }
    faults
}
