//! Plans: written, looked at, applied, and applied again.

use std::fs;

use crate::lab::run::{Ran, lvmend};
use crate::lab::{Disk, sha256};

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
    nothing_left_with("", plan);
}

/// The same, with further options.
#[track_caller]
fn nothing_left_with(options: &str, plan: &str) {
    lvmend(&format!("{options} plan {plan}")).exits(0).says("Nothing to do");
    lvmend(&format!("{options} apply --yes {plan}")).exits(0).says("Nothing to do");
}

/// The name of the newest run.
pub fn newest_run() -> String {
    let listed = lvmend("runs list").exits(0);
    let last = listed.answer().lines().last().unwrap_or_default();
    last.split_whitespace().next().unwrap_or_default().to_owned()
}

/// A plan is refused with this code, by `plan` and by `apply`, and not a byte of the disks changes.
/// What the help says to type.
#[track_caller]
pub fn refused(plan: &str, code: &str, disks: &[Disk]) -> Vec<String> {
    let digests = || disks.iter().map(|disk| sha256(&disk.to_string())).collect::<Vec<_>>();
    let before = digests();
    let said = lvmend(&format!("plan {plan}")).exits(3).says(&format!("{code}:"));
    lvmend(&format!("apply --yes {plan}")).exits(3).says(&format!("{code}:"));
    assert_eq!(digests(), before, "a refused plan wrote");
    let of_code = said.stdout.split(&format!("{code}:")).nth(1).unwrap();
    let help = of_code.split("help: ").nth(1).unwrap().lines().next().unwrap();
    help.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
