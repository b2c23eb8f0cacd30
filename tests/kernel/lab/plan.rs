//! Plans: written, looked at, applied, and applied again.

use std::fs;

use crate::lab::run::{Ran, lvmend};

/// Writes a plan for VG `vg`, of which only what it asks for is given; tells where.
pub fn plan(name: &str, asks: &str) -> String {
    let path = format!("/tmp/{name}.yaml");
    let text = format!("version: 1\nname: {name}\n{asks}\n");
    fs::write(&path, text).unwrap();
    path
}

/// Plans, applies, and applies again, when nothing may be left to do. What the first run said.
#[track_caller]
pub fn mend(plan: &str) -> Ran {
    lvmend(&format!("plan {plan}")).exits(2);
    let ran = lvmend(&format!("apply --yes {plan}")).exits(0).says("done and verified");
    nothing_left(plan);
    ran
}

/// The plan's states hold.
#[track_caller]
pub fn nothing_left(plan: &str) {
    lvmend(&format!("plan {plan}")).exits(0).says("Nothing to do");
    lvmend(&format!("apply --yes {plan}")).exits(0).says("Nothing to do");
}

/// The name of the newest run.
pub fn newest_run() -> String {
    let listed = lvmend("runs list").exits(0);
    let last = listed.answer().lines().last().unwrap_or_default();
    last.split_whitespace().next().unwrap_or_default().to_owned()
}
