//! The name of an LV's device belongs to another device of device-mapper.

use crate::fault::live::{commands, shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::derived_tables::{DerivedDevice, derived_tables};
use crate::model::inventory::Inventory;
use crate::model::live::Live;
use crate::model::vg::Vg;

const KIND: Kind = Kind {
    kind: FaultKind::NameTaken,
    severity: Severity::Warning,
    matters: "LVM cannot activate the LV, and whoever looks by name finds another device",
    plan: None,
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let Some(live) = inventory.live.as_deref() else { return Vec::new() };
    let mut faults = Vec::new();
    for vg in inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_deref()) {
        let derived = derived_tables(vg).devices;
        faults.extend(derived.iter().filter_map(|device| fault(live, vg, device)));
    }
    faults
}

fn fault(live: &Live, vg: &Vg, device: &DerivedDevice) -> Option<Fault> {
    let named = live.mapped.iter().find(|mapped| mapped.name.raw() == device.name)?;
    // Layers of one LV change places: a pool that was never used has another layer by that name.
    if named.layer.as_ref().is_some_and(|layer| layer.lv == device.layer.lv) {
        return None;
    }
    let lv = vg.lv_by_uuid(device.layer.lv)?;
    let uuid = if named.uuid.raw().is_empty() {
        "which has no UUID".to_owned()
    } else {
        format!("with UUID {}", named.uuid)
    };
    let found = format!("its device is to be {}, which is {}, {uuid}", device.name, shown(named));
    let advice = format!(
        "find out what made it ({}); when nobody needs it, {}",
        commands("table", [named]),
        commands("remove", [named])
    );
    Some(KIND.fault(format!("LV {}", lv.name), found).of_vg(vg.uuid).advise(advice))
}
