//! The power is cut while an LV is put back: at the intent, while LVM2 writes, at the outcome.

use std::fs;
use std::time::Duration;

use crate::lab::{
    cut_power, cut_power_in, fill, keep, kept, lvm, lvm_conf, lvmend_with_state, plan, sh, sha256,
    start, try_lvm, ubd,
};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::alone(
    "power_off_applying",
    &[64, 64, 64],
    &[make, resume_and_cut_in_writing, roll_back_and_cut_at_outcome, resume_at_last],
);

/// The records of the journal between which LVM2 writes.
const INTENT: usize = 4;
const OUTCOME: usize = 5;

fn state() -> String {
    fs::create_dir_all("/run/disk").unwrap();
    sh(&format!("mountpoint -q /run/disk || mount {} /run/disk", ubd(2)));
    "/run/disk/state".to_owned()
}

fn back() -> String {
    plan("lost", "volume_group: {name: vg}\nlogical_volumes: {precious: {state: present}}")
}

fn without_backups() {
    lvm_conf::set(&[("backup/backup", "0"), ("backup/archive", "0")]);
}

fn make() {
    without_backups();
    sh(&format!("mkfs.ext4 -q {}", ubd(2)));
    lvm(&format!("vgcreate vg {} {}", ubd(0), ubd(1)));
    lvm("lvcreate -n precious -L 16M vg");
    fill("/dev/vg/precious");
    keep("digest", &sha256("/dev/vg/precious"));
    lvm("lvremove -y vg/precious");
    keep("run", &start(&state(), &format!("apply --yes {}", back())).wait_for_record(INTENT));
    cut_power();
}

fn resume_and_cut_in_writing() {
    without_backups();
    let (state, run) = (state(), kept("run"));
    lvmend_with_state(&state, &format!("apply --yes {}", back())).exits(7).says(&run);
    lvmend_with_state(&state, &format!("resume {run}")).exits(0);
    check();
    lvm("lvremove -y vg/precious");
    keep("run", &start(&state, &format!("apply --yes {}", back())).wait_for_record(INTENT));
    // LVM2 takes some tenths of a second from its start to its last write.
    cut_power_in(Duration::from_millis(150));
    std::thread::sleep(Duration::from_secs(60));
}

fn roll_back_and_cut_at_outcome() {
    without_backups();
    let (state, run) = (state(), kept("run"));
    lvmend_with_state(&state, &format!("rollback {run}")).exits(0);
    try_lvm("lvs vg/precious").exits(5);
    lvm("vgck vg");
    keep("run", &start(&state, &format!("apply --yes {}", back())).wait_for_record(OUTCOME));
    cut_power();
}

fn resume_at_last() {
    without_backups();
    let (state, run) = (state(), kept("run"));
    let code = lvmend_with_state(&state, &format!("resume {run}")).code;
    // It may have come to its end before the power was gone.
    assert!([0, 3].contains(&code), "resume ended with {code}");
    check();
    lvmend_with_state(&state, &format!("apply --yes {}", back())).exits(0).says("Nothing to do");
}

fn check() {
    lvm("vgck vg");
    lvm("lvchange -ay -K vg/precious");
    assert_eq!(sha256("/dev/vg/precious"), kept("digest"));
    lvm("lvchange -an vg/precious");
}
