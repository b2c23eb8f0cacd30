//! Metadata of a thin pool that is seen to be damaged.

use crate::fault::pools::{of_pools, pool_shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;
use crate::model::live::PoolMode;
use crate::model::pools::Pool;
use crate::model::thin_pool::PoolMetadata;

const KIND: Kind = Kind {
    kind: FaultKind::ThinMetadataDamaged,
    severity: Severity::Critical,
    matters: "nothing in the pool can be used until it is rebuilt; activating it as it is may destroy what is \
              left of it",
    plan: Some("plans/thin-metadata-damaged.yaml"),
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    of_pools(inventory, &|pool: &Pool<'_>| {
        let mut found = pool.on_disk.map(PoolMetadata::damage).unwrap_or_default();
        if pool.status.is_some_and(|status| status.mode == PoolMode::Failed) {
            found.push("the kernel gave the pool up: it says Fail".to_owned());
        }
        if found.is_empty() {
            return None;
        }
        let advice = "do not activate the pool, and do not run `lvconvert --repair`: it replaces the \
                      metadata without comparing what was lost. Save the metadata first: the evidence \
                      of a run has it, or `dd` it from an image of the disks";
        Some(KIND.fault(pool_shown(pool), found.join("; ")).advise(advice))
    })
}
