//! What was synced survives a power cut, and then a reboot.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::lab::{
    FileSystem, Witness, cut_power, cut_power_in, fill, keep, kept, lvm, lvmend_with_state, sh,
    sha256, ubd,
};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::alone(
    "power_off",
    &[64, 64],
    &[make, look_after_cut, look_after_reboot, look_at_last],
);

/// How long the witness writes before the power fails.
const WRITING: Duration = Duration::from_millis(2500);

fn make() {
    lvm(&format!("vgcreate vg {} {}", ubd(0), ubd(1)));
    lvm("lvcreate -n data -i 2 -L 32M vg");
    lvm("lvcreate -n files -L 32M vg");
    fill("/dev/vg/data");
    keep("data", &sha256("/dev/vg/data"));
    let files = FileSystem::make("/dev/vg/files");
    keep("files", &files.digest());
    cut_power();
}

fn look_after_cut() {
    lvm("vgchange -ay vg");
    // It went down mounted: the power was cut, not switched off.
    sh("dumpe2fs -h /dev/vg/files").says("needs_recovery");
    let files = FileSystem::mount("/dev/vg/files");
    check(&files);
    let state = files.directory().join("state");
    lvmend_with_state(state.to_str().unwrap(), "runs list").exits(0);
    files.unmount();
}

fn look_after_reboot() {
    lvm("vgchange -ay vg");
    sh("dumpe2fs -h /dev/vg/files | grep -c needs_recovery || true").says("0");
    let files = FileSystem::mount("/dev/vg/files");
    check(&files);
    Witness::begin(files.directory());
    cut_power_in(WRITING);
    // The witness goes on until the power fails.
    sleep(2 * WRITING);
}

fn look_at_last() {
    lvm("vgchange -ay vg");
    let files = FileSystem::mount("/dev/vg/files");
    let lines = fs::read_to_string(files.directory().join("witness")).unwrap().lines().count();
    assert!(lines >= 3, "of what was synced before the cut, {lines} lines are left");
    check(&files);
    files.unmount();
}

fn check(files: &FileSystem) {
    assert_eq!(sha256("/dev/vg/data"), kept("data"));
    assert_eq!(files.digest(), kept("files"));
}
