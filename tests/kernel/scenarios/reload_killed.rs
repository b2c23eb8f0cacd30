//! lvmend is killed before calls of a reload, or a call fails: within two seconds nothing is suspended, all tables are the
//! old ones or all are the new, and the run is resumed, or rolled back.

use std::fs;
use std::time::{Duration, Instant};

use crate::lab::STATE;
use crate::lab::{
    DeviceMapper, disks, fill, lvm, lvmend, newest_run, sh, sha256, try_sh, wait_until,
};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario =
    Scenario::shared("reload_killed", around_suspensions).within(Duration::from_secs(300));
/// Every call, each once to be resumed and once to be rolled back, and a stack that was found suspended.
pub const MATRIX: Scenario =
    Scenario::shared("reload_crash_matrix", every_call).within(Duration::from_secs(1800)).long();

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

/// Something that is broken again and again.
struct Case {
    break_it: fn(),
    /// Devices that are suspended then.
    suspended: &'static [&'static str],
    /// An LV of which nobody may lose a byte.
    lv: &'static str,
}

const LAYER_LEFT: Case = Case { break_it: over_a_layer, suspended: &[], lv: "/dev/vg0/m" };
const HALF_SUSPENDED: Case = Case {
    break_it: half_suspended,
    suspended: &["vg0-origin", "vg0-snap"],
    lv: "/dev/vg0/origin",
};

fn around_suspensions() {
    make();
    // With one device suspended; with one resumed.
    let kills = kill_at_calls(&LAYER_LEFT, |nth| matches!(nth, Some(1 | 3)), &["resume", "fail"]);
    assert_eq!(kills, 4);
}

fn every_call() {
    make();
    let kills = kill_at_calls(&LAYER_LEFT, |_| true, &["resume", "rollback", "fail"]);
    let more = kill_at_calls(&HALF_SUSPENDED, |_| true, &["resume", "rollback", "fail"]);
    println!("# {} kills", kills + more);
    assert!(kills >= 24 && more >= 15, "{kills} {more}");
}

fn make() {
    let [a, b, c] = disks(32);
    lvm(&format!("vgcreate vg0 {a} {b} {c}"));
    lvm("lvcreate --type mirror -m 1 --mirrorlog disk -L 8M -n m vg0");
    let in_sync = || lvm("lvs --noheadings -o sync_percent vg0/m").answer() == "100.00";
    wait_until("the mirror is in sync", in_sync);
    fill("/dev/vg0/m");
    lvm("lvcreate -L 4M -n origin vg0");
    fill("/dev/vg0/origin");
    lvm("lvcreate -s -L 4M -n snap vg0/origin");
    fs::write("/tmp/plan.yaml", PLAN).unwrap();
}

fn kill_at_calls(case: &Case, is_tried: impl Fn(Option<usize>) -> bool, ways: &[&str]) -> usize {
    let digest = sha256(case.lv);
    let new = tables();
    (case.break_it)();
    let old = tables();
    let calls = calls_of_a_run();
    assert_eq!(tables(), new);
    let mut kills = 0;
    let suspends = |(call, _): &&(String, usize)| call == "DM_DEV_SUSPEND";
    let around: Vec<usize> = calls.iter().filter(suspends).map(|(_, at)| *at).collect();
    let nth = |at: usize| around.iter().position(|other| *other == at);
    for (call, at) in calls.iter().filter(|(_, at)| is_tried(nth(*at))) {
        for way in ways {
            println!("# killed before call {at}, {call}");
            (case.break_it)();
            assert_eq!(tables(), old);
            let what = if *way == "fail" { "error=ENOMEM" } else { "signal=KILL" };
            let inject = format!("-e inject=ioctl:{what}:when={at}");
            let ended = try_sh(&format!("strace -o /tmp/log -e trace=ioctl {inject} {}", apply()));
            assert!(ended.code != 0 || *way == "fail");
            runs_again(case);
            let found = tables();
            assert!(found == old || without_layer(&found) == new, "{found}");
            if *way == "fail" {
                // It went back, or on by itself: nothing is left open.
                assert!(matches!(ended.code, 0 | 1 | 6), "{}", ended.code);
                lvmend("apply --yes /tmp/plan.yaml").exits(0);
            } else {
                go_on(way, &old, &new);
            }
            assert_eq!(tables(), new);
            assert_eq!(sha256(case.lv), digest);
            kills += 1;
        }
    }
    kills
}

fn go_on(way: &str, old: &str, new: &str) {
    let run = newest_run();
    if way == "resume" {
        lvmend(&format!("resume {run}")).exits(0);
        // An emptied layer leads nowhere: where the last call was missed, the next plan takes it away.
        if tables() != new {
            assert_eq!(without_layer(&tables()), new);
            lvmend("apply --yes /tmp/plan.yaml").exits(0);
        }
        return;
    }
    let back = lvmend(&format!("rollback {run}"));
    assert!(tables() == old || without_layer(&tables()) == new);
    // Where there is no way back it says so.
    if !matches!(back.code, 0 | 6) {
        lvmend(&format!("abandon {run} --because seen"));
    }
    lvmend("apply --yes /tmp/plan.yaml").exits(0);
}

fn apply() -> String {
    format!("/lab/lvmend --state-dir {STATE} --volatile-state apply --yes /tmp/plan.yaml")
}

/// The top and the snapshot are suspended; what lies below has another table, and one that waits.
fn half_suspended() {
    sh("dmsetup suspend --nolockfs vg0-origin && dmsetup suspend vg0-snap; \
        dmsetup table vg0-origin-real | awk '{$5 += 8; print}' > /tmp/other; \
        dmsetup load vg0-origin-real /tmp/other; \
        dmsetup suspend vg0-origin-real && dmsetup resume vg0-origin-real; \
        dmsetup table vg0-snap-cow | dmsetup load vg0-snap-cow");
}

/// The top runs over a layer that left, which has a table that waits besides.
fn over_a_layer() {
    let vg = lvm("vgs --noheadings -o vg_uuid vg0").answer().replace('-', "");
    let lv = "L".repeat(32);
    sh(&format!("dmsetup table vg0-m | dmsetup create {LAYER} -u LVM-{vg}{lv}"));
    sh(&format!(
        "s=$(dmsetup table vg0-m | cut -d' ' -f2); \
         n=$(dmsetup info -c --noheadings --separator : -o major,minor {LAYER}); \
         echo 0 $s linear $n 0 | dmsetup load vg0-m && dmsetup suspend vg0-m && dmsetup resume vg0-m; \
         echo 0 $s error | dmsetup load vg0-m_mimage_1"
    ));
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

fn runs_again(case: &Case) {
    let begun = Instant::now();
    let is_held =
        |device: &DeviceMapper| device.suspended && !case.suspended.contains(&device.name.as_str());
    while DeviceMapper::all().iter().any(is_held) {
        assert!(begun.elapsed() < Duration::from_secs(2), "suspended for too long");
        std::thread::sleep(Duration::from_millis(5));
    }
    // The guard is done when it holds the lock of the run no more.
    let free = || try_sh("flock -n $(ls /run/lock/lvmend/* | grep -v holder) true").code == 0;
    wait_until("the guard has ended", free);
    println!("# everything ran again after {:?}", begun.elapsed());
}
