//! Devices that no metadata describes are left alone until the plan accepts that they go, and while anybody has
//! them open; their tables are saved. And a reload is rolled back, as long as nobody uses the stack.

use crate::lab::{DeviceMapper, STATE, disks, fill, lvm, lvmend, newest_run, plan, sh, sha256};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("stray_devices", story);

const MATCHING: &str = "volume_group: {name: vg}\ndevice_tables: {state: matching}\n";

fn story() {
    let all = disks(64);
    let [a, b] = &all;
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm(&format!("lvcreate -n lost -L 8M vg {b}"));
    fill("/dev/vg/lost");
    let of_lost = sha256("/dev/vg/lost");
    lvm(&format!("lvcreate -n data -L 8M vg {a}"));
    fill("/dev/vg/data");
    let of_data = sha256("/dev/vg/data");
    // The metadata of before is restored, as by somebody on another host.
    lvm("vgcfgbackup -f /tmp/before vg");
    sh("sed -i '/^\\t\\tlost {/,/^\\t\\t}/d' /tmp/before");
    lvm("vgcfgrestore --yes -f /tmp/before vg");
    assert_eq!(lvm("lvs --noheadings -o name vg").answer(), "data");
    let table = sh("dmsetup table vg-lost").answer().to_owned();
    let uuid = sh("dmsetup info -c --noheadings -o uuid vg-lost").answer().to_owned();

    let cautious = plan("cautious", MATCHING);
    lvmend(&format!("apply --yes {cautious}")).exits(0).says("may be the only map").says(&uuid);
    let accepts = format!(
        "{MATCHING}policy: {{accept: [{{hazard: remove-device, object: {uuid}, because: seen}}]}}\n"
    );
    let accepting = plan("accepting", &accepts);
    println!("# open");
    sh("sleep 600 < /dev/mapper/vg-lost & sleep 0.2");
    lvmend(&format!("apply --yes {accepting}")).exits(0).says("somebody has it open");
    sh("pkill -x sleep; sleep 0.2");
    assert_eq!(sha256("/dev/mapper/vg-lost"), of_lost);
    println!("# closed");
    lvmend(&format!("plan {accepting}")).exits(2).says("remove-device").says("point of no return");
    lvmend(&format!("apply --yes {accepting}")).exits(0);
    assert_eq!(DeviceMapper::named("vg-lost"), None);
    sh(&format!("grep -F 'vg-lost: {table}' {STATE}/runs/*/evidence/dmsetup-table.txt"));
    sh(&format!("dmsetup create again --table '{table}'"));
    let node = sh("dmsetup info -c --noheadings -o blkdevname again").answer().to_owned();
    assert_eq!(sha256(&format!("/dev/{node}")), of_lost);
    sh("dmsetup remove again");

    println!("# content that is used stays where it is; not used, it goes there and back");
    sh(
        "dmsetup table vg-data | awk '{$5 += 8; print}' > /tmp/other; dmsetup load vg-data /tmp/other; \
        dmsetup suspend vg-data; dmsetup resume vg-data",
    );
    let other = sh("dmsetup table vg-data").answer().to_owned();
    sh("sleep 600 < /dev/mapper/vg-data & sleep 0.2");
    lvmend(&format!("apply --yes {cautious}")).exits(0).says("would read and write other content");
    assert_eq!(sh("dmsetup table vg-data").answer(), other);
    sh("pkill -x sleep; sleep 0.2");
    lvmend(&format!("apply --yes {cautious}")).exits(0);
    assert_eq!(sha256("/dev/vg/data"), of_data);
    lvmend(&format!("rollback {}", newest_run())).exits(0);
    assert_eq!(sh("dmsetup table vg-data").answer(), other);
    lvmend(&format!("apply --yes {cautious}")).exits(0);
    assert_eq!(sha256("/dev/vg/data"), of_data);

    println!("# a journal on what is suspended");
    sh("mkfs.ext4 -q /dev/vg/data && mkdir -p /tmp/inside && mount /dev/vg/data /tmp/inside");
    sh("dmsetup table vg-data | dmsetup load vg-data");
    let words = format!("--state-dir /tmp/inside/state apply --yes {cautious}");
    let ended = sh(&format!("/lab/lvmend {words} || echo code $?"));
    assert!(ended.stdout.contains("code 3"), "{}", ended.stdout);
    lvmend(&format!("apply --yes {cautious}")).exits(0);
    sh("umount /tmp/inside");
}
