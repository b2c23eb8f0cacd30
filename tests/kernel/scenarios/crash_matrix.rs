//! Every plan, killed at every record of its journal, resumed and rolled back.

use std::time::Duration;

use crate::lab::crash::{ALL, kill_at};
use crate::lab::disks;
use crate::scenario::Scenario;

pub const SCENARIO: Scenario =
    Scenario::shared("crash_matrix", story).within(Duration::from_secs(3000)).long();

fn story() {
    let disks = disks(64);
    for case in ALL {
        case.make(&disks);
        for record in 1..=case.records {
            for way in ["resume", "rollback"] {
                kill_at(case, &disks, record, way);
            }
        }
        case.take_away();
    }
}
