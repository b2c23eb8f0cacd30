//! Locks that somebody else holds: LVM's own, and the run lock. They are waited for, and then not.

use std::thread::sleep;
use std::time::Duration;

use crate::lab::{STATE, disks, fill, lvm, lvmend, plan, sh, sha256, start};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("locked", story);

fn story() {
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("lvcreate -n precious -L 8M vg");
    fill("/dev/vg/precious");
    lvm("lvremove -y vg/precious");
    let back = plan(
        "lost",
        "volume_group: {name: vg}\nlogical_volumes: {precious: {state: present}}\n\
         policy: {busy: {wait: 3s}}",
    );
    let before = sha256(&format!("{a}"));

    // An LVM command that does not end.
    sh("setsid flock /run/lock/lvm/V_vg sleep 1000 >/dev/null 2>&1 & sleep 0.2");
    lvmend(&format!("apply --yes {back}")).exits(9).says("is held by an LVM command");
    assert_eq!(sha256(&format!("{a}")), before);
    lvmend("runs list").exits(0).says("No runs");
    sh("pkill -f 'sleep 1000'");

    // Another lvmend, whose command waits; and then goes on.
    sh("mkdir -m 700 -p /run/lvmend/locks");
    sh("setsid flock /run/lvmend/locks/P_global sleep 1000 >/dev/null 2>&1 & sleep 0.2");
    let mut first = start(STATE, &format!("apply --yes {back}"));
    first.wait_for_record(4);
    lvmend(&format!("apply --yes {back}")).exits(9).says("another lvmend (pid");
    assert!(!first.is_over());
    // Asked to end, it finishes the step: what writes is not killed.
    sh(&format!("kill -TERM {}", first.pid()));
    sleep(Duration::from_secs(1));
    assert!(!first.is_over());
    sh("pkill -f 'sleep 1000'");
    let code = first.end();
    // The step was the last one, so that nothing is left to stop before.
    assert_eq!(code, Some(0));
    lvm("lvs vg/precious");
    lvm("vgck vg");
}
