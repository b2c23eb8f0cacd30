//! The power is cut while the new metadata of a thin pool is written, and while it is swapped in: the
//! pool has the old or the new, and the run is resumed or rolled back.

use std::time::Duration;

use crate::lab::pool::{self, METADATA};
use crate::lab::{
    cut_power, cut_power_in, keep, kept, lvm, lvm_conf, lvmend_with_state, plan, sh, sha256, start,
    try_lvm, ubd,
};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::alone(
    "thin_power_off",
    &[64, 64, 64],
    &[make, resume_and_cut_in_the_swap, roll_back_and_cut_in_the_rebuild, resume_at_last],
);

const LVS: [&str; 3] = ["one", "two", "snap"];
/// The record with which the rebuild begins, and the one with which the swap does.
const REBUILD: usize = 6;
const SWAP: usize = 8;
const STATE: &str = "/run/scratch/state";

fn without_backups() {
    lvm_conf::set(&[("backup/backup", "0"), ("backup/archive", "0")]);
}

fn apply() -> String {
    let sound = plan("sound", &format!("volume_group: {{name: vg}}\n{METADATA}"));
    format!("--scratch-dir /run/scratch apply --yes {sound}")
}

fn make() {
    without_backups();
    let pool = pool::make(&[&ubd(0), &ubd(1)], &ubd(2));
    for lv in LVS {
        keep(lv, &sha256(&format!("/dev/vg/{lv}")));
    }
    pool.damage_when_down();
    keep("run", &start(STATE, &apply()).wait_for_record(SWAP));
    cut_power();
}

fn again() -> String {
    without_backups();
    sh(&format!("mkdir -p /run/scratch && mount {} /run/scratch", ubd(2)));
    kept("run")
}

fn resume_and_cut_in_the_swap() {
    let run = again();
    lvmend_with_state(STATE, &apply()).exits(7).says(&run);
    end(&run, "resume");
    check();
    // Back to the damage, by what the run left: the old metadata is swapped in again.
    lvm("lvchange -an vg");
    lvm("lvconvert --yes --thinpool vg/pool --poolmetadata vg/pool_meta0");
    lvm("lvremove -y vg/pool_meta0");
    keep("run", &start(STATE, &apply()).wait_for_record(SWAP));
    // LVM2 takes some tenths of a second from its start to its last write.
    cut_power_in(Duration::from_millis(150));
    std::thread::sleep(Duration::from_secs(60));
}

fn roll_back_and_cut_in_the_rebuild() {
    let run = again();
    end(&run, "rollback");
    try_lvm("lvs vg/pool_meta0").exits(5);
    try_lvm("lvchange -ay vg/pool").exits(5).says("Manual repair required");
    lvm("vgck vg");
    keep("run", &start(STATE, &apply()).wait_for_record(REBUILD));
    cut_power();
}

fn resume_at_last() {
    let run = again();
    end(&run, "resume");
    check();
    lvmend_with_state(STATE, &apply()).exits(0).says("Nothing to do");
}

/// It may have come to its end before the power was gone: then it is over.
fn end(run: &str, how: &str) {
    let code = lvmend_with_state(STATE, &format!("--scratch-dir /run/scratch {how} {run}")).code;
    assert!([0, 3].contains(&code), "{how} ended with {code}");
}

fn check() {
    lvm("vgck vg");
    lvm("lvchange -ay vg/one vg/two vg/snap");
    for lv in LVS {
        assert_eq!(sha256(&format!("/dev/vg/{lv}")), kept(lv), "{lv}");
    }
    lvm("lvchange -an vg");
}
