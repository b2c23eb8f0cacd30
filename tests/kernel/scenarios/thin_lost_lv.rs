//! LVM knows thin LVs whose device the pool does not have: they are taken out of the text, when the plan
//! accepts that; a snapshot of one stays.

use crate::lab::pool::{self, METADATA};
use crate::lab::{disks, lvm, lvmend, plan, sh, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("thin_lost_lv", story);

fn story() {
    let [a, b, scratch] = disks(96);
    let mut pool = pool::make(&[&a, &b], &scratch);
    lvm("lvcreate -V 8M --thinpool vg/pool -n four");
    lvm("lvchange -an vg/four vg/one");
    for lv in ["four", "one"] {
        let id = lvm(&format!("lvs --noheadings -o thin_id vg/{lv}")).answer().to_owned();
        sh(&format!("dmsetup message vg-pool-tpool 0 'delete {id}'"));
    }
    lvm("lvchange -an vg");
    lvm("lvchange -ay vg/pool");
    try_lvm("lvchange -ay -K vg/four").exits(5);
    lvm("lvchange -an vg");

    lvmend("inspect").exits(2).says("thin-lv-without-device").says("four (device 4)");
    let asks = format!("volume_group: {{name: vg}}\n{METADATA}");
    let refused = lvmend(&format!("{} plan {}", pool.scratch, plan("sound", &asks))).exits(3);
    refused.says("drop-thin-device").says("object: four").says("object: one");
    let accepted = ["four", "one"].map(|lv| {
        format!("{{hazard: drop-thin-device, object: {lv}, because: no older copy has it}}")
    });
    let accept = format!("{asks}\npolicy: {{accept: [{}]}}", accepted.join(", "));
    pool.mend(&plan("accept", &accept)).says("take thin LV vg/four out of the metadata");

    try_lvm("lvs vg/four").exits(5);
    assert_eq!(lvm("lvs --noheadings -o origin vg/snap").answer(), "");
    pool.forget("one");
    pool.holds_everything();
    // The number is free again.
    lvm("lvcreate -V 8M --thinpool vg/pool -n four");
    sh("dd if=/dev/urandom of=/dev/vg/four bs=1M count=1 oflag=direct status=none");
    lvm("vgck vg");
    lvm("lvchange -an vg");
    lvmend("inspect").exits(0);
}
