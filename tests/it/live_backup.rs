//! Backups through snapshots: what they come to, and what speaks against one.

use std::sync::Arc;

use lvmend::diff::RefusalCode;
use lvmend::model::inventory::Inventory;
use lvmend::model::segment::{Segment, SegmentKind};
use lvmend::model::signature::{ForeignSignature, Format};
use lvmend::operation::{Operation, RemoveSnapshot};
use lvmend::units::{Bytes, Sectors};

use crate::support::live_story::story;
use crate::support::machine::{
    dm, edit, edit_vg, machine, mapped_lv, mount, opener, planned, snapshot, told, vg,
};

const AT: &str = "/mnt/snap";

fn backup(size: &str, more: &str) -> String {
    format!(
        "version: 1\nname: nightly\nvolume_group: {{name: vg}}\n\
         tasks: [snapshot_backup: {{origin: simple, snapshot: snap_simple{size}, mount: {{at: {AT}{more}}}, \
         run: [{{argv: [rsync, -a, {AT}/, /backup/], timeout: 2h}}]}}]\n"
    )
}

/// The LV is mounted, there is a place to mount on, and a program to run.
fn served() -> Inventory {
    let mut inventory = machine("plain");
    let active = mapped_lv(&vg(&inventory), "simple", "", 0, &["0 8192 linear 8:0 2048"]);
    edit(&mut inventory, |live| {
        live.mapped.push(active);
        live.mounts.push(mount(dm(0), "/srv", "ext4"));
    });
    let around = &mut inventory.surroundings;
    around.programs.insert("rsync".to_owned(), Ok("/usr/bin/rsync".to_owned()));
    around.mount_points.insert(AT.to_owned(), Ok(()));
    inventory
}

/// A backup, and the removal of what stands in its way.
pub fn both() -> [Operation; 2] {
    let found = planned(&served(), &backup(", size: 8MiB", ""));
    let mut operations = found.graph.operations.into_iter();
    let is_backup = |operation: &Operation| matches!(operation, Operation::SnapshotBackup(_));
    let backup = operations.find(is_backup).unwrap();
    let vg = vg(&served());
    let removal = RemoveSnapshot {
        vg: vg.uuid,
        name: vg.name.clone(),
        lv: vg.lvs[0].uuid,
        lv_name: vg.lvs[0].name.clone(),
        origin: vg.lvs[0].name.clone(),
        unmount: Vec::new(),
    };
    [backup, Operation::RemoveSnapshot(removal)]
}

fn codes(inventory: &Inventory, text: &str) -> Vec<RefusalCode> {
    planned(inventory, text).refusals.iter().map(|refusal| refusal.code).collect()
}

#[test]
fn from_the_first_command_to_the_last() {
    let text = backup(", size: 8MiB", "");
    snapshot("backup", &story(&served(), &text));
    let found = planned(&served(), &text);
    assert!(!found.graph.changes_state(), "a task is no state");
    let kinds: Vec<&str> = found.graph.operations.iter().map(Operation::kind).collect();
    assert_eq!(kinds, ["save_evidence", "snapshot_backup"], "LVM wipes what it takes for outdated");
    // With a journal to replay the snapshot is written, and what is on it is looked for.
    let mut xfs = served();
    edit(&mut xfs, |live| live.mounts.clear());
    let key =
        (vg(&xfs).uuid, vg(&xfs).lvs.iter().find(|lv| lv.name.as_str() == "simple").unwrap().uuid);
    let signature = ForeignSignature { at: Bytes::ZERO, format: Format::Xfs };
    xfs.surroundings.signatures.insert(key, Ok(vec![signature]));
    snapshot(
        "backup-replayed",
        &story(&xfs, &backup(", size: 8MiB, keep: true", ", journal: replay, options: [nodev]")),
    );
}

#[test]
fn what_is_needed_is_there_or_named() {
    let text = backup(", size: 8MiB", "");
    assert_eq!(codes(&served(), &text), []);
    let check = |change: fn(&mut Inventory), code: RefusalCode, says: &str| {
        let mut inventory = served();
        change(&mut inventory);
        let told = told(&planned(&inventory, &text));
        assert!(told.contains(says), "{says}: {told}");
        assert_eq!(codes(&inventory, &text), [code], "{told}");
    };
    let no_program = |inventory: &mut Inventory| {
        let why = "/usr/bin/rsync can be written by others than root".to_owned();
        inventory.surroundings.programs.insert("rsync".to_owned(), Err(why));
    };
    check(no_program, RefusalCode::ProgramRefused, "can be written by others");
    let no_place = |inventory: &mut Inventory| {
        let why = "it is not there; make it: mkdir -p /mnt/snap".to_owned();
        inventory.surroundings.mount_points.insert(AT.to_owned(), Err(why));
    };
    check(no_place, RefusalCode::SnapshotRefused, "mkdir -p /mnt/snap");
    let taken = |inventory: &mut Inventory| {
        edit(inventory, |live| live.mounts.push(mount(dm(9), AT, "ext4")));
    };
    check(taken, RefusalCode::SnapshotRefused, "is mounted at /mnt/snap");
    let btrfs = |inventory: &mut Inventory| {
        edit(inventory, |live| live.mounts = vec![mount(dm(0), "/srv", "btrfs")]);
    };
    check(btrfs, RefusalCode::SnapshotRefused, "it is btrfs and mounted");
    let encrypted = |inventory: &mut Inventory| {
        edit(inventory, |live| live.mounts.clear());
        let vg = vg(inventory);
        let lv = vg.lvs.iter().find(|lv| lv.name.as_str() == "simple").unwrap();
        let luks = ForeignSignature { at: Bytes::ZERO, format: Format::Luks2 };
        inventory.surroundings.signatures.insert((vg.uuid, lv.uuid), Ok(vec![luks]));
    };
    check(encrypted, RefusalCode::SnapshotRefused, "LUKS 2 stands there");
    let inactive = |inventory: &mut Inventory| {
        edit(inventory, |live| {
            live.mapped.clear();
            live.mounts.clear();
        });
        let vg = vg(inventory);
        let lv = vg.lvs.iter().find(|lv| lv.name.as_str() == "simple").unwrap();
        let ext4 = ForeignSignature { at: Bytes::ZERO, format: Format::Ext4 };
        inventory.surroundings.signatures.insert((vg.uuid, lv.uuid), Ok(vec![ext4]));
    };
    check(inactive, RefusalCode::Unfit, "is not active");
}

#[test]
fn room_and_size() {
    assert_eq!(codes(&served(), &backup("", "")), [RefusalCode::SnapshotRefused], "it is not thin");
    assert_eq!(codes(&served(), &backup(", size: 1TiB", "")), [RefusalCode::NoRoom]);
}

#[test]
fn what_has_the_name_goes_only_where_it_is_ours_or_accepted() {
    let text = backup(", size: 8MiB", "");
    let named = |tag: Option<&str>, is_snapshot: bool| {
        let mut inventory = served();
        edit_vg(&mut inventory, |vg| {
            let lv = vg.lvs.iter_mut().find(|lv| lv.name.as_str() == "spread").unwrap();
            lv.name = "snap_simple".parse().unwrap();
            lv.tags = tag.map(Into::into).into_iter().collect();
            let link = |segment: &mut Segment| {
                segment.kind = SegmentKind::Snapshot {
                    origin: "simple".parse().unwrap(),
                    cow_store: "snap_simple".parse().unwrap(),
                    merging: false,
                    chunk_size: Sectors::new(8),
                };
            };
            let mut pseudo = lv.clone();
            pseudo.name = "snapshot0".parse().unwrap();
            pseudo.segments.truncate(1);
            pseudo.segments.iter_mut().for_each(link);
            vg.lvs.extend(is_snapshot.then_some(pseudo));
            let named = vg.lvs.iter().enumerate().map(|(at, lv)| (lv.name.clone(), at));
            vg.by_name = Arc::new(named.collect());
        });
        inventory
    };
    for tag in [None, Some("lvmend.snapshot=weekly"), Some("lvmend.snapshot=nightly")] {
        assert_eq!(
            codes(&named(tag, false), &text),
            [RefusalCode::NameTaken],
            "no snapshot at all"
        );
    }
    for tag in [None, Some("lvmend.snapshot=weekly")] {
        assert_eq!(codes(&named(tag, true), &text), [RefusalCode::HazardNotAccepted]);
    }
    let accepts =
        "policy: {accept: [{hazard: recreate-snapshot, object: snap_simple, because: x}]}\n";
    snapshot("backup-accepted", &story(&named(None, true), &format!("{text}{accepts}")));
    let ours = named(Some("lvmend.snapshot=nightly"), true);
    assert_eq!(codes(&ours, &text), []);
    snapshot("backup-once-more", &story(&ours, &text));
    // Somebody has it open: it may be waited for.
    let mut used = ours;
    let active = mapped_lv(&vg(&used), "snap_simple", "", 1, &["0 8192 linear 8:0 20480"]);
    edit(&mut used, |live| {
        live.mapped.push(active);
        live.openers.push(opener(dm(1), 7, "less"));
    });
    assert_eq!(codes(&used, &text), [RefusalCode::VolumeInUse]);
    // Mounted, it goes where the plan says that it may be unmounted.
    edit(&mut used, |live| {
        live.openers.clear();
        live.mounts.push(mount(dm(1), AT, "ext4"));
    });
    assert_eq!(codes(&used, &text), [RefusalCode::VolumeInUse]);
    let allowed = format!("{text}policy: {{busy: {{unmount: [{AT}]}}}}\n");
    assert_eq!(codes(&used, &allowed), []);
    snapshot("backup-mounted-still", &story(&used, &allowed));
}

#[test]
fn tasks_are_done_in_the_order_of_the_plan() {
    let copy = "copy: {from: simple, to: {logical_volume: spread}}";
    let order = |first: &str, second: &str| -> Vec<&'static str> {
        let text = backup(", size: 8MiB", "");
        let backup =
            text.split("tasks: [").nth(1).unwrap().trim_end().trim_end_matches(']').to_owned();
        let tasks =
            [first, second].map(|task| if task == "backup" { backup.as_str() } else { copy });
        let text = format!(
            "version: 1\nname: p\nvolume_group: {{name: vg}}\ntasks: [{}]\n",
            tasks.map(|task| format!("{{{task}}}")).join(", ")
        );
        planned(&served(), &text).graph.operations.iter().map(Operation::kind).collect()
    };
    let around = ["activate_lvs", "copy_lv", "deactivate_lvs"];
    let expected = [&["save_evidence"], &around[..], &["snapshot_backup"]].concat();
    assert_eq!(order("copy", "backup"), expected);
    let expected = [&["save_evidence", "snapshot_backup"], &around[..]].concat();
    assert_eq!(order("backup", "copy"), expected);
}
