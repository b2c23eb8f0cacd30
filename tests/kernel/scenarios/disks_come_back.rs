//! A disk is pulled, the VG changes meanwhile, the disk comes back: LVM2 by hand.

use crate::lab::{DeviceMapper, FileSystem, disks, fill, lvm, sha256, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("disks_come_back", story);

fn story() {
    let [a, b, c] = disks(64);
    lvm(&format!("vgcreate vg {a} {b} {c}"));
    lvm(&format!("lvcreate -n data -L 32M vg {b}"));
    lvm(&format!("lvcreate -n files -L 32M vg {a}"));
    fill("/dev/vg/data");
    let data = sha256("/dev/vg/data");
    let files = FileSystem::make("/dev/vg/files");
    let digest = files.digest();
    lvm("lvchange -an vg/data");

    b.pull();
    // No new LV while a disk is missing, but changes to one that is whole.
    try_lvm(&format!("lvcreate -n meanwhile -l 4 vg {a} {c}")).exits(5);
    lvm("lvchange --addtag meanwhile vg/files");
    assert_eq!(lvm("vgs --noheadings -o vg_missing_pv_count vg").answer(), "1");
    try_lvm("lvchange -ay vg/data").exits(5);
    assert!(DeviceMapper::named("vg-data").is_none());

    b.plug_back();
    // LVM2 does not trust a disk that was away until it is told to.
    try_lvm("lvchange -ay vg/data").exits(5);
    lvm(&format!("vgextend --restoremissing vg {b}"));
    lvm("lvchange -ay vg/data");
    assert_eq!(sha256("/dev/vg/data"), data);
    assert_eq!(files.digest(), digest);
    files.unmount();
}
