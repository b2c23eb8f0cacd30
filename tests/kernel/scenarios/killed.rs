//! lvmend is killed at every record of its journal; the run is then resumed, or rolled back.

use std::time::Duration;

use crate::lab::{STATE, disks, fill, lvm, lvm_conf, lvmend, plan, sha256, start, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("killed", story).within(Duration::from_secs(400));

/// Run begins; evidence begins, is saved; LV is put back: begins, is done; activated: begins, is
/// done; run is over.
const RECORDS: usize = 8;

fn story() {
    lvm_conf::set(&[("backup/backup", "0"), ("backup/archive", "0")]);
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("lvcreate -n precious -L 8M vg");
    fill("/dev/vg/precious");
    let digest = sha256("/dev/vg/precious");
    let back = plan(
        "lost",
        "volume_group: {name: vg}\nlogical_volumes: {precious: {state: present, activation: active}}",
    );
    for record in 1..=RECORDS {
        for way in ["resume", "rollback"] {
            lvm("lvchange -an vg");
            lvm("lvremove -y vg/precious");
            let mut run = start(STATE, &format!("apply --yes {back}"));
            let name = run.wait_for_record(record);
            let written = run.kill();
            println!("# killed at record {record} or soon after, {written} are written: {way}");
            let code = lvmend(&format!("{way} {name}")).code;
            // A run that came to its end before it was killed is over, and can be rolled back.
            let is_over = written == RECORDS && way == "resume";
            assert_eq!(code, if is_over { 3 } else { 0 }, "{way} at record {record}");
            if way == "resume" {
                assert_eq!(sha256("/dev/vg/precious"), digest, "record {record}");
                lvmend(&format!("apply --yes {back}")).exits(0).says("Nothing to do");
            } else {
                try_lvm("lvs vg/precious").exits(5);
                lvmend(&format!("apply --yes {back}")).exits(0).says("done and verified");
            }
            lvm("vgck vg");
        }
    }
}
