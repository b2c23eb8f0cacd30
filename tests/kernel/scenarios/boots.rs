//! The machine has what all other scenarios rely on.

use std::time::Duration;

use crate::lab::{lvm, lvmend, sh};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("boots", story).within(Duration::from_secs(60));

fn story() {
    let targets = sh("dmsetup targets");
    for target in ["linear", "striped", "error", "thin-pool", "thin", "raid", "snapshot"] {
        let there = targets.stdout.lines().any(|line| line.split(' ').next() == Some(target));
        assert!(there, "there is no target {target}");
    }
    lvm("version").says("LVM version").says("Driver version");
    lvmend("--version").exits(0).says(env!("CARGO_PKG_VERSION"));
}
