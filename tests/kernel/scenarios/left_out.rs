//! PVs that are there, but where LVM does not look, or looks twice: that is told, and not taken for
//! a disk that is gone.

use crate::lab::{disks, fill, lvm, lvm_conf, lvmend, mend, plan, refused, sh, sha256, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("left_out", story);

fn story() {
    let all = disks(64);
    let [a, b, clone] = &all;
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm(&format!("lvcreate -n precious -L 8M vg {b}"));
    fill("/dev/vg/precious");
    let digest = sha256("/dev/vg/precious");
    lvm("lvremove -y vg/precious");
    let back =
        plan("lost", "volume_group: {name: vg}\nlogical_volumes: {precious: {state: present}}");
    let attached =
        plan("attached", "volume_group: {name: vg}\nphysical_volumes: {\"*\": {state: attached}}");

    // A filter.
    let filter = format!("[ \"r|^{b}$|\" ]");
    lvm_conf::set(&[("devices/filter", &filter)]);
    assert_eq!(lvm("vgs --noheadings -o vg_missing_pv_count vg").answer(), "1");
    lvmend("inspect").says("left-out-pv").says("filter");
    for asks in [&back, &attached] {
        let advice = refused(asks, "pv-left-out", &all);
        assert_eq!(advice[0], "devices/filter");
        assert!(advice.iter().any(|word| word.starts_with("vgreduce")));
    }
    lvm_conf::set(&[("devices/filter", "[ \"a|.*|\" ]")]);

    // A devices file without it.
    lvm_conf::set(&[("devices/use_devicesfile", "1")]);
    sh("mkdir -p /etc/lvm/devices");
    lvm(&format!("lvmdevices --adddev {a}"));
    assert_eq!(lvm("vgs --noheadings -o vg_missing_pv_count vg").answer(), "1");
    let advice = refused(&back, "pv-left-out", &all);
    assert_eq!(advice[0], format!("lvm lvmdevices --adddev {b}"));
    sh(&advice[0]);
    mend(&back);
    lvm("lvremove -y vg/precious");
    lvm_conf::set(&[("devices/use_devicesfile", "0")]);

    // A copy of a whole disk.
    sh(&format!("dd if={b} of={clone} bs=1M oflag=direct status=none"));
    refused(&back, "duplicate-pv", &all);
    lvmend("inspect").exits(2).says("duplicate-pv");
    clone.pull();
    mend(&back);
    lvm("lvchange -ay -K vg/precious");
    assert_eq!(sha256("/dev/vg/precious"), digest);
    try_lvm("vgck vg").exits(0);
}
