//! The power is cut at every write, sync and journal record of a run, and during every write at
//! every sector; what was not synced survives in every combination. Whatever is left holds the old
//! or the new metadata, never neither, for us and for real LVM2; resume ends where an undisturbed
//! run ends; rollback ends where the run began. Then the power is cut again while that goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use lvmend::execute::Outcome;
use lvmend::host::fake::{DiskImage, Fault, Schedule};
use lvmend::ids::Digest;
use lvmend::text::read_text;
use tempfile::TempDir;

use crate::support::case::{Case, Disks, copy_of, counting, run_of, survivors};
use crate::support::fixture::write_sparse;
use crate::support::lvm::Lvm;
use crate::support::world::World;

const RETURNED: &str =
    "version: 1\nname: p\nvolume_group: {name: vg}\nphysical_volumes:\n  '*': {state: attached}\n";
const RECOVERED: &str = "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes:\n  precious: {state: present}\n";
const SOUND: &str = "version: 1\nname: p\nvolume_group: {name: vg, metadata: {state: sound}}\n";

/// Cuts the power everywhere; returns every distinct set of disks that was found afterwards.
fn cut_everywhere(case: &Case) -> Vec<Disks> {
    let mut seen: BTreeMap<Vec<u8>, Disks> = BTreeMap::new();
    for (at, fault) in case.cuts() {
        let world = case.cut(at, fault);
        let what = format!("{at} {} {fault:?}", case.log[usize::try_from(at).unwrap()]);
        let mut found: Vec<Disks> = Vec::new();
        for disks in survivors(&world) {
            if found.contains(&disks) {
                continue;
            }
            found.push(disks.clone());
            let dark = world.continued(disks.clone(), &Schedule::quiet());
            case.is_one_of_both(&dark, &what);
            case.resumes(&dark, &what);
            case.rolls_back(&dark, &what);
            seen.entry(heads(&disks)).or_insert(disks);
        }
    }
    seen.into_values().collect()
}

/// The first MiB of each disk, where everything is written: tells states apart.
fn heads(disks: &Disks) -> Vec<u8> {
    let digest = |(_, disk): &(String, DiskImage)| {
        let mut head = vec![0; 1 << 20];
        disk.read(0, &mut head).unwrap();
        Digest::of(&head).to_string().into_bytes()
    };
    disks.iter().flat_map(digest).collect()
}

/// Real LVM2 reads the old or the new metadata from each of these.
fn judged_by_lvm(case: &Case, states: &[Disks]) {
    let directory = TempDir::new().unwrap();
    let write = |(name, disk): &(String, DiskImage)| {
        let path = directory.path().join(format!("{name}.img"));
        write_sparse(&path, &disk.to_vec());
        path
    };
    for disks in states {
        let images: Vec<_> = disks.iter().map(write).collect();
        let lvm = Lvm::attach(&images);
        let text = read_text(&Arc::from(lvm.backup_of_whatever_counts("vg"))).unwrap().text;
        assert!(case.contents.contains(&Some(text.content)), "LVM2 reads something else");
    }
}

#[test]
fn a_returned_pv() {
    let case = Case::of("missing-pv", RETURNED);
    let states = cut_everywhere(&case);
    assert!(states.len() > 10, "{} states", states.len());
    judged_by_lvm(&case, &states);
}

#[test]
fn a_lost_lv() {
    let case = Case::of("deleted-lv", RECOVERED);
    let states = cut_everywhere(&case);
    assert!(states.len() > 10, "{} states", states.len());
    judged_by_lvm(&case, &states);
}

#[test]
fn a_lost_label_and_damaged_areas() {
    let mut case = Case::damaged("deleted-lv", SOUND, |disk, bytes| match disk {
        0 => bytes[4096 + 5] ^= 1,
        _ => bytes[512..1024].fill(0),
    });
    // Without the label of one and the header of the other, nothing counts at first; with the label
    // back, the text does that counted before the damage.
    case.contents.push(counting(&World::of("deleted-lv")));
    cut_everywhere(&case);
}

#[test]
fn two_areas_on_each_pv() {
    let case = Case::damaged("two-mdas", SOUND, |disk, bytes| {
        if disk == 0 {
            bytes[4096 + 5] ^= 1;
        }
    });
    cut_everywhere(&case);
}

#[test]
fn the_power_is_cut_again_while_resuming_and_while_going_back() {
    let case = Case::of("missing-pv", RETURNED);
    for at in (0..).take(case.log.len()) {
        let dark = case.cut(at, Fault::Crash);
        for going in [Going::Forward, Going::Back] {
            let length = {
                let mut world = copy_of(&dark);
                going.go(&case, &mut world);
                world.schedule.borrow().count()
            };
            for second in 0..length {
                let schedule = Schedule::striking(second, Fault::Crash);
                let mut world = dark.continued(dark.contents(), &schedule);
                going.try_to_go(&case, &mut world);
                assert!(schedule.borrow().is_dark(), "{at} {second}");
                let what = format!("{at}, then {second}");
                let found = copy_of(&world);
                case.is_one_of_both(&found, &what);
                if going == Going::Forward {
                    case.resumes(&found, &what);
                }
                case.rolls_back(&found, &what);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Going {
    Forward,
    Back,
}

impl Going {
    fn go(self, case: &Case, world: &mut World) {
        match self {
            Self::Forward => case.resume(world, "undisturbed"),
            Self::Back => Case::roll_back(world, "undisturbed"),
        }
    }

    /// The same, when it may end anywhere.
    fn try_to_go(self, case: &Case, world: &mut World) {
        let Some(run) = run_of(world) else {
            let _ = world.apply(&case.plan);
            return;
        };
        let _ = match self {
            Self::Forward => match world.resume(&run) {
                Err(error) if error.to_string().contains("is empty") => world.apply(&case.plan),
                result => result,
            },
            Self::Back => world.rollback(&run),
        };
    }
}

#[test]
fn each_operation_fails_once() {
    for (scenario, text) in [("missing-pv", RETURNED), ("deleted-lv", RECOVERED)] {
        let case = Case::of(scenario, text);
        for fault in [Fault::Fail, Fault::FailAfter] {
            for (at, what) in (0..).zip(&case.log) {
                let schedule = Schedule::striking(at, fault);
                let mut world = World::with(case.before.clone(), &schedule);
                let result = world.apply(&case.plan);
                let struck = schedule.borrow().struck().map(str::to_owned);
                assert_eq!(struck.as_deref(), Some(what.as_str()), "the fault fired elsewhere");
                match result {
                    // A write that failed is rolled back, or nothing had been written.
                    Ok(report) if report.outcome != Outcome::Done => {
                        let fits = matches!(report.outcome, Outcome::Failed | Outcome::RolledBack);
                        assert!(fits, "{at} {what}: {report:#?}");
                    }
                    Ok(report) => panic!("{at} {what}: {report:#?}"),
                    // The journal failed: the run can be taken up again.
                    Err(_) => {
                        world = copy_of(&world);
                        Case::roll_back(&mut world, what);
                    }
                }
                assert!(world.contents() == case.before, "{at} {what}");
            }
        }
    }
}

#[test]
fn each_operation_of_going_back_fails_once_and_going_back_again_ends_where_the_run_began() {
    let case = Case::damaged("deleted-lv", SOUND, |disk, bytes| {
        if disk == 1 {
            bytes[4096 + 5] ^= 1;
        }
    });
    let mut done = World::with(case.before.clone(), &Schedule::quiet());
    done.must_apply(&case.plan);
    let run = run_of(&done).unwrap();
    let length = {
        let mut world = copy_of(&done);
        world.rollback(&run).unwrap();
        world.schedule.borrow().count()
    };
    let mut stuck = 0;
    for fault in [Fault::Fail, Fault::FailAfter] {
        for at in 0..length {
            let schedule = Schedule::striking(at, fault);
            let mut world = done.continued(done.contents(), &schedule);
            let result = world.rollback(&run);
            assert!(schedule.borrow().struck().is_some(), "{at}: the fault did not fire");
            stuck += usize::from(result.is_ok_and(|report| report.outcome == Outcome::Stuck));
            let mut again = copy_of(&world);
            Case::roll_back(&mut again, &format!("{at} {fault:?}"));
            assert!(again.contents() == case.before, "{at} {fault:?}: not as it was");
        }
    }
    assert!(stuck > 3, "only {stuck} undos failed");
}
