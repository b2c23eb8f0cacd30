//! A thin pool that is not to be written before a check.

use crate::fault::pools::{of_pools, pool_shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;
use crate::model::pools::Pool;

const KIND: Kind = Kind {
    kind: FaultKind::ThinNeedsCheck,
    severity: Severity::Critical,
    matters: "a commit of the pool's metadata failed once: the pool takes no new blocks, snapshots or \
              volumes until its metadata was checked",
    plan: Some("plans/thin-needs-check.yaml"),
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    of_pools(inventory, &|pool: &Pool<'_>| {
        let found = match pool.status {
            _ if !pool.needs_check() => return None,
            Some(status) => format!("flagged needs_check, and {}", status.mode.shown()),
            None => "flagged needs_check".to_owned(),
        };
        let advice = "deactivate the pool and its volumes; `thin_check` tells then whether the flag is all \
                      there is";
        Some(KIND.fault(pool_shown(pool), found).advise(advice))
    })
}
