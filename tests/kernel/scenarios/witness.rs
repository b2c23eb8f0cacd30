//! The witness that others rely on: it puts up with a pause, and tells of an error.

use std::thread::sleep;
use std::time::Duration;

use crate::lab::{DeviceMapper, FileSystem, Witness, disks, lvm, sh, try_sh};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("witness", story);

const PAUSE: Duration = Duration::from_secs(1);

fn story() {
    let [a] = disks(64);
    lvm(&format!("vgcreate vg {a}"));
    lvm("lvcreate -n files -L 32M vg");
    let files = FileSystem::make("/dev/vg/files");

    let witness = Witness::begin(files.directory());
    sleep(PAUSE);
    sh("dmsetup suspend vg-files");
    assert!(DeviceMapper::named("vg-files").unwrap().suspended);
    sleep(PAUSE);
    sh("dmsetup resume vg-files");
    sleep(PAUSE);
    let testimony = witness.end();
    assert!(testimony.held_up >= PAUSE / 2, "it was held up for {:?}", testimony.held_up);
    assert!(testimony.lines >= 4, "{} lines", testimony.lines);

    let witness = Witness::begin(files.directory());
    sleep(PAUSE);
    a.pull();
    sleep(PAUSE);
    assert!(witness.try_end().is_err(), "the disk was pulled, and nothing was noticed");
    try_sh("dd if=/dev/vg/files of=/dev/null count=1 iflag=direct").exits(1);
}
