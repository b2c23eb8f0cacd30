//! lvmend is killed while a command of LVM2 writes on its behalf: that goes on, keeps LVM's locks,
//! and whoever takes the run up again waits for it.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::lab::{STATE, disks, fill, lvm, lvmend, plan, sh, sha256, start, try_sh};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("orphan", story);

fn story() {
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("lvcreate -n precious -L 8M vg");
    fill("/dev/vg/precious");
    let digest = sha256("/dev/vg/precious");
    lvm("lvremove -y vg/precious");
    let back =
        plan("lost", "volume_group: {name: vg}\nlogical_volumes: {precious: {state: present}}");

    // The command finds its own lock held, and waits.
    sh("mkdir -m 700 -p /run/lvmend/locks");
    sh("setsid flock /run/lvmend/locks/P_global sleep 1000 >/dev/null 2>&1 &");
    let mut run = start(STATE, &format!("apply --yes {back}"));
    let name = run.wait_for_record(4);
    let child = child_of(run.pid());
    run.kill();
    assert!(is_there(child), "the command did not outlive lvmend");
    // The global lock and the VG's: nobody else of LVM2 gets in.
    for lock in ["P_global", "V_vg"] {
        try_sh(&format!("flock -n /run/lock/lvm/{lock} true")).exits(1);
    }
    lvmend(&format!("runs show {name}")).exits(0).says("outcome not known");
    let mut resumed = start(STATE, &format!("resume {name}"));
    sleep(Duration::from_secs(3));
    assert!(!resumed.is_over(), "it did not wait for the command of the run before");
    sh("pkill -f 'sleep 1000'");
    assert_eq!(resumed.end(), Some(0));
    lvm("lvchange -ay -K vg/precious");
    assert_eq!(sha256("/dev/vg/precious"), digest);
    lvm("vgck vg");
}

fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}/exe")).exists()
}

/// The command of LVM2 that this process runs.
fn child_of(pid: u32) -> u32 {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
            let command = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            let writes = command.windows(12).any(|word| word == b"vgcfgrestore");
            if parent == Some(pid.to_string().as_str()) && writes {
                return child;
            }
        }
    }
    panic!("no command of LVM2 was seen");
}
