//! The command that makes or removes the snapshot is killed in the middle, with devices suspended: they run
//! again at once, the next attempt makes the backup, and nothing is left.

use std::path::Path;
use std::time::Duration;

use crate::lab::{Witness, disks, lvm, lvmend, plan, sh, try_sh};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario =
    Scenario::shared("snapshot_killed", around_suspensions).within(Duration::from_secs(300));

/// Before every call that changes anything; `make test-crash`.
pub const MATRIX: Scenario = Scenario::shared("snapshot_crash_matrix", before_every_call)
    .within(Duration::from_secs(1800))
    .long();

const AT: &str = "/mnt/snap/data";
const WRAPPER: &str = r#"#!/bin/sh
if [ "$1" = "$(cat /run/kill-what 2>/dev/null)" ]; then
  at=$(cat /run/kill-at); rm /run/kill-what
  exec strace -o /run/calls -e trace=ioctl -e inject=ioctl:signal=KILL:when=$at /usr/lib/real/lvm "$@"
fi
exec /usr/lib/real/lvm "$@"
"#;

fn around_suspensions() {
    // Killed behind a suspension, and before the next.
    let kills = story(|calls| {
        let mut chosen = Vec::new();
        for pair in calls.windows(2) {
            if pair[0].0 == "DM_DEV_SUSPEND" && pair[1].0 == "DM_DEV_SUSPEND" {
                chosen.push(pair[1].1);
            }
        }
        chosen.truncate(1);
        chosen
    });
    assert_eq!(kills, 2);
}

fn before_every_call() {
    let kills = story(|calls| calls.iter().map(|(_, at)| *at).collect());
    println!("# {kills} kills");
    assert!(kills >= 20, "{kills}");
}

fn story(choose: fn(&[(String, usize)]) -> Vec<usize>) -> usize {
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("lvcreate -y -n data -L 32M vg");
    sh(&format!("mkdir -p {AT} /mnt/data"));
    sh("mkfs.ext4 -q /dev/vg/data && mount /dev/vg/data /mnt/data && date >/mnt/data/precious");
    let backup = plan(
        "killed",
        &format!(
            "volume_group: {{name: vg}}\ntasks: [{{snapshot_backup: {{origin: data, snapshot: snap_data, size: \
             8MiB, attempts: 2, mount: {{at: {AT}}}, run: [{{argv: [test, -e, {AT}/precious], timeout: 10s}}]}}}}]"
        ),
    );
    let mut kills = 0;
    for (command, words) in [
        ("lvcreate", "lvcreate -y -s -n snap_data -L 8M vg/data"),
        ("lvremove", "lvremove -y vg/snap_data"),
    ] {
        let calls = calls_of(words);
        println!("# {command}: {calls:?}");
        if command == "lvcreate" {
            lvm("lvremove -y vg/snap_data");
        }
        sh("mkdir -p /usr/lib/real; mv /usr/sbin/lvm /usr/lib/real/lvm");
        std::fs::write("/usr/sbin/lvm", WRAPPER).unwrap();
        sh("chmod 755 /usr/sbin/lvm");
        for at in choose(&calls) {
            println!("# {command} is killed before call {at}");
            sh("rm -f /mnt/data/witness");
            let writer = Witness::begin(Path::new("/mnt/data"));
            sh(&format!("echo {at} >/run/kill-at; echo {command} >/run/kill-what"));
            let ran = lvmend(&format!("apply --yes {backup}")).exits(0);
            assert_eq!(try_sh("test -e /run/kill-what").code, 1, "it was not killed");
            let ran = ran.says("signal 9");
            assert!(ran.stdout.contains("done and verified"));
            let devices = sh("dmsetup info -c --noheadings -o name,suspended,tables_loaded").stdout;
            assert!(!devices.contains("Suspended") && !devices.contains("nactive"), "{devices}");
            assert_eq!(lvm("lvs --noheadings -o lv_name vg").answer(), "data");
            assert_eq!(try_sh(&format!("mountpoint -q {AT}")).code, 32);
            assert!(writer.end().held_up < Duration::from_secs(20));
            kills += 1;
        }
        sh("mv /usr/lib/real/lvm /usr/sbin/lvm");
        if command == "lvcreate" {
            lvm("lvcreate -y -s -n snap_data -L 8M vg/data");
        }
    }
    sh("umount /mnt/data && e2fsck -fn /dev/vg/data");
    lvm("vgck vg");
    kills
}

/// The calls to device-mapper that change something: what each is, and which of all calls it is.
fn calls_of(words: &str) -> Vec<(String, usize)> {
    const CALLS: [&str; 5] =
        ["DM_DEV_CREATE", "DM_TABLE_LOAD", "DM_DEV_SUSPEND", "DM_DEV_REMOVE", "DM_TABLE_CLEAR"];
    sh(&format!("strace -o /run/calls -e trace=ioctl lvm {words}"));
    let log = std::fs::read_to_string("/run/calls").unwrap();
    let calls = log.lines().filter(|line| line.starts_with("ioctl(")).enumerate();
    let which = |(at, line): (usize, &str)| {
        let call = CALLS.iter().find(|call| line.contains(**call))?;
        Some(((*call).to_owned(), at + 1))
    };
    calls.filter_map(which).collect()
}
