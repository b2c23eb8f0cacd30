//! Label and metadata area of every PV are gone; LVM's backup file is all that is left.

use crate::lab::{disks, fill, lvm, lvmend, mend, plan, sh, sha256, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("wiped_everything", story);

fn story() {
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("lvcreate -n data -i 2 -L 32M vg");
    fill("/dev/vg/data");
    let data = sha256("/dev/vg/data");
    let uuid = |disk: &dyn std::fmt::Display| {
        lvm(&format!("pvs --noheadings -o pv_uuid {disk}")).answer().to_owned()
    };
    let (one, two) = (uuid(&a), uuid(&b));
    lvm("vgchange -an vg");
    for disk in [&a, &b] {
        sh(&format!("dd if=/dev/zero of={disk} bs=1M count=1 oflag=direct conv=notrunc,fsync"));
    }
    try_lvm("vgs vg").exits(5);
    lvmend("history list vg").exits(0);

    let accept: Vec<String> = [&one, &two]
        .iter()
        .map(|uuid| format!("{{hazard: unproven-device, object: {uuid}, because: checked}}"))
        .collect();
    mend(&plan(
        "all",
        &format!(
            "volume_group: {{name: vg, metadata: {{state: sound}}}}\n\
             physical_volumes:\n  {one}: {{state: attached, device: {a}}}\n  \
             {two}: {{state: attached, device: {b}}}\n\
             policy: {{accept: [{}]}}",
            accept.join(", ")
        ),
    ));
    lvm("vgck vg");
    lvm("vgchange -ay vg");
    assert_eq!(sha256("/dev/vg/data"), data);
}
