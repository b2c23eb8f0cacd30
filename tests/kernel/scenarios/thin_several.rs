//! Several pools in a VG, one with an external origin: those that the plan names are mended, and the
//! others are left alone.

use crate::lab::pool::{self, METADATA};
use crate::lab::{disks, fill, lvm, lvmend, plan, sh, sha256};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("thin_several", story);

fn story() {
    let [a, b, scratch] = disks(160);
    let mut pool = pool::make(&[&a, &b], &scratch);
    lvm("lvcreate -L 4M -n base vg");
    fill("/dev/vg/base");
    lvm("lvcreate --type thin-pool -L 16M --poolmetadatasize 2M -c 64k -n second vg");
    // It shows what stands in `base` wherever nothing was written to it.
    lvm("lvconvert --yes --type thin --thinpool vg/second --originname origin vg/base");
    sh("dd if=/dev/urandom of=/dev/vg/base bs=64k count=5 oflag=direct conv=notrunc status=none");
    lvm("lvcreate -V 4M --thinpool vg/second -n other");
    fill("/dev/vg/other");
    let before = ["base", "other"].map(|lv| sha256(&format!("/dev/vg/{lv}")));

    lvm("lvchange -an vg");
    pool.of("second").damage("data space map");
    // Nothing is asked of the one that is damaged.
    let first = plan("first", &format!("volume_group: {{name: vg}}\n{METADATA}"));
    lvmend(&format!("{} plan {first}", pool.scratch)).exits(0).says("Nothing to do");
    let both = "thin_pools: {pool: {metadata: {state: sound}}, second: {metadata: {state: sound}}}";
    let both = plan("both", &format!("volume_group: {{name: vg}}\n{both}"));

    // Both at once.
    pool.of("pool").damage("details");
    let ran = pool.mend(&both);
    ran.says("thin pool vg/second").says("thin pool vg/pool");
    pool.of("pool").holds_everything();
    lvm("lvchange -ay vg/base vg/other");
    assert_eq!(["base", "other"].map(|lv| sha256(&format!("/dev/vg/{lv}"))), before);
}
