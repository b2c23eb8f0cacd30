//! lvmend is killed before every call of a reload: within two seconds nothing is suspended, all tables are the
//! old ones or all are the new, and the run is resumed, or rolled back.

use std::fs;
use std::time::{Duration, Instant};

use crate::lab::STATE;
use crate::lab::{
    DeviceMapper, disks, fill, lvm, lvmend, newest_run, sh, sha256, try_sh, wait_until,
};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario =
    Scenario::shared("reload_killed", story).within(Duration::from_secs(300));

const PLAN: &str = include_str!("../../../plans/stale-tables.yaml");
const LAYER: &str = "vg0-m_mimagetmp_2";
/// Calls that change something.
const CALLS: [&str; 6] = [
    "DM_TABLE_CLEAR",
    "DM_DEV_CREATE",
    "DM_TABLE_LOAD",
    "DM_DEV_SUSPEND",
    "DM_DEV_RENAME",
    "DM_DEV_REMOVE",
];

fn story() {
    let [a, b, c] = disks(32);
    lvm(&format!("vgcreate vg0 {a} {b} {c}"));
    lvm("lvcreate --type mirror -m 1 --mirrorlog disk -L 8M -n m vg0");
    let in_sync = || lvm("lvs --noheadings -o sync_percent vg0/m").answer() == "100.00";
    wait_until("the mirror is in sync", in_sync);
    fill("/dev/vg0/m");
    let digest = sha256("/dev/vg0/m");
    fs::write("/tmp/plan.yaml", PLAN).unwrap();
    let new = tables();

    let old = break_it();
    let calls = calls_of_a_run();
    assert!(calls.len() >= 7, "{calls:?}");
    assert_eq!(tables(), new);
    for (nth, (call, at)) in calls.iter().enumerate() {
        println!("# killed before call {nth}, {call}");
        let old_again = break_it();
        assert_eq!(old_again, old);
        let kill = format!("-e inject=ioctl:signal=KILL:when={at}");
        let ended = try_sh(&format!("strace -o /tmp/log -e trace=ioctl {kill} {}", apply()));
        assert_ne!(ended.code, 0);
        runs_again();
        let found = tables();
        assert!(found == old || without_layer(&found) == new, "{found}");
        let run = newest_run();
        if nth % 2 == 0 {
            lvmend(&format!("resume {run}")).exits(0);
        } else {
            lvmend(&format!("rollback {run}"));
            assert!(tables() == old || tables() == new);
            if lvmend("apply --yes /tmp/plan.yaml").code == 7 {
                lvmend(&format!("abandon {run} --because seen"));
                lvmend("apply --yes /tmp/plan.yaml").exits(0);
            }
        }
        assert_eq!(tables(), new);
        assert_eq!(sha256("/dev/vg0/m"), digest);
    }
}

fn apply() -> String {
    format!("/lab/lvmend --state-dir {STATE} --volatile-state apply --yes /tmp/plan.yaml")
}

/// The top runs over a layer that left, which has a table that waits besides.
fn break_it() -> String {
    let vg = lvm("vgs --noheadings -o vg_uuid vg0").answer().replace('-', "");
    let lv = "L".repeat(32);
    sh(&format!("dmsetup table vg0-m | dmsetup create {LAYER} -u LVM-{vg}{lv}"));
    sh(&format!(
        "s=$(dmsetup table vg0-m | cut -d' ' -f2); \
         n=$(dmsetup info -c --noheadings --separator : -o major,minor {LAYER}); \
         echo 0 $s linear $n 0 | dmsetup load vg0-m && dmsetup suspend vg0-m && dmsetup resume vg0-m; \
         echo 0 $s error | dmsetup load vg0-m_mimage_1"
    ));
    tables()
}

/// Every live table, by name: numbers change.
fn tables() -> String {
    sh("dmsetup table | sed -E \"s/ 25[0-9]:[0-9]+//g\" | sort").answer().to_owned()
}

/// What is left when only the removal of the emptied layer is to come.
fn without_layer(tables: &str) -> String {
    let emptied = format!("{LAYER}: 0 16384 error");
    let rest = tables.lines().filter(|line| line.trim_end() != emptied);
    rest.collect::<Vec<_>>().join("\n")
}

/// The calls of an undisturbed run that change something: what each is, and which of all it is.
fn calls_of_a_run() -> Vec<(String, usize)> {
    sh(&format!("strace -o /tmp/log -e trace=ioctl {}", apply()));
    let log = fs::read_to_string("/tmp/log").unwrap();
    let calls = log.lines().filter(|line| line.starts_with("ioctl(")).enumerate();
    let which = |(at, line): (usize, &str)| {
        let call = CALLS.iter().find(|call| line.contains(**call))?;
        Some(((*call).to_owned(), at + 1))
    };
    calls.filter_map(which).collect()
}

fn runs_again() {
    let begun = Instant::now();
    while DeviceMapper::all().iter().any(|device| device.suspended) {
        assert!(begun.elapsed() < Duration::from_secs(2), "suspended for too long");
        std::thread::sleep(Duration::from_millis(5));
    }
    // The guard is done when it holds the lock of the run no more.
    let free = || try_sh("flock -n $(ls /run/lock/lvmend/* | grep -v holder) true").code == 0;
    wait_until("the guard has ended", free);
    println!("# everything ran again after {:?}", begun.elapsed());
}
