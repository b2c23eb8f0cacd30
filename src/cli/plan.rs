//! `validate`, `plan`, `show`, `schema` and `man`.

use std::path::Path;

use clap::CommandFactory;

use crate::cli::PROGRAM;
use crate::cli::args::{Args, Format, Man, PlanArgs, PlanFile, SchemaName};
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::cli::world::{open, scope_for, signature};
use crate::discover;
use crate::host::files::{read_file, write_own_kind};
use crate::ids::ForeignText;
use crate::plan::problem::Problem;
use crate::plan::{self, Plan};
use crate::report::{graph, json, plan as report, problem, schemas};
use crate::simulate::planned::work_out;
use crate::simulate::sealed::SealedPlan;
use crate::units::Bytes;

/// Larger sealed plans are refused.
pub const SEALED_SIZE_MAX: Bytes = Bytes::new(256 << 20);

/// Reads a file that a person named.
///
/// # Errors
/// The exit code, after saying why.
pub fn read(file: &Path, size_max: Bytes, output: &mut Output) -> Result<Vec<u8>, Exit> {
    let Some(path) = file.to_str() else {
        let path = ForeignText::from(file.to_string_lossy().into_owned());
        return Err(output.error(Exit::Usage, &format!("{path} is not UTF-8"), None));
    };
    read_file(path, size_max).map_err(|e| output.error(Exit::Failed, &e.in_full(), None))
}

/// Reads a plan document.
///
/// # Errors
/// The exit code, after showing every problem.
pub fn load(file: &Path, output: &mut Output) -> Result<Plan, Exit> {
    // More than a plan may have: that it is too large is a problem of the document.
    let source = read(file, SEALED_SIZE_MAX, output)?;
    plan::load(&source)
        .map_err(|problems| show_problems(&file.to_string_lossy(), &source, &problems, output))
}

/// Shows problems of a document: on stderr, and for programs on stdout.
pub fn show_problems(name: &str, source: &[u8], problems: &[Problem], output: &mut Output) -> Exit {
    let drawing = output.drawing();
    output.talk(problem::text(name, source, problems, drawing).trim_end());
    if output.format() == Format::Json {
        output.json(&problem::json(source, problems));
    }
    Exit::InvalidPlan
}

/// Checks a plan document alone.
pub fn validate(validate: &PlanFile, output: &mut Output) -> Exit {
    match load(&validate.file, output) {
        Ok(plan) => {
            let found = problem::json(plan.source.as_bytes(), &[]);
            let name = ForeignText::from(validate.file.to_string_lossy().into_owned());
            output.either(&found, || format!("{name}: valid\n"));
            Exit::Done
        }
        Err(exit) => exit,
    }
}

/// Shows what a plan would do.
pub fn plan(args: &Args, plan_args: &PlanArgs, output: &mut Output) -> Exit {
    let plan = match load(&plan_args.plan, output) {
        Ok(plan) => plan,
        Err(exit) => return exit,
    };
    let host = match open(args, output) {
        Ok(host) => host,
        Err(exit) => return exit,
    };
    let inventory = discover::take(host.as_ref(), &scope_for(args, &plan));
    let planned = match work_out(&plan, &inventory, &signature(host.as_ref())) {
        Ok(planned) => planned,
        Err(problems) => {
            let name = plan_args.plan.to_string_lossy();
            return show_problems(&name, plan.source.as_bytes(), &problems, output);
        }
    };
    let found = report::gather(&plan, &planned, &inventory);
    let review = report::text(&plan, &found);
    match output.format() {
        Format::Dot => output.data(&graph::dot(&planned.graph, planned.realm)),
        Format::Mermaid => output.data(&graph::mermaid(&planned.graph, planned.realm)),
        Format::Json => output.json(&found),
        Format::Text => output.data(&review),
    }
    if !planned.refusals.is_empty() {
        return Exit::Refused;
    }
    if let Some(file) = &plan_args.output {
        let sealed = json::to_text(&planned.seal(&plan, PROGRAM, review));
        let written =
            write_own_kind(file, sealed.as_bytes(), SEALED_SIZE_MAX, SealedPlan::is_kind_of);
        if let Err(error) = written {
            return output.error(Exit::Failed, &error.in_full(), None);
        }
    }
    if planned.graph.changes_state() { Exit::Found } else { Exit::Done }
}

/// Shows a sealed plan.
pub fn show(show: &PlanFile, output: &mut Output) -> Exit {
    let bytes = match read(&show.file, SEALED_SIZE_MAX, output) {
        Ok(bytes) => bytes,
        Err(exit) => return exit,
    };
    match SealedPlan::read(&bytes) {
        Ok(sealed) => {
            output.either(&sealed, || {
                let head = format!(
                    "Sealed by {}, graph {}\n\n",
                    ForeignText::from(sealed.made_by.as_str()),
                    sealed.fingerprint.whole
                );
                let review: Vec<String> =
                    sealed.review.lines().map(|line| ForeignText::from(line).to_string()).collect();
                format!("{head}{}\n", review.join("\n"))
            });
            Exit::Done
        }
        Err(error) => output.error(Exit::Failed, &error.to_string(), None),
    }
}

/// Prints a JSON Schema.
pub fn schema(schema: &SchemaName, output: &mut Output) -> Exit {
    let all = schemas::all();
    if let Some((_, schema)) = all.iter().find(|(name, _)| *name == schema.name) {
        output.json(schema);
        Exit::Done
    } else {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let name = ForeignText::from(schema.name.as_str());
        let why = format!("there is no schema `{name}`");
        output.error(Exit::Usage, &why, Some(&format!("there are {}", names.join(", "))))
    }
}

/// Prints the manual page.
pub fn man(man: &Man, output: &mut Output) -> Exit {
    let mut command = Args::command();
    command.build();
    let wanted = match &man.command {
        None => command.clone(),
        Some(name) => {
            if let Some(found) = command.find_subcommand(name) {
                found.clone()
            } else {
                let why = format!("there is no command `{}`", ForeignText::from(name.as_str()));
                return output.error(Exit::Usage, &why, None);
            }
        }
    };
    let mut page = Vec::new();
    match clap_mangen::Man::new(wanted).render(&mut page) {
        Ok(()) => {
            output.raw(&page);
            Exit::Done
        }
        Err(error) => output.error(Exit::Failed, &error.to_string(), None),
    }
}
