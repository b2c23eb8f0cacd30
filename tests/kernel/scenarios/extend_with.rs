//! Blank disks become PVs, and are blank again after a rollback; what is not blank is not touched.

use crate::lab::{disks, lvm, lvmend, mend, newest_run, plan, sh, sha256};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("extend_with", story);

fn story() {
    let [a, blank, files, other] = disks(64);
    lvm(&format!("vgcreate vg {a}"));
    lvm("lvcreate -n data -L 8M vg");
    lvm(&format!("vgcreate others {other}"));
    sh(&format!("mkfs.ext4 -q {files}"));

    for (taken, what) in [(&files, "ext4"), (&other, "of VG others")] {
        let before = sha256(&taken.to_string());
        let taking = plan("taking", &asks(&format!("{taken}, {blank}")));
        lvmend(&format!("apply --yes {taking}")).exits(3).says(what);
        assert_eq!(sha256(&taken.to_string()), before);
    }
    assert_eq!(pvs(), "1");

    let more = plan("more", &asks(&blank.to_string()));
    mend(&more);
    assert_eq!(pvs(), "2");
    lvmend(&format!("rollback {}", newest_run())).exits(0).says("rolled back");
    assert_eq!(pvs(), "1");
    assert_eq!(sh(&format!("wipefs {blank}")).answer(), "");

    // LVM left its metadata area there, which a person has to judge: it may be all that is left of
    // a PV.
    lvmend(&format!("apply --yes {more}")).exits(3).says("a PV that lost its label");
    sh(&format!("dd if=/dev/zero of={blank} bs=1M count=1 oflag=direct status=none"));

    // What has extents of an LV stays.
    lvmend(&format!("apply --yes {more}")).exits(0).says("done and verified");
    lvm(&format!("lvcreate -n there -L 8M vg {blank}"));
    let run = newest_run();
    lvmend(&format!("rollback {run}")).exits(8).says("LVs have extents on");
    assert_eq!(pvs(), "2");
    lvm("lvremove -y vg/there");
    lvmend(&format!("resume {run}")).exits(0).says("rolled back");
    assert_eq!(pvs(), "1");
    assert_eq!(sh(&format!("wipefs {blank}")).answer(), "");
}

fn asks(devices: &str) -> String {
    format!("volume_group: {{name: vg, extend_with: [{devices}]}}")
}

fn pvs() -> String {
    lvm("vgs --noheadings -o pv_count vg").answer().to_owned()
}
