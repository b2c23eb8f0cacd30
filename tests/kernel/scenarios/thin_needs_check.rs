//! A thin pool is flagged `needs_check` and its metadata is sound: the flag is cleared, and nothing
//! else is done.

use crate::lab::pool::{self, METADATA};
use crate::lab::{disks, lvm, lvmend, mend, plan, sh};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("thin_needs_check", story);

fn story() {
    let [a, b, scratch] = disks(128);
    let pool = pool::make(&[&a, &b], &scratch);
    lvm("lvchange -an vg");
    pool.edit_superblock(&|block| block[4] |= 1);
    lvmend("inspect").exits(2).says("thin-needs-check");
    // LVM lets it in, and the kernel refuses to write.
    lvm("lvchange -ay vg/pool");
    sh("dmsetup status vg-pool-tpool").says("needs_check");

    let asks = format!("volume_group: {{name: vg}}\n{METADATA}");
    let flag = plan("flag", &asks);
    // What ails an active pool shows only when it is not.
    let refused = lvmend(&format!("{} plan {flag}", pool.scratch)).exits(3).says("pool-active");
    refused.says("pool: {activation: inactive}");
    mend(&plan("down", "volume_group: {name: vg}\nthin_pools: {pool: {activation: inactive}}"));

    // The thin tools read and write directly; /var/tmp is in memory here, and cannot be.
    lvmend(&format!("plan {flag}")).exits(3).says("--scratch-dir");
    pool.mend(&flag).says("clear needs_check");
    lvm("lvchange -ay vg/pool");
    let status = sh("dmsetup status vg-pool-tpool");
    assert!(!status.stdout.contains("needs_check"), "{}", status.stdout);
    pool.holds_everything();
    lvm("lvcreate -V 4M --thinpool vg/pool -n another");
}
