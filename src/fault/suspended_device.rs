//! Suspended devices: a command died between suspending and resuming them.

use std::collections::BTreeMap;

use crate::fault::live::{commands, shown, vg_shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::ids::VgUuid;
use crate::model::inventory::Inventory;
use crate::model::live::MappedDevice;

const KIND: Kind = Kind {
    kind: FaultKind::SuspendedDevice,
    severity: Severity::Critical,
    matters: "whoever reads or writes it waits until it is resumed, and `sync` and a clean shutdown \
              with them",
    plan: Some("plans/suspended-devices.yaml"),
};

/// Finds them: one fault for each VG, because the order matters in which they are resumed.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let Some(live) = inventory.live.as_deref() else { return Vec::new() };
    let mut of_vgs: BTreeMap<VgUuid, Vec<&MappedDevice>> = BTreeMap::new();
    let mut faults = Vec::new();
    for mapped in live.mapped.iter().filter(|mapped| mapped.suspended) {
        if let Some(layer) = &mapped.layer {
            of_vgs.entry(layer.vg).or_default().push(mapped);
        } else if inventory.devices.iter().any(|device| device.number == Some(mapped.number)) {
            let found = "suspended: what stands on it cannot be read";
            let advice =
                format!("find out who suspended it; else {}", commands("resume", [mapped]));
            faults.push(KIND.fault(format!("device {}", shown(mapped)), found).advise(advice));
        }
    }
    for (vg, devices) in of_vgs {
        let devices = live.bottom_up(devices);
        let names: Vec<String> = devices.iter().map(|mapped| shown(mapped)).collect();
        let found = format!("suspended: {}", names.join(", "));
        let waiting: Vec<&MappedDevice> =
            devices.iter().copied().filter(|mapped| mapped.has_inactive).collect();
        let clear = if waiting.is_empty() {
            String::new()
        } else {
            format!(
                "drop the tables that wait, or they would come into force: {}; then ",
                commands("clear", waiting)
            )
        };
        let advice = format!(
            "a command of LVM that is at work suspends devices for moments: look again in a minute; if \
             they stay suspended, {clear}resume from the bottom up, in this order: {}",
            commands("resume", devices)
        );
        faults.push(KIND.fault(vg_shown(inventory, vg), found).of_vg(vg).advise(advice));
    }
    faults
}
