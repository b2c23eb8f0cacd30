//! Who may run it, and where its runs may be kept: refused before anything is written.

use crate::lab::{disks, lvm, lvmend_with_state, plan, sh, sha256, try_sh};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("not_root", story);

fn story() {
    let [a] = disks(64);
    lvm(&format!("vgcreate vg {a}"));
    lvm("lvcreate -n precious -L 8M -Zn -Wn vg");
    lvm("lvremove -y vg/precious");
    let back =
        plan("lost", "volume_group: {name: vg}\nlogical_volumes: {precious: {state: present}}");
    let before = sha256(&a.to_string());

    // To others it says that it takes root, and not that there is nothing to mend.
    sh("mkdir -p /run/others && chmod 777 /run/others");
    for words in ["inspect vg", &format!("plan {back}"), &format!("apply --yes {back}")] {
        let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
        let flags = "--volatile-state --state-dir /run/others";
        try_sh(&format!("{nobody} /lab/lvmend {flags} {words}")).exits(3).says("root");
    }
    // What outlives no power cut is no place for runs, unless somebody says so.
    let words = format!("apply --yes {back}");
    lvmend_with_state("/run/volatile", &words).exits(3).says("--volatile-state");
    assert_eq!(sha256(&a.to_string()), before, "something was written");
    lvmend_with_state("/run/volatile", &format!("--volatile-state {words}")).exits(0);
}
