//! Devices of a thin pool that no LV has.

use crate::fault::pools::{of_pools, pool_shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;
use crate::model::pools::Pool;

const KIND: Kind = Kind {
    kind: FaultKind::ThinDeviceWithoutLv,
    severity: Severity::Warning,
    matters: "blocks are taken by what no volume leads to; a new volume may be refused, or get the number",
    plan: None,
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    of_pools(inventory, &|pool: &Pool<'_>| {
        let left = pool.devices_without_lv().filter(|left| !left.is_empty())?;
        let ids: Vec<String> = left.iter().map(u32::to_string).collect();
        let found = format!("its metadata has devices that no LV has: {}", ids.join(", "));
        let advice = "they may be all that is left of removed volumes: see `lvmend history diff` for which \
                      had these numbers";
        Some(KIND.fault(pool_shown(pool), found).advise(advice))
    })
}
