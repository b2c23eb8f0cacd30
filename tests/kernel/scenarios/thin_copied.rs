//! Thin LVs are copied out of a pool that is not active, and cannot be made so: on the machine, and out
//! of images of its disks.

use crate::lab::pool;
use crate::lab::{disks, lvm, lvmend, plan, sh, sha256, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("thin_copied", story);

const LVS: [&str; 3] = ["one", "two", "snap"];

fn story() {
    let [a, b, scratch] = disks(96);
    let pool = pool::make(&[&a, &b], &scratch);
    let held = LVS.map(|lv| sha256(&format!("/dev/vg/{lv}")));
    lvm("lvchange -an vg");
    pool.damage("data space map");
    try_lvm("lvchange -ay vg/pool").exits(5).says("Manual repair required");

    lvmend(&format!("apply --yes {}", copies("live"))).exits(0).says("done and verified");
    assert_eq!(LVS.map(|lv| sha256(&format!("/run/scratch/live-{lv}"))), held);
    lvmend(&format!("apply --yes {}", copies("live"))).exits(0).says("Nothing to do");

    let images = [(&a, "a"), (&b, "b")].map(|(disk, name)| {
        let image = format!("/run/scratch/{name}.img");
        sh(&format!("dd if={disk} bs=1M iflag=direct conv=sparse status=none of={image}"));
        format!("--image {image}")
    });
    let images = images.join(" ");
    lvmend(&format!("{images} apply --yes {}", copies("image"))).exits(0).says("done and verified");
    assert_eq!(LVS.map(|lv| sha256(&format!("/run/scratch/image-{lv}"))), held);
}

fn copies(to: &str) -> String {
    let task = |lv| format!("{{copy: {{from: {lv}, to: {{file: /run/scratch/{to}-{lv}}}}}}}");
    let tasks = LVS.map(task).join(", ");
    plan(to, &format!("volume_group: {{name: vg}}\ntasks: [{tasks}]"))
}
