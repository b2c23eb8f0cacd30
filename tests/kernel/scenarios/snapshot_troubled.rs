//! Backups in trouble: a mount that fails at first, programs that fail or hang, a snapshot that overflows
//! while a program goes on, one that overflowed and is mounted still, lvmend asked to stop or killed. What
//! ever happens, nothing is left mounted, made or suspended, and the writer on the origin meets no error.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::lab::{
    STATE, Witness, disks, lvm, lvmend, newest_run, plan, sh, start, try_sh, wait_until,
};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario =
    Scenario::shared("snapshot_troubled", story).within(Duration::from_secs(400));

const AT: &str = "/mnt/snap/data";

fn story() {
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("lvcreate -y -n data -L 32M vg");
    sh(&format!("mkdir -p {AT} /mnt/data"));
    sh("mkfs.ext4 -q /dev/vg/data && mount /dev/vg/data /mnt/data");
    sh("head -c 1M /dev/urandom >/mnt/data/precious");
    let writer = Witness::begin(Path::new("/mnt/data"));
    // A service with a mount namespace of its own gets every mount as well, as on most machines.
    sh("mount --make-rshared / && { unshare -m --propagation slave sleep 999 >/dev/null 2>&1 & }");
    fails_to_mount();
    fails();
    hangs();
    overflows();
    overflowed_and_mounted();
    asked_to_stop();
    killed();
    writer.end();
    sh("mount --make-rprivate /; pkill -f 'sleep 999'");
    sh("umount /mnt/data && e2fsck -fn /dev/vg/data");
    lvm("vgck vg");
}

fn backup(name: &str, argv: &str, more: &str) -> String {
    plan(
        name,
        &format!(
            "volume_group: {{name: vg}}\ntasks: [{{snapshot_backup: {{origin: data, snapshot: snap_data, \
             size: 8MiB, attempts: 2, mount: {{at: {AT}}}, run: [{{argv: {argv}, timeout: 5s}}]}}}}]\n{more}"
        ),
    )
}

#[track_caller]
fn nothing_left() {
    let lvs = lvm("lvs --noheadings -o lv_name vg").stdout;
    assert!(!lvs.contains("snap_data"), "{lvs}");
    assert_eq!(try_sh(&format!("mountpoint -q {AT}")).code, 32);
    let devices = sh("dmsetup info -c --noheadings -o name,suspended,tables_loaded").stdout;
    assert!(!devices.contains("Suspended") && !devices.contains("nactive"), "{devices}");
    assert!(!devices.contains("-cow"), "{devices}");
    assert_eq!(try_sh("pgrep -f 'sleep 777'").code, 1);
}

/// The first time `mount` fails, which is told; then once too often.
fn fails_to_mount() {
    sh("cp /usr/bin/mount /usr/bin/mount.real && rm /usr/bin/mount");
    let script = "#!/bin/sh\\ncase \"$*\" in *snap_data*)\\n n=$(cat /run/tries 2>/dev/null || echo 0)\\n \
                  echo $((n+1)) >/run/tries\\n [ $n -lt $(cat /run/fails) ] && { echo no luck $n >&2; exit 32; }\\nesac\\n\
                  exec /usr/bin/mount.real \"$@\"\\n";
    sh(&format!(
        "printf '{script}' >/usr/bin/mount && chmod 755 /usr/bin/mount && echo 1 >/run/fails"
    ));
    let tries = backup("tries", "[test, -e, /mnt/snap/data/precious]", "");
    let ran = lvmend(&format!("apply --yes {tries}"));
    let ran = ran.exits(0).says("attempt 1 of 2 failed").says("no luck 0");
    assert!(ran.stdout.contains("attempt 1 failed"), "{}", ran.stdout);
    nothing_left();
    // Once too often.
    sh("rm /run/tries && echo 2 >/run/fails");
    lvmend(&format!("apply --yes {tries}")).exits(6).says("no luck 1").says("(attempt 2)");
    nothing_left();
    sh("rm /usr/bin/mount && mv /usr/bin/mount.real /usr/bin/mount && rm /run/tries");
}

/// A program that fails is not run again, and what it said is told.
fn fails() {
    let fails = backup(
        "fails",
        "[sh, -c, 'echo out; echo the disk of the backup is full >&2; exit 3']",
        "",
    );
    let ran = lvmend(&format!("--format json apply --yes {fails}")).exits(6);
    let ran = ran.says("ended with exit code 3").says("the disk of the backup is full");
    assert!(ran.stdout.contains("\"outcome\": \"rolled_back\""), "{}", ran.stdout);
    assert!(!ran.stderr.contains("attempt"), "{}", ran.stderr);
    nothing_left();
}

/// A program that does not end is ended with everything it started, where it ignores the first word too.
fn hangs() {
    let hangs = backup(
        "hangs",
        "[sh, -c, 'trap \"\" TERM; sleep 777 & cd $LVMEND_MOUNT; sleep 777; sleep 777']",
        "",
    );
    let begun = Instant::now();
    lvmend(&format!("apply --yes {hangs}")).exits(6).says("took longer than 5s and was stopped");
    assert!(begun.elapsed() < Duration::from_secs(60));
    nothing_left();
}

/// The snapshot overflows while the program goes on: it is stopped at once.
fn overflows() {
    let waits = backup("overflows", "[sh, -c, 'touch /run/begun; sleep 777']", "")
        .replace(".yaml", "-long.yaml");
    let text = std::fs::read_to_string("/tmp/overflows.yaml").unwrap();
    std::fs::write(&waits, text.replace("timeout: 5s", "timeout: 5m")).unwrap();
    let run = start(STATE, &format!("apply --yes {waits}"));
    wait_until("the program runs", || Path::new("/run/begun").exists());
    sh(
        "dd if=/dev/urandom of=/mnt/data/much bs=1M count=16 conv=fsync status=none; rm /mnt/data/much /run/begun",
    );
    let begun = Instant::now();
    assert_eq!(run.end(), Some(6));
    assert!(begun.elapsed() < Duration::from_secs(30));
    lvmend(&format!("runs show {}", newest_run())).exits(0).says("overflowed");
    nothing_left();
}

/// The case of every morning: last night's snapshot overflowed, and is mounted still.
fn overflowed_and_mounted() {
    lvm("lvcreate -y -s -n snap_data -L 4M --addtag lvmend.snapshot=morning vg/data");
    sh(&format!("mount -o ro,noload /dev/vg/snap_data {AT}"));
    sh(
        "dd if=/dev/urandom of=/mnt/data/much bs=1M count=16 conv=fsync status=none; rm /mnt/data/much",
    );
    sh("dmsetup status vg-snap_data").says("Invalid");
    let argv = "[test, -e, /mnt/snap/data/precious]";
    let morning = backup("morning", argv, "policy: {busy: {wait: 2s}}");
    lvmend(&format!("apply --yes {morning}")).exits(3).says("volume-in-use").says(AT);
    lvm("lvs vg/snap_data");
    let morning =
        backup("morning", argv, &format!("policy: {{busy: {{wait: 2s, unmount: [{AT}]}}}}"));
    lvmend(&format!("apply --yes {morning}")).exits(0).says("done and verified");
    nothing_left();
}

fn long_one(name: &str) -> String {
    let path = backup(name, "[sh, -c, 'touch /run/begun; sleep 777']", "");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("timeout: 5s", "timeout: 10m")).unwrap();
    path
}

/// Asked to stop, it does not wait for the program; the run is taken up again, or not.
fn asked_to_stop() {
    let plan = long_one("stopped");
    let run = start(STATE, &format!("apply --yes {plan}"));
    wait_until("the program runs", || Path::new("/run/begun").exists());
    sh(&format!("rm /run/begun; kill -TERM {}", run.pid()));
    assert_eq!(run.end(), Some(7));
    nothing_left();
    let name = newest_run();
    lvmend(&format!("apply --yes {plan}")).exits(7).says(&name);
    lvmend(&format!("rollback {name}")).exits(0);
    nothing_left();
}

/// Killed while the program runs: that goes with it, and `resume` or `rollback` remove the rest.
fn killed() {
    let plan = long_one("killed");
    for way in ["rollback", "resume"] {
        let run = start(STATE, &format!("apply --yes {plan}"));
        wait_until("the program runs", || Path::new("/run/begun").exists());
        sh(&format!("rm /run/begun; kill -KILL {}", run.pid()));
        run.end();
        wait_until("the program is gone", || try_sh("pgrep -f 'sleep 777'").code == 1);
        sh(&format!("mountpoint -q {AT}"));
        let name = newest_run();
        if way == "rollback" {
            lvmend(&format!("rollback {name}")).exits(0);
        } else {
            // What the second try runs ends by itself.
            let run = start(STATE, &format!("resume {name}"));
            wait_until("the program runs", || Path::new("/run/begun").exists());
            sh("rm /run/begun; pkill -f 'sleep 777'");
            assert_eq!(run.end(), Some(6));
        }
        nothing_left();
    }
}
