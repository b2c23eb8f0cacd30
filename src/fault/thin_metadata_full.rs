//! A thin pool with hardly any room left for metadata.

use crate::fault::pools::{of_pools, pool_shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;
use crate::model::pools::Pool;
use crate::model::thin_pool::SpaceUsed;

/// From here on it is told.
const PERCENT: u8 = 95;

const KIND: Kind = Kind {
    kind: FaultKind::ThinMetadataFull,
    severity: Severity::Critical,
    matters: "when nothing is left for metadata the pool turns read-only, and writes to its volumes fail",
    plan: Some("plans/thin-metadata-full.yaml"),
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    of_pools(inventory, &|pool: &Pool<'_>| {
        let used = pool.metadata_used().filter(|used| used.percent() >= PERCENT)?;
        let SpaceUsed { blocks, allocated } = used;
        let found = format!(
            "{} % of its metadata are used: {allocated} of {blocks} blocks",
            used.percent()
        );
        let name = format!("{}/{}", pool.vg.name, pool.lv.name);
        let advice = format!(
            "extend it: `lvextend --poolmetadatasize +SIZE {name}`; if the pool is read-only by now, \
             deactivate it first"
        );
        Some(KIND.fault(pool_shown(pool), found).advise(advice))
    })
}
