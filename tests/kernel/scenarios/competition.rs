//! Somebody else changes the VG all the time while it is mended.

use crate::lab::{disks, fill, lvm, lvmend, nothing_left, plan, sh, sha256};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("competition", story);

/// Makes, extends and removes an LV in turn, and leaves one behind at each turn.
const OTHERS: &str = "n=0; while [ ! -e /tmp/enough ]; do n=$((n+1)); \
    lvm lvcreate -q -n left$n -l 1 -Zn -Wn -an vg >>/tmp/others 2>&1 && echo left$n >>/tmp/made; \
    lvm lvcreate -q -n gone -l 1 -Zn -Wn -an vg >>/tmp/others 2>&1; \
    lvm lvextend -q -l +1 vg/gone >>/tmp/others 2>&1; \
    lvm lvremove -qy vg/gone >>/tmp/others 2>&1; done";

fn story() {
    let [a, b] = disks(128);
    lvm(&format!("vgcreate -s 1M vg {a} {b}"));
    lvm(&format!("lvcreate -n precious -L 16M vg {b}"));
    fill("/dev/vg/precious");
    let digest = sha256("/dev/vg/precious");
    lvm("lvremove -y vg/precious");
    // What they take lies on the other disk.
    lvm(&format!("pvchange -xn {b}"));
    sh(&format!("setsid bash -c '{OTHERS}' >/dev/null 2>&1 &"));

    let back =
        plan("lost", "volume_group: {name: vg}\nlogical_volumes: {precious: {state: present}}");
    lvmend(&format!("apply --yes {back}")).exits(0).says("done and verified");
    sh("sleep 1; touch /tmp/enough; sleep 2");
    lvm("lvchange -ay -K vg/precious");
    assert_eq!(sha256("/dev/vg/precious"), digest);
    sh("for lv in $(cat /tmp/made); do lvm lvs vg/$lv; done");
    lvm("vgck vg");
    nothing_left(&back);
}
