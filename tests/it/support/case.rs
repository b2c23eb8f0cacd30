//! Runs to be disturbed: where one begins, what it does, how it ends undisturbed, and what must hold
//! of whatever a power cut leaves.

use lvmend::execute::Outcome;
use lvmend::host::RunStore;
use lvmend::host::fake::{DiskImage, Fault, Schedule};
use lvmend::ids::Digest;
use lvmend::plan::Plan;

use crate::support::fixture::Fixture;
use crate::support::world::{World, plan};

pub type Disks = Vec<(String, DiskImage)>;

/// A run to be disturbed: where it begins, what it does, and how it ends undisturbed.
pub struct Case {
    pub plan: Plan,
    pub before: Disks,
    pub after: Disks,
    /// What may count in between: the text that counted before, if any did, and the new one.
    pub contents: Vec<Option<Digest>>,
    pub log: Vec<String>,
}

impl Case {
    pub fn new(disks: Disks, text: &str) -> Self {
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

    pub fn of(scenario: &str, text: &str) -> Self {
        Self::damaged(scenario, text, |_, _| ())
    }

    /// With some bytes of some disks changed.
    pub fn damaged(scenario: &str, text: &str, damage: impl Fn(usize, &mut Vec<u8>)) -> Self {
        let mut disks = Fixture::new(scenario).disks();
        for (index, (_, disk)) in disks.iter_mut().enumerate() {
            damage(index, disk);
        }
        Self::new(disks.into_iter().map(|(name, disk)| (name, disk.into())).collect(), text)
    }

    /// Every fault that ends the run: before each operation, and in each write at each sector.
    pub fn cuts(&self) -> Vec<(u64, Fault)> {
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
    pub fn cut(&self, at: u64, fault: Fault) -> World {
        let schedule = Schedule::striking(at, fault);
        let mut world = World::with(self.before.clone(), &schedule);
        let result = world.apply(&self.plan);
        assert!(schedule.borrow().is_dark(), "the power was not cut at {at}");
        assert!(result.is_err() || result.is_ok_and(|r| r.outcome != Outcome::Done), "{at}");
        world
    }

    /// What must hold whatever is left: one of the texts counts.
    pub fn is_one_of_both(&self, world: &World, what: &str) {
        assert!(self.contents.contains(&counting(world)), "{what}: neither old nor new");
    }

    pub fn resumes(&self, dark: &World, what: &str) {
        let mut world = copy_of(dark);
        self.resume(&mut world, what);
        assert!(world.contents() == self.after, "{what}: resumed, it ends elsewhere");
    }

    pub fn resume(&self, world: &mut World, what: &str) {
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

    pub fn rolls_back(&self, dark: &World, what: &str) {
        let mut world = copy_of(dark);
        Self::roll_back(&mut world, what);
        assert!(world.contents() == self.before, "{what}: rolled back, it is not as it was");
    }

    pub fn roll_back(world: &mut World, what: &str) {
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
pub fn counting(world: &World) -> Option<Digest> {
    let inventory = world.look();
    let mut vgs = inventory.vgs.values();
    let content = vgs.next().and_then(|vg| vg.standing.content());
    assert!(vgs.next().is_none(), "several VGs");
    content
}

pub fn run_of(world: &World) -> Option<String> {
    let runs = world.store.runs().unwrap();
    let has_begun = |run: &String| !world.store.journal(run).unwrap().is_empty();
    runs.into_iter().find(has_begun)
}

pub fn copy_of(world: &World) -> World {
    world.continued(world.contents(), &Schedule::quiet())
}

/// Disks as they may be found after the power came back: with every combination of the writes that
/// were not synced; where there are too many of those, with each alone and with each missing.
pub fn survivors(world: &World) -> Vec<Disks> {
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
