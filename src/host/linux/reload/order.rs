//! The steps of a reload, one after another; and the way back from wherever it stopped.

use std::collections::BTreeSet;

use crate::host::linux::reload::kernel::{Kernel, Line};
use crate::model::live::{DevNumber, TargetLine};
use crate::operation::reload::{Found, LoadLine, LoadWord, Reload, ReloadDevice};
use crate::operation::reload_tree::steps::{Step, Verb};

/// A device that is not as it was when the steps were worked out.
pub fn changed<'r>(kernel: &Kernel, reload: &'r Reload) -> Option<&'r str> {
    let is_same = |device: &ReloadDevice| -> Result<bool, String> {
        let state = kernel.state(&device.uuid)?;
        let (Some(state), Some(found)) = (&state, &device.found) else {
            return Ok(state.is_none() && device.found.is_none());
        };
        let now = (state.number, state.suspended, state.has_inactive, state.read_only);
        let was = (found.number, found.suspended, found.has_inactive, found.read_only);
        let waits = || -> Result<bool, String> {
            let inactive = kernel.table(&device.uuid, true)?;
            Ok(!found.has_inactive || is_table(&inactive, &found.inactive))
        };
        Ok(now == was && is_table(&kernel.table(&device.uuid, false)?, &found.live) && waits()?)
    };
    let mut devices = reload.devices.iter();
    devices.find(|device| !is_same(device).unwrap_or(false)).map(|device| device.name.as_str())
}

fn is_table(lines: &[Line], expected: &[TargetLine]) -> bool {
    let is_line = |((start, len, target, args), line): (&Line, &TargetLine)| {
        (*start, *len, target.as_str(), args.trim_end())
            == (line.start.get(), line.len.get(), line.target.as_str(), line.args.raw())
    };
    lines.len() == expected.len() && lines.iter().zip(expected).all(is_line)
}

/// Does every step.
///
/// # Errors
/// What failed; everything up to there is done.
pub fn forward(kernel: &Kernel, reload: &Reload, first_resume: &dyn Fn()) -> Result<(), String> {
    let mut numbers: Vec<Option<DevNumber>> =
        reload.devices.iter().map(|device| Some(device.found.as_ref()?.number)).collect();
    let mut is_resuming = false;
    for step in &reload.steps {
        let device = device(reload, *step)?;
        if step.verb == Verb::Resume && !is_resuming {
            is_resuming = true;
            first_resume();
        }
        let done = match step.verb {
            Verb::Clear => kernel.clear(&device.uuid),
            Verb::Create => kernel.create(&device.name, &device.uuid).map(|number| {
                if let Some(slot) = numbers.get_mut(step.device) {
                    *slot = Some(number);
                }
            }),
            Verb::Load => table(device, &numbers)
                .and_then(|table| kernel.load(&device.uuid, &table, device.read_only)),
            Verb::Suspend => kernel.suspend(&device.uuid, reload.no_flush),
            Verb::Thaw | Verb::Grow | Verb::Resume => kernel.resume(&device.uuid, device.rules),
            Verb::Remove => kernel.remove(&device.uuid, device.rules),
        };
        done.map_err(|why| format!("cannot {} {}: {why}", step.verb.name(), device.name))?;
    }
    Ok(())
}

/// Does what is left of a reload of which the first resume was made, or was about to be.
pub fn complete(kernel: &Kernel, reload: &Reload) -> Result<(), String> {
    for step in &reload.steps {
        let device = device(reload, *step)?;
        let Some(state) = kernel.state(&device.uuid)? else { continue };
        let done = match step.verb {
            Verb::Resume if state.suspended || state.has_inactive => {
                kernel.resume(&device.uuid, device.rules)
            }
            Verb::Remove if state.open_count == 0 => kernel.remove(&device.uuid, device.rules),
            Verb::Clear
            | Verb::Thaw
            | Verb::Create
            | Verb::Load
            | Verb::Grow
            | Verb::Suspend
            | Verb::Resume
            | Verb::Remove => Ok(()),
        };
        done.map_err(|why| format!("cannot {} {}: {why}", step.verb.name(), device.name))?;
    }
    Ok(())
}

fn device(reload: &Reload, step: Step) -> Result<&ReloadDevice, String> {
    reload.devices.get(step.device).ok_or_else(|| "BUG: a step without a device".to_owned())
}

fn table(device: &ReloadDevice, numbers: &[Option<DevNumber>]) -> Result<Vec<Line>, String> {
    let word = |word: &LoadWord| match word {
        LoadWord::Text(text) => Ok(text.clone()),
        LoadWord::Created(place) => {
            let number = numbers.get(*place).copied().flatten();
            number.map(|number| number.to_string()).ok_or("BUG: a device was not made".to_owned())
        }
    };
    let line = |line: &LoadLine| {
        let args: Vec<String> = line.args.iter().map(word).collect::<Result<_, String>>()?;
        Ok((line.start.get(), line.len.get(), line.target.clone(), args.join(" ")))
    };
    device.table.iter().flatten().map(line).collect()
}

/// Goes back to the tables that were live, from any point: devices that have another by now get theirs
/// again while all of the stack is suspended, tables that wait are dropped, and everything that was
/// suspended on the way is resumed from the bottom up. What was made goes.
///
/// # Errors
/// Everything that failed.
pub fn back(kernel: &Kernel, reload: &Reload) -> Result<(), String> {
    let mut going = GoingBack { kernel, reload, errors: Vec::new() };
    let changed = going.reload_old();
    let mut held: BTreeSet<usize> = reload
        .steps
        .iter()
        .filter(|step| step.verb == Verb::Suspend)
        .map(|step| step.device)
        .collect();
    if !changed.is_empty() {
        held.extend(&changed);
        going.suspend(&held);
    }
    going.resume(&held);
    going.remove_made();
    if going.errors.is_empty() { Ok(()) } else { Err(going.errors.join("; ")) }
}

struct GoingBack<'a> {
    kernel: &'a Kernel,
    reload: &'a Reload,
    errors: Vec<String>,
}

impl<'a> GoingBack<'a> {
    fn found(&self, place: usize) -> Option<(&'a ReloadDevice, &'a Found)> {
        let device = self.reload.devices.get(place)?;
        Some((device, device.found.as_ref()?))
    }

    fn note(&mut self, verb: &str, device: &ReloadDevice, result: Result<(), String>) -> bool {
        let failed = result.map_err(|why| format!("cannot {verb} {}: {why}", device.name));
        let is_done = failed.is_ok();
        self.errors.extend(failed.err());
        is_done
    }

    /// Loads the old table where another is live; drops what waits elsewhere.
    fn reload_old(&mut self) -> BTreeSet<usize> {
        let mut changed = BTreeSet::new();
        for place in &self.reload.bottom_up {
            let Some((device, found)) = self.found(*place) else { continue };
            let live = self.kernel.table(&device.uuid, false).unwrap_or_default();
            let had_none = found.live.is_empty() && live.is_empty();
            if had_none || is_table(&live, &found.live) {
                let state = self.kernel.state(&device.uuid).ok().flatten();
                if state.is_some_and(|state| state.has_inactive) {
                    let cleared = self.kernel.clear(&device.uuid);
                    self.note("clear", device, cleared);
                }
                continue;
            }
            let old: Vec<Line> = found.live.iter().map(line).collect();
            let loaded = self.kernel.load(&device.uuid, &old, found.read_only);
            if self.note("load", device, loaded) {
                changed.insert(*place);
            }
        }
        changed
    }

    fn suspend(&mut self, held: &BTreeSet<usize>) {
        for place in self.reload.bottom_up.iter().rev().filter(|place| held.contains(place)) {
            let Some((device, _)) = self.found(*place) else { continue };
            let state = self.kernel.state(&device.uuid).ok().flatten();
            if state.is_some_and(|state| !state.suspended) {
                let suspended = self.kernel.suspend(&device.uuid, self.reload.no_flush);
                self.note("suspend", device, suspended);
            }
        }
    }

    /// From the bottom up; what lies on a device that cannot be resumed stays suspended.
    fn resume(&mut self, held: &BTreeSet<usize>) {
        let mut failed: BTreeSet<DevNumber> = BTreeSet::new();
        for place in self.reload.bottom_up.iter().filter(|place| held.contains(place)) {
            let Some((device, found)) = self.found(*place) else { continue };
            let lies_on_failed = found
                .live
                .iter()
                .flat_map(TargetLine::devices)
                .any(|below| failed.contains(&below));
            let state = self.kernel.state(&device.uuid).ok().flatten();
            let is_down = state.is_some_and(|state| state.suspended || state.has_inactive);
            if lies_on_failed {
                failed.insert(found.number);
            } else if is_down {
                let resumed = self.kernel.resume(&device.uuid, device.rules);
                if !self.note("resume", device, resumed) {
                    failed.insert(found.number);
                }
            }
        }
    }

    fn remove_made(&mut self) {
        let steps = self.reload.steps.iter().rev().filter(|step| step.verb == Verb::Create);
        for step in steps {
            let Ok(device) = device(self.reload, *step) else { continue };
            if self.kernel.state(&device.uuid).ok().flatten().is_some() {
                let removed = self.kernel.remove(&device.uuid, device.rules);
                self.note("remove", device, removed);
            }
        }
    }
}

fn line(line: &TargetLine) -> Line {
    (line.start.get(), line.len.get(), line.target.clone(), line.args.raw().to_owned())
}
