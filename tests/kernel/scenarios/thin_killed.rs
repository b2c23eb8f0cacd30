//! lvmend is killed while the metadata of a thin pool is rebuilt and swapped; the run is then resumed,
//! or rolled back. The pool has the old metadata or the new, never anything else, and nothing is lost.

use std::time::Duration;

use crate::lab::pool::{self, METADATA, Pool};
use crate::lab::{STATE, disks, lvm, lvmend, plan, start, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario =
    Scenario::shared("thin_killed", story).within(Duration::from_secs(240));

/// The same at every record of the journal.
pub const EVERY_RECORD: Scenario =
    Scenario::shared("thin_crash_matrix", every_record).within(Duration::from_secs(3000)).long();

/// Evidence, a volume for the metadata, the rebuild, the swap: an intent and an outcome of each,
/// between the beginning and the end of the run.
const RECORDS: usize = 10;

fn story() {
    let pool = make();
    // The rebuild begins, the swap begins, the swap is done.
    for (record, way) in [(6, "resume"), (8, "resume"), (9, "rollback")] {
        kill_at(&pool, record, way);
    }
}

fn every_record() {
    let pool = make();
    for record in 1..=RECORDS {
        for way in ["resume", "rollback"] {
            kill_at(&pool, record, way);
        }
    }
}

fn make() -> Pool {
    let [a, b, scratch] = disks(128);
    pool::make(&[&a, &b], &scratch)
}

fn kill_at(pool: &Pool, record: usize, way: &str) {
    lvm("lvchange -an vg");
    pool.damage("metadata space map");
    let rebuild = plan("rebuild", &format!("volume_group: {{name: vg}}\n{METADATA}"));
    let scratch = &pool.scratch;
    let mut run = start(STATE, &format!("{scratch} apply --yes {rebuild}"));
    let name = run.wait_for_record(record);
    let written = run.kill();
    println!("# killed at record {record} or soon after, {written} are written: {way}");
    let code = lvmend(&format!("{scratch} {way} {name}")).code;
    // A run that came to its end before it was killed is over, and may still be rolled back.
    let over = way == "resume" && written == RECORDS;
    assert_eq!(code, if over { 3 } else { 0 }, "{way} at record {record}");
    if way == "rollback" {
        try_lvm("lvs vg/pool_meta0").exits(5);
        try_lvm("lvchange -ay vg/pool").exits(5).says("Manual repair required");
        pool.mend(&rebuild);
    }
    lvmend(&format!("{scratch} apply --yes {rebuild}")).exits(0).says("Nothing to do");
    lvm("lvs vg/pool_meta0");
    pool.holds_everything();
    lvm("lvremove -y vg/pool_meta0");
}
