//! What a journal comes to: one transition function for the live run, for resume and for tests.

use serde::{Deserialize, Serialize};

use crate::execute::Outcome;
use crate::execute::journal::{Journal, JournalError, Left, Record, RunStarted};
use crate::ids::Digest;
use crate::operation::Risk;
use crate::units::Bytes;

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    Pending,
    /// Begun; no outcome is known.
    Started,
    /// Done and verified.
    Applied,
    /// Failed without a trace.
    NotApplied,
    /// Failed half-way; every sector it touched is as before or as intended.
    Torn,
    /// Done, but the world is not as predicted.
    Unexpected,
    /// Failed, and what is left cannot be told.
    Indeterminate,
    /// Being undone; no outcome is known.
    UndoStarted,
    /// Undone and verified.
    Undone,
    /// Could not be undone.
    UndoFailed,
}

impl StepState {
    /// Whether it may have left something on a device.
    pub const fn has_traces(self) -> bool {
        match self {
            Self::Started
            | Self::Applied
            | Self::Torn
            | Self::Unexpected
            | Self::Indeterminate
            | Self::UndoStarted
            | Self::UndoFailed => true,
            Self::Pending | Self::NotApplied | Self::Undone => false,
        }
    }

    /// In words, for reports.
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Pending => "not begun",
            Self::Started => "begun, outcome not known",
            Self::Applied => "done",
            Self::NotApplied => "failed, nothing changed",
            Self::Torn => "failed half-way",
            Self::Unexpected => "done, but not as predicted",
            Self::Indeterminate => "failed, what is left is not known",
            Self::UndoStarted => "being undone, outcome not known",
            Self::Undone => "undone",
            Self::UndoFailed => "could not be undone",
        }
    }
}

/// Which way the run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Forward.
    Forward,
    /// Back.
    Back,
    /// It is over.
    Over(Outcome),
}

/// A step with what the journal says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it stands.
    pub state: StepState,
    /// Digest of its checkpoint's index.
    pub checkpoint: Option<Digest>,
    /// How the VG stands when it is done; none before it began.
    pub after: Option<Digest>,
    /// Why it failed.
    pub why: Option<String>,
    /// What it read or copied.
    pub sha256: Option<Digest>,
    /// Bytes written to a file.
    pub written: Bytes,
    /// What is worth knowing of it.
    pub notes: Vec<String>,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunState {
    /// What it set out to do.
    pub started: RunStarted,
    /// Which way it goes.
    pub phase: Phase,
    /// Its steps.
    pub steps: Vec<Step>,
    /// Why it failed, turned back or stopped, last.
    pub why: Option<String>,
    /// Whether it was stopped and not taken up again.
    pub stopped: bool,
}

/// Why a record cannot follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Illegal(pub String);

impl RunState {
    /// Follows a journal from its first record to its last.
    ///
    /// # Errors
    /// [`JournalError`], when it is empty or its records cannot follow each other.
    pub fn of(journal: &Journal) -> Result<Self, JournalError> {
        let mut records = journal.records.iter();
        let mut state = match records.next() {
            Some(Record::RunStarted(started)) => Self::begin(started.as_ref().clone()),
            Some(_) | None => return Err(JournalError::Empty),
        };
        for (index, record) in records.enumerate() {
            state = next(state, record)
                .map_err(|Illegal(why)| JournalError::Order { line: index + 2, why })?;
        }
        Ok(state)
    }

    /// A run that has just begun.
    pub fn begin(started: RunStarted) -> Self {
        let pending = Step {
            state: StepState::Pending,
            checkpoint: None,
            after: None,
            why: None,
            sha256: None,
            written: Bytes::ZERO,
            notes: Vec::new(),
        };
        let steps = vec![pending; started.steps.len()];
        Self { started, phase: Phase::Forward, steps, why: None, stopped: false }
    }

    /// The first step that is not done yet.
    pub fn next_step(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.state != StepState::Applied)
    }

    /// Whether this step may have left something on a device.
    pub fn has_traces(&self, step: usize) -> bool {
        let writes = self.started.steps.get(step).is_some_and(|s| s.risk != Risk::ReadOnly);
        writes && self.steps.get(step).is_some_and(|step| step.state.has_traces())
    }

    /// How the run would be reported now.
    pub fn outcome(&self) -> Outcome {
        match self.phase {
            Phase::Over(outcome) => outcome,
            Phase::Forward | Phase::Back => Outcome::Incomplete,
        }
    }
}

/// The state after this record.
///
/// # Errors
/// [`Illegal`], when no run could have written it here.
pub fn next(mut state: RunState, record: &Record) -> Result<RunState, Illegal> {
    match record {
        Record::RunStarted(_) => return Err(Illegal("a run begins twice".to_owned())),
        Record::StepStarted { step, checkpoint, after } => {
            let step = begin_step(&mut state, *step)?;
            step.state = StepState::Started;
            step.checkpoint = *checkpoint;
            step.after = Some(*after);
        }
        Record::StepApplied { step, sha256, written, notes } => {
            let step = started_step(&mut state, *step)?;
            step.state = StepState::Applied;
            // Why an earlier try failed is no news any more.
            step.why = None;
            step.sha256 = *sha256;
            step.written = *written;
            step.notes.clone_from(notes);
        }
        Record::StepFailed { step, left, why } => {
            let step = started_step(&mut state, *step)?;
            step.state = match left {
                Left::Nothing => StepState::NotApplied,
                Left::Some => StepState::Torn,
                Left::Everything => StepState::Unexpected,
                Left::Unknown => StepState::Indeterminate,
            };
            step.why = Some(why.clone());
        }
        Record::RollbackStarted { why } => turn_back(&mut state, why)?,
        Record::UndoStarted { step } => {
            check_undo_order(&state, *step)?;
            step_mut(&mut state, *step)?.state = StepState::UndoStarted;
        }
        Record::StepUndone { step } => {
            let step = undone_step(&mut state, *step)?;
            step.state = StepState::Undone;
            // Why an earlier try to undo it failed is no news any more.
            step.why = None;
        }
        Record::UndoFailed { step, why } => {
            let step = undone_step(&mut state, *step)?;
            step.state = StepState::UndoFailed;
            step.why = Some(why.clone());
        }
        Record::Stopped { why } => {
            state.why = Some(why.clone());
            state.stopped = true;
        }
        Record::Resumed { .. } => take_up(&mut state)?,
        Record::Finished { outcome, why } => {
            check_end(&state, *outcome)?;
            state.phase = Phase::Over(*outcome);
            if why.is_some() {
                state.why.clone_from(why);
            }
        }
    }
    Ok(state)
}

/// A step begins when everything before it is done; a failed one may begin again.
fn begin_step(state: &mut RunState, index: usize) -> Result<&mut Step, Illegal> {
    if state.phase != Phase::Forward || state.next_step() != Some(index) {
        return Err(Illegal("a step begins out of order".to_owned()));
    }
    let step = step_mut(state, index)?;
    match step.state {
        StepState::Pending | StepState::NotApplied | StepState::Started | StepState::Torn => {
            Ok(step)
        }
        StepState::Applied
        | StepState::Unexpected
        | StepState::Indeterminate
        | StepState::UndoStarted
        | StepState::Undone
        | StepState::UndoFailed => Err(Illegal("a step begins again".to_owned())),
    }
}

fn turn_back(state: &mut RunState, why: &str) -> Result<(), Illegal> {
    if !matches!(state.phase, Phase::Forward | Phase::Over(Outcome::Done)) {
        return Err(Illegal("a run turns back that does not go forward".to_owned()));
    }
    state.phase = Phase::Back;
    state.why = Some(why.to_owned());
    state.stopped = false;
    Ok(())
}

/// A run that is stuck goes on going back.
fn take_up(state: &mut RunState) -> Result<(), Illegal> {
    match state.phase {
        Phase::Over(Outcome::Stuck) => state.phase = Phase::Back,
        Phase::Over(_) => return Err(Illegal("a run is resumed that is over".to_owned())),
        Phase::Forward | Phase::Back => {}
    }
    state.stopped = false;
    Ok(())
}

fn step_mut(state: &mut RunState, step: usize) -> Result<&mut Step, Illegal> {
    state.steps.get_mut(step).ok_or_else(|| Illegal(format!("there is no step {step}")))
}

fn started_step(state: &mut RunState, step: usize) -> Result<&mut Step, Illegal> {
    let step = step_mut(state, step)?;
    if step.state == StepState::Started {
        return Ok(step);
    }
    Err(Illegal("a step ends that has not begun".to_owned()))
}

fn undone_step(state: &mut RunState, step: usize) -> Result<&mut Step, Illegal> {
    let step = step_mut(state, step)?;
    if step.state == StepState::UndoStarted {
        return Ok(step);
    }
    Err(Illegal("an undo ends that has not begun".to_owned()))
}

/// Steps are undone from the last to the first.
fn check_undo_order(state: &RunState, step: usize) -> Result<(), Illegal> {
    if state.phase != Phase::Back {
        return Err(Illegal("a step is undone while the run goes forward".to_owned()));
    }
    let mut later = step.saturating_add(1)..state.steps.len();
    if later.any(|step| state.has_traces(step)) {
        return Err(Illegal("a step is undone before one that followed it".to_owned()));
    }
    if state.has_traces(step) {
        Ok(())
    } else {
        Err(Illegal("a step is undone that left nothing".to_owned()))
    }
}

fn check_end(state: &RunState, outcome: Outcome) -> Result<(), Illegal> {
    let all = |wanted: &dyn Fn(StepState) -> bool| state.steps.iter().all(|s| wanted(s.state));
    let fits = match outcome {
        Outcome::Done => state.phase == Phase::Forward && all(&|s| s == StepState::Applied),
        Outcome::RolledBack => state.phase == Phase::Back,
        Outcome::Failed | Outcome::Stuck | Outcome::Abandoned => true,
        Outcome::Incomplete => false,
    };
    if fits && !matches!(state.phase, Phase::Over(over) if over.is_final()) {
        Ok(())
    } else {
        Err(Illegal(format!("the run cannot end as {}", outcome.shown())))
    }
}
