//! The power is cut at every write, sync and journal record of a run: what survives is the old or
//! the new metadata, never neither; resume ends where an undisturbed run ends; rollback ends where
//! the run began.

use lvmend::execute::Outcome;
use lvmend::host::fake::{DiskImage, Fault, Schedule};
use lvmend::plan::Plan;

use crate::support::world::{World, current, plan};

const RETURNED: &str =
    "version: 1\nname: p\nvolume_group: {name: vg}\nphysical_volumes:\n  '*': {state: attached}\n";
const RECOVERED: &str = "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes:\n  precious: {state: present}\n";

/// Disks as they may be found after the power came back: with every pending write, with none, and
/// with every other one.
fn survivors(world: &World) -> Vec<Vec<(String, DiskImage)>> {
    let pick = |survives: &dyn Fn(usize) -> bool| {
        world.disks.iter().map(|(n, disk)| (n.clone(), disk.after_power_cut(survives))).collect()
    };
    let odd = |index: usize| index % 2 == 1;
    let even = |index: usize| index.is_multiple_of(2);
    vec![pick(&|_| true), pick(&|_| false), pick(&odd), pick(&even)]
}

/// Cuts the power at each operation of a run in turn.
fn cut_everywhere(scenario: &str, plan: &Plan, fault: Fault) {
    let mut undisturbed = World::of(scenario);
    let (old, before) = (current(&undisturbed.look()).content(), undisturbed.contents());
    undisturbed.must_apply(plan);
    let (new, after) = (current(&undisturbed.look()).content(), undisturbed.contents());
    let total = undisturbed.schedule.borrow().count();
    assert!(total > 15, "only {total} operations");
    for at in 0..total {
        let schedule = Schedule::striking(at, fault);
        let mut world = World::with(before.clone(), &schedule);
        let result = world.apply(plan);
        assert!(schedule.borrow().is_dark(), "the power was not cut at {at}");
        let what = schedule.borrow().struck().unwrap_or("nothing").to_owned();
        assert!(result.is_err() || result.is_ok_and(|r| r.outcome != Outcome::Done), "{at} {what}");
        for disks in survivors(&world) {
            let dark = world.continued(disks, &Schedule::quiet());
            let content = current(&dark.look()).content();
            assert!(content == old || content == new, "{at} {what}: neither old nor new");
            resumed(&dark, plan, &after, at, &what);
            rolled_back(&dark, &before, at, &what);
        }
    }
}

fn run_of(world: &World) -> Option<String> {
    use lvmend::host::RunStore;
    let runs = world.store.runs().unwrap();
    let has_begun = |run: &String| !world.store.journal(run).unwrap().is_empty();
    runs.into_iter().find(has_begun)
}

fn copy_of(world: &World) -> World {
    world.continued(world.contents(), &Schedule::quiet())
}

fn resumed(dark: &World, plan: &Plan, after: &[(String, DiskImage)], at: u64, what: &str) {
    let mut world = copy_of(dark);
    let Some(run) = run_of(&world) else {
        // It never began: applying it does everything.
        world.must_apply(plan);
        assert!(world.contents() == after, "{at} {what}: applied afresh, it ends elsewhere");
        return;
    };
    match world.resume(&run) {
        Ok(report) => assert_eq!(report.outcome, Outcome::Done, "{at} {what}: {report:#?}"),
        // The journal says it is over, or holds not even its first line.
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("is over") || text.contains("is empty"), "{at} {what}: {text}");
            if text.contains("is empty") {
                world.must_apply(plan);
            }
        }
    }
    assert!(world.contents() == after, "{at} {what}: resumed, it ends elsewhere");
}

fn rolled_back(dark: &World, before: &[(String, DiskImage)], at: u64, what: &str) {
    let mut world = copy_of(dark);
    let Some(run) = run_of(&world) else { return };
    match world.rollback(&run) {
        Ok(report) => assert_eq!(report.outcome, Outcome::RolledBack, "{at} {what}: {report:#?}"),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("is empty"), "{at} {what}: {text}");
        }
    }
    assert!(world.contents() == before, "{at} {what}: rolled back, it is not as it was");
}

#[test]
fn cut_before_each_operation() {
    cut_everywhere("missing-pv", &plan(RETURNED), Fault::Crash);
    cut_everywhere("deleted-lv", &plan(RECOVERED), Fault::Crash);
}

#[test]
fn cut_during_each_operation() {
    for sectors in [0, 1, 2] {
        cut_everywhere("missing-pv", &plan(RETURNED), Fault::CrashTorn { sectors });
    }
}

#[test]
fn each_operation_fails_once() {
    let plan = plan(RETURNED);
    let mut undisturbed = World::of("missing-pv");
    let before = undisturbed.contents();
    undisturbed.must_apply(&plan);
    let total = undisturbed.schedule.borrow().count();
    for fault in [Fault::Fail, Fault::FailAfter] {
        for at in 0..total {
            let schedule = Schedule::striking(at, fault);
            let mut world = World::with(before.clone(), &schedule);
            let result = world.apply(&plan);
            let what = schedule.borrow().struck().unwrap().to_owned();
            match result {
                // A write that failed is rolled back, or nothing had been written.
                Ok(report) if report.outcome != Outcome::Done => {
                    let fits = matches!(report.outcome, Outcome::Failed | Outcome::RolledBack);
                    assert!(fits, "{at} {what}: {report:#?}");
                    assert!(world.contents() == before, "{at} {what}");
                }
                Ok(report) => panic!("{at} {what}: {report:#?}"),
                // The journal failed: the run can be taken up again.
                Err(_) => {
                    let Some(run) = run_of(&world) else { continue };
                    let mut world = copy_of(&world);
                    if let Err(error) = world.rollback(&run) {
                        assert!(error.to_string().contains("is empty"), "{at} {what}: {error}");
                    }
                    assert!(world.contents() == before, "{at} {what}");
                }
            }
        }
    }
}
