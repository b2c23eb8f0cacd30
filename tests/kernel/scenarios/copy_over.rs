//! A lost LV comes back and its content is copied over a larger LV, at every apply.

use crate::lab::{disks, fill, lvm, lvmend, plan, sh, sha256};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("copy_over", story);

fn story() {
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm(&format!("lvcreate -n precious -L 16M vg {a}"));
    lvm(&format!("lvcreate -n target -L 24M vg {b}"));
    lvm(&format!("lvcreate -n small -L 8M vg {b}"));
    fill("/dev/vg/precious");
    fill("/dev/vg/target");
    fill("/dev/vg/small");
    let precious = sha256("/dev/vg/precious");
    let behind = rest();
    let small = sha256("/dev/vg/small");
    lvm("lvremove -y vg/precious");

    let too_small = plan("small", &asks("small"));
    lvmend(&format!("apply --yes {too_small}")).exits(3).says("small");
    assert_eq!(sha256("/dev/vg/small"), small);

    let over = plan("over", &asks("target"));
    lvmend(&format!("plan {over}")).exits(2).says("OVER LV target");
    lvmend(&format!("apply --yes {over}")).exits(0).says("done and verified");
    assert_eq!((first(), rest()), (precious.clone(), behind.clone()));

    // Nothing on an LV tells that it was copied over: the next apply does it again.
    sh("dd if=/dev/zero of=/dev/vg/target bs=1M count=2 conv=notrunc oflag=direct status=none");
    lvmend(&format!("apply --yes {over}")).exits(0).says("done and verified");
    assert_eq!((first(), rest()), (precious.clone(), behind));

    // An LV that is inactive is activated for as long as it takes.
    lvm("lvchange -an vg/target");
    lvmend(&format!("apply --yes {over}")).exits(0).says("done and verified");
    assert_eq!(lvm("lvs --noheadings -o lv_active vg/target").answer(), "");
    lvm("lvchange -ay vg/target");
    assert_eq!(first(), precious);
    lvm("vgck vg");
}

fn asks(over: &str) -> String {
    format!(
        "volume_group: {{name: vg}}\nlogical_volumes: {{precious: {{state: present}}}}\n\
         tasks: [{{copy: {{from: precious, to: {{logical_volume: {over}}}}}}}]"
    )
}

/// What the target begins with, as large as what is copied.
fn first() -> String {
    part("count=16")
}

/// What lies behind that.
fn rest() -> String {
    part("skip=16")
}

fn part(which: &str) -> String {
    sh(&format!("dd if=/dev/vg/target of=/run/part bs=1M iflag=direct status=none {which}"));
    sha256("/run/part")
}
