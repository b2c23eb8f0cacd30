//! The metadata of a thin pool is damaged: it is rebuilt in a new LV, which takes its place; the old
//! one stays. What cannot be brought back is told before anything is done.

use crate::lab::pool::{self, METADATA};
use crate::lab::{disks, lvm, lvmend, mend, newest_run, plan, sh, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("thin_damaged", story);

/// With the other generation of the thin tools: what they rebuild, flagged or not, and the way back.
pub const OTHER_TOOLS: Scenario = Scenario::shared("thin_damaged_other_tools", || {
    pool::with_other_tools();
    let [a, b, scratch] = disks(128);
    let pool = pool::make(&[&a, &b], &scratch);
    let rebuild = plan("rebuild", &format!("volume_group: {{name: vg}}\n{METADATA}"));
    lvm("lvchange -an vg");
    pool.damage("data space map");
    pool.edit_superblock(&|block| block[4] |= 1);
    pool.mend(&rebuild);
    lvmend(&format!("{} rollback {}", pool.scratch, newest_run())).exits(0).says("rolled back");
    pool.mend(&rebuild);
    pool.holds_everything();
});

fn story() {
    let [a, b, scratch] = disks(128);
    let mut pool = pool::make(&[&a, &b], &scratch);
    lvm("lvchange -an vg");
    let rebuild = plan("rebuild", &format!("volume_group: {{name: vg}}\n{METADATA}"));

    // The space map: nothing is lost, and a repair finds all.
    pool.damage("metadata space map");
    try_lvm("lvchange -ay vg/pool").exits(5).says("Manual repair required");
    pool.mend(&rebuild).says("rebuild the metadata of thin pool vg/pool in LV pool_meta0");
    pool.holds_everything();
    lvm("lvs vg/pool_meta0");
    // Used with the new metadata there is no way back.
    let run = newest_run();
    lvmend(&format!("{} rollback {run}", pool.scratch)).exits(8).says("is active");
    lvmend(&format!("abandon {run} --because used")).exits(0);

    // Rolled back before the pool was used again. It is flagged as well, as it mostly is.
    lvm("lvchange -an vg");
    pool.damage("data space map");
    pool.edit_superblock(&|block| block[4] |= 1);
    lvmend(&format!("{} apply --yes {rebuild}", pool.scratch)).exits(0);
    let before = sh("lvs --noheadings -a -o name,devices,size vg | sort").stdout;
    lvm("lvs vg/pool_meta1");
    lvmend(&format!("{} rollback {}", pool.scratch, newest_run())).exits(0).says("rolled back");
    try_lvm("lvs vg/pool_meta1").exits(5);
    assert_ne!(sh("lvs --noheadings -a -o name,devices,size vg | sort").stdout, before);
    pool.mend(&rebuild);
    pool.holds_everything();

    // Used since with the new metadata, and down again: it is seen that blocks were given out, for
    // what was shared with a snapshot.
    let run = newest_run();
    sh(
        "dd if=/dev/urandom of=/dev/vg/one bs=64k count=4 seek=60 oflag=direct conv=notrunc status=none",
    );
    lvm("lvchange -an vg");
    lvmend(&format!("{} rollback {run}", pool.scratch)).exits(8).says("was used");
    lvmend(&format!("abandon {run} --because used")).exits(0);
    pool.remember("one");

    // All in one plan, which says where the way back ends.
    pool.damage_when_down();
    let asks = "thin_pools: {pool: {metadata: {state: sound}, activation: active}}";
    let all = plan("all", &format!("volume_group: {{name: vg}}\n{asks}"));
    let said = lvmend(&format!("{} plan {all}", pool.scratch)).exits(2);
    said.says("Point of no return: operation 5");
    pool.mend(&all);
    assert_eq!(lvm("lvs --noheadings -o lv_active vg/one").answer(), "active");
    lvmend(&format!("{} rollback {}", pool.scratch, newest_run())).exits(3);
    pool.holds_everything();

    lvm("lvchange -an vg");
    // A part is active by itself.
    lvm("lvchange -y -ay vg/pool_tmeta");
    try_lvm("lvchange -ay vg/pool").exits(5);
    lvmend("inspect").exits(2).says("half-active-pool");
    let refused = lvmend(&format!("{} plan {rebuild}", pool.scratch)).exits(3);
    refused.says("pool: {activation: inactive}");
    let down = "volume_group: {name: vg}\nthin_pools: {pool: {activation: inactive}}";
    mend(&plan("down", down)).says("deactivate LV pool_tmeta");
    pool.holds_everything();
    lvm("lvchange -an vg");
    // All of it zeroed: the kernel would make a new pool of it.
    pool.damage("superblock");
    lvmend("inspect").exits(2).says("all zeros");
    let refused = lvmend(&format!("{} apply --yes {rebuild}", pool.scratch)).exits(3);
    refused.says("its superblock is gone").says("lose-thin-mappings");
}
