//! The VG has no free extent, and the metadata of its pool is damaged: the spare becomes the new
//! metadata. Where that is too short a disk has to be added.

use crate::lab::pool::{self, METADATA};
use crate::lab::{disks, lvm, lvmend, newest_run, plan, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("thin_no_room", story);

fn story() {
    let [a, b, c, scratch] = disks(96);
    let pool = pool::make(&[&a, &b], &scratch);
    lvm("lvcreate -l 100%FREE -n filler vg");
    let sound = plan("sound", &format!("volume_group: {{name: vg}}\n{METADATA}"));
    lvm("lvchange -an vg");
    pool.damage("data space map");

    pool.plans(&sound).says("the spare lvol0_pmspare becomes it");
    pool.mend(&sound);
    try_lvm("lvs vg/lvol0_pmspare").exits(5);
    lvmend(&format!("{} rollback {}", pool.scratch, newest_run())).exits(0).says("rolled back");
    lvm("lvs -a vg/lvol0_pmspare");
    try_lvm("lvs vg/pool_meta0").exits(5);
    try_lvm("lvchange -ay vg/pool").exits(5);
    pool.mend(&sound);
    pool.holds_everything();
    lvm("vgck vg");

    // There is no spare any more.
    lvm("lvchange -an vg");
    pool.damage("data space map");
    lvmend(&format!("{} plan {sound}", pool.scratch)).exits(3).says("no-room");
    let extended = format!("volume_group: {{name: vg, extend_with: [{c}]}}\n{METADATA}");
    pool.mend(&plan("extended", &extended)).says("rebuild the metadata");
    pool.holds_everything();
    let asks = "thin_pools: {pool: {metadata: {state: sound, spare: present}}}";
    pool.mend(&plan("spare", &format!("volume_group: {{name: vg}}\n{asks}")));
    lvm("lvs -a vg/lvol0_pmspare");
}
