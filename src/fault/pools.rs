//! What the faults of thin pools have in common.

use crate::fault::Fault;
use crate::model::inventory::Inventory;
use crate::model::pools::{Pool, pools};

/// At most one fault of each pool of each VG.
pub(super) fn of_pools(
    inventory: &Inventory,
    find: &dyn Fn(&Pool<'_>) -> Option<Fault>,
) -> Vec<Fault> {
    let vgs = inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_deref());
    let of_vg = |vg| {
        let found = pools(inventory, vg).into_iter().filter_map(|pool| find(&pool));
        found.map(|fault| fault.of_vg(vg.uuid)).collect::<Vec<_>>()
    };
    vgs.flat_map(of_vg).collect()
}

/// What people call a pool.
pub(super) fn pool_shown(pool: &Pool<'_>) -> String {
    format!("pool {}/{}", pool.vg.name, pool.lv.name)
}
