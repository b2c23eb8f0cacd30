//! Parts of a pool's metadata are damaged that the thin tools cannot make good, or only by going back
//! in time: what follows from the rest is made anew, and nothing is lost; what does not is only taken
//! when the plan accepts that of each LV.

use crate::lab::pool::{self, METADATA, Pool};
use crate::lab::{disks, lvm, lvmend, plan, sh, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("thin_salvaged", story);

/// The same with the other generation of the thin tools.
pub const OTHER_TOOLS: Scenario = Scenario::shared("thin_salvaged_other_tools", || {
    pool::with_other_tools();
    let [a, b, scratch] = disks(128);
    let pool = pool::make(&[&a, &b], &scratch);
    let asks = format!("volume_group: {{name: vg}}\n{METADATA}");
    without_superblock(&pool, &asks);
    lvm("lvchange -an vg");
    pool.damage("details");
    pool.mend(&plan("sound", &asks));
    pool.holds_everything();
});

/// No superblock at all: the kernel would make a new, empty pool of it. What is found is what counted,
/// which only nobody can prove. The plan that accepts that.
fn without_superblock(pool: &Pool, asks: &str) -> String {
    let accepted = ["one", "two", "snap"].map(|lv| {
        format!("{{hazard: lose-thin-mappings, object: {lv}, because: there is a backup}}")
    });
    let accept = format!("{asks}\npolicy: {{accept: [{}]}}", accepted.join(", "));
    let (sound, accept) = (plan("sound", asks), plan("accept", &accept));
    lvm("lvchange -an vg");
    pool.damage("superblock");
    let refused = lvmend(&format!("{} plan {sound}", pool.scratch)).exits(3);
    refused.says("lose-thin-mappings").says("its superblock is gone");
    pool.plans(&accept).says("its superblock is made anew");
    pool.mend(&accept);
    pool.holds_everything();
    accept
}

fn story() {
    let [a, b, scratch] = disks(128);
    let mut pool = pool::make(&[&a, &b], &scratch);
    let asks = format!("volume_group: {{name: vg}}\n{METADATA}");
    let sound = plan("sound", &asks);

    let accept = without_superblock(&pool, &asks);
    lvm("lvchange -an vg");
    pool.damage("superblock checksum");
    try_lvm("lvchange -ay vg/pool").exits(5);
    lvmend("inspect").exits(2).says("thin-metadata-damaged");
    pool.plans(&sound).says("checksum of its superblock is set right");
    pool.mend(&sound);
    pool.holds_everything();

    lvm("lvchange -an vg");
    pool.damage("details");
    try_lvm("lvchange -ay vg/pool").exits(5);
    pool.plans(&sound).says("its list of devices is made anew");
    pool.mend(&sound);
    pool.holds_everything();
    // What was shared with a snapshot still is not written in place.
    sh("dd if=/dev/urandom of=/dev/vg/one bs=64k count=30 oflag=direct conv=notrunc status=none");
    pool.remember("one");
    pool.holds_everything();
    // The root of all mappings: another one has to be looked for, which is of another time.
    lvm("lvchange -an vg");
    pool.damage("mappings");
    let refused = lvmend(&format!("{} plan {sound}", pool.scratch)).exits(3);
    refused.says("lose-thin-mappings").says("cannot be told");
    pool.mend(&accept).says("rebuild the metadata");
    // All of them can be read again, whatever they hold.
    lvm("lvchange -ay vg/one vg/two vg/snap");
    for lv in ["one", "two", "snap"] {
        sh(&format!("dd if=/dev/vg/{lv} of=/dev/null bs=1M status=none"));
    }
}
