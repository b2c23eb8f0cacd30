//! Copies that are killed, stopped, or meet a disk that fails: taken up where they were, read as far as that
//! goes, with every place that cannot be read named; a finished copy is nothing to do. By the ready plan.

use std::fs;
use std::time::Duration;

use crate::lab::{
    STATE, disks, lvm, lvmend, newest_run, plan, sh, sha256, start, try_sh, wait_until,
};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario =
    Scenario::shared("copy_stopped", story).within(Duration::from_secs(240));

const READY: &str = include_str!("../../../plans/deleted-lv-copy.yaml");

fn story() {
    let [a, b] = disks(224);
    // What is slow can be killed in the middle.
    let size = sh(&format!("blockdev --getsz {b}")).answer().to_owned();
    sh(&format!(
        "echo 0 {size} delay {b} 0 0 {b} 0 200 | dmsetup create slow && dmsetup mknodes slow && mkfs.ext4 -q /dev/mapper/slow && \
         mkdir -p /srv/rescue && mount /dev/mapper/slow /srv/rescue && rmdir /srv/rescue/lost+found"
    ));
    lvm(&format!("vgcreate vg0 {a}"));
    lvm("lvcreate -y -n data -L 96M vg0");
    sh(
        "head -c 96M /dev/urandom | dd of=/dev/vg0/data bs=4M oflag=direct iflag=fullblock status=none",
    );
    let digest = sha256("/dev/vg0/data");
    lvm("lvremove -y vg0/data");
    fs::write("/tmp/ready.yaml", READY).unwrap();
    lvmend("plan /tmp/ready.yaml").exits(2).says("/srv/rescue/data.img");
    taken_up(&digest);
    over_another(&digest);
    unreadable();
    sh("umount /srv/rescue && dmsetup remove slow");
}

/// Killed with a part on the disk, then asked to stop, then brought to its end.
fn taken_up(digest: &str) {
    let run = start(STATE, "apply --yes /tmp/ready.yaml");
    let part = "ls /srv/rescue/*.lvmend-part-*.map";
    wait_until("it is written down how far it came", || try_sh(part).code == 0);
    sh(&format!("kill -KILL {}", run.pid()));
    run.end();
    let name = newest_run();
    let run = start(STATE, &format!("resume {name}"));
    let holds_part = format!("ls -l /proc/{}/fd | grep lvmend-part", run.pid());
    wait_until("it copies", || try_sh(&holds_part).code == 0);
    sh(&format!("kill -TERM {}", run.pid()));
    assert_eq!(run.end(), Some(7));
    let ended = lvmend(&format!("resume {name}")).exits(0).says("done and verified");
    assert!(ended.stdout.contains("taken up at"), "{}", ended.stdout);
    assert_eq!(sha256("/srv/rescue/data.img"), digest);
    assert_eq!(sh("ls /srv/rescue").answer(), "data.img\ndata.img.lvmend.json");
    lvmend("apply --yes /tmp/ready.yaml").exits(0).says("Nothing to do");
}

/// The same over another LV, which is not begun anew either.
fn over_another(digest: &str) {
    lvm("lvchange -ay -K vg0/data");
    lvm("lvcreate -y -n target -L 96M vg0");
    live_table("$1, $2, \"delay\", $4, $5, 400");
    let over = plan(
        "over",
        "volume_group: {name: vg0}\ntasks: [{copy: {from: data, to: {logical_volume: target}}}]",
    );
    let run = start(STATE, &format!("apply --yes {over}"));
    let map = "ls /var/tmp/lvmend-copy-*.map";
    wait_until("it is written down how far it came", || try_sh(map).code == 0);
    sh(&format!("kill -KILL {}", run.pid()));
    run.end();
    live_table("$1, $2, \"linear\", $4, $5");
    lvmend(&format!("resume {}", newest_run())).exits(0).says("taken up at");
    assert_eq!(sha256("/dev/vg0/target"), digest);
    assert_ne!(try_sh(map).code, 0, "what stood there how far it came is gone");
    lvm("lvremove -y vg0/target");
}

/// Gives the LV another live table, made of its own by `awk`.
fn live_table(words: &str) {
    sh(&format!(
        "dmsetup table vg0-data | awk '{{print {words}}}' | dmsetup load vg0-data && \
         dmsetup suspend vg0-data && dmsetup resume vg0-data"
    ));
}

/// 8 KiB in the middle cannot be read.
fn unreadable() {
    let bad = 40_000;
    live_table(&format!(
        "0, {bad}, \"linear\", $4, $5 \"\\n\" {bad}, 16, \"error\\n\" {0}, $2 - {0}, \"linear\", $4, $5 + {0}",
        bad + 16
    ));
    let to = "/run/bad.img";
    let copy = plan(
        "bad",
        &format!(
            "volume_group: {{name: vg0}}\ntasks: [{{copy: {{from: data, to: {{file: {to}}}}}}}]"
        ),
    );
    let at = bad * 512;
    let ran = lvmend(&format!("apply --yes {copy}")).exits(0);
    let ran = ran.says("COULD NOT BE READ").says(&format!("8.00 KiB from byte {at}"));
    assert!(ran.stdout.contains("/run/bad.img.map"), "{}", ran.stdout);
    sh(&format!("cat {to}.map")).says(&format!("0x{at:08X}  0x00002000  -"));
    sh(&format!("grep -A3 unreadable {to}.lvmend.json")).says(&at.to_string());
    // All but that is there.
    sh(&format!(
        "cmp -n {at} {to} /srv/rescue/data.img && cmp -i {} {to} /srv/rescue/data.img",
        at + 8192
    ));
}
