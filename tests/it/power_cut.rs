//! The power is cut at every write, sync and journal record of a run, and during every write at
//! every sector; what was not synced survives in every combination. Whatever is left holds the old
//! or the new metadata, never neither, for us and for real LVM2; resume ends where an undisturbed
//! run ends; rollback ends where the run began. Then the power is cut again while that goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use lvmend::execute::Outcome;
use lvmend::host::RunStore;
use lvmend::host::fake::{DiskImage, Fault, Schedule};
use lvmend::ids::Digest;
use lvmend::plan::Plan;
use lvmend::text::read_text;
use tempfile::TempDir;

use crate::support::fixture::{Fixture, write_sparse};
use crate::support::lvm::Lvm;
use crate::support::world::{World, plan};

const RETURNED: &str =
    "version: 1\nname: p\nvolume_group: {name: vg}\nphysical_volumes:\n  '*': {state: attached}\n";
const RECOVERED: &str = "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes:\n  precious: {state: present}\n";
const SOUND: &str = "version: 1\nname: p\nvolume_group: {name: vg, metadata: {state: sound}}\n";

type Disks = Vec<(String, DiskImage)>;

/// A run to be disturbed: where it begins, what it does, and how it ends undisturbed.
struct Case {
    plan: Plan,
    before: Disks,
    after: Disks,
    /// What may count in between: the text that counted before, if any did, and the new one.
    contents: Vec<Option<Digest>>,
    log: Vec<String>,
}

impl Case {
    fn new(disks: Disks, text: &str) -> Self {
        let plan = plan(text);
        let mut world = World::with(disks, &Schedule::quiet());
        let before = world.contents();
        let mut contents = vec![counting(&world)];
        world.must_apply(&plan);
        contents.push(counting(&world));
        let log = world.schedule.borrow().log().to_vec();
        assert!(log.len() > 15, "only {} operations", log.len());
        Self { plan, before, after: world.contents(), contents, log }
    }

    fn of(scenario: &str, text: &str) -> Self {
        Self::damaged(scenario, text, |_, _| ())
    }

    /// With some bytes of some disks changed.
    fn damaged(scenario: &str, text: &str, damage: impl Fn(usize, &mut Vec<u8>)) -> Self {
        let mut disks = Fixture::new(scenario).disks();
        for (index, (_, disk)) in disks.iter_mut().enumerate() {
            damage(index, disk);
        }
        Self::new(disks.into_iter().map(|(name, disk)| (name, disk.into())).collect(), text)
    }

    /// Every fault that ends the run: before each operation, and in each write at each sector.
    fn cuts(&self) -> Vec<(u64, Fault)> {
        let mut cuts = Vec::new();
        for (at, what) in (0..).zip(&self.log) {
            cuts.push((at, Fault::Crash));
            let len = what.strip_prefix("write of ").and_then(|rest| rest.split(' ').next());
            let sectors = len.map_or(1, |len| len.parse::<usize>().unwrap().div_ceil(512));
            cuts.extend((0..=sectors).map(|sectors| (at, Fault::CrashTorn { sectors })));
        }
        cuts
    }

    /// The run, with the power cut there.
    fn cut(&self, at: u64, fault: Fault) -> World {
        let schedule = Schedule::striking(at, fault);
        let mut world = World::with(self.before.clone(), &schedule);
        let result = world.apply(&self.plan);
        assert!(schedule.borrow().is_dark(), "the power was not cut at {at}");
        assert!(result.is_err() || result.is_ok_and(|r| r.outcome != Outcome::Done), "{at}");
        world
    }

    /// What must hold whatever is left: one of the texts counts.
    fn is_one_of_both(&self, world: &World, what: &str) {
        assert!(self.contents.contains(&counting(world)), "{what}: neither old nor new");
    }

    fn resumes(&self, dark: &World, what: &str) {
        let mut world = copy_of(dark);
        self.resume(&mut world, what);
        assert!(world.contents() == self.after, "{what}: resumed, it ends elsewhere");
    }

    fn resume(&self, world: &mut World, what: &str) {
        let Some(run) = run_of(world) else {
            // It never began: applying it does everything.
            world.must_apply(&self.plan);
            return;
        };
        match world.resume(&run) {
            Ok(report) => assert_eq!(report.outcome, Outcome::Done, "{what}: {report:#?}"),
            // The journal says it is over, or holds not even its first line.
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("is over") || text.contains("is empty"), "{what}: {text}");
                if text.contains("is empty") {
                    world.must_apply(&self.plan);
                }
            }
        }
    }

    fn rolls_back(&self, dark: &World, what: &str) {
        let mut world = copy_of(dark);
        Self::roll_back(&mut world, what);
        assert!(world.contents() == self.before, "{what}: rolled back, it is not as it was");
    }

    fn roll_back(world: &mut World, what: &str) {
        let Some(run) = run_of(world) else { return };
        match world.rollback(&run) {
            Ok(report) => assert_eq!(report.outcome, Outcome::RolledBack, "{what}: {report:#?}"),
            Err(error) => {
                let text = error.to_string();
                let is_over = text.contains("is empty") || text.contains("is over");
                assert!(is_over, "{what}: {text}");
            }
        }
    }
}

/// The content of the text that counts in the only VG; none where none does.
fn counting(world: &World) -> Option<Digest> {
    let inventory = world.look();
    let mut vgs = inventory.vgs.values();
    let content = vgs.next().and_then(|vg| vg.standing.content());
    assert!(vgs.next().is_none(), "several VGs");
    content
}

fn run_of(world: &World) -> Option<String> {
    let runs = world.store.runs().unwrap();
    let has_begun = |run: &String| !world.store.journal(run).unwrap().is_empty();
    runs.into_iter().find(has_begun)
}

fn copy_of(world: &World) -> World {
    world.continued(world.contents(), &Schedule::quiet())
}

/// Disks as they may be found after the power came back: with every combination of the writes that
/// were not synced; where there are too many of those, with each alone and with each missing.
fn survivors(world: &World) -> Vec<Disks> {
    let counts: Vec<usize> = world.disks.iter().map(|(_, disk)| disk.pending()).collect();
    let total: usize = counts.iter().sum();
    let masks: Vec<u64> = if total <= 6 {
        (0..1_u64 << total).collect()
    } else {
        let all = (1_u64 << total.min(63)) - 1;
        let alone = (0..total.min(63)).map(|index| 1_u64 << index);
        let missing = (0..total.min(63)).map(|index| all & !(1_u64 << index));
        [0, all].into_iter().chain(alone).chain(missing).collect()
    };
    let disks_of = |mask: u64| {
        let mut first = 0;
        let mut disks = Vec::new();
        for ((name, disk), count) in world.disks.iter().zip(&counts) {
            let start = first;
            disks.push((name.clone(), disk.after_power_cut(|i| mask >> (start + i) & 1 == 1)));
            first += count;
        }
        disks
    };
    masks.into_iter().map(disks_of).collect()
}

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
