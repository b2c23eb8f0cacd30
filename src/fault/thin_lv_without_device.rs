//! Thin LVs whose device their pool does not have.

use crate::fault::pools::{of_pools, pool_shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;
use crate::model::pools::Pool;

const KIND: Kind = Kind {
    kind: FaultKind::ThinLvWithoutDevice,
    severity: Severity::Critical,
    matters: "the volume cannot be activated: its mappings, and with them its data, are not in the pool's \
              metadata",
    plan: None,
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    of_pools(inventory, &|pool: &Pool<'_>| {
        let lost = pool.lvs_without_device().filter(|lost| !lost.is_empty())?;
        let names: Vec<String> =
            lost.iter().map(|(id, name)| format!("{name} (device {id})")).collect();
        let found = format!("its metadata lacks the devices of {}", names.join(", "));
        let advice = "the metadata may have gone back in time: an older copy, such as POOL_meta0, may have \
                      them. Do not let anything write to the pool before";
        Some(KIND.fault(pool_shown(pool), found).advise(advice))
    })
}
