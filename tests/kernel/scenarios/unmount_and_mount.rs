//! A file system stands in the way: it is unmounted where the plan lets it be, and comes back.

use crate::lab::{FileSystem, disks, lvm, lvmend, mend, newest_run, plan, sh, try_sh};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("unmount_and_mount", story);

/// What must be mounted again as it was.
const MOUNT: &str = "rw,nosuid,noatime,errors=remount-ro";

fn story() {
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("lvcreate -n files -L 16M vg");
    let files = FileSystem::make("/dev/vg/files");
    let at = files.directory().display().to_string();
    sh(&format!("mount -o remount,{MOUNT} {at}"));
    let digest = files.digest();
    let before = mounted(&at);

    let asks = "volume_group: {name: vg}\nlogical_volumes: {files: {activation: inactive}}";
    let other =
        plan("other", &format!("{asks}\npolicy: {{busy: {{unmount: [/run/other], wait: 0s}}}}"));
    lvmend(&format!("apply --yes {other}")).exits(3).says(&format!("mounted at {at}"));
    assert_eq!(mounted(&at), before);
    used_by_a_process(&at, asks, &before);

    let busy = format!("policy: {{busy: {{unmount: [{at}], wait: 1s}}}}");
    let down = plan("down", &format!("{asks}\n{busy}"));
    mend(&down);
    try_sh(&format!("mountpoint -q {at}")).exits(32);
    try_sh("dmsetup info vg-files").exits(1);
    lvmend(&format!("rollback {}", newest_run())).exits(0).says("rolled back");
    assert_eq!(mounted(&at), before);
    assert_eq!(files.digest(), digest);

    opened_by_a_process();
    copied_over(&at, &busy, &before);
    assert_eq!(files.digest(), digest);
    files.unmount();
}

/// Whom the plan cannot send away.
fn opened_by_a_process() {
    lvm("lvcreate -n open -L 4M vg");
    let pid = sh("setsid sleep 100 </dev/vg/open >/dev/null 2>&1 & echo $!");
    let pid = pid.answer();
    let close = |wait: &str| {
        let asks = "volume_group: {name: vg}\nlogical_volumes: {open: {activation: inactive}}";
        plan("close", &format!("{asks}\npolicy: {{busy: {{wait: {wait}}}}}"))
    };
    let waits = "waiting up to 2 s: LV vg/open: it is in use: sleep";
    let refused = lvmend(&format!("apply --yes {}", close("2s"))).exits(3).says(waits);
    refused.says(&format!("sleep (pid {pid}, root)"));
    sh("dmsetup info vg-open");
    // It goes while it is waited for.
    sh(&format!("setsid sh -c 'sleep 3; kill {pid}' >/dev/null 2>&1 &"));
    let done = lvmend(&format!("apply --yes {}", close("1m"))).exits(0);
    done.says("waiting up to 60 s").says("done and verified");
}

/// Who has files open on a file system keeps it from being unmounted, and is named.
fn used_by_a_process(at: &str, asks: &str, before: &str) {
    let pid = sh(&format!("cd {at} && setsid sleep 100 >/dev/null 2>&1 & echo $!"));
    let pid = pid.answer();
    let busy = format!("policy: {{busy: {{unmount: [{at}], wait: 1s}}}}");
    let refused = lvmend(&format!("apply --yes {}", plan("used", &format!("{asks}\n{busy}"))));
    refused.exits(3).says(&format!("files on it, at {at}, are in use: bash (pid {pid}, root)"));
    assert_eq!(mounted(at), before);
    sh(&format!("pkill -P {pid}; sleep 0.2"));
}

/// What is overwritten is free for as long as that takes, and mounted as before then.
fn copied_over(at: &str, busy: &str, before: &str) {
    lvm("lvcreate -n image -L 16M vg");
    // The image is what the file system is: mounted again it has the same files.
    sh(&format!("umount {at} && dd if=/dev/vg/files of=/dev/vg/image bs=1M status=none"));
    sh(&format!("mount -o {MOUNT} /dev/vg/files {at}"));
    assert_eq!(mounted(at), before);
    let task = "tasks: [{copy: {from: image, to: {logical_volume: files}}}]";
    let refused = plan("refused", &format!("volume_group: {{name: vg}}\n{task}"));
    lvmend(&format!("apply --yes {refused}")).exits(3).says(&format!("mounted at {at}"));
    let over = plan("over", &format!("volume_group: {{name: vg}}\n{task}\n{busy}"));
    lvmend(&format!("apply --yes {over}")).exits(0).says("done and verified");
    assert_eq!(mounted(at), before);
}

/// The mount as the kernel shows it.
fn mounted(at: &str) -> String {
    sh(&format!("findmnt -n -o SOURCE,FSTYPE,OPTIONS {at}")).answer().to_owned()
}
