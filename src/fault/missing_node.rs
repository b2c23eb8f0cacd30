//! A live device without its node: udev did not make it, or somebody removed it.

use crate::fault::live::{shown, vg_shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;

const KIND: Kind = Kind {
    kind: FaultKind::MissingNode,
    severity: Severity::Warning,
    matters: "programs find the LV by its node, and LVM2 too reads thin pools and mirrors by it",
    plan: None,
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let Some(live) = inventory.live.as_deref() else { return Vec::new() };
    let mut faults = Vec::new();
    for mapped in live.mapped.iter().filter(|mapped| !mapped.has_node && !mapped.live.is_empty()) {
        let Some(layer) = &mapped.layer else { continue };
        let vg = inventory.vgs.get(&layer.vg).and_then(|on_disk| on_disk.name());
        let found = format!("live, and {} is not its node", mapped.path());
        let advice = format!(
            "`vgmknodes{}` makes it; where udev is at work, see why it does not",
            vg.map(|name| format!(" {name}")).unwrap_or_default()
        );
        let object = format!("device {} of {}", shown(mapped), vg_shown(inventory, layer.vg));
        faults.push(KIND.fault(object, found).of_vg(layer.vg).advise(advice));
    }
    faults
}
