//! The first sectors of disks were overwritten while LVs on them were in use.

use crate::lab::{FileSystem, Witness, disks, fill, lvm, lvmend, mend, plan, sh, sha256};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("wiped_label", story);

const SOUND: &str = "volume_group: {name: vg, metadata: {state: sound}}\n\
                     physical_volumes: {\"*\": {state: attached}}";

fn story() {
    let [a, b, _] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm(&format!("lvcreate -n data -L 32M vg {a}"));
    lvm(&format!("lvcreate -n files -L 32M vg {b}"));
    fill("/dev/vg/data");
    let data = sha256("/dev/vg/data");
    let files = FileSystem::make("/dev/vg/files");
    let witness = Witness::begin(files.directory());
    let uuid = lvm(&format!("pvs --noheadings -o pv_uuid {b}")).answer().to_owned();

    // The label alone: the metadata area behind it still stands, and tells whose it is.
    sh(&format!("dd if=/dev/zero of={b} bs=512 count=4 oflag=direct conv=notrunc,fsync"));
    lvmend("inspect vg").exits(2).says("lost-label");
    mend(&plan("label", SOUND));
    lvm("vgck vg");

    // Label and area: nothing on the disk tells, and the size fits both disks that are left.
    sh(&format!("dd if=/dev/zero of={b} bs=1M count=1 oflag=direct conv=notrunc,fsync"));
    let asks = |device: &str, accept: &str| {
        format!(
            "volume_group: {{name: vg, metadata: {{state: sound}}}}\n\
             physical_volumes: {{{uuid}: {{state: attached, device: {device}}}}}\n{accept}"
        )
    };
    let unsure = plan("unsure", &asks(&format!("{b}"), ""));
    lvmend(&format!("apply --yes {unsure}")).exits(3).says("unproven-device");
    let wrong = plan("wrong", &asks(&format!("{a}"), ""));
    lvmend(&format!("apply --yes {wrong}")).exits(3).says("wrong-device");
    let accept = format!(
        "policy: {{accept: [{{hazard: unproven-device, object: {uuid}, because: the serial number \
         was compared}}]}}"
    );
    mend(&plan("area", &asks(&format!("{b}"), &accept)));
    lvm("vgck vg");
    witness.end();
    files.unmount();
    lvm("lvchange -an vg");
    lvm("lvchange -ay vg");
    assert_eq!(sha256("/dev/vg/data"), data);
}
