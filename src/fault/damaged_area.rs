//! A metadata area whose header or text is damaged, or that points to nothing although its PV
//! belongs to a VG.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::ids::{PvUuid, VgUuid};
use crate::model::device::{AreaHeader, MetadataArea, PvOnDevice, SlotText};
use crate::model::inventory::Inventory;

const KIND: Kind = Kind {
    kind: FaultKind::DamagedArea,
    severity: Severity::Warning,
    matters: "LVM leaves the area out when it writes, so the VG's metadata stands in fewer places \
              than it should, and this copy grows old",
    plan: Some("plans/metadata-areas.yaml"),
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut faults = Vec::new();
    for device in &inventory.devices {
        let Some(pv) = device.pv() else { continue };
        let vg = vg_of(inventory, pv);
        for (index, area) in pv.areas.iter().enumerate() {
            let Some(found) = damage(inventory, pv, vg, area) else {
                continue;
            };
            let object = format!("PV {} metadata area {index}", pv.uuid);
            let mut fault = KIND.fault(object, found).on(&device.name).at(area.offset);
            fault.vg = vg;
            if area.is_misplaced() {
                fault.plan = None;
                fault = fault.advise(
                    "nothing is ever written there: find out who wrote the label, and whether \
                     this is the disk it seems to be",
                );
            } else {
                fault = fault.advise("write it anew from the others with the ready plan");
            }
            faults.push(fault);
        }
    }
    faults
}

/// The VG a PV belongs to, as any current metadata tells.
fn vg_of(inventory: &Inventory, pv: &PvOnDevice) -> Option<VgUuid> {
    let has = |uuid: PvUuid| {
        move |vg: &&crate::model::inventory::VgOnDisk| {
            vg.current.as_ref().is_some_and(|vg| vg.pv(uuid).is_some())
        }
    };
    inventory.vgs.values().find(has(pv.uuid)).map(|vg| vg.uuid)
}

fn damage(
    inventory: &Inventory,
    pv: &PvOnDevice,
    vg: Option<VgUuid>,
    area: &MetadataArea,
) -> Option<String> {
    if let AreaHeader::Damaged { damage, .. } = &area.header {
        let damage: Vec<&str> = damage.iter().map(|d| d.shown()).collect();
        return Some(format!("the header is damaged: {}", damage.join(", ")));
    }
    match &area.committed {
        SlotText::Damaged(why) => Some(format!("the text that counts is damaged: {why}")),
        SlotText::Empty if vg.is_some() && !area.is_ignored() => {
            let is_missing = vg
                .and_then(|vg| inventory.vgs.get(&vg))
                .and_then(|vg| vg.current.as_ref())
                .and_then(|vg| vg.pv(pv.uuid))
                .is_some_and(crate::model::vg::Pv::is_missing);
            (!is_missing).then(|| "the header points to no text".to_owned())
        }
        SlotText::Empty | SlotText::Ignored | SlotText::Good(_) => None,
    }
}
