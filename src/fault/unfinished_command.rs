//! Metadata that some command was passing through: pvmove, reshape, merge, messages to a pool.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::flags::LvStatus;
use crate::model::inventory::Inventory;
use crate::model::unfinished::{Unfinished, unfinished};

const KIND: Kind = Kind {
    kind: FaultKind::UnfinishedCommand,
    severity: Severity::Note,
    matters: "LVM goes on with it at the next activation, or refuses other changes until it is \
              finished",
    plan: None,
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut faults = Vec::new();
    for vg in inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_ref()) {
        for lv in &vg.lvs {
            for what in unfinished(lv) {
                // The LVs a pvmove works on are told of by the one that does the work.
                if what == Unfinished::Pvmove && !lv.status.has(LvStatus::Pvmove) {
                    continue;
                }
                let object = format!("LV {}/{}", vg.name, lv.name);
                let (found, advice) = shown(&what);
                faults.push(KIND.fault(object, found).of_vg(vg.uuid).advise(advice));
            }
        }
    }
    faults
}

fn shown(what: &Unfinished) -> (String, &'static str) {
    match what {
        Unfinished::Pvmove => (
            "a pvmove is not finished".to_owned(),
            "`pvmove` without arguments goes on with it, `pvmove --abort` gives it up",
        ),
        Unfinished::Reshape => {
            ("a reshape is not finished".to_owned(), "it goes on once the LV is active")
        }
        Unfinished::Merge(into) => (
            format!("a merge into LV {into} is not finished"),
            "it goes on once the origin is active",
        ),
        Unfinished::PoolMessages(count) => (
            format!("{count} messages to the pool were not sent"),
            "the next command that changes the pool sends them",
        ),
    }
}
