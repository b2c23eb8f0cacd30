//! Giving runs up.

use serde::{Deserialize, Serialize};

use crate::execute::engine::report;
use crate::execute::journal::{Journal, Record};
use crate::execute::resume::{not_possible, refuse_final};
use crate::execute::run_state::{self, RunState};
use crate::execute::{Outcome, RunError, RunReport};
use crate::host::{HostError, RunStore};

/// Says, beside a journal that cannot be added to, that the run was given up.
const GIVEN_UP: &str = "given-up.json";

#[derive(Serialize, Deserialize)]
struct GivenUp {
    because: String,
}

/// Gives a run up: what it did stays, and nothing waits for it any more.
///
/// # Errors
/// [`RunError`].
pub fn abandon(store: &mut dyn RunStore, name: &str, because: &str) -> Result<RunReport, RunError> {
    let (mut journal, error) = Journal::read(&store.journal(name)?);
    if let Some(error) = error {
        return Err(error.into());
    }
    let state = RunState::of(&journal)?;
    refuse_final(name, &state)?;
    if journal.torn {
        store.cut_journal(name, journal.len)?;
        journal.torn = false;
    }
    let why = Some(because.to_owned());
    let record = Record::Finished { outcome: Outcome::Abandoned, why };
    let state = run_state::next(state, &record)
        .map_err(|run_state::Illegal(why)| not_possible(name, why))?;
    journal.append(store, name, record)?;
    Ok(report(name, &store.place(name), &state))
}

/// Gives up a run whose journal is damaged: says so beside it.
///
/// # Errors
/// [`RunError`].
pub fn give_up(store: &mut dyn RunStore, name: &str, because: &str) -> Result<(), RunError> {
    let error = |error: serde_json::Error| HostError::because("write", GIVEN_UP, error.to_string());
    let json = serde_json::to_vec(&GivenUp { because: because.to_owned() }).map_err(error)?;
    Ok(store.put(name, GIVEN_UP, &json)?)
}

/// Why a run with a damaged journal was given up, if it was.
pub fn given_up(store: &dyn RunStore, name: &str) -> Option<String> {
    let json = store.get(name, GIVEN_UP).ok()?;
    serde_json::from_slice(&json).ok().map(|GivenUp { because }| because)
}

/// Whether a run saved evidence: then it had begun.
pub fn has_evidence(store: &dyn RunStore, name: &str) -> bool {
    store.get(name, "evidence/manifest.json").is_ok()
}
