//! What became of runs.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::execute::run_state::StepState;
use crate::execute::{Outcome, RunReport};
use crate::ids::ForeignText;
use crate::operation::Stage;
use crate::report::table::table;
use crate::report::{Head, time};
use crate::units::Bytes;

/// A run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunJson {
    #[serde(flatten)]
    head: Head,
    /// Its name.
    run: String,
    /// Where it is kept.
    place: String,
    /// The plan.
    plan: String,
    /// The VG.
    vg: String,
    /// Its UUID.
    vg_uuid: String,
    /// When it began, in seconds since 1970.
    began: i64,
    /// `done`, `failed`, `rolled_back`, `incomplete`, `stuck` or `abandoned`.
    outcome: String,
    /// Why, when it is not done.
    why: Option<String>,
    /// Whether a state of the plan was brought about, rather than only tasks and checks done.
    states_changed: bool,
    /// Its steps.
    steps: Vec<StepJson>,
    /// What to type next, when something is to be done.
    next: Vec<String>,
}

/// A step of a run.
#[derive(Debug, Serialize, JsonSchema)]
struct StepJson {
    /// Counted from 1.
    number: usize,
    /// Kind and object of the operation.
    id: String,
    /// `evidence`, `state`, `task` or `check`.
    stage: Stage,
    /// What it does.
    title: String,
    /// Where it stands.
    state: String,
    /// Why it failed.
    why: Option<String>,
    /// The digest of what it read or copied.
    sha256: Option<String>,
    /// Bytes written to a file, holes not counted.
    written: u64,
    /// What is worth knowing of it.
    notes: Vec<String>,
}

/// Gathers a run. `changed` says whether this very command changed anything.
pub fn gather(report: &RunReport, changed: bool) -> RunJson {
    let outcome = serde_json::to_value(report.outcome).ok();
    let steps = report.steps.iter().enumerate().map(|(index, step)| {
        let state = serde_json::to_value(step.state).ok();
        StepJson {
            number: index + 1,
            id: step.id.to_string(),
            stage: step.stage,
            title: step.title.clone(),
            state: state.and_then(|s| s.as_str().map(str::to_owned)).unwrap_or_default(),
            why: step.why.as_deref().map(escaped),
            sha256: step.sha256.map(|digest| digest.to_string()),
            written: step.written.get(),
            notes: step.notes.iter().map(|note| escaped(note)).collect(),
        }
    });
    RunJson {
        head: Head::changing("run", changed),
        run: report.run.clone(),
        place: ForeignText::from(report.place.as_str()).to_string(),
        plan: report.plan.to_string(),
        vg: report.vg_name.to_string(),
        vg_uuid: report.vg.to_string(),
        began: report.began,
        outcome: outcome.and_then(|o| o.as_str().map(str::to_owned)).unwrap_or_default(),
        why: report.why.as_deref().map(escaped),
        states_changed: report
            .steps
            .iter()
            .any(|step| step.stage == Stage::State && step.state == StepState::Applied),
        steps: steps.collect(),
        next: next_commands(report),
    }
}

fn escaped(text: &str) -> String {
    ForeignText::from(text).to_string()
}

/// What a person can type next.
pub fn next_commands(report: &RunReport) -> Vec<String> {
    let run = &report.run;
    let unclear =
        |state: StepState| matches!(state, StepState::Indeterminate | StepState::Unexpected);
    let is_unclear = report.steps.iter().any(|step| unclear(step.state));
    match report.outcome {
        Outcome::Done | Outcome::Failed | Outcome::RolledBack | Outcome::Abandoned => Vec::new(),
        Outcome::Incomplete if is_unclear => vec![
            format!("lvmend rollback {run}    puts back what it did, if the disks still hold it"),
            format!("lvmend abandon {run} --because …    leaves everything as it is"),
        ],
        Outcome::Incomplete => vec![
            format!("lvmend resume {run}      goes on"),
            format!("lvmend rollback {run}    puts back what it did, as far as that can be undone"),
            format!("lvmend abandon {run} --because …    leaves everything as it is"),
        ],
        Outcome::Stuck => vec![
            format!("lvmend rollback {run}    tries again, once the cause is gone"),
            format!("lvmend abandon {run} --because …    leaves everything as it is"),
        ],
    }
}

/// A run, for people.
pub fn text(report: &RunReport) -> String {
    let mut out = format!("Run {}: {}\n", report.run, report.outcome.shown());
    if let Some(why) = &report.why {
        let _ = writeln!(out, "  because {}", escaped(why));
    }
    let _ = writeln!(out, "  plan {}, VG {} ({})", report.plan, report.vg_name, report.vg);
    let _ = writeln!(out, "  began {}", time::shown(report.began));
    let rows: Vec<Vec<String>> = report
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| {
            vec![format!("{}.", index + 1), step.state.shown().to_owned(), step.title.clone()]
        })
        .collect();
    out.push_str(&table(2, &rows));
    for step in &report.steps {
        if let Some(why) = &step.why {
            let _ = writeln!(out, "  {} failed: {}", step.title, escaped(why));
        }
        if step.sha256.is_some() || !step.notes.is_empty() {
            let _ = writeln!(out, "  {}", step.title);
        }
        for note in &step.notes {
            let _ = writeln!(out, "    {}", escaped(note));
        }
        if let Some(sha256) = &step.sha256 {
            let _ = writeln!(out, "    SHA-256 {sha256}");
            if step.written > Bytes::ZERO {
                let _ = writeln!(out, "    {} written, the rest is holes", step.written);
            }
        }
    }
    let _ = writeln!(out, "  journal, evidence and checkpoints: {}", escaped(&report.place));
    let next = next_commands(report);
    if !next.is_empty() {
        out.push_str("  next:\n");
        for command in next {
            let _ = writeln!(out, "    {command}");
        }
    }
    out
}

/// All runs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunsJson {
    #[serde(flatten)]
    head: Head,
    /// The runs, by name.
    runs: Vec<RunSummaryJson>,
}

/// A run in a list.
#[derive(Debug, Serialize, JsonSchema)]
struct RunSummaryJson {
    /// Its name.
    run: String,
    /// The plan.
    plan: Option<String>,
    /// The VG.
    vg: Option<String>,
    /// How it ended, or where it stands.
    outcome: Option<String>,
    /// What is wrong with its journal.
    damage: Option<String>,
}

/// One line of a list: a run, what can be read of it, and what is wrong with its journal.
pub struct ListedRun {
    /// Its name.
    pub run: String,
    /// What can be read.
    pub report: Option<RunReport>,
    /// Whether its journal can be read.
    pub condition: Condition,
}

/// Whether the journal of a run can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All of it.
    Sound,
    /// It has no first record, and nothing was saved: the run ended before it began.
    NeverBegan(String),
    /// A part of it, or nothing.
    Damaged(String),
    /// It is damaged, and a person gave the run up.
    GivenUp(String),
}

impl ListedRun {
    /// What is wrong with the journal, if anything.
    pub fn damage(&self) -> Option<&str> {
        match &self.condition {
            Condition::Sound => None,
            Condition::NeverBegan(why) | Condition::Damaged(why) | Condition::GivenUp(why) => {
                Some(why)
            }
        }
    }

    /// How it ended, or where it stands, as far as that is known.
    fn outcome(&self) -> Option<&'static str> {
        match &self.condition {
            Condition::GivenUp(_) => Some(Outcome::Abandoned.shown()),
            Condition::Sound | Condition::NeverBegan(_) | Condition::Damaged(_) => {
                self.report.as_ref().map(|report| report.outcome.shown())
            }
        }
    }

    /// Whether nothing is left to be done about it.
    pub fn is_over(&self) -> bool {
        match &self.condition {
            Condition::Sound => self.report.as_ref().is_some_and(|r| r.outcome.is_final()),
            Condition::NeverBegan(_) | Condition::GivenUp(_) => true,
            Condition::Damaged(_) => false,
        }
    }
}

/// Gathers all runs.
pub fn gather_list(runs: &[ListedRun]) -> RunsJson {
    let runs = runs.iter().map(|listed| {
        let report = listed.report.as_ref();
        RunSummaryJson {
            run: listed.run.clone(),
            plan: report.map(|r| r.plan.to_string()),
            vg: report.map(|r| r.vg_name.to_string()),
            outcome: listed.outcome().map(str::to_owned),
            damage: listed.damage().map(str::to_owned),
        }
    });
    RunsJson { head: Head::unchanged("runs-list"), runs: runs.collect() }
}

/// All runs, for people.
pub fn list_text(runs: &[ListedRun]) -> String {
    if runs.is_empty() {
        return "No runs.\n".to_owned();
    }
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|listed| {
            let report = listed.report.as_ref();
            let text = |what: Option<String>| what.unwrap_or_else(|| "?".to_owned());
            vec![
                listed.run.clone(),
                text(report.map(|r| r.vg_name.to_string())),
                text(listed.outcome().map(str::to_owned)),
                listed.damage().map(escaped).unwrap_or_default(),
            ]
        })
        .collect();
    table(0, &rows)
}
