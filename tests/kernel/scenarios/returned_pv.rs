//! Two disks were away, one after the other, while the VG was written and an LV of it was in use.

use crate::lab::{
    FileSystem, Witness, disks, fill, lvm, lvmend, mend, plan, sha256, try_lvm, try_sh,
};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("returned_pv", story);

fn story() {
    let [a, b, c] = disks(64);
    lvm(&format!("vgcreate vg {a} {b} {c}"));
    lvm(&format!("lvcreate -n files -L 32M vg {a}"));
    lvm(&format!("lvcreate -n data -L 32M vg {b}"));
    lvm(&format!("lvcreate -n wide -i 2 -L 16M vg {b} {c}"));
    fill("/dev/vg/data");
    fill("/dev/vg/wide");
    let (data, wide) = (sha256("/dev/vg/data"), sha256("/dev/vg/wide"));
    lvm("lvchange -an vg/wide");
    let files = FileSystem::make("/dev/vg/files");
    let witness = Witness::begin(files.directory());

    b.pull();
    lvm("lvchange --addtag one vg/files");
    c.pull();
    lvm("lvchange --addtag two vg/files");
    assert_eq!(lvm("vgs --noheadings -o vg_missing_pv_count vg").answer(), "2");
    let attach =
        plan("back", "volume_group: {name: vg}\nphysical_volumes: {\"*\": {state: attached}}");
    // While they are away nothing is written.
    lvmend(&format!("apply --yes {attach}")).exits(3).says("no device carries");

    c.plug_back();
    b.plug_back();
    try_sh("dd if=/dev/vg/data of=/dev/null bs=4k count=1 iflag=direct").exits(1);
    try_lvm("lvchange -ay vg/wide").exits(5);
    lvmend("inspect vg").exits(2).says("missing-pv");
    mend(&attach);
    assert_eq!(lvm("vgs --noheadings -o vg_missing_pv_count vg").answer(), "0");
    lvm("vgck vg");
    // The table of the LV that stayed active mapped a device that is gone.
    lvm("lvchange -ay vg/wide");
    assert_eq!((sha256("/dev/vg/data"), sha256("/dev/vg/wide")), (data, wide));
    witness.end();
    files.unmount();
}
