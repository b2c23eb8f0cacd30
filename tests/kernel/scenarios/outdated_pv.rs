//! A PV was taken out of the VG while it was away. `vgck --updatemetadata`, which LVM advises then,
//! wipes it. Plans of lvmend do not, not even those that run that command; they keep evidence of it,
//! and do not take it back either.

use crate::lab::{disks, fill, lvm, lvmend, mend, newest_run, plan, refused, sh, sha256};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("outdated_pv", story);

fn story() {
    let [a, b, gone] = disks(64);
    lvm(&format!("vgcreate vg {a} {b} {gone}"));
    lvm(&format!("lvcreate -n precious -L 8M vg {b}"));
    fill("/dev/vg/precious");
    let digest = sha256("/dev/vg/precious");
    let pv = lvm(&format!("pvs --noheadings -o pv_uuid {gone}")).answer().to_owned();
    gone.pull();
    lvm("lvremove -y vg/precious");
    lvm("vgreduce --removemissing vg");
    gone.plug_back();
    let content = sha256(&gone.to_string());

    // It is not taken back.
    let attach = plan(
        "attach",
        &format!("volume_group: {{name: vg}}\nphysical_volumes: {{{pv}: {{state: attached}}}}"),
    );
    let all = [a, b, gone];
    refused(&attach, "pv-not-in-vg", &all);
    lvmend("inspect").exits(2).says("outdated-pv");

    // Another plan that writes the VG leaves it alone, and keeps what stands on it.
    let back =
        plan("lost", "volume_group: {name: vg}\nlogical_volumes: {precious: {state: present}}");
    lvmend(&format!("plan {back}")).exits(2).says(&pv).says("do not run that by hand");
    mend(&back);
    let [a, _, gone] = &all;
    assert_eq!(sha256(&gone.to_string()), content, "the PV that left was written to");
    let evidence = format!("/run/state/runs/{}/evidence", newest_run());
    sh(&format!("cat {evidence}/manifest.json")).says(&gone.to_string());
    lvm("lvchange -ay -K vg/precious");
    assert_eq!(sha256("/dev/vg/precious"), digest);

    // Not even by that command itself, which this plan runs.
    sh(&format!("dd of={a} if=/dev/urandom bs=1 seek=4396 count=1 conv=notrunc,fsync"));
    sh(&format!("blockdev --flushbufs {a}"));
    let sound = plan("sound", "volume_group: {name: vg, metadata: {state: sound}}");
    lvmend(&format!("plan {sound}")).exits(2).says("vgck --updatemetadata");
    mend(&sound);
    assert_eq!(sha256(&gone.to_string()), content, "the PV that left was written to");

    // That LVM does wipe it is what all this is about.
    lvm("vgck --updatemetadata vg");
    assert_ne!(sha256(&gone.to_string()), content);
}
