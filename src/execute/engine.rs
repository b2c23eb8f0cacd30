//! The engine: what a run works with, and a run from its first record to its last.

use crate::discover::{self, Depth, Scope};
use crate::execute::journal::{
    DevicePlace, FORMAT_VERSION, Journal, Record, RunStarted, StepIntent,
};
use crate::execute::run_state::{self, Illegal, Phase, RunState};
use crate::execute::{
    Event, Listener, Outcome, RunError, RunReport, StepReport, rollback, sources, step,
};
use crate::graph::Graph;
use crate::host::{DeviceInfo, HostError, RunStore, WriteHost};
use crate::ids::Digest;
use crate::model::inventory::Inventory;
use crate::operation::Signature;
use crate::plan::document::OnFailure;
use crate::simulate::sealed::SealedPlan;
use crate::simulate::standing::standing;

/// What a run works with.
pub struct Engine<'a> {
    /// The world.
    pub host: &'a mut dyn WriteHost,
    /// Where the run is kept.
    pub store: &'a mut dyn RunStore,
    /// Where a second copy of the evidence goes.
    pub evidence_copy: Option<&'a mut dyn RunStore>,
    /// Who is told.
    pub listener: &'a mut dyn Listener,
    /// Whether somebody asked the run to stop after the current step.
    pub stop: &'a dyn Fn() -> bool,
    /// What discovery looks at.
    pub scope: Scope,
}

/// A run on its way.
pub(crate) struct Run<'e, 'a> {
    pub engine: &'e mut Engine<'a>,
    pub name: String,
    pub graph: Graph,
    pub journal: Journal,
    pub state: RunState,
    /// What the world is believed to be like: the last observation, with the history that a short
    /// look does not show.
    pub world: Inventory,
}

/// Executes a sealed plan in a world whose inventory was just taken.
///
/// # Errors
/// [`RunError`], when the run could not even begin.
pub fn apply(
    engine: &mut Engine<'_>,
    sealed: &SealedPlan,
    on_failure: OnFailure,
    world: Inventory,
    signature: Signature,
) -> Result<RunReport, RunError> {
    let name = free_name(engine.store, sealed, &signature)?;
    engine.store.create(&name)?;
    let json = serde_json::to_vec_pretty(sealed)
        .map_err(|error| HostError::because("write", "sealed.json", error.to_string()))?;
    engine.store.put(&name, "sealed.json", &json)?;
    sources::save(engine.store, &name, &world, (sealed.vg, &sealed.graph))?;
    let kept = sources::paths(engine.store, &name, world.realm, &sealed.graph);
    engine.scope.files.extend(kept);
    let intent = |operation: &crate::operation::Operation| StepIntent {
        id: operation.id(),
        title: operation.contract().title(),
        risk: operation.contract().risk(world.realm),
        stage: operation.stage(),
    };
    let started = RunStarted {
        format_version: FORMAT_VERSION,
        run: name.clone(),
        plan: sealed.name.clone(),
        vg: sealed.vg,
        vg_name: sealed.vg_name.clone(),
        realm: world.realm,
        signature,
        on_failure,
        sealed: Digest::of(&json),
        standing: standing(&world, sealed.vg),
        devices: places(engine.host.devices()),
        steps: sealed.graph.operations.iter().map(intent).collect(),
    };
    let (mut journal, _) = Journal::read(b"");
    let record = Record::RunStarted(Box::new(started.clone()));
    journal.append(engine.store, &name, record)?;
    let state = RunState::begin(started);
    let graph = sealed.graph.clone();
    let mut run = Run { engine, name, graph, journal, state, world };
    match forward(&mut run) {
        Ok(()) => Ok(run.report()),
        Err(error) => Err(RunError::Interrupted { run: run.name, cause: Box::new(error) }),
    }
}

fn places(devices: Vec<DeviceInfo>) -> Vec<DevicePlace> {
    let place = |info: DeviceInfo| DevicePlace { name: info.name, place: info.place };
    devices.into_iter().map(place).collect()
}

/// A name that no run has: when it began and what it does.
fn free_name(
    store: &dyn RunStore,
    sealed: &SealedPlan,
    signature: &Signature,
) -> Result<String, HostError> {
    let taken = store.runs()?;
    let stamp = jiff::Timestamp::from_second(signature.time).map_or_else(
        |_| signature.time.to_string(),
        |time| time.strftime("%Y%m%dT%H%M%SZ").to_string(),
    );
    let name = format!("{stamp}-{}", sealed.name);
    if !taken.contains(&name) {
        return Ok(name);
    }
    let mut numbered = (2_u32..).map(|n| format!("{name}-{n}"));
    numbered
        .find(|name| !taken.contains(name))
        .ok_or_else(|| HostError::because("name", "the run", "too many runs"))
}

/// Does every step that is not done yet.
pub(crate) fn forward(run: &mut Run<'_, '_>) -> Result<(), RunError> {
    while let Some(index) = run.state.next_step() {
        if (run.engine.stop)() {
            let why = "asked to stop; the step before was finished".to_owned();
            return run.record(Record::Stopped { why });
        }
        match step::step(run, index)? {
            step::Ended::Applied => {}
            step::Ended::Failed(why) => return rollback::after_failure(run, &why),
            step::Ended::Stopped(why) => return run.record(Record::Stopped { why }),
        }
    }
    run.record(Record::Finished { outcome: Outcome::Done, why: None })
}

impl Run<'_, '_> {
    /// Writes a record down and follows it.
    pub fn record(&mut self, record: Record) -> Result<(), RunError> {
        let next = run_state::next(self.state.clone(), &record).map_err(|Illegal(why)| {
            RunError::NotPossible { run: self.name.clone(), why: format!("BUG: {why}") }
        })?;
        self.journal.append(self.engine.store, &self.name, record)?;
        self.state = next;
        Ok(())
    }

    /// A short look at the world, with the history that is known from before.
    pub fn observe(&self) -> Inventory {
        let scope = Scope { depth: Depth::Current, ..self.engine.scope.clone() };
        discover::take_again(self.engine.host, &scope, &self.world)
    }

    /// A long look.
    pub fn look_closely(&mut self) {
        let scope = Scope { depth: Depth::History, ..self.engine.scope.clone() };
        self.world = discover::take_again(self.engine.host, &scope, &self.world);
    }

    pub fn tell(&mut self, event: Event) {
        self.engine.listener.tell(event);
    }

    /// Where the run stands, for people.
    pub fn report(&self) -> RunReport {
        report(&self.name, &self.engine.store.place(&self.name), &self.state)
    }
}

/// Where a run stands by its journal, for people.
pub fn report(name: &str, place: &str, state: &RunState) -> RunReport {
    let steps = state.started.steps.iter().zip(&state.steps).map(|(intent, step)| StepReport {
        id: intent.id.clone(),
        title: intent.title.clone(),
        risk: intent.risk,
        stage: intent.stage,
        state: step.state,
        why: step.why.clone(),
        sha256: step.sha256,
        written: step.written,
        notes: step.notes.clone(),
    });
    RunReport {
        run: name.to_owned(),
        place: place.to_owned(),
        plan: state.started.plan.clone(),
        vg: state.started.vg,
        vg_name: state.started.vg_name.clone(),
        began: state.started.signature.time,
        outcome: state.outcome(),
        why: state.why.clone(),
        steps: steps.collect(),
    }
}

/// Whether any step may have left something on a device.
pub(crate) fn has_traces(state: &RunState) -> bool {
    (0..state.steps.len()).any(|step| state.has_traces(step))
}

/// Whether the run goes back.
pub(crate) fn goes_back(state: &RunState) -> bool {
    state.phase == Phase::Back
}
