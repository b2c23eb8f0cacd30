//! The scenarios, one file each. `tests/it/tidy.rs` finds one that is missing here.

mod boots;
mod disks_come_back;
mod images;
mod power_off;
mod udev;
mod witness;

use crate::scenario::Scenario;

/// In the order in which they are run.
pub const ALL: [Scenario; 6] = [
    boots::SCENARIO,
    images::SCENARIO,
    disks_come_back::SCENARIO,
    witness::SCENARIO,
    udev::SCENARIO,
    power_off::SCENARIO,
];
