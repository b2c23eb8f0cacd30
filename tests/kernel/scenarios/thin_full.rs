//! A thin pool runs out of metadata, and of data: it is made larger, active or not.

use crate::lab::pool::{self, METADATA};
use crate::lab::{disks, lvm, lvmend, plan, sh};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("thin_full", story);

/// Really filled up: a device in the pool for every block that is free.
pub const FILLED: Scenario = Scenario::shared("thin_filled", || {
    let [a, b, scratch] = disks(128);
    let pool = pool::make(&[&a, &b], &scratch);
    sh(
        "for id in $(seq 100 700); do dmsetup message vg-pool-tpool 0 \"create_thin $id\" || break; done",
    );
    sh("dmsetup status vg-pool-tpool").says(" 512/512 ").says(" ro ");
    lvmend("inspect").exits(2).says("thin-metadata-full");
    let sound = plan("sound", &format!("volume_group: {{name: vg}}\n{METADATA}"));
    lvmend(&format!("{} plan {sound}", pool.scratch)).exits(3).says("pool-active");
    lvm("lvchange -an vg");
    pool.mend(&sound).says("extend the metadata");
    pool.holds_everything();
    sh("dmsetup status vg-pool-tpool").says(" rw ");
    sh("dmsetup message vg-pool-tpool 0 'create_thin 701'");
});

fn story() {
    let [a, b, scratch] = disks(128);
    let pool = pool::make(&[&a, &b], &scratch);

    // Active: the kernel uses it at once.
    let larger = plan(
        "larger",
        "volume_group: {name: vg}\nthin_pools: {pool: {metadata: {state: sound, min_size: 8MiB}, \
         data: {min_size: 40MiB}}}",
    );
    pool.mend(&larger).says("extend metadata and data");
    sh("dmsetup status vg-pool-tpool").says("/2048 ").says("/640 ");
    pool.holds_everything();

    // Not active: it uses it when it is activated.
    lvm("lvchange -an vg");
    pool.edit_superblock(&|block| {
        // Nothing is left, and a commit failed for that.
        block[4] |= 1;
        let blocks: [u8; 8] = block[192..200].try_into().unwrap();
        block[200..208].copy_from_slice(&blocks);
    });
    lvmend("inspect").exits(2).says("thin-metadata-full").says("thin-needs-check");
    let sound =
        plan("sound", "volume_group: {name: vg}\nthin_pools: {pool: {metadata: {state: sound}}}");
    pool.mend(&sound).says("extend the metadata").says("clear needs_check");
    lvm("lvchange -ay vg/pool");
    let status = sh("dmsetup status vg-pool-tpool");
    assert!(!status.stdout.contains("needs_check"), "{}", status.stdout);
    pool.holds_everything();
    lvm("lvchange -an vg");
    let room = plan(
        "room",
        "volume_group: {name: vg}\nthin_pools: {pool: {metadata: {state: sound, min_size: 4GiB}}}",
    );
    lvmend(&format!("{} plan {room}", pool.scratch)).exits(3).says("no-room");
}
