//! Steps that are tried several times. Whatever an attempt left is undone at once, whether another
//! follows or not: nothing stays suspended, mounted or made while somebody thinks about it.

use crate::execute::engine::Run;
use crate::execute::journal::{Left, Record};
use crate::execute::live::{undo, when_free};
use crate::execute::step::{Ended, perform_all};
use crate::execute::{Event, RunError};
use crate::host::{ActError, Performed};
use crate::operation::act::Act;
use crate::operation::{Attempts, Lowered, Operation, Unfit};
use crate::simulate::lower;

/// Why an attempt failed.
struct Failure {
    why: String,
    /// There is no sense in another one.
    is_final: bool,
    /// Somebody asked to stop.
    is_stopped: bool,
    /// Only to take away what it made was left to be done.
    is_done: bool,
}

/// Tries a step that has begun until it is done, or no attempt is left.
pub(super) fn attempts(
    run: &mut Run<'_, '_>,
    index: usize,
    operation: &Operation,
    first: Lowered,
    attempts: Attempts,
) -> Result<Ended, RunError> {
    let signature = run.state.started.signature.clone();
    let mut lowered: Result<Lowered, Unfit> = Ok(first);
    let (mut notes, mut attempt) = (Vec::new(), 1);
    loop {
        let failure = match perform(run, operation, lowered, attempts) {
            Ok(mut performed) => {
                performed.notes.append(&mut notes);
                run.record(Record::applied(index, performed))?;
                run.tell(Event::StepDone);
                return Ok(Ended::Applied);
            }
            Err(failure) => failure,
        };
        if let Err(why) = undo(run, index) {
            let why = format!("{}; and what it made is not all gone: {why}", failure.why);
            return failed(run, index, why, failure.is_stopped);
        }
        if failure.is_done && !attempts.keeps {
            notes.push(format!("at first not everything went: {}", failure.why));
            let performed = Performed { notes, ..Performed::default() };
            run.record(Record::applied(index, performed))?;
            run.tell(Event::StepDone);
            return Ok(Ended::Applied);
        }
        let is_last = attempt >= attempts.of || failure.is_final || (run.engine.stop)();
        if is_last {
            let tried = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            let is_stopped = failure.is_stopped || (run.engine.stop)();
            return failed(run, index, format!("{}{tried}", failure.why), is_stopped);
        }
        notes.push(format!("attempt {attempt} failed: {}", failure.why));
        run.tell(Event::TriesAgain { attempt, of: attempts.of, why: failure.why });
        attempt = attempt.saturating_add(1);
        run.engine.host.pause(std::time::Duration::from_secs(attempts.delay.get()));
        run.look_closely();
        lowered = when_free(run, false, &|world| lower(operation, world, &signature));
    }
}

/// One attempt.
fn perform(
    run: &mut Run<'_, '_>,
    operation: &Operation,
    lowered: Result<Lowered, Unfit>,
    attempts: Attempts,
) -> Result<Performed, Failure> {
    let failure = |why, is_final, is_stopped| Failure { why, is_final, is_stopped, is_done: false };
    let lowered = lowered.map_err(|unfit| failure(unfit.why, true, false))?;
    // Once programs were run, they are not run again.
    let runs = |act: &Act| matches!(act, Act::RunProgram(_));
    let first = lowered.acts.iter().position(runs).unwrap_or(lowered.acts.len());
    let (before, from) = lowered.acts.split_at(first);
    let last = from.iter().rposition(runs).map_or(0, |last| last.saturating_add(1));
    let (programs, after) = from.split_at(last);
    let failed = |error: ActError, is_final: bool| {
        let is_stopped = matches!(error, ActError::Interrupted(_));
        failure(error.to_string(), is_final || error.is_final(), is_stopped)
    };
    perform_all(run, before).map_err(|error| failed(error, false))?;
    let performed = perform_all(run, programs).map_err(|error| failed(error, true))?;
    if let Err(error) = perform_all(run, after) {
        return Err(Failure {
            is_done: !programs.is_empty(),
            ..failed(error, !programs.is_empty())
        });
    }
    // What the programs said of themselves is not believed.
    run.look_closely();
    let signature = run.state.started.signature.clone();
    let left = operation.contract().lower_undo(&run.world, &signature);
    match left {
        // Of one that stays only its removal is left to be done.
        Ok(left) if left.acts.len() <= usize::from(attempts.keeps) => Ok(performed),
        Ok(_) => Err(failure("it was done, and not all it made is gone".into(), true, false)),
        Err(unfit) => Err(failure(unfit.why, true, false)),
    }
}

fn failed(
    run: &mut Run<'_, '_>,
    index: usize,
    why: String,
    is_stopped: bool,
) -> Result<Ended, RunError> {
    run.tell(Event::StepFailed(why.clone()));
    run.record(Record::StepFailed { step: index, left: Left::Some, why: why.clone() })?;
    Ok(if is_stopped { Ended::Stopped(why) } else { Ended::Failed(why) })
}
