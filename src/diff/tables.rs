//! Devices in the kernel that are not as the metadata says: what they should be, stack by stack.
//!
//! A stack is a device with everything below it and everything upon it: they are suspended and resumed
//! together. What cannot be told exactly is left alone.

mod stacks;
mod verdict;

use std::collections::BTreeSet;

use crate::diff::{Base, BaseVersion, Change, Context, Diff, Refusal, RefusalCode};
use crate::ids::{LvUuid, VgUuid};
use crate::model::inventory::Inventory;
use crate::model::live::MappedDevice;
use crate::model::parts::snapshot_link;
use crate::model::table_goal::{StackDevice, Then};
use crate::plan::resolve::TablesGoal;

use stacks::Stack;
use verdict::Look;

/// A stack whose devices are to be set right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongStack {
    /// The LV by which people know it: the first of those on top, by name.
    pub lv: LvUuid,
    /// What that is called; of a device that no LV has, what the device is called.
    pub name: String,
    /// Its devices, by name.
    pub devices: Vec<StackDevice>,
    /// Whether anybody uses it: a file system, a program, a device that is not of LVM.
    pub in_use: bool,
    /// Devices that go although no metadata describes them, as the plan accepts it: by UUID, with what
    /// their tables say.
    pub removed: Vec<(String, Vec<String>)>,
}

/// What is to be done, and why some of it is not.
pub fn wrong_stacks(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    let Some(live) = context.inventory.live.as_deref() else {
        refuse_on_images(context, base, diff);
        return;
    };
    if !live.mapped_is_complete || base.version != BaseVersion::Current {
        refuse_without_metadata(context, base, diff);
        return;
    }
    let goal = context.goals.device_tables.as_ref();
    // LVM2 suspends and resumes as it goes, and would put into force what waits.
    let has_work = !diff.changes.is_empty()
        || !context.goals.tasks.is_empty()
        || !context.goals.checks.is_empty();
    if goal.is_none() && !has_work {
        return;
    }
    let look = Look::new(context.inventory, live, &base.vg, &context.goals.removable);
    for stack in stacks::all(live, &base.vg, &look.derived, &look.numbers) {
        let is_wanted = goal.is_some_and(|goal| is_of_goal(goal, &stack));
        let is_half_done = has_work && is_half_done(&stack);
        if is_wanted || is_half_done {
            judge(&look, &stack, is_wanted, diff);
        }
    }
}

/// Whether a command left it half done.
fn is_half_done(stack: &Stack<'_>) -> bool {
    stack.devices.iter().any(|mapped| mapped.suspended || mapped.has_inactive)
}

fn is_of_goal(goal: &TablesGoal, stack: &Stack<'_>) -> bool {
    let lvs: BTreeSet<LvUuid> = stack.lvs().collect();
    goal.only.as_ref().is_none_or(|only| only.iter().any(|lv| lvs.contains(lv)))
}

fn judge(look: &Look<'_>, stack: &Stack<'_>, is_wanted: bool, diff: &mut Diff) {
    match look.stack(stack, is_wanted) {
        Ok(verdict) => {
            if is_wanted {
                diff.notes.extend(verdict.notes);
            }
            let is_wrong = verdict.wrong.devices.iter().any(StackDevice::is_wrong);
            diff.changes.extend(is_wrong.then_some(Change::ReloadStack(Box::new(verdict.wrong))));
        }
        Err(why) => {
            let names: Vec<String> = stack.devices.iter().map(|m| m.name.to_string()).collect();
            diff.notes.push(format!("{} left as they are: {why}", names.join(", ")));
        }
    }
}

/// What a command that was killed left of the stacks of this origin, and what takes them out of that:
/// devices that are suspended, or have a table that waits, and an origin that is still one for the kernel and
/// has no snapshot any more.
pub fn half_done_stacks(inventory: &Inventory, vg: VgUuid, origin: LvUuid) -> Vec<WrongStack> {
    let current = inventory.vgs.get(&vg).and_then(|on_disk| on_disk.current.as_deref());
    let (Some(live), Some(vg)) = (inventory.live.as_deref(), current) else {
        return Vec::new();
    };
    let none = BTreeSet::new();
    let look = Look::new(inventory, live, vg, &none);
    let has_origin_table = |mapped: &&MappedDevice| {
        mapped.live.iter().any(|line| line.target == "snapshot-origin")
            && mapped.layer.as_ref().is_some_and(|layer| layer.lv == origin)
    };
    let name = vg.lv_by_uuid(origin).map(|lv| &lv.name);
    let has_snapshot =
        vg.lvs.iter().filter_map(snapshot_link).any(|link| Some(link.origin) == name);
    let mut found = Vec::new();
    for stack in stacks::all(live, vg, &look.derived, &look.numbers) {
        if !stack.lvs().any(|of| of == origin) {
            continue;
        }
        let is_left_over = !has_snapshot && stack.devices.iter().any(has_origin_table);
        if is_half_done(&stack) {
            // Tables that the metadata does not want are in force already: they go on as they were.
            let by_metadata = look.stack(&stack, true).ok().map(|verdict| verdict.wrong);
            found.extend(by_metadata.or_else(|| look.as_it_is(&stack)));
        } else if is_left_over && let Ok(verdict) = look.stack(&stack, true) {
            found.push(verdict.wrong);
        }
    }
    found.retain(|wrong| wrong.devices.iter().any(StackDevice::is_wrong));
    found
}

fn refuse_on_images(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    if context.goals.device_tables.is_some() {
        let object = format!("VG {} ({})", base.vg.name, base.vg.uuid);
        let why = "images have no kernel that could have tables";
        let refusal = Refusal::new(RefusalCode::NeedsKernel, object, why);
        diff.refusals.push(refusal.with_help("apply this plan on the machine, without `--image`"));
    }
}

/// What is found wrong with the metadata is mended by a plan of its own, and then the tables.
fn refuse_without_metadata(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    if context.goals.device_tables.is_none() {
        return;
    }
    let object = format!("VG {} ({})", base.vg.name, base.vg.uuid);
    let why = if base.version == BaseVersion::Current {
        "which devices it has in the kernel could not be found out"
    } else {
        "which metadata counts is for this plan to decide, and tables follow from metadata that counts"
    };
    let help = "without `device_tables` first; then a plan with nothing else";
    diff.refusals.push(Refusal::new(RefusalCode::Unfit, object, why).with_help(help));
}

/// Whether a change of this plan sets this device right.
pub fn is_mended(diff: &Diff, mapped: &MappedDevice) -> bool {
    diff.changes.iter().any(|change| {
        let Change::ReloadStack(stack) = change else { return false };
        stack.devices.iter().any(|device| Some(&device.layer) == mapped.layer.as_ref())
    })
}

/// Whether this plan takes this device away.
pub fn is_removed(diff: &Diff, mapped: &MappedDevice) -> bool {
    diff.changes.iter().any(|change| {
        let Change::ReloadStack(stack) = change else { return false };
        let mut gone = stack.devices.iter().filter(|device| device.then == Then::Gone);
        gone.any(|device| Some(&device.layer) == mapped.layer.as_ref())
    })
}
