//! A thin pool with hardly any data blocks left.

use crate::fault::pools::{of_pools, pool_shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;
use crate::model::live::PoolMode;
use crate::model::pools::Pool;
use crate::model::thin_pool::SpaceUsed;

/// From here on it is told.
const PERCENT: u8 = 95;

const KIND: Kind = Kind {
    kind: FaultKind::ThinDataFull,
    severity: Severity::Critical,
    matters: "without data blocks writes to its volumes wait, and fail after a minute: file systems on them \
              are damaged",
    plan: Some("plans/thin-data-full.yaml"),
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    of_pools(inventory, &|pool: &Pool<'_>| {
        let used = pool.data_used()?;
        let is_out = pool.status.is_some_and(|status| status.mode == PoolMode::OutOfDataSpace);
        if used.percent() < PERCENT && !is_out {
            return None;
        }
        let SpaceUsed { blocks, allocated } = used;
        let mut found =
            format!("{} % of its data are used: {allocated} of {blocks} blocks", used.percent());
        if is_out {
            found.push_str("; it is out of data space");
        }
        let name = format!("{}/{}", pool.vg.name, pool.lv.name);
        let advice = format!(
            "extend it: `lvextend -L +SIZE {name}`; `fstrim` gives back what file systems do not use. Do \
             not delete snapshots in haste: what they share is not given back"
        );
        Some(KIND.fault(pool_shown(pool), found).advise(advice))
    })
}
