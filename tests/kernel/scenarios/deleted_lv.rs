//! An LV was removed, without backup or archive; others changed since.

use crate::lab::{disks, fill, lvm, lvm_conf, lvmend, mend, newest_run, plan, sh, sha256, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("deleted_lv", story);

fn story() {
    lvm_conf::set(&[("backup/backup", "0"), ("backup/archive", "0")]);
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("lvcreate -n precious -L 16M vg");
    lvm("lvcreate -n other -L 8M vg");
    fill("/dev/vg/precious");
    let digest = sha256("/dev/vg/precious");
    lvm("lvremove -y vg/precious");
    lvm(&format!("lvcreate -n since -L 8M -Zn -Wn vg {b}"));

    let back = plan(
        "lost",
        "volume_group: {name: vg}\nlogical_volumes: {precious: {state: present}}\n\
         tasks: [{copy: {from: precious, to: {file: /run/precious.img}}}]",
    );
    mend(&back);
    assert_eq!(sha256("/run/precious.img"), digest);
    // Nothing activates it before it was looked at.
    lvm("vgchange -ay vg");
    assert_eq!(lvm("lvs --noheadings -o lv_active vg/precious").answer(), "");
    lvm("lvs --noheadings -o lv_name vg").says("since").says("other");
    lvm("vgck vg");
    lvm("lvchange -ay -K vg/precious");
    assert_eq!(sha256("/dev/vg/precious"), digest);

    // While it is active it is not taken away; inactive it goes again, and nothing else.
    let run = newest_run();
    lvmend(&format!("rollback {run}")).exits(8).says("is active");
    lvm("lvchange -an vg/precious");
    lvm("lvcreate -n later -L 4M -Zn -Wn vg");
    // Nor is it taken away with what somebody gave it since.
    lvm("lvextend -l +1 vg/precious");
    lvmend(&format!("resume {run}")).exits(8).says("somebody changed it since");
    lvm("lvreduce -f -y -l -1 vg/precious");
    lvmend(&format!("resume {run}")).exits(0).says("rolled back");
    try_lvm("lvs vg/precious").exits(5);
    lvm("lvs --noheadings -o lv_name vg").says("since").says("other").says("later");
    sh("rm /run/precious.img*");
}
