//! A pool that is not active while a part of it is.

use crate::fault::pools::{of_pools, pool_shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;
use crate::model::pools::Pool;
use crate::model::vg::Lv;

const KIND: Kind = Kind {
    kind: FaultKind::HalfActivePool,
    severity: Severity::Warning,
    matters: "LVM refuses to activate the pool as long as a part of it is active",
    plan: Some("plans/thin-half-active.yaml"),
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    of_pools(inventory, &|pool: &Pool<'_>| {
        let live = inventory.live.as_deref()?;
        let is_active = |lv: &Lv| live.is_active(pool.vg.uuid, lv.uuid);
        let parts: Vec<&str> = [pool.metadata, pool.data]
            .into_iter()
            .filter(|part| is_active(part))
            .map(|part| part.name.as_str())
            .collect();
        if parts.is_empty() || is_active(pool.lv) {
            return None;
        }
        let found = format!("not active, but parts of it are: {}", parts.join(", "));
        let names: Vec<String> =
            parts.iter().map(|part| format!("{}/{part}", pool.vg.name)).collect();
        let advice = format!(
            "deactivate them: `thin_pools: {{{}: {{activation: inactive}}}}`, or `lvchange -an {}`",
            pool.lv.name,
            names.join(" ")
        );
        Some(KIND.fault(pool_shown(pool), found).advise(advice))
    })
}
