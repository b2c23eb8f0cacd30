//! lvmend is killed around its writes; the run is then resumed, or rolled back. The records at
//! which nothing is written yet are among those of the crash matrix.

use std::time::Duration;

use crate::lab::crash::{LOST_LV, kill_at};
use crate::lab::disks;
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("killed", story).within(Duration::from_secs(240));

fn story() {
    let disks = disks(64);
    LOST_LV.make(&disks);
    // The LV is put back: intent, outcome; it is activated: intent.
    for record in [4, 5, 6] {
        for way in ["resume", "rollback"] {
            kill_at(&LOST_LV, &disks, record, way);
        }
    }
}
