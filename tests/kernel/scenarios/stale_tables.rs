//! Live tables held against the metadata: what somebody else loaded is told, and gone after a refresh.

use crate::lab::{disks, lvm, lvmend, sh};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("stale_tables", story);

fn story() {
    let [a, b, c] = disks(128);
    lvm(&format!("vgcreate -s 1M vg {a} {b} {c}"));
    lvm(&format!("lvcreate -n plain -L 8M vg {a}"));
    // In pieces, on two disks.
    lvm(&format!("lvcreate -n odd-name -L 4M vg {a}"));
    lvm(&format!("lvextend -L +4M vg/plain {b}"));
    lvm("lvcreate -i 3 -I 64k -L 12M -n spread vg");
    lvm("lvcreate --type zero -L 4M -n nothing vg");
    lvm("lvcreate --type error -L 4M -n fails vg");
    lvm("lvcreate --type raid1 -m 1 -L 4M -n raid vg");
    lvm("lvcreate --type raid5 -i 2 -L 8M -n parity vg");
    lvm("lvcreate --type mirror -m 1 --mirrorlog disk -L 4M -n mirrored vg");
    lvm("lvcreate -n origin -L 8M vg");
    lvm("lvcreate -s -n one -L 4M vg/origin");
    lvm("lvcreate -s -n two -L 4M vg/origin");
    lvm("lvcreate --type thin-pool -L 16M --poolmetadatasize 2M -n pool vg");
    lvm("lvcreate -V 8M --thinpool vg/pool -n thin");
    lvm("lvcreate -s -kn -n thinsnap vg/thin");
    lvm("lvchange -ay vg/thinsnap");
    lvm("lvcreate -n slow -L 8M vg");
    lvm("lvcreate --type cache-pool -L 4M -n fast vg");
    lvm("lvconvert --yes --type cache --cachepool vg/fast vg/slow");
    sh("dmsetup table");
    lvmend("inspect").exits(0).says("No faults");

    // A table of somebody else's, as after a command that died, or metadata that was restored.
    for (device, lv) in [("vg-plain", "plain"), ("vg-raid_rimage_0", "raid"), ("vg-one-cow", "one")]
    {
        sh(&format!(
            "dmsetup table {device} > /tmp/was && sed 's/[0-9]*$/4096/' /tmp/was > /tmp/is && \
             dmsetup load {device} /tmp/is && dmsetup resume {device}"
        ));
        lvmend("inspect").exits(2).says("stale-table").says(device);
        sh(&format!("dmsetup load {device} /tmp/was && dmsetup resume {device}"));
        lvmend("inspect").exits(0).says("No faults");
        println!("# {lv} is as it was");
    }
    sh(
        "dmsetup table vg-plain | sed 's/ 2048$/ 4096/' | dmsetup load vg-plain && dmsetup resume vg-plain",
    );
    lvmend("inspect").exits(2).says("only: [plain]");
    lvm("lvchange --refresh vg/plain");
    lvmend("inspect").exits(0);
}
