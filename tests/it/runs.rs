//! Runs as a user meets them: evidence, checks that do not hold, stopping, taking up again.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lvmend::diff::RefusalCode;
use lvmend::discover;
use lvmend::execute::Outcome;
use lvmend::fault::{self, FaultKind};
use lvmend::ids::Digest;
use lvmend::model::device::Content;
use lvmend::simulate::planned::work_out;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::fixture::Fixture;
use crate::support::program::Desk;
use crate::support::world::{World, plan, signature};

const RETURNED: &str =
    "version: 1\nname: p\nvolume_group: {name: vg}\nphysical_volumes:\n  '*': {state: attached}\n";
const RECOVERED: &str = "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes:\n  precious: {state: present}\n";

/// A desk with a plan that recovers an LV and then holds it to this digest.
fn with_check(digest: &str, policy: &str) -> Desk {
    let desk = Desk::with("deleted-lv");
    let check =
        format!("checks:\n  - sha256: {{logical_volume: precious, digest: {digest}}}\n{policy}");
    desk.put("plan.yaml", &format!("{RECOVERED}{check}"));
    desk
}

fn digest_of_precious() -> String {
    let list = String::from_utf8(Fixture::new("deleted-lv").expected("lvs.sha256").unwrap());
    let list = list.unwrap();
    let line = list.lines().find(|line| line.split_whitespace().nth(1) == Some("precious"));
    line.unwrap().split_whitespace().next().unwrap().to_owned()
}

#[test]
fn evidence_is_saved_twice_and_is_what_stood_on_the_disks() {
    let desk = Desk::with("missing-pv");
    desk.put("plan.yaml", RETURNED);
    let images: Vec<(String, Vec<u8>)> = ["a", "b", "c"]
        .iter()
        .enumerate()
        .map(|(index, name)| (format!("{name}.img"), fs::read(desk.image(index)).unwrap()))
        .collect();
    desk.run(&["apply", "plan.yaml", "--yes", "--evidence-copy", "usb/stick"]).with_code(0);
    let run = desk.only_run();
    let saved = desk.path().join("state/runs").join(&run).join("evidence");
    let copied = desk.path().join("usb/stick/runs").join(&run).join("evidence");
    let manifest: Value =
        serde_json::from_slice(&fs::read(saved.join("manifest.json")).unwrap()).unwrap();
    let files = manifest["files"].as_array().unwrap();
    assert_eq!(files.len(), 3, "labels and areas of three PVs: {manifest:#}");
    for file in files {
        let name = file["file"].as_str().unwrap();
        let bytes = fs::read(saved.join(name)).unwrap();
        assert_eq!(bytes, fs::read(copied.join(name)).unwrap());
        assert_eq!(file["sha256"].as_str().unwrap(), Digest::of(&bytes).to_string());
        let number = |key: &str| usize::try_from(file["region"][key].as_u64().unwrap()).unwrap();
        let device = file["region"]["device"]["path"].as_str().unwrap();
        let (_, image) = images.iter().find(|(image, _)| image == device).unwrap();
        assert!(image[number("offset")..][..number("len")] == bytes, "{name}");
    }
    assert_eq!(
        fs::read(copied.join("manifest.json")).unwrap(),
        fs::read(saved.join("manifest.json")).unwrap()
    );
}

#[test]
fn a_check_that_holds_is_reported() {
    let desk = with_check(&digest_of_precious(), "");
    let done = desk.run(&["apply", "plan.yaml", "--yes", "--format", "json"]).with_code(0);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["changed"], true);
    let last = report["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(last["sha256"].as_str().unwrap(), digest_of_precious());
}

#[test]
fn a_check_that_does_not_hold_puts_everything_back() {
    let desk = with_check(&"0".repeat(64), "");
    let before = desk.digests();
    let failed = desk.run(&["apply", "plan.yaml", "--yes"]).with_code(6);
    let expected = format!("has SHA-256 {}, expected 0000", digest_of_precious());
    assert!(failed.stderr.contains(&expected), "{}", failed.stderr);
    assert!(failed.stdout.contains("rolled back and verified"), "{}", failed.stdout);
    assert_eq!(desk.digests(), before, "byte-identical");
    // It is over: the plan may be applied again.
    desk.run(&["apply", "plan.yaml", "--yes"]).with_code(6);
}

#[test]
fn on_failure_stop_leaves_what_is_done_and_says_what_to_type() {
    let desk = with_check(&"0".repeat(64), "policy: {on_failure: stop}\n");
    let before = desk.digests();
    let stopped = desk.run(&["apply", "plan.yaml", "--yes"]).with_code(7);
    let run = desk.only_run();
    for next in ["resume", "rollback"] {
        let next = format!("lvmend {next} {run}");
        assert!(stopped.stdout.contains(&next), "{}", stopped.stdout);
    }
    assert_ne!(desk.digests(), before);
    assert!(desk.run(&["inspect", "vg"]).stdout.contains("precious"));
    desk.run(&["apply", "plan.yaml", "--yes"]).with_code(7);
    desk.run_bare(&["resume", &run]).with_code(7);
    desk.run_bare(&["rollback", &run]).with_code(0);
    assert_eq!(desk.digests(), before, "byte-identical");
}

#[test]
fn a_signal_lets_the_step_finish_and_the_run_can_be_resumed() {
    let undisturbed = with_check(&digest_of_precious(), "");
    undisturbed.run(&["apply", "plan.yaml", "--yes"]).with_code(0);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let desk = with_check(&digest_of_precious(), "");
        // What the program says goes into a pipe that is full: it waits in its first step until
        // somebody reads.
        let (mut reader, writer) = std::io::pipe().unwrap();
        nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
        std::io::Write::write_all(&mut writer.try_clone().unwrap(), &[b' '; 4096]).unwrap();
        let arguments = desk.with_images(&["apply", "plan.yaml", "--yes"]);
        let mut command = desk.command(&arguments);
        let mut child = command.stdout(Stdio::null()).stderr(writer).spawn().unwrap();
        drop(command);
        let begun = || {
            fs::read_dir(desk.path().join("state/runs")).is_ok_and(|d| {
                d.flatten().any(|run| {
                    fs::metadata(run.path().join("journal.jsonl")).is_ok_and(|j| j.len() > 0)
                })
            })
        };
        let waiting = Instant::now();
        while !begun() {
            assert!(waiting.elapsed() < Duration::from_secs(30), "it never began");
            std::thread::sleep(Duration::from_millis(5));
        }
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(7), "{signal}: {said}");
        let run = desk.only_run();
        let shown = desk.run_bare(&["runs", "show", &run]).with_code(0);
        assert!(shown.stdout.contains("asked to stop"), "{}", shown.stdout);
        assert!(shown.stdout.contains(&format!("lvmend resume {run}")), "{}", shown.stdout);
        desk.run_bare(&["resume", &run]).with_code(0);
        same_but_for_time(&desk, &undisturbed);
    }
}

/// Both desks hold the same metadata; only the time of the run may differ.
fn same_but_for_time(one: &Desk, other: &Desk) {
    let content = |desk: &Desk| {
        let shown = desk.run(&["history", "list", "vg", "--format", "json"]).with_code(0).stdout;
        let list: Value = serde_json::from_str(&shown).unwrap();
        list["versions"][0]["digest"].as_str().unwrap().to_owned()
    };
    assert_eq!(content(one), content(other));
}

#[test]
fn nobody_reading_does_not_stop_a_run() {
    let desk = Desk::with("missing-pv");
    desk.put("plan.yaml", RETURNED);
    let arguments = desk.with_images(&["apply", "plan.yaml", "--yes"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = desk.command(&arguments);
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut child = command.spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    desk.run(&["inspect"]).with_code(0);
}

#[test]
fn a_sealed_plan_never_takes_the_place_of_something_else() {
    let desk = Desk::with("missing-pv");
    desk.put("plan.yaml", RETURNED);
    let before = desk.digests();
    let refused = desk.run(&["plan", "plan.yaml", "-o", "b.img"]).with_code(1);
    assert!(refused.stderr.contains("cannot write b.img: something else stands there"));
    assert_eq!(desk.digests(), before);
    desk.run(&["plan", "plan.yaml", "-o", "sealed.json"]).with_code(2);
    let sealed = fs::read(desk.path().join("sealed.json")).unwrap();
    desk.run(&["plan", "plan.yaml", "-o", "sealed.json"]).with_code(2);
    assert_eq!(fs::read(desk.path().join("sealed.json")).unwrap(), sealed);
}

#[test]
fn pvs_in_partitions_are_mended_in_place() {
    let desk = Desk::with("partitions");
    let sound = "version: 1\nname: p\nvolume_group: {name: vg, metadata: {state: sound}}\n";
    desk.put("plan.yaml", sound);
    let look = |code| {
        let shown = desk.run(&["inspect"]).with_code(code).stdout;
        let shown = shown.replace("seqno 6", "seqno 5");
        shown.lines().filter(|line| !line.contains("versions stand")).collect::<Vec<_>>().join("\n")
    };
    let intact = look(0);
    let before = desk.digests();
    // The label of the PV in the logical partition, and the area header of the one in the GPT.
    for (image, offset) in [(1, 22528 * 512 + 512), (0, 10240 * 512 + 4096)] {
        let disk = File::options().write(true).open(desk.image(image)).unwrap();
        disk.write_all_at(&[0; 512], offset).unwrap();
    }
    let damaged = desk.digests();
    let found = look(2);
    assert!(found.contains("lost-label: b.img#5"), "{found}");
    desk.run(&["apply", "plan.yaml", "--yes"]).with_code(0);
    assert_eq!(look(0), intact);
    assert_ne!(desk.digests(), before, "the seqno is another");
    desk.run_bare(&["rollback", &desk.only_run()]).with_code(0);
    assert_eq!(desk.digests(), damaged, "byte-identical");
}

#[test]
fn images_that_can_only_be_read_are_looked_at_and_refused() {
    let world = World::of("missing-pv");
    let host = world.host_where(|name| name == "a");
    let inventory = discover::take(&host, &world.scope);
    let planned = work_out(&plan(RETURNED), &inventory, &signature()).unwrap();
    let codes: Vec<RefusalCode> = planned.refusals.iter().map(|r| r.code).collect();
    assert_eq!(codes, [RefusalCode::ReadOnlyDevice]);
}

#[test]
fn bad_sectors_are_told_and_never_written_over_blindly() {
    // The label: nothing can be said about the disk.
    let world = World::of("plain");
    world.disks[0].1.break_at(512..1024);
    let inventory = world.look();
    assert!(matches!(inventory.devices[0].content, Content::Unreadable(_)));
    assert!(fault::find(&inventory).iter().any(|f| f.kind == FaultKind::AbsentPv));
    // The text that counts: the area is damaged, and the copy on the other disk serves.
    let world = World::of("plain");
    let area = world.look().devices[0].areas()[0].clone();
    let offset = area.offset.get() + area.header.good().unwrap().committed.offset.get();
    let offset = usize::try_from(offset).unwrap();
    world.disks[0].1.break_at(offset..offset + 512);
    let faults = fault::find(&world.look());
    assert!(faults.iter().any(|f| f.kind == FaultKind::DamagedArea), "{faults:#?}");
}

#[test]
fn a_disk_that_cannot_be_read_in_the_middle_of_a_run_stops_it() {
    let mut world = World::of("missing-pv");
    let before = world.contents();
    let area = world.look().devices[2].areas()[0].clone();
    // Evidence wants the whole area: a bad sector at its end is not met before.
    let end = usize::try_from(area.offset.get() + area.size.get()).unwrap();
    world.disks[2].1.break_at(end - 512..end);
    let report = world.apply(&plan(RETURNED)).unwrap();
    assert_eq!(report.outcome, Outcome::Failed, "{report:#?}");
    assert!(report.why.as_deref().unwrap_or_default().contains("cannot read c"), "{report:#?}");
    assert!(world.contents() == before);
}
