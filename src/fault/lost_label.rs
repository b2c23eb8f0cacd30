//! A device without a sound label that carries traces of a PV.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::device::{Content, LabelDamage, LostLabel};
use crate::model::inventory::Inventory;

const KIND: Kind = Kind {
    kind: FaultKind::LostLabel,
    severity: Severity::Critical,
    matters: "LVM does not see the PV at all, although its metadata and data may be intact; \
              installers and wipefs leave disks like this",
    plan: Some("plans/metadata-areas.yaml"),
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut faults = Vec::new();
    for device in &inventory.devices {
        let Content::LostLabel(lost) = &device.content else {
            continue;
        };
        let (object, remains) = traces(lost);
        let vgs: Vec<String> = vgs_on(lost, inventory);
        let areas = match (lost.areas.len(), vgs.is_empty()) {
            (0, _) => "no metadata area stands".to_owned(),
            (n, true) => format!("{n} metadata areas without a sound text"),
            (1, false) => format!("its metadata area tells of {}", vgs.join(", ")),
            (n, false) => format!("its {n} metadata areas tell of {}", vgs.join(", ")),
        };
        let object = object.unwrap_or_else(|| device.name.to_string());
        let over = match device.signatures.as_slice() {
            [] => String::new(),
            found => {
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                format!("; something else was made there since: {}", found.join(", "))
            }
        };
        faults.push(
            KIND.fault(object, format!("{remains}; {areas}{over}"))
                .on(&device.name)
                .advise("write the label again with the ready plan, before anything else does"),
        );
    }
    faults
}

fn traces(lost: &LostLabel) -> (Option<String>, String) {
    let Some(remains) = lost.remains.first() else {
        return (None, "no label in the first four sectors".to_owned());
    };
    let damage = match remains.damage {
        LabelDamage::Checksum => "its checksum does not match",
        LabelDamage::WrongSector => "it says it belongs into another sector",
        LabelDamage::WrongType => "it is of another type",
        LabelDamage::Layout => "its layout is broken",
        LabelDamage::Uuid => "its UUID is broken",
    };
    let object = remains.uuid.map(|uuid| format!("PV {uuid}"));
    (object, format!("the label in sector {} is damaged: {damage}", remains.sector))
}

fn vgs_on(lost: &LostLabel, inventory: &Inventory) -> Vec<String> {
    let keys = lost.areas.iter().filter_map(|area| area.committed.good());
    let mut names: Vec<String> = keys
        .filter_map(|key| inventory.texts.get(&key))
        .map(|text| format!("VG {} (seqno {})", text.vg_name, text.seqno))
        .collect();
    names.sort();
    names.dedup();
    names
}
