//! What an interrupted command leaves in the kernel: suspended devices, tables that wait, devices
//! the metadata does not know. LVM would adopt them: a plan that has anything to do sets them right first,
//! or is refused where that cannot be told.

use crate::lab::{DeviceMapper, disks, fill, lvm, lvmend, mend, plan, refused, sh, sha256};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("half_done_tables", story);

fn story() {
    let all = disks(64);
    let [a, b] = &all;
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm(&format!("lvcreate -n precious -L 8M vg {b}"));
    fill("/dev/vg/precious");
    let digest = sha256("/dev/vg/precious");
    lvm("lvremove -y vg/precious");
    lvm(&format!("lvcreate -n origin -L 8M vg {a}"));
    fill("/dev/vg/origin");
    let of_origin = sha256("/dev/vg/origin");
    lvm("lvcreate -n snap -s -L 4M vg/origin");
    let back =
        plan("lost", "volume_group: {name: vg}\nlogical_volumes: {precious: {state: present}}");

    // A stack that is suspended, the lower one with a table that maps something else.
    sh("dmsetup suspend vg-origin && dmsetup suspend vg-origin-real && dmsetup suspend vg-snap");
    sh("dmsetup table vg-origin-real | sed 's/ [0-9]*$/ 40960/' | dmsetup load vg-origin-real");
    lvmend("inspect").exits(2).says("suspended-device").says("waiting-table");
    lvmend(&format!("plan {back}")).exits(2).says("reload_tree").says("waits  0 16384 linear");
    mend(&back);
    assert!(DeviceMapper::all().iter().all(|device| !device.suspended));
    assert_eq!(sha256("/dev/vg/origin"), of_origin);
    lvm("lvremove -y vg/precious");

    // A table alone.
    sh("dmsetup table vg-snap | dmsetup load vg-snap");
    mend(&back);
    lvm("lvremove -y vg/precious");

    println!("# a device of the VG, over extents that the lost LV needs");
    let vg = lvm("vgs --noheadings -o vg_uuid vg").answer().replace('-', "");
    let lv = "A".repeat(32);
    sh(&format!("dmsetup create stray -u LVM-{vg}{lv} --table '0 8192 linear {b} 2048'"));
    lvmend("inspect").exits(2).says("stray-device");
    // Suspended, it is not resumed either: what it maps is nobody's to judge.
    sh("dmsetup suspend stray");
    refused(&back, "suspended-devices", &all);
    sh("dmsetup resume stray");
    let advice = refused(&back, "stray-device", &all);
    let remove = advice.iter().find(|word| word.starts_with("dmsetup remove")).unwrap();
    assert!(remove.ends_with("stray"), "{remove}");
    sh(remove);
    mend(&back);
    lvm("lvchange -ay -K vg/precious");
    assert_eq!(sha256("/dev/vg/precious"), digest);
    assert_eq!(sha256("/dev/vg/origin"), of_origin);
}
