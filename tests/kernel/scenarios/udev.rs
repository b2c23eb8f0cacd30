//! With udev running, udev makes the links, and LVM2 waits for it.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::lab::{Udevd, disks, fill, lvm, mend, plan, sh, sha256, try_sh, wait_until};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("udev", story);

fn story() {
    Udevd::start();
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("lvcreate -n lv -L 16M vg");
    // LVM2 itself would point it to /dev/mapper/vg-lv.
    let link = fs::read_link("/dev/vg/lv").unwrap();
    assert_eq!(link, Path::new("../dm-0"), "made by udev");
    sh("udevadm info --query=symlink /dev/dm-0").says("vg/lv");
    // As long as udev does nothing, LVM2 waits for it.
    sh("udevadm control --stop-exec-queue");
    sh("{ lvchange -an vg/lv; echo $? >/tmp/changed; } &");
    wait_until("LVM2 waits for udev", || sh("dmsetup udevcookies").stdout.contains("0xd4d"));
    sleep(Duration::from_secs(1));
    assert!(!Path::new("/tmp/changed").exists(), "LVM2 did not wait for udev");
    sh("udevadm control --start-exec-queue");
    wait_until("LVM2 goes on", || try_sh("cat /tmp/changed").answer() == "0");
    wait_until("udev took the link away", || !Path::new("/dev/vg/lv").exists());

    // lvmend and what it runs rely on udev as well.
    lvm("lvchange -ay vg/lv");
    fill("/dev/vg/lv");
    let digest = sha256("/dev/vg/lv");
    lvm("lvremove -y vg/lv");
    mend(&plan(
        "lost",
        "volume_group: {name: vg}\nlogical_volumes: {lv: {state: present, activation: active}}",
    ));
    wait_until("udev made the link", || Path::new("/dev/vg/lv").exists());
    assert_eq!(sha256("/dev/vg/lv"), digest);
    mend(&plan("down", "volume_group: {name: vg}\nlogical_volumes: {lv: {activation: inactive}}"));
    wait_until("udev took the link away", || !Path::new("/dev/vg/lv").exists());

    b.pull();
    b.plug_back();
    lvm(&format!("pvs {b}"));
}
