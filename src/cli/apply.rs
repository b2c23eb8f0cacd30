//! `apply`.

use std::io::{self, BufRead, IsTerminal, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::PROGRAM;
use crate::cli::args::{Apply, Args};
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::cli::plan::{SEALED_SIZE_MAX, load, read, show_problems};
use crate::cli::runs::{finish, stop_flag, unfinished_run};
use crate::cli::talker::Talker;
use crate::cli::world::{
    open, open_for_writing, refuse_locked, scope_for, scope_of_run, signature, state,
};
use crate::diff::Refusal;
use crate::diff::live::{StateDirVerdict, state_dir_verdict};
use crate::discover;
use crate::execute::{self, Engine};
use crate::host::linux::lies_on::{LiesOn, lies_on};
use crate::host::linux::run_lock::held_by;
use crate::host::state::{Missing, StateDirectory, Volatile};
use crate::host::{ReadHost, RunStore};
use crate::model::inventory::{Inventory, Realm};
use crate::operation::Signature;
use crate::plan::{self, Plan};
use crate::report::plan as report;
use crate::simulate::planned::{Planned, work_out};
use crate::simulate::sealed::{Fingerprint, SealedPlan};

/// How often it is looked whether users are gone.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is to be applied: a plan, and what was sealed of it.
struct Wanted<'a> {
    args: &'a Args,
    apply: &'a Apply,
    plan: Plan,
    sealed: Option<SealedPlan>,
}

/// Does what a plan says.
pub fn apply(args: &Args, apply: &Apply, output: &mut Output) -> Exit {
    match try_apply(args, apply, output) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn try_apply(args: &Args, apply: &Apply, output: &mut Output) -> Result<Exit, Exit> {
    let wanted = read_wanted(args, apply, output)?;
    // First a look that cannot change anything: most runs of configuration management end here.
    let host = open(args, output)?;
    let (planned, inventory) = wanted.plan_on(host.as_ref(), None, output)?;
    if planned.graph.is_empty() {
        let found = report::gather(&wanted.plan, &planned, &inventory);
        output.either(&found, || report::text(&wanted.plan, &found));
        return Ok(Exit::Done);
    }
    let mut store = state(args, Missing::Make, output)?;
    // One that is under way is waited for, not told to be taken up: the lock says when it is over.
    let is_under_way = planned.realm == Realm::Live && held_by(planned.vg).is_some();
    if !is_under_way && let Some(exit) = unfinished_run(&store, planned.vg, output) {
        return Err(exit);
    }
    refuse_state_dir(args, &inventory, &planned, output)?;
    confirm(&wanted, &planned, &inventory, output)?;
    let shown = planned.fingerprint(&wanted.plan);
    drop(host);
    let mut host = open_for_writing(args, planned.vg, wanted.wait(), output)?;
    // Another run may have begun, and stopped, before the images were locked.
    if let Some(exit) = unfinished_run(&store, planned.vg, output) {
        return Err(exit);
    }
    let (planned, inventory) = wanted.plan_on(host.as_ref(), Some(inventory), output)?;
    refuse_stale(&shown, &planned.fingerprint(&wanted.plan), output)?;
    if planned.graph.changes_state() {
        refuse_locked(&inventory, &planned.vg_name, wanted.wait(), output)?;
    }
    let signature = signature(host.as_ref());
    let review = report::text(&wanted.plan, &report::gather(&wanted.plan, &planned, &inventory));
    // Of a sealed plan whose states hold already only the rest is done, so what was planned now is
    // what counts; otherwise both are the same, as `plan_on` made sure.
    let sealed = planned.seal(&wanted.plan, PROGRAM, review);
    let mut copy = evidence_copy(apply, output)?;
    let stop = stop_flag(output)?;
    host.heed(&stop);
    let mut talker = Talker::new();
    let mut engine = Engine {
        host: host.as_mut(),
        store: &mut store,
        evidence_copy: copy.as_mut().map(|copy| copy as &mut dyn RunStore),
        listener: &mut talker,
        stop: &|| stop.load(std::sync::atomic::Ordering::Relaxed),
        scope: scope_of_run(args, &wanted.plan),
    };
    let on_failure = wanted.plan.document.policy.on_failure;
    let result = execute::apply(&mut engine, &sealed, on_failure, inventory, signature);
    Ok(finish(result, Exit::of_run, output))
}

fn read_wanted<'a>(
    args: &'a Args,
    apply: &'a Apply,
    output: &mut Output,
) -> Result<Wanted<'a>, Exit> {
    let bytes = read(&apply.plan, SEALED_SIZE_MAX, output)?;
    let is_json = bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{');
    if !is_json {
        return Ok(Wanted { args, apply, plan: load(&apply.plan, output)?, sealed: None });
    }
    let sealed = SealedPlan::read(&bytes)
        .map_err(|error| output.error(Exit::InvalidPlan, &error.to_string(), None))?;
    let plan = plan::load(sealed.source.as_bytes()).map_err(|problems| {
        let name = format!("{} (sealed)", apply.plan.to_string_lossy());
        show_problems(&name, sealed.source.as_bytes(), &problems, output)
    })?;
    Ok(Wanted { args, apply, plan, sealed: Some(sealed) })
}

impl Wanted<'_> {
    /// How long others are waited for.
    fn wait(&self) -> Duration {
        Duration::from_secs(self.plan.document.policy.busy.wait.get())
    }

    /// Plans afresh, and stops where the plan is refused or stale. Whoever uses what must be free
    /// is given time to go.
    fn plan_on(
        &self,
        host: &dyn ReadHost,
        mut known: Option<Inventory>,
        output: &mut Output,
    ) -> Result<(Planned, Inventory), Exit> {
        let scope = scope_for(self.args, &self.plan);
        let mut waits_since = None;
        loop {
            let inventory = match &known {
                Some(known) => discover::take_again(host, &scope, known),
                None => discover::take(host, &scope),
            };
            let planned = self.work_out(host, &inventory, output)?;
            let Some(first) = planned.refusals.first() else {
                self.refuse_unsealed(&planned, inventory.realm, output)?;
                return Ok((planned, inventory));
            };
            let may_pass = planned.refusals.iter().all(Refusal::may_pass);
            let begun: Instant = *waits_since.get_or_insert_with(|| {
                if may_pass && !self.wait().is_zero() {
                    let (wait, Refusal { object, why, .. }) = (self.wait().as_secs(), first);
                    output.talk(&format!("waiting up to {wait} s: {object}: {why}"));
                }
                Instant::now()
            });
            if !may_pass || begun.elapsed() >= self.wait() {
                // What is in use makes another graph: to call that stale would mislead.
                if !may_pass {
                    self.refuse_unsealed(&planned, inventory.realm, output)?;
                }
                let found = report::gather(&self.plan, &planned, &inventory);
                output.either(&found, || report::text(&self.plan, &found));
                return Err(Exit::Refused);
            }
            thread::sleep(LOOK_EVERY);
            known = Some(inventory);
        }
    }

    fn work_out(
        &self,
        host: &dyn ReadHost,
        inventory: &Inventory,
        output: &mut Output,
    ) -> Result<Planned, Exit> {
        let signature: Signature = signature(host);
        work_out(&self.plan, inventory, &signature).map_err(|problems| {
            let name = self.apply.plan.to_string_lossy();
            show_problems(&name, self.plan.source.as_bytes(), &problems, output)
        })
    }

    /// What was sealed must be what would be done, unless it is done already.
    fn refuse_unsealed(
        &self,
        planned: &Planned,
        realm: Realm,
        output: &mut Output,
    ) -> Result<(), Exit> {
        let Some(sealed) = &self.sealed else { return Ok(()) };
        refuse_other_realm(sealed, realm, output)?;
        let now = planned.fingerprint(&self.plan);
        let differences = if !planned.graph.changes_state() && planned.refusals.is_empty() {
            // What was done meanwhile is not done again; what is left must be what was sealed.
            sealed.not_sealed(&now, &planned.graph)
        } else {
            sealed.differences(&now)
        };
        if differences.is_empty() {
            return Ok(());
        }
        let why = format!("the sealed plan is stale: {}", differences.join("; "));
        let help = "nothing was written; make a new one with `lvmend plan -o`";
        Err(output.error(Exit::Stale, &why, Some(help)))
    }
}

/// On a running machine: the journal must not lie on what the run cuts off.
fn refuse_state_dir(
    args: &Args,
    inventory: &Inventory,
    planned: &Planned,
    output: &mut Output,
) -> Result<(), Exit> {
    let Some(live) = inventory.live.as_deref() else { return Ok(()) };
    let lies = lies_on(&args.state_dir);
    let devices = match lies.map_err(|e| output.error(Exit::Failed, &e.in_full(), None))? {
        LiesOn::NoDevice => return Ok(()),
        LiesOn::Devices(devices) => devices,
    };
    let disturbed = planned.graph.disturbs();
    match state_dir_verdict(live, inventory, planned.vg, &devices, &disturbed) {
        StateDirVerdict::Apart => Ok(()),
        StateDirVerdict::Warned(why) => {
            output.talk(&format!("warning: {why}"));
            Ok(())
        }
        StateDirVerdict::Refused(refusal) => {
            let why = format!("{} {}: {}", refusal.object, args.state_dir, refusal.why);
            Err(output.error(Exit::Refused, &why, refusal.help.as_deref()))
        }
    }
}

fn refuse_other_realm(sealed: &SealedPlan, found: Realm, output: &mut Output) -> Result<(), Exit> {
    let why = match (sealed.realm, found) {
        (Realm::Images, Realm::Images) | (Realm::Live, Realm::Live) => return Ok(()),
        (Realm::Images, Realm::Live) => "the plan was sealed for disk images, not for this machine",
        (Realm::Live, Realm::Images) => "the plan was sealed for a running machine, not for images",
    };
    let help = "nothing was written; make a new one with `lvmend plan -o`";
    Err(output.error(Exit::Stale, why, Some(help)))
}

/// What was shown must be what is done.
fn refuse_stale(shown: &Fingerprint, now: &Fingerprint, output: &mut Output) -> Result<(), Exit> {
    if shown == now {
        return Ok(());
    }
    let why = "the disks changed while the plan was being looked at; nothing was written";
    Err(output.error(Exit::Stale, why, None))
}

/// Asks, on a terminal; elsewhere it takes `--yes`.
fn confirm(
    wanted: &Wanted<'_>,
    planned: &Planned,
    inventory: &Inventory,
    output: &mut Output,
) -> Result<(), Exit> {
    if wanted.apply.yes {
        return Ok(());
    }
    let found = report::gather(&wanted.plan, planned, inventory);
    output.talk(&report::text(&wanted.plan, &found));
    if !io::stdin().is_terminal() {
        let why = "not on a terminal: nobody can be asked, and nothing was written";
        return Err(output.error(Exit::Usage, why, Some("add --yes to apply without asking")));
    }
    let mut err = io::stderr().lock();
    let _ = err.write_all(b"Apply this plan? Type yes: ").and_then(|()| err.flush());
    drop(err);
    let mut answer = String::new();
    match io::stdin().lock().read_line(&mut answer) {
        Ok(_) if answer.trim() == "yes" => Ok(()),
        _ => {
            output.talk("Nothing was written.");
            Err(Exit::Refused)
        }
    }
}

fn evidence_copy(apply: &Apply, output: &mut Output) -> Result<Option<StateDirectory>, Exit> {
    let Some(directory) = &apply.evidence_copy else {
        return Ok(None);
    };
    StateDirectory::open(directory, Missing::Make, Volatile::Accept)
        .map(Some)
        .map_err(|error| output.error(Exit::Refused, &error.in_full(), None))
}
