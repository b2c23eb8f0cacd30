//! The metadata of a thin pool lies on RAID1: what takes its place does too.

use crate::lab::pool::{self, METADATA};
use crate::lab::{disks, lvm, lvmend, newest_run, plan, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("thin_mirrored", story);

fn story() {
    let [a, b, scratch] = disks(128);
    let pool = pool::make_mirrored(&[&a, &b], &scratch);
    let sound = plan("sound", &format!("volume_group: {{name: vg}}\n{METADATA}"));
    lvm("lvchange -an vg");
    pool.damage("metadata space map");
    try_lvm("lvchange -ay vg/pool").exits(5);
    pool.plans(&sound).says("--type raid1 -m 1");
    pool.mend(&sound);
    let kind =
        |lv: &str| lvm(&format!("lvs --noheadings -a -o segtype vg/{lv}")).answer().to_owned();
    assert_eq!((kind("pool_tmeta"), kind("pool_meta0")), ("raid1".to_owned(), "raid1".to_owned()));
    lvmend(&format!("{} rollback {}", pool.scratch, newest_run())).exits(0).says("rolled back");
    try_lvm("lvs vg/pool_meta0").exits(5);
    pool.mend(&sound);
    pool.holds_everything();
    lvm("lvs -a -o name,segtype,devices vg");
}
