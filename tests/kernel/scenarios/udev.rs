//! With udev running, udev makes the links, and LVM2 waits for it.

use std::fs;
use std::path::Path;

use crate::lab::{Udevd, disks, lvm, sh, wait_until};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("udev", story);

fn story() {
    Udevd::start();
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("lvcreate -n lv -L 16M vg");
    // LVM2 itself would point it to ../mapper/vg-lv.
    let link = fs::read_link("/dev/vg/lv").unwrap();
    assert_eq!(link, Path::new("../dm-0"), "made by udev");
    sh("udevadm info --query=symlink /dev/dm-0").says("vg/lv");
    sh("dmsetup udevcookies").says("Cookie");

    b.pull();
    b.plug_back();
    lvm(&format!("pvs {b}"));
    lvm("lvchange -an vg/lv");
    wait_until("udev took the link away", || !Path::new("/dev/vg/lv").exists());
}
