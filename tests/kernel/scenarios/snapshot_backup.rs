//! Backups through snapshots, under load from a writer: ext4, XFS and a thin LV, by the ready plan; one
//! that is kept; one that somebody else made.

use std::path::Path;

use crate::lab::{Witness, disks, lvm, lvmend, newest_run, plan, sh, sha256, try_sh};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario =
    Scenario::shared("snapshot_backup", story).within(std::time::Duration::from_secs(300));

const READY: &str = include_str!("../../../plans/snapshot-backup.yaml");
const AT: &str = "/mnt/snap/data";

fn story() {
    let [a, b, c] = disks(128);
    lvm(&format!("vgcreate vg0 {a} {b} {c}"));
    sh(&format!("mkdir -p {AT} /mnt/data /tmp/backup"));

    lvm("lvcreate -n data -L 32M vg0");
    sh("mkfs.ext4 -q /dev/vg0/data && mount /dev/vg0/data /mnt/data");
    by_the_ready_plan("size: 16MiB", "lvcreate --yes -s -p r -n snap_data");
    kept();
    somebody_elses();
    sh("umount /mnt/data");
    lvm("lvremove -y vg0/data");

    lvm("lvcreate -y -n data -L 64M vg0");
    sh("mkfs.xfs -q -f --unsupported /dev/vg0/data");
    sh("mount /dev/vg0/data /mnt/data");
    by_the_ready_plan("size: 16MiB", "-t xfs -o ro,nouuid,norecovery");
    sh("umount /mnt/data");
    lvm("lvremove -y vg0/data");

    lvm("lvcreate -y --type thin-pool -L 64M -n pool vg0");
    lvm("lvcreate -V 48M -n data --thinpool pool vg0");
    sh("mkfs.ext4 -q /dev/vg0/data && mount /dev/vg0/data /mnt/data");
    by_the_ready_plan("", "-kn -ay");
    sh("umount /mnt/data");
    lvm("vgck vg0");
}

/// The ready plan, with another size and `cp` for `rsync`.
fn ready(size: &str) -> String {
    let size_line = READY.lines().find(|line| line.trim().starts_with("size:")).unwrap();
    let text = READY.replace(size_line, &format!("      {size}")).replace(
        "[rsync, -a, --delete, /mnt/snap/data/, /backup/data/]",
        "[cp, -a, /mnt/snap/data/., /tmp/backup/]",
    );
    std::fs::write("/tmp/ready.yaml", text).unwrap();
    "/tmp/ready.yaml".to_owned()
}

fn by_the_ready_plan(size: &str, command: &str) {
    sh("rm -rf /tmp/backup/* && head -c 3M /dev/urandom >/mnt/data/precious && sync");
    let digest = sha256("/mnt/data/precious");
    let writer = Witness::begin(Path::new("/mnt/data"));
    let ready = ready(size);
    lvmend(&format!("plan {ready}")).exits(0).says("runs every time").says(command);
    lvmend(&format!("apply --yes {ready}")).exits(0).says("done and verified");
    assert!(writer.end().lines > 0);
    assert_eq!(sha256("/tmp/backup/precious"), digest);
    // What was written while it went on is there up to the moment of the snapshot.
    sh("head -n $(wc -l </tmp/backup/witness) /mnt/data/witness | cmp - /tmp/backup/witness");
    nothing_left();
}

/// Nothing is mounted, made or suspended.
fn nothing_left() {
    let lvs = lvm("lvs --noheadings -o lv_name vg0").stdout;
    assert!(!lvs.contains("snap_data"), "{lvs}");
    assert_eq!(try_sh(&format!("mountpoint -q {AT}")).code, 32);
    let suspended = sh("dmsetup info -c --noheadings -o name,suspended").stdout;
    assert!(!suspended.contains("Suspended"), "{suspended}");
    assert!(!sh("dmsetup ls").stdout.contains("-cow"));
}

/// One that stays until the next run.
fn kept() {
    let kept = plan(
        "kept",
        &format!(
            "volume_group: {{name: vg0}}\ntasks: [{{snapshot_backup: {{origin: data, snapshot: \
             snap_data, size: 8MiB, keep: true, mount: {{at: {AT}, journal: replay}}, run: [{{argv: \
             [sh, -c, 'echo at $LVMEND_MOUNT of $LVMEND_VG/$LVMEND_ORIGIN; test -e \
             $LVMEND_MOUNT/precious'], timeout: 1m}}]}}}}]"
        ),
    );
    lvmend(&format!("apply --yes {kept}")).exits(0);
    let first =
        lvm("lvs --noheadings -o lv_uuid,lv_tags vg0/snap_data").says("lvmend.snapshot=kept");
    lvmend(&format!("apply --yes {kept}")).exits(0);
    let second = lvm("lvs --noheadings -o lv_uuid,lv_tags vg0/snap_data");
    assert_ne!(first.stdout, second.stdout, "the old one goes, a new one is made");
    let run = newest_run();
    sh(&format!("find /run/state -path '*{run}*' -name output-1.txt -exec cat {{}} +"))
        .says(&format!("at {AT} of vg0/data"));
    // An older run left nothing that is there still: what stands is the newer one's.
    let older = lvmend("runs list").exits(0);
    let mut kept = older.stdout.lines().filter(|line| line.contains("-kept"));
    let older = kept.next().unwrap().split_whitespace().next().unwrap().to_owned();
    assert_ne!(older, run);
    lvmend(&format!("rollback {older}")).exits(0);
    lvm("lvs vg0/snap_data");
    // Rolled back, what it made is gone.
    lvmend(&format!("rollback {run}")).exits(0);
    nothing_left();
}

/// A snapshot of that name without our tag goes only when the plan accepts it.
fn somebody_elses() {
    lvm("lvcreate -s -n snap_data -L 8M vg0/data");
    let ready = ready("size: 16MiB");
    lvmend(&format!("apply --yes {ready}")).exits(3).says("recreate-snapshot");
    lvm("lvs vg0/snap_data");
    let text = std::fs::read_to_string(&ready).unwrap();
    let accepts = "policy: {accept: [{hazard: recreate-snapshot, object: snap_data, because: \"left by a script\"}]}";
    std::fs::write(&ready, format!("{text}\n{accepts}\n")).unwrap();
    lvmend(&format!("apply --yes {ready}")).exits(0).says("done and verified");
    nothing_left();
    // An LV that is no snapshot is never taken for one.
    lvm("lvcreate -n snap_data -L 8M vg0");
    lvmend(&format!("apply --yes {ready}")).exits(3).says("name-taken");
    lvm("lvremove -y vg0/snap_data");
}
