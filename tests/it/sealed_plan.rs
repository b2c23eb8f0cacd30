//! Sealed plans: what is reviewed is what is applied, or nothing is.

use lvmend::simulate::sealed::{ReadSealedError, SealedPlan};

use crate::support::program::Desk;
use crate::support::world::{World, plan};

const RECOVER: &str = "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes:\n  precious: {state: present}\n";

fn desk() -> Desk {
    let desk = Desk::with("deleted-lv");
    desk.put("plan.yaml", RECOVER);
    desk.run(&["plan", "plan.yaml", "-o", "sealed.json"]).with_code(2);
    desk
}

#[test]
fn a_sealed_plan_is_applied_and_then_there_is_nothing_to_do() {
    let desk = desk();
    desk.run(&["apply", "sealed.json", "--yes"]).with_code(0);
    let again = desk.run(&["apply", "sealed.json", "--yes"]).with_code(0);
    assert!(again.stdout.contains("Nothing to do"), "{}", again.stdout);
}

#[test]
fn a_seqno_that_moved_does_not_make_it_stale() {
    let desk = desk();
    desk.lvm(&[0, 1], &["lvchange --addtag harmless vg/before"]);
    desk.run(&["apply", "sealed.json", "--yes"]).with_code(0);
}

#[test]
fn a_change_that_matters_does() {
    let desk = desk();
    // Somebody takes extents of the lost LV.
    desk.lvm(&[0, 1], &["lvcreate -an -Zn -Wn -l 100%FREE -n greedy vg"]);
    let before = desk.digests();
    let ended = desk.run(&["apply", "sealed.json", "--yes"]).with_code(5);
    assert!(ended.stderr.contains("the sealed plan is stale"), "{}", ended.stderr);
    assert_eq!(desk.digests(), before, "nothing was written");
}

#[test]
fn a_sealed_plan_that_was_changed_is_refused() {
    let world = World::of("deleted-lv");
    let plan = plan(RECOVER);
    let sealed = world.plan(&plan).seal(&plan, "lvmend test", "review".to_owned());
    let json = serde_json::to_string(&sealed).unwrap();
    assert!(SealedPlan::read(json.as_bytes()).is_ok());
    for (from, to) in [("\"precious\"", "\"previous\""), ("state: present", "state: present ")] {
        let changed = json.replacen(from, to, 1);
        assert!(changed != json);
        let read = SealedPlan::read(changed.as_bytes());
        assert!(matches!(read, Err(ReadSealedError::Tampered(_))), "{from}: {read:?}");
    }
    let newer = json.replacen("\"format_version\":1", "\"format_version\":2", 1);
    let read = SealedPlan::read(newer.as_bytes());
    assert!(matches!(read, Err(ReadSealedError::Version(2))));
    for bytes in [&b""[..], b"{}", b"[]", b"{\"format_version\":1}", b"\xff"] {
        assert!(SealedPlan::read(bytes).is_err());
    }
}

#[test]
fn it_is_shown_on_any_machine_and_made_the_same_twice() {
    let desk = desk();
    desk.run(&["plan", "plan.yaml", "-o", "again.json"]).with_code(2);
    let read = |name: &str| std::fs::read(desk.path().join(name)).unwrap();
    assert!(read("sealed.json") == read("again.json"), "nothing in it depends on the time");
    let shown = desk.run_bare(&["show", "sealed.json"]).with_code(0);
    assert!(shown.stdout.contains("put LV precious"), "{}", shown.stdout);
}

#[test]
fn a_refused_plan_is_not_sealed() {
    let desk = Desk::with("deleted-reused");
    desk.put("plan.yaml", RECOVER);
    desk.run(&["plan", "plan.yaml", "-o", "sealed.json"]).with_code(3);
    assert!(!desk.path().join("sealed.json").exists());
}
