//! Two VGs with one name.

use std::collections::BTreeMap;

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::ids::VgName;
use crate::model::choice::Standing;
use crate::model::inventory::{Inventory, VgOnDisk};

const KIND: Kind = Kind {
    kind: FaultKind::DuplicateVgName,
    severity: Severity::Warning,
    matters: "commands that name a VG may mean either; plans must give the UUID",
    plan: None,
};

/// Finds them. A VG that only old texts tell of does not count.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut by_name: BTreeMap<&VgName, Vec<&VgOnDisk>> = BTreeMap::new();
    for vg in inventory.vgs.values().filter(|vg| vg.standing != Standing::None) {
        if let Some(name) = vg.name() {
            by_name.entry(name).or_default().push(vg);
        }
    }
    let doubled = by_name.into_iter().filter(|(_, vgs)| vgs.len() > 1);
    doubled
        .map(|(name, vgs)| {
            let uuids: Vec<String> = vgs.iter().map(|vg| vg.uuid.to_string()).collect();
            KIND.fault(format!("VG {name}"), format!("{} have this name", uuids.join(" and ")))
                .advise("rename one by its UUID: `vgrename UUID NEW`")
        })
        .collect()
}
