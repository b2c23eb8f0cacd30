//! A layer left the tree of a mirror and went on with its old table: two mirrors write to one log. The ready
//! plan empties the layer before anything above it runs, while somebody writes all the time and while
//! nobody does; no write that was acknowledged is lost.

use crate::lab::{DeviceMapper, FileSystem, Witness, disks, lvm, lvmend, sh, wait_until};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("shared_log", story);

const PLAN: &str = include_str!("../../../plans/stale-tables.yaml");
const LAYER: &str = "vg0-m_mimagetmp_2";

fn story() {
    let [a, b, c] = disks(64);
    lvm(&format!("vgcreate vg0 {a} {b} {c}"));
    lvm("lvcreate --type mirror -m 1 --mirrorlog disk -L 16M -n m vg0");
    let in_sync = || lvm("lvs --noheadings -o sync_percent vg0/m").answer() == "100.00";
    wait_until("the mirror is in sync", in_sync);
    let files = FileSystem::make("/dev/vg0/m");
    let digest = files.digest();
    std::fs::write("/tmp/plan.yaml", PLAN).unwrap();
    lvmend("plan /tmp/plan.yaml").exits(0).says("Nothing to do");

    println!("# the layer alone, and nobody writes");
    make_layer();
    lvmend("inspect")
        .exits(2)
        .says("shared-log")
        .says("layer-off-tree")
        .says("plans/stale-tables.yaml");
    mended();

    println!("# the top over the layer, and somebody writes");
    make_layer();
    let size = sh("dmsetup table vg0-m | cut -d' ' -f2").answer().to_owned();
    let witness = Witness::begin(files.directory());
    let switch = |table: &str| {
        sh(&format!(
            "echo '{table}' | dmsetup load vg0-m && dmsetup suspend --nolockfs vg0-m && dmsetup resume vg0-m"
        ));
    };
    let number = sh(&format!("dmsetup info -c --noheadings --separator : -o major,minor {LAYER}"));
    switch(&format!("0 {size} linear {} 0", number.answer()));
    lvmend("inspect").exits(2).says("stale-table");
    let plan = lvmend("plan /tmp/plan.yaml").exits(2).says("then   gone").says("somebody uses it");
    plan.says("a layer that leaves is emptied before anything runs again");
    mended();

    println!("# the layer beside the mirror, and somebody writes");
    make_layer();
    mended();
    let testimony = witness.end();
    assert!(testimony.lines > 3);

    // Both legs hold the same, and all that was written.
    assert_eq!(files.digest(), digest);
    files.unmount();
    let legs = ["vg0-m_mimage_0", "vg0-m_mimage_1"];
    let sums = legs.map(|leg| sh(&format!("sha256sum < /dev/mapper/{leg}")).answer().to_owned());
    assert_eq!(sums[0], sums[1]);
    lvm("lvchange -an vg0/m");
    lvm("lvchange -ay vg0/m");
    sh("e2fsck -fn /dev/vg0/m");
}

/// As a conversion leaves it that died before its last step.
fn make_layer() {
    let vg = lvm("vgs --noheadings -o vg_uuid vg0").answer().replace('-', "");
    let lv = "L".repeat(32);
    sh(&format!("dmsetup table vg0-m | dmsetup create {LAYER} -u LVM-{vg}{lv}"));
}

fn mended() {
    lvmend("apply --yes /tmp/plan.yaml").exits(0);
    assert_eq!(DeviceMapper::named(LAYER), None);
    assert!(!DeviceMapper::all().iter().any(|device| device.suspended));
    sh("dmsetup table vg0-m | grep -q ' mirror '");
    lvmend("inspect").exits(0);
    lvmend("apply --yes /tmp/plan.yaml").exits(0).says("Nothing to do");
}
