//! LVM and a thin pool are at different transactions. Where the pool is ahead and they have the same
//! devices the text gets the pool's number; else nothing is done, and it is told what differs.

use crate::lab::pool::{self, METADATA};
use crate::lab::{disks, lvm, lvmend, newest_run, plan, sh, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("thin_transaction_id", story);

fn story() {
    let [a, b, scratch] = disks(128);
    let pool = pool::make(&[&a, &b], &scratch);
    let sound = plan("sound", &format!("volume_group: {{name: vg}}\n{METADATA}"));

    // The pool is ahead.
    lvm("lvchange -an vg");
    pool.edit_superblock(&|block| block[48] += 2);
    try_lvm("lvchange -ay vg/pool").exits(5).says("transaction_id");
    lvmend("inspect").exits(2).says("thin-transaction-id");
    pool.mend(&sound).says("set the transaction id of thin pool vg/pool");
    let run = newest_run();
    lvmend(&format!("{} rollback {run}", pool.scratch)).exits(0).says("rolled back");
    try_lvm("lvchange -ay vg/pool").exits(5);
    pool.mend(&sound);
    pool.holds_everything();

    // It went back in time, or seems to: equal numbers would hide that, unless all of it is accepted.
    lvm("lvchange -an vg");
    pool.edit_superblock(&|block| block[48] -= 2);
    try_lvm("lvchange -ay vg/pool").exits(5).says("transaction_id");
    let refused = lvmend(&format!("{} plan {sound}", pool.scratch)).exits(3);
    refused.says("hazard-not-accepted").says("lose-thin-mappings");
    let accepted = ["one", "two", "snap"].map(|lv| {
        format!("{{hazard: lose-thin-mappings, object: {lv}, because: it never had more}}")
    });
    let accept = format!(
        "volume_group: {{name: vg}}\n{METADATA}\npolicy: {{accept: [{}]}}",
        accepted.join(", ")
    );
    pool.mend(&plan("accept", &accept)).says("set the transaction id");
    pool.holds_everything();

    // A text that went back: the pool has a device more.
    lvm("vgcfgbackup -f /tmp/before vg");
    lvm("lvcreate -V 4M --thinpool vg/pool -n late");
    lvm("lvcreate -V 4M --thinpool vg/pool -n later");
    lvm("lvchange -an vg");
    lvm("vgcfgrestore --force -y -f /tmp/before vg");
    lvmend("inspect").exits(2).says("thin-device-without-lv");
    let refused = lvmend(&format!("{} plan {sound}", pool.scratch)).exits(3);
    refused.says("pool-contradiction").says("devices that no LV has: 4, 5");
    sh("dmsetup info -c --noheadings -o name vg-pool_tmeta || true");
}
