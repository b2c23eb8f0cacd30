//! A thin pool and LVM's text at different transactions.

use crate::fault::pools::{of_pools, pool_shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;
use crate::model::pools::{Pool, Transactions};

const KIND: Kind = Kind {
    kind: FaultKind::ThinTransactionId,
    severity: Severity::Critical,
    matters: "LVM refuses to activate the pool, or to change it: one of them did what the other does not \
              know of",
    plan: Some("plans/thin-transaction-id.yaml"),
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    of_pools(inventory, &|pool: &Pool<'_>| {
        let Some(Transactions::Differ { pool: own, text }) = pool.transactions() else {
            return None;
        };
        let found = if own > text {
            format!(
                "the pool is at transaction {own}, LVM's text only at {text}: the text was put back, or a change of it was lost"
            )
        } else {
            format!(
                "the pool is at transaction {own}, LVM's text at {text} already: the pool went back in time, or never got the changes"
            )
        };
        let advice = "compare the devices before the numbers: with the pool inactive, `thin-lv-without-device` \
                      and `thin-device-without-lv` tell what differs. Making the numbers equal by hand hides \
                      it";
        Some(KIND.fault(pool_shown(pool), found).advise(advice))
    })
}
