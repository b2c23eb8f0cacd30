//! Worlds in memory, made of fixtures.

use lvmend::discover::{self, Depth, Scope};
use lvmend::execute::{Engine, Event, Listener, Outcome, Resumer, RunError, RunReport};
use lvmend::host::fake::{DiskImage, FakeDisk, FakeStore, Schedule, SharedSchedule};
use lvmend::host::image::{Clock, ImageFile, ImageHost};
use lvmend::host::{Machine, ReadHost};
use lvmend::ids::DeviceName;
use lvmend::model::inventory::Inventory;
use lvmend::model::timeline::Version;
use lvmend::operation::Signature;
use lvmend::plan::{self, Plan};
use lvmend::simulate::planned::{Planned, work_out};

use crate::support::fixture::Fixture;

/// When it always is, in tests.
pub const NOW: i64 = 1_800_000_000;

/// Where the thin tools work: they read directly, which not every file system lets them.
pub const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

/// Disks and runs in memory.
pub struct World {
    pub disks: Vec<(String, FakeDisk)>,
    pub store: FakeStore,
    pub schedule: SharedSchedule,
    pub scope: Scope,
}

/// Hears nothing.
pub struct Deaf;

impl Listener for Deaf {
    fn tell(&mut self, _: Event) {}
}

pub fn scope() -> Scope {
    Scope { contents: true, ..Scope::disks(Depth::History) }
}

pub fn signature() -> Signature {
    Signature {
        program: "lvmend test".to_owned(),
        node: "lab".into(),
        machine: "Linux lab".into(),
        time: NOW,
        time_shown: "Fri Jan 15 08:00:00 2027".to_owned(),
    }
}

impl World {
    pub fn of(fixture: &str) -> Self {
        Self::with(Fixture::new(fixture).disks(), &Schedule::quiet())
    }

    pub fn with<D: Into<DiskImage>>(disks: Vec<(String, D)>, schedule: &SharedSchedule) -> Self {
        let disk = |(name, content): (String, D)| {
            let disk = FakeDisk::new(&name, content, schedule);
            (name, disk)
        };
        Self {
            disks: disks.into_iter().map(disk).collect(),
            store: FakeStore::new(schedule),
            schedule: schedule.clone(),
            scope: scope(),
        }
    }

    /// The same disks and runs with other content and another schedule.
    pub fn continued(&self, disks: Vec<(String, DiskImage)>, schedule: &SharedSchedule) -> Self {
        let mut world = Self::with(disks, schedule);
        world.store = self.store.after_power_cut(schedule);
        world.scope = self.scope.clone();
        world
    }

    pub fn contents(&self) -> Vec<(String, DiskImage)> {
        self.disks.iter().map(|(name, disk)| (name.clone(), disk.content())).collect()
    }

    pub fn host(&self) -> ImageHost<FakeDisk> {
        self.host_where(|_| false)
    }

    /// The host, where some disks can only be read.
    pub fn host_where(&self, is_read_only: impl Fn(&str) -> bool) -> ImageHost<FakeDisk> {
        let machine = Machine { node: "lab".into(), description: "Linux lab".into() };
        let mut host = ImageHost::new(Clock::Fixed(NOW), machine);
        host.set_scratch(SCRATCH.to_owned());
        for (name, disk) in &self.disks {
            let file = ImageFile {
                name: DeviceName::whole(name.as_str()),
                path: format!("/images/{name}"),
            };
            host.add(file, disk.clone(), is_read_only(name)).unwrap();
        }
        host
    }

    pub fn look(&self) -> Inventory {
        discover::take(&self.host(), &self.scope)
    }

    pub fn plan(&self, plan: &Plan) -> Planned {
        work_out(plan, &self.look(), &signature()).unwrap()
    }

    /// Applies a plan that nothing speaks against.
    pub fn apply(&mut self, plan: &Plan) -> Result<RunReport, RunError> {
        let seen = self.look();
        self.apply_as_seen(plan, seen)
    }

    /// Applies a plan that nothing spoke against when the world was looked at.
    pub fn apply_as_seen(&mut self, plan: &Plan, world: Inventory) -> Result<RunReport, RunError> {
        let planned = work_out(plan, &world, &signature()).unwrap();
        assert_eq!(planned.refusals, [], "the plan is refused");
        let sealed = planned.seal(plan, "lvmend test", String::new());
        let on_failure = plan.document.policy.on_failure;
        let mut host = self.host();
        let scope = self.scope_of_run();
        let mut engine = Engine {
            host: &mut host,
            store: &mut self.store,
            evidence_copy: None,
            listener: &mut Deaf,
            stop: &|| false,
            scope,
        };
        lvmend::execute::apply(&mut engine, &sealed, on_failure, world, signature())
    }

    /// What was judged when planning is not judged again.
    fn scope_of_run(&self) -> Scope {
        Scope { pools: None, ..self.scope.clone() }
    }

    pub fn resume(&mut self, run: &str) -> Result<RunReport, RunError> {
        self.take_up(run, lvmend::execute::resume)
    }

    pub fn rollback(&mut self, run: &str) -> Result<RunReport, RunError> {
        self.take_up(run, lvmend::execute::rollback)
    }

    fn take_up(
        &mut self,
        run: &str,
        what: fn(&mut Engine<'_>, &str, Inventory, &Resumer) -> Result<RunReport, RunError>,
    ) -> Result<RunReport, RunError> {
        let world = self.look();
        let mut host = self.host();
        let resumer = Resumer { program: "lvmend test".to_owned(), time: host.now() };
        let scope = self.scope_of_run();
        let mut engine = Engine {
            host: &mut host,
            store: &mut self.store,
            evidence_copy: None,
            listener: &mut Deaf,
            stop: &|| false,
            scope,
        };
        what(&mut engine, run, world, &resumer)
    }

    /// Applies a plan and expects it to be done.
    pub fn must_apply(&mut self, plan: &Plan) -> RunReport {
        let report = self.apply(plan).unwrap();
        assert_eq!(report.outcome, Outcome::Done, "{report:#?}");
        report
    }
}

/// A plan that is valid.
pub fn plan(text: &str) -> Plan {
    plan::load(text.as_bytes()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// The text that counts in the only VG.
pub fn current(inventory: &Inventory) -> &Version {
    let mut vgs = inventory.vgs.values().filter(|vg| vg.current.is_some());
    let vg = vgs.next().unwrap();
    assert!(vgs.next().is_none(), "several VGs");
    let content = vg.standing.content().unwrap();
    vg.timeline.versions().iter().find(|v| v.content() == content).unwrap()
}
