//! Where the journal may lie: on an LV of the very VG, as long as the run does not cut it off.

use crate::lab::{FileSystem, disks, fill, lvm, lvm_conf, lvmend_with_state, plan, sh, sha256};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("state_directory", story);

fn story() {
    lvm_conf::set(&[("backup/backup", "0"), ("backup/archive", "0")]);
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm(&format!("lvcreate -n root -L 32M vg {a}"));
    lvm(&format!("lvcreate -n precious -L 8M vg {b}"));
    fill("/dev/vg/precious");
    let digest = sha256("/dev/vg/precious");
    let root = FileSystem::make("/dev/vg/root");
    let state = root.directory().join("state");
    let state = state.to_str().unwrap();

    // The root file system in the VG, as many hypervisors have it: told, and done.
    lvm("lvremove -y vg/precious");
    let back =
        plan("lost", "volume_group: {name: vg}\nlogical_volumes: {precious: {state: present}}");
    lvmend_with_state(state, &format!("apply --yes {back}"))
        .exits(0)
        .says("warning: the state directory lies on")
        .says("done and verified");
    lvm("lvchange -ay -K vg/precious");
    assert_eq!(sha256("/dev/vg/precious"), digest);

    // A PV under it is written by hand: not with the journal on it.
    sh(&format!("dd if=/dev/zero of={a} bs=512 seek=8 count=1 oflag=direct conv=notrunc,fsync"));
    let sound = plan("sound", "volume_group: {name: vg, metadata: {state: sound}}");
    lvmend_with_state(state, &format!("apply --yes {sound}"))
        .exits(3)
        .says("whose label or metadata areas this run writes by hand");
    lvmend_with_state("/run/state", &format!("--volatile-state apply --yes {sound}")).exits(0);
    lvm("vgck vg");
    root.unmount();
}
