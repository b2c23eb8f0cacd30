//! Situations in which doing what the plan says would lose something: refused, and not a byte
//! written. Real LVM2 makes them, where it can.

use std::fs;

use lvmend::execute::{Outcome, RunError};
use lvmend::host::RunStore;
use lvmend::host::fake::{Fault, Schedule};

use crate::support::fixture::Fixture;
use crate::support::program::Desk;
use crate::support::world::{World, plan};

const MIB: u64 = 1 << 20;
const ATTACH: &str =
    "version: 1\nname: p\nvolume_group: {name: vg}\nphysical_volumes:\n  '*': {state: attached}\n";
const RECOVER: &str = "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes:\n  precious: {state: present}\n";
const SOUND: &str = "version: 1\nname: p\nvolume_group: {name: vg, metadata: {state: sound}}\n";
const LOST: &str =
    "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes:\n  lost: {state: present}\n";

/// A plan is refused with this code, and applying it changes no image.
fn is_refused(desk: &Desk, disks: &[usize], code: &str) {
    let before = desk.digests();
    let ended = desk.run_on(disks, &["plan", "plan.yaml"]).with_code(3);
    assert!(ended.stdout.contains(code), "{}", ended.shown());
    desk.run_on(disks, &["apply", "plan.yaml", "--yes"]).with_code(3);
    assert_eq!(desk.digests(), before, "nothing was written");
}

#[test]
fn metadata_of_another_vg_is_never_overwritten() {
    let desk = Desk::blank(2, 64 * MIB);
    desk.lvm(
        &[0, 1],
        &[
            "pvcreate @0 @1",
            "vgcreate vg @0 @1",
            "lvcreate -an -Zn -Wn -l 4 -n lost vg @0",
            "lvremove -y vg/lost",
        ],
    );
    let old = fs::read(desk.image(0)).unwrap();
    desk.lvm(&[0, 1], &["vgsplit vg other @1", "lvcreate -an -Zn -Wn -l 4 -n precious other"]);
    // The image of the first disk is older than that of the second.
    fs::write(desk.image(0), old).unwrap();
    desk.put("plan.yaml", LOST);
    let found = desk.run_on(&[0, 1], &["inspect"]).with_code(2);
    assert!(found.stdout.contains("disputed-pv"), "{}", found.shown());
    is_refused(&desk, &[0, 1], "pv-not-in-vg");
    let still_there = desk.lvm_says(&[1], &["lvs", "--noheadings", "-o", "lv_name", "other"]);
    assert_eq!(still_there.trim(), "precious");
}

#[test]
fn a_disk_that_left_the_vg_is_not_taken_for_the_one_that_is_missing() {
    let desk = Desk::blank(3, 64 * MIB);
    desk.lvm(
        &[0, 1, 2],
        &["pvcreate @0 @1", "vgcreate vg @0 @1", "vgextend vg @2", "vgreduce vg @1", "pvremove @1"],
    );
    desk.put("plan.yaml", ATTACH);
    // The third disk is not there; the second one holds old texts that name both.
    is_refused(&desk, &[0, 1], "unproven-device");
}

#[test]
fn nothing_is_committed_while_a_pv_is_absent_that_may_know_better() {
    let desk = Desk::blank(2, 64 * MIB);
    desk.lvm(
        &[0, 1],
        &[
            "pvcreate @0 @1",
            "vgcreate vg @0 @1",
            "lvcreate -an -Zn -Wn -l 4 -n lost vg @1",
            "lvremove -y vg/lost",
        ],
    );
    // Without the second disk, somebody goes on with the first.
    desk.lvm(&[0], &["vgreduce --removemissing vg", "lvcreate -an -Zn -Wn -l 2 -n important vg"]);
    desk.put("plan.yaml", LOST);
    is_refused(&desk, &[1], "pv-absent");
}

#[test]
fn a_copy_needs_no_metadata_written_and_so_no_absent_pv() {
    let desk = Desk::blank(2, 64 * MIB);
    desk.lvm(
        &[0, 1],
        &["pvcreate @0 @1", "vgcreate vg @0 @1", "lvcreate -an -Zn -Wn -l 4 -n here vg @0"],
    );
    desk.put("plan.yaml", "version: 1\nname: p\nvolume_group: {name: vg}\ntasks: [copy: {from: here, to: {file: $DESK/here.img}}]\n");
    desk.run_on(&[0], &["apply", "plan.yaml", "--yes"]).with_code(0);
    assert_eq!(fs::metadata(desk.path().join("here.img")).unwrap().len(), 16 * MIB);
}

/// A world whose plan was begun, and stopped by a power cut before its first write to a disk.
fn begun(disks: &[(String, Vec<u8>)], text: &str) -> World {
    let cut_at = |at: u64| {
        let schedule = Schedule::striking(at, Fault::Crash);
        let mut world = World::with(disks.to_vec(), &schedule);
        let _ = world.apply(&plan(text));
        let struck = schedule.borrow().struck().map(str::to_owned).unwrap();
        (world, struck)
    };
    let first_write = (0..64).find(|at| cut_at(*at).1.starts_with("write of ")).unwrap();
    // The record before it says that the step begins.
    let (world, struck) = cut_at(first_write - 1);
    assert!(struck.starts_with("write the journal"), "{struck}");
    let as_before = |(name, disk): &(String, Vec<u8>)| (name.clone(), disk.clone().into());
    world.continued(disks.iter().map(as_before).collect(), &Schedule::quiet())
}

fn is_changed(result: Result<lvmend::execute::RunReport, RunError>) {
    let error = result.expect_err("somebody else wrote the VG");
    assert!(matches!(error, RunError::Changed { .. }), "{error}");
}

#[test]
fn a_run_is_not_taken_up_after_the_vg_was_written_by_somebody_else() {
    let mut disks = Fixture::new("deleted-lv").disks();
    // Every header is damaged: no text counts, and the plan goes back to one.
    for (_, disk) in &mut disks {
        disk[4096 + 5] ^= 1;
    }
    let stopped = begun(&disks, SOUND);
    // Meanwhile somebody else makes the metadata sound, and brings an LV back.
    let mut other = World::with(stopped.contents(), &Schedule::quiet());
    other.must_apply(&plan(SOUND));
    other.must_apply(&plan(RECOVER));
    let mut taken_up = stopped.continued(other.contents(), &Schedule::quiet());
    let run = taken_up.store.runs().unwrap().remove(0);
    is_changed(taken_up.resume(&run));
    assert!(taken_up.contents() == other.contents(), "nothing was written");
    // Nothing was written by the run, so there is nothing to undo, and undoing that is harmless.
    assert_eq!(taken_up.rollback(&run).unwrap().outcome, Outcome::RolledBack);
    assert!(taken_up.contents() == other.contents(), "nothing was written");
}

#[test]
fn a_label_is_not_taken_away_again_once_the_vg_was_used() {
    let mut disks = Fixture::new("deleted-lv").disks();
    disks[1].1[512..1024].fill(0);
    let mut world = World::with(disks, &Schedule::quiet());
    world.must_apply(&plan(ATTACH));
    let run = world.store.runs().unwrap().remove(0);
    let mut other = World::with(world.contents(), &Schedule::quiet());
    other.must_apply(&plan(RECOVER));
    let mut later = world.continued(other.contents(), &Schedule::quiet());
    is_changed(later.rollback(&run));
    assert!(later.contents() == other.contents(), "nothing was written");
    // Nobody having used it, it is.
    assert_eq!(world.rollback(&run).unwrap().outcome, Outcome::RolledBack);
}

#[test]
fn what_cannot_be_written_down_while_going_back_is_told_as_stopped_on_the_way() {
    let mut world = World::of("missing-pv");
    world.must_apply(&plan(ATTACH));
    let run = world.store.runs().unwrap().remove(0);
    let mut interrupted = 0;
    for at in 0..12 {
        let schedule = Schedule::striking(at, Fault::Fail);
        let mut failing = world.continued(world.contents(), &schedule);
        if let Err(error) = failing.rollback(&run) {
            assert!(matches!(error, RunError::Interrupted { .. }), "{at}: {error}");
            interrupted += 1;
        }
    }
    assert!(interrupted > 1, "the journal never failed");
}

#[test]
fn a_sealed_plan_whose_states_hold_does_only_what_is_left() {
    let desk = Desk::with("deleted-lv");
    desk.put(
        "plan.yaml",
        &format!("{RECOVER}tasks: [copy: {{from: precious, to: {{file: $DESK/out.img}}}}]\n"),
    );
    desk.run(&["plan", "plan.yaml", "-o", "sealed.json"]).with_code(2);
    desk.run(&["apply", "sealed.json", "--yes"]).with_code(0);
    let before = desk.digests();
    for name in ["out.img", "out.img.lvmend.json"] {
        fs::remove_file(desk.path().join(name)).unwrap();
    }
    let ended = desk.run(&["apply", "sealed.json", "--yes"]).with_code(0);
    assert!(!ended.stdout.contains("back into VG"), "{}", ended.shown());
    assert!(desk.path().join("out.img").exists());
    assert_eq!(desk.digests(), before, "no disk was written");
}

#[test]
fn an_unfinished_run_with_a_damaged_journal_stands_in_the_way_until_it_is_given_up() {
    let desk = Desk::with("deleted-lv");
    let stops = format!(
        "{RECOVER}checks: [sha256: {{logical_volume: precious, digest: \"{}\"}}]\npolicy: {{on_failure: stop}}\n",
        "0".repeat(64)
    );
    desk.put("plan.yaml", &stops);
    desk.run(&["apply", "plan.yaml", "--yes"]).with_code(7);
    let run = desk.only_run();
    let journal = desk.path().join("state/runs").join(&run).join("journal.jsonl");
    let mut bytes = fs::read(&journal).unwrap();
    bytes[40] ^= 1;
    fs::write(&journal, &bytes).unwrap();
    let before = desk.digests();
    desk.put("other.yaml", ATTACH);
    let ended = desk.run(&["apply", "plan.yaml", "--yes"]).with_code(7);
    assert!(
        ended.stderr.contains("cannot be read") && ended.stderr.contains(&run),
        "{}",
        ended.shown()
    );
    assert_eq!(desk.digests(), before, "nothing was written");
    let list = desk.run_bare(&["runs", "list"]).with_code(2);
    assert!(list.stdout.contains("damaged at line 1"), "{}", list.shown());
    desk.run_bare(&["abandon", &run, "--because", "looked at the disks"]).with_code(0);
    let list = desk.run_bare(&["runs", "list"]).with_code(0);
    assert!(list.stdout.contains("abandoned"), "{}", list.shown());
    // The LV is back already; only the check is left, and it still fails.
    let ended = desk.run(&["apply", "plan.yaml", "--yes"]);
    assert!(!ended.stderr.contains("cannot be read"), "{}", ended.shown());
}

#[test]
fn a_journal_without_its_first_record_stands_in_the_way_only_when_the_run_had_begun() {
    let desk = Desk::with("deleted-lv");
    desk.put("plan.yaml", RECOVER);
    desk.run(&["apply", "plan.yaml", "--yes"]).with_code(0);
    let state = desk.path().join("state/runs").join(desk.only_run());
    fs::write(state.join("journal.jsonl"), b"").unwrap();
    let list = desk.run_bare(&["runs", "list"]).with_code(2);
    assert!(list.stdout.contains("the journal is empty"), "{}", list.shown());
    fs::remove_dir_all(state.join("evidence")).unwrap();
    desk.run_bare(&["runs", "list"]).with_code(0);
}

#[test]
fn the_store_of_a_snapshot_that_was_away_is_a_hazard() {
    let desk = Desk::blank(2, 64 * MIB);
    let text = |a: &str, b: &str| {
        format!(
            "contents = \"Text Format Volume Group\"\nversion = 1\nvg {{\nid = \"8gN4Lw-e3hW-0vTC-Kx21-SgZ3-JMUz-1ZTqBB\"\nseqno = 9\nformat = \"lvm2\"\nstatus = [\"RESIZEABLE\", \"READ\", \"WRITE\"]\nflags = []\nextent_size = 8192\nmax_lv = 0\nmax_pv = 0\nmetadata_copies = 0\nphysical_volumes {{\n{}{}}}\nlogical_volumes {{\n{}{}snapshot0 {{\nid = \"4gN4Lw-e3hW-0vTC-Kx21-SgZ3-JMUz-1ZTqB3\"\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = 1\nsegment1 {{\nstart_extent = 0\nextent_count = 4\ntype = \"snapshot\"\nchunk_size = 8\norigin = \"origin\"\ncow_store = \"snap\"\n}}\n}}\n}}\n}}\n",
            pv_text(0, a),
            pv_text(1, b),
            lv_text("origin", 1, "pv0"),
            lv_text("snap", 2, "pv1")
        )
    };
    let uuids =
        ["AgN4Lw-e3hW-0vTC-Kx21-SgZ3-JMUz-1ZTqBA", "BgN4Lw-e3hW-0vTC-Kx21-SgZ3-JMUz-1ZTqBB"];
    desk.put("vg.txt", &text(uuids[0], uuids[1]));
    let file = desk.path().join("vg.txt").display().to_string();
    desk.lvm(
        &[0, 1],
        &[
            &format!("pvcreate --norestorefile -u {} @0", uuids[0]),
            &format!("pvcreate --norestorefile -u {} @1", uuids[1]),
            &format!("vgcfgrestore -f {file} vg"),
        ],
    );
    desk.lvm(&[0], &["lvchange --addtag meanwhile vg/origin"]);
    desk.put("plan.yaml", ATTACH);
    let before = desk.digests();
    let ended = desk.run(&["plan", "plan.yaml"]).with_code(3);
    assert!(
        ended.stdout.contains("stale-leg") && ended.stdout.contains("LV snap"),
        "{}",
        ended.shown()
    );
    assert_eq!(desk.digests(), before);
}

fn pv_text(index: usize, uuid: &str) -> String {
    format!(
        "pv{index} {{\nid = \"{uuid}\"\ndevice = \"/dev/x\"\nstatus = [\"ALLOCATABLE\"]\nflags = []\ndev_size = 131072\npe_start = 2048\npe_count = 15\n}}\n"
    )
}

fn lv_text(name: &str, number: usize, pv: &str) -> String {
    format!(
        "{name} {{\nid = \"{number}gN4Lw-e3hW-0vTC-Kx21-SgZ3-JMUz-1ZTqB3\"\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = 1\nsegment1 {{\nstart_extent = 0\nextent_count = 4\ntype = \"striped\"\nstripe_count = 1\nstripes = [\"{pv}\", 0]\n}}\n}}\n"
    )
}
