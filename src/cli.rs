//! The command line: flags in, exit codes out. Everything else happens in the other rooms.

mod apply;
mod args;
mod exit;
mod inspect;
mod output;
mod plan;
mod runs;
mod talker;
mod world;

use std::ffi::OsString;
use std::panic::UnwindSafe;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::cli::args::{Args, Command, HistoryCommand, RunsCommand};
use crate::cli::exit::Exit;
use crate::cli::output::{Output, talk};
use crate::host::linux::program_guard;
use crate::host::linux::reload::guard;

/// Who writes: program and version.
pub const PROGRAM: &str = concat!("lvmend ", env!("CARGO_PKG_VERSION"));

/// Runs the program with these arguments.
pub fn run(arguments: impl IntoIterator<Item = OsString> + UnwindSafe) -> ExitCode {
    guarded(|| obey(arguments)).unwrap_or_else(|| Exit::Bug.into())
}

/// A panic is a bug: it ends the program with an exit code of its own, and says what to do.
fn guarded<T>(program: impl FnOnce() -> T + UnwindSafe) -> Option<T> {
    let result = std::panic::catch_unwind(program);
    if result.is_err() {
        talk("This is a bug in lvmend: please report it, with the lines above.");
        talk("If a run was under way, `lvmend runs list` names it, and `lvmend resume` goes on.");
    }
    result.ok()
}

fn obey(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if arguments.get(1).is_some_and(|word| word == guard::COMMAND) {
        return stand_by();
    }
    if let [_, command, program @ ..] = arguments.as_slice()
        && command == program_guard::COMMAND
    {
        return program_guard::run(program).into();
    }
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let mut output = Output::new(args.format);
    dispatch(&args, &mut output).into()
}

/// Help and version are no errors; everything else is, with a code of its own.
#[expect(clippy::wildcard_enum_match_arm, reason = "the kinds belong to clap, and grow")]
fn usage(error: &clap::Error) -> ExitCode {
    // Whoever closed the pipe does not want to read it.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done.into(),
        _ => Exit::Usage.into(),
    }
}

/// Not for people: what stands by while devices are suspended.
fn stand_by() -> ExitCode {
    match guard::stand_by() {
        Ok(()) => Exit::Done.into(),
        Err(_) => Exit::Failed.into(),
    }
}

fn dispatch(args: &Args, output: &mut Output) -> Exit {
    match &args.command {
        Command::Inspect(inspect) => inspect::inspect(args, inspect, output),
        Command::History(history) => match &history.command {
            HistoryCommand::List(list) => inspect::history_list(args, list, output),
            HistoryCommand::Show(show) => inspect::history_show(args, show, output),
            HistoryCommand::Diff(diff) => inspect::history_diff(args, diff, output),
        },
        Command::Validate(validate) => plan::validate(validate, output),
        Command::Plan(plan) => plan::plan(args, plan, output),
        Command::Show(show) => plan::show(show, output),
        Command::Apply(apply) => apply::apply(args, apply, output),
        Command::Runs(runs) => match &runs.command {
            RunsCommand::List => runs::list(args, output),
            RunsCommand::Show(run) => runs::show(args, run, output),
            RunsCommand::Prune(prune) => runs::prune(args, prune, output),
        },
        Command::Resume(run) => runs::resume(args, run, output),
        Command::Rollback(run) => runs::rollback(args, run, output),
        Command::Abandon(abandon) => runs::abandon(args, abandon, output),
        Command::Schema(schema) => plan::schema(schema, output),
        Command::Completions(completions) => {
            let mut script = Vec::new();
            let mut command = Args::command();
            clap_complete::generate(completions.shell, &mut command, "lvmend", &mut script);
            output.raw(&script);
            Exit::Done
        }
        Command::Man(man) => plan::man(man, output),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_has_its_own_exit_code() {
        assert_eq!(guarded(|| 2), Some(2));
        assert_eq!(guarded(|| -> u8 { panic!("a test of panics") }), None);
        assert_eq!(Exit::Bug.code(), 70);
    }
}
