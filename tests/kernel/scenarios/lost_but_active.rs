//! The metadata lost an LV that is active: its live table is all that is left of it.

use crate::lab::{DeviceMapper, FileSystem, Witness, disks, lvm, lvm_conf, mend, plan, sh};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("lost_but_active", story);

fn story() {
    lvm_conf::set(&[("backup/backup", "0"), ("backup/archive", "0")]);
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("vgcfgbackup -f /tmp/before.vg vg");
    lvm(&format!("lvcreate -n my-files -L 16M vg {a}"));
    lvm(&format!("lvextend -l +3 vg/my-files {b}"));
    let uuid = lvm("lvs --noheadings -o lv_uuid vg/my-files").answer().to_owned();
    let segments = lvm("lvs --noheadings -o devices,seg_size vg/my-files").stdout;
    let files = FileSystem::make("/dev/vg/my-files");
    let digest = files.digest();
    let witness = Witness::begin(files.directory());

    // An old version is restored under it, and the rings forget.
    sh("sed -i 's/seqno = .*/seqno = 90/' /tmp/before.vg");
    lvm("vgcfgrestore -y -f /tmp/before.vg vg");
    for disk in [&a, &b] {
        sh(&format!(
            "at=$(pvck --dump headers {disk} | sed -n 's/.*metadata text at \\([0-9]*\\) .*/\\1/p'); \
             dd if={disk} of=/tmp/keep bs=512 skip=$((at/512)) count=8; \
             dd if=/dev/zero of={disk} bs=4096 seek=2 count=250 oflag=direct conv=notrunc; \
             dd if=/tmp/keep of={disk} bs=512 seek=$((at/512)) conv=notrunc,fsync"
        ));
    }
    assert_eq!(lvm("lvs --noheadings vg").answer(), "");
    assert!(DeviceMapper::named("vg-my--files").is_some());

    mend(&plan(
        "live",
        "volume_group: {name: vg}\n\
         logical_volumes: {my-files: {state: present, recover_from: device_table}}",
    ));
    assert_eq!(lvm("lvs --noheadings -o lv_uuid vg/my-files").answer(), uuid);
    assert_eq!(lvm("lvs --noheadings -o devices,seg_size vg/my-files").stdout, segments);
    assert_eq!(lvm("lvs --noheadings -o lv_active vg/my-files").answer(), "active");
    lvm("vgck vg");
    witness.end();
    assert_eq!(files.digest(), digest);
    files.unmount();
    lvm("lvchange -an vg/my-files");
    lvm("lvchange -ay vg/my-files");
    let files = FileSystem::mount("/dev/vg/my-files");
    assert_eq!(files.digest(), digest);
    files.unmount();
}
