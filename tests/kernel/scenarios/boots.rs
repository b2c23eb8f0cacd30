//! The machine has what all other scenarios rely on.

use std::time::Duration;

use crate::lab::{lvm, lvmend, sh};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("boots", story).within(Duration::from_secs(60));

fn story() {
    let mut targets = sh("dmsetup targets");
    for target in ["linear", "striped", "error", "thin-pool", "thin", "raid", "snapshot"] {
        targets = targets.says(&format!("\n{target} ").replacen('\n', "", 1));
    }
    lvm("version").says("LVM version").says("Driver version");
    lvmend("--version").exits(0).says(env!("CARGO_PKG_VERSION"));
}
