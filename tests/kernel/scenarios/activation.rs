//! LVs are wanted active and inactive: by name and by glob, thin ones, a snapshot and its origin.

use crate::lab::{disks, fill, lvm, lvmend, mend, newest_run, plan, sh, sha256};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("activation", story);

fn story() {
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("lvcreate -n line1 -L 8M vg");
    lvm("lvcreate -n line2 -an -Zn -L 8M vg");
    lvm("lvcreate -n origin -L 8M vg");
    lvm("lvcreate -s -n snap -L 4M vg/origin");
    lvm("lvcreate --type thin-pool -n pool -L 16M vg");
    lvm("lvcreate -n thin1 -V 8M --thinpool pool vg");
    lvm("lvcreate -n thin2 -V 8M --thinpool pool vg");
    fill("/dev/vg/line1");
    fill("/dev/vg/thin1");
    let digests = (sha256("/dev/vg/line1"), sha256("/dev/vg/thin1"));
    let before = devices();

    // An origin goes only together with its snapshot: half of that is no plan.
    let half =
        plan("half", "volume_group: {name: vg}\nlogical_volumes: {origin: {activation: inactive}}");
    lvmend(&format!("apply --yes {half}")).exits(3).says("LV snap, which the plan leaves active");
    assert_eq!(devices(), before);

    let states = plan(
        "states",
        "volume_group: {name: vg}\nlogical_volumes:\n  line2: {activation: active}\n  \
         \"*\": {activation: inactive}",
    );
    mend(&states);
    assert_eq!(devices(), "vg-line2");
    assert_eq!(active(), "line2");
    let run = newest_run();
    lvmend(&format!("rollback {run}")).exits(0).says("rolled back");
    assert_eq!(devices(), before);
    assert_eq!((sha256("/dev/vg/line1"), sha256("/dev/vg/thin1")), digests);

    lvm("vgchange -an vg");
    let up = plan(
        "up",
        "volume_group: {name: vg}\nlogical_volumes:\n  \"thin*\": {activation: active}\n  \
         snap: {activation: active}\n  line1: {activation: active}",
    );
    lvmend(&format!("apply --yes {up}")).exits(0).says("done and verified");
    assert_eq!(active(), "line1 origin snap thin1 thin2");
    assert_eq!((sha256("/dev/vg/line1"), sha256("/dev/vg/thin1")), digests);
    lvm("vgchange -an vg");
    recovered_is_read_only(&digests.0);
}

fn recovered_is_read_only(digest: &str) {
    lvm("lvremove -y vg/line1");
    let back = plan(
        "back",
        "volume_group: {name: vg}\n\
         logical_volumes: {line1: {state: present, activation: active}}",
    );
    lvmend(&format!("apply --yes {back}")).exits(0).says("done and verified");
    assert_eq!(sh("blockdev --getro /dev/vg/line1").answer(), "1");
    assert_eq!(sha256("/dev/vg/line1"), digest);
    lvmend(&format!("rollback {}", newest_run())).exits(0).says("rolled back");
    assert_eq!(devices(), "");
    lvm("vgck vg");
}

/// What device-mapper has of the VG.
fn devices() -> String {
    words(&sh("dmsetup ls | cut -f1 | { grep ^vg- || true; } | sort").stdout)
}

/// The LVs with a device of their own; a pool has one whenever a thin LV of it does.
fn active() -> String {
    words(
        &lvm("lvs --noheadings -o lv_name -S lv_active=active&&lv_layout!=pool -O lv_name vg")
            .stdout,
    )
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
