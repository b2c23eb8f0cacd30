//! lvmend is asked to end: it finishes the step, stops, and the run is taken up again. Asked twice
//! it ends at once, and leaves the command that writes alone.

use std::thread::sleep;
use std::time::Duration;

use crate::lab::{STATE, disks, fill, lvm, lvmend, plan, sh, sha256, start, wait_until};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("signals", story).within(Duration::from_secs(240));

fn story() {
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("lvcreate -n precious -L 8M vg");
    fill("/dev/vg/precious");
    let digest = sha256("/dev/vg/precious");
    let back = plan(
        "lost",
        "volume_group: {name: vg}\nlogical_volumes: {precious: {state: present, activation: active}}",
    );
    sh("mkdir -m 700 -p /run/lvmend/locks");

    for (signal, way) in [("TERM", "resume"), ("INT", "rollback"), ("HUP", "resume")] {
        lvm("lvremove -y vg/precious");
        let name = stopped_at_the_splice(&back, &[signal]);
        lvm("lvs vg/precious");
        lvmend(&format!("runs show {name}")).exits(0).says("not begun");
        lvmend(&format!("{way} {name}")).exits(0);
        if way == "rollback" {
            lvmend(&format!("apply --yes {back}")).exits(0);
        }
        assert_eq!(sha256("/dev/vg/precious"), digest);
    }

    // Twice: the command that writes goes on, and is waited for by whoever resumes.
    lvm("lvremove -y vg/precious");
    let name = stopped_at_the_splice(&back, &["TERM", "TERM"]);
    lvmend(&format!("resume {name}")).exits(0);
    assert_eq!(sha256("/dev/vg/precious"), digest);
    lvm("vgck vg");
}

/// Applies the plan, and sends the signals while the command waits that puts the LV back. The name
/// of the run.
fn stopped_at_the_splice(back: &str, signals: &[&str]) -> String {
    sh("setsid flock /run/lvmend/locks/P_global sleep 1000 >/dev/null 2>&1 & sleep 0.2");
    let mut run = start(STATE, &format!("apply --yes {back}"));
    let name = run.wait_for_record(4);
    wait_until("the command waits", || {
        sh("pgrep -f vgcfgrestore || true").answer().lines().count() > 0
    });
    for signal in signals {
        sh(&format!("kill -{signal} {}; sleep 0.5", run.pid()));
    }
    if signals.len() > 1 {
        wait_until("it ends at the second signal", || run.is_over());
        sh("pgrep -f vgcfgrestore");
        sh("pkill -f 'sleep 1000'");
    } else {
        sleep(Duration::from_secs(1));
        assert!(!run.is_over(), "it did not wait for the command");
        sh("pkill -f 'sleep 1000'");
    }
    assert_eq!(run.end(), Some(7));
    name
}
