//! Tables that wait in inactive slots: a command died between loading and resuming them.

use std::collections::BTreeMap;

use crate::fault::live::{commands, shown, vg_shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::ids::VgUuid;
use crate::model::inventory::Inventory;
use crate::model::live::MappedDevice;

const KIND: Kind = Kind {
    kind: FaultKind::WaitingTable,
    severity: Severity::Warning,
    matters: "the next `lvchange --refresh`, `lvextend` or resume puts it into force, whatever it \
              maps, and reports success",
    plan: Some("plans/suspended-devices.yaml"),
};

/// Finds them: one fault for each VG.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let Some(live) = inventory.live.as_deref() else { return Vec::new() };
    let mut of_vgs: BTreeMap<VgUuid, Vec<&MappedDevice>> = BTreeMap::new();
    for mapped in live.mapped.iter().filter(|mapped| mapped.has_inactive) {
        if let Some(layer) = &mapped.layer {
            of_vgs.entry(layer.vg).or_default().push(mapped);
        }
    }
    let fault = |(vg, devices): (VgUuid, Vec<&MappedDevice>)| {
        let devices = live.bottom_up(devices);
        let tables: Vec<String> = devices.iter().map(|mapped| waiting(mapped)).collect();
        let found = format!("tables wait in inactive slots: {}", tables.join("; "));
        // A device without a live table was only just made, and never held data.
        let (made, old): (Vec<&MappedDevice>, Vec<&MappedDevice>) =
            devices.into_iter().partition(|mapped| mapped.live.is_empty());
        let mut steps = Vec::new();
        if !old.is_empty() {
            steps.push(commands("clear", old));
        }
        if !made.is_empty() {
            let made: Vec<&MappedDevice> = made.into_iter().rev().collect();
            steps.push(format!("remove what was only made: {}", commands("remove", made)));
        }
        let name = inventory.vgs.get(&vg).and_then(|on_disk| on_disk.name());
        let advice = format!(
            "if no command of LVM is at work: {}; then `vgchange --refresh{}`, which loads what the \
             metadata says",
            steps.join("; "),
            name.map(|name| format!(" {name}")).unwrap_or_default()
        );
        KIND.fault(vg_shown(inventory, vg), found).of_vg(vg).advise(advice)
    };
    of_vgs.into_iter().map(fault).collect()
}

/// What waits, beside what is in force.
fn waiting(mapped: &MappedDevice) -> String {
    let lines = |lines: &[crate::model::live::TargetLine]| match lines {
        [] => "nothing".to_owned(),
        [line] => line.to_string(),
        lines => format!("{} lines", lines.len()),
    };
    let name = shown(mapped);
    format!("{name} has `{}`, and `{}` waits", lines(&mapped.live), lines(&mapped.inactive))
}
