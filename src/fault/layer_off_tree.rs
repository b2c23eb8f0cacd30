//! A live device that is no device of any LV any more, and goes on with its old table: a command died before
//! it emptied and removed the layer.

use crate::fault::live::shown;
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::derived_tables::derived_tables;
use crate::model::inventory::Inventory;
use crate::model::live::{Live, MappedDevice};
use crate::model::off_tree::{OffTree, off_tree};
use crate::model::table_alike::Numbers;
use crate::model::vg::Vg;

const KIND: Kind = Kind {
    kind: FaultKind::LayerOffTree,
    severity: Severity::Critical,
    matters: "it runs beside the LV that has its parts now: whatever it writes to a log, a leg or an extent \
              that both have, the other does not know of",
    plan: Some("plans/stale-tables.yaml"),
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let Some(live) = inventory.live.as_deref() else { return Vec::new() };
    let mut faults = Vec::new();
    for vg in inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_deref()) {
        let derived = derived_tables(vg);
        let numbers = Numbers::of(inventory, live, vg);
        for mapped in live.mapped_of_vg(vg.uuid).filter(|mapped| !mapped.live.is_empty()) {
            let off = off_tree(vg, &derived, &numbers, mapped);
            faults.extend(off.and_then(|off| fault(live, vg, mapped, &off)));
        }
    }
    faults
}

fn fault(live: &Live, vg: &Vg, mapped: &MappedDevice, off: &OffTree) -> Option<Fault> {
    let whose = match off {
        OffTree::LayerOf(lv) => format!("LV {lv} has no such layer"),
        OffTree::SharesPartsOf(lvs) => {
            let names: Vec<String> = lvs.iter().map(ToString::to_string).collect();
            format!("no LV has it, and all it lies on are parts of LV {}", names.join(", "))
        }
        // Told of by `stray_device`: it leads nowhere.
        OffTree::Empty => return None,
    };
    let table: Vec<String> = mapped.live.iter().map(ToString::to_string).collect();
    let uses: Vec<String> =
        live.uses_of(mapped.number, vg.uuid).iter().map(ToString::to_string).collect();
    let by = if uses.is_empty() { String::new() } else { format!("; {}", uses.join(", ")) };
    let found = format!("live, and {whose}; its table: {}{by}", table.join("; "));
    let advice = "a plan with `device_tables: {state: matching}` empties it before anything above it runs \
                  again, and removes it";
    let object = format!("device {}", shown(mapped));
    Some(KIND.fault(object, found).of_vg(vg.uuid).advise(advice))
}
