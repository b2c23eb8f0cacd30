//! The steps of a reload, one after another; and the way back from wherever it stopped.

use std::collections::BTreeSet;

use crate::host::linux::reload::kernel::{Kernel, Line};
use crate::model::live::{DevNumber, TargetLine};
use crate::operation::reload::{Found, LoadLine, LoadWord, Reload, ReloadDevice};
use crate::operation::reload_tree::steps::{Step, Verb};

/// A device that is not as it was when the steps were worked out.
pub fn changed<'r>(kernel: &Kernel, reload: &'r Reload) -> Option<&'r str> {
    let removed = reload.steps.iter().filter(|step| step.verb == Verb::Remove);
    let gone: Vec<&str> =
        removed.filter_map(|step| Some(reload.devices.get(step.device)?.uuid.as_str())).collect();
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
        // A layer that goes, and a stack that was not used, must be open to nobody but devices of the stack.
        let is_closed = reload.is_unused || gone.contains(&device.uuid.as_str());
        let is_held = is_closed && state.open_count > holders(reload, found.number);
        let is_live = is_table(&kernel.table(&device.uuid, false)?, &found.live);
        Ok(now == was && !is_held && is_live && waits()?)
    };
    let mut devices = reload.devices.iter();
    devices.find(|device| !is_same(device).unwrap_or(false)).map(|device| device.name.as_str())
}

/// How many devices of the stack have this one open, by their live or their waiting table.
fn holders(reload: &Reload, number: DevNumber) -> u32 {
    let names_it = |found: &Found| {
        let lines = found.live.iter().chain(&found.inactive);
        lines.flat_map(TargetLine::devices).any(|below| below == number)
    };
    let holders =
        reload.devices.iter().filter_map(|device| device.found.as_ref()).filter(|f| names_it(f));
    u32::try_from(holders.count()).unwrap_or(u32::MAX)
}

fn is_table(lines: &[Line], expected: &[TargetLine]) -> bool {
    let is_line = |((start, len, target, args), line): (&Line, &TargetLine)| {
        (*start, *len, target.as_str(), args.trim_end())
            == (line.start.get(), line.len.get(), line.target.as_str(), line.args.raw())
    };
    lines.len() == expected.len() && lines.iter().zip(expected).all(is_line)
}

/// Why a reload did not come to its end.
pub struct Failed {
    /// What failed, for people.
    pub why: String,
    /// Whether the first device was about to be resumed: from there on there is no way back.
    pub is_resuming: bool,
}

/// Does every step.
///
/// # Errors
/// What failed; up to the first resume everything before it is done, and [`back`] undoes it.
pub fn forward(kernel: &Kernel, reload: &Reload, first_resume: &dyn Fn()) -> Result<(), Failed> {
    prepare(kernel, reload).map_err(|why| Failed { why, is_resuming: false })?;
    first_resume();
    finish(kernel, reload).map_err(|why| Failed { why, is_resuming: true })
}

/// Everything before the first resume.
fn prepare(kernel: &Kernel, reload: &Reload) -> Result<(), String> {
    let mut numbers: Vec<Option<DevNumber>> =
        reload.devices.iter().map(|device| Some(device.found.as_ref()?.number)).collect();
    for step in &reload.steps {
        let device = device(reload, *step)?;
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
            Verb::Thaw | Verb::Grow => kernel.resume(&device.uuid, device.rules),
            Verb::Resume | Verb::Remove => Ok(()),
        };
        done.map_err(|why| format!("cannot {} {}: {why}", step.verb.name(), device.name))?;
    }
    Ok(())
}

/// Everything from the first resume on, as far as it is not done: there is only forward. A device that
/// cannot be resumed with its new table gets the old one again, and so does what lies upon it, unless that
/// lies on a layer that was emptied: then it stays suspended.
///
/// # Errors
/// Everything that failed.
pub fn finish(kernel: &Kernel, reload: &Reload) -> Result<(), String> {
    let mut finishing = Finishing {
        kernel,
        reload,
        failed: BTreeSet::new(),
        down: BTreeSet::new(),
        errors: Vec::new(),
    };
    for step in reload.steps.iter().filter(|step| step.verb == Verb::Resume) {
        finishing.resume(step.device);
    }
    for place in &reload.bottom_up {
        if finishing.failed.contains(place) {
            finishing.stay_old(*place);
        }
    }
    if finishing.errors.is_empty() { Ok(()) } else { Err(finishing.errors.join("; ")) }
}

/// Takes away layers that were emptied. Nothing reads them: one that cannot be removed yet does no harm.
pub fn remove_emptied(kernel: &Kernel, reload: &Reload) {
    for step in reload.steps.iter().filter(|step| step.verb == Verb::Remove) {
        if let Some(device) = reload.devices.get(step.device) {
            let _ = kernel.remove(&device.uuid, device.rules);
        }
    }
}

struct Finishing<'a> {
    kernel: &'a Kernel,
    reload: &'a Reload,
    /// Devices that do not have the table they should have.
    failed: BTreeSet<usize>,
    /// Devices that stay suspended.
    down: BTreeSet<DevNumber>,
    errors: Vec<String>,
}

impl Finishing<'_> {
    fn resume(&mut self, place: usize) {
        let Some(device) = self.reload.devices.get(place) else { return };
        if below_then(self.reload, device).iter().any(|below| self.failed.contains(below)) {
            self.failed.insert(place);
            return;
        }
        let state = self.kernel.state(&device.uuid).ok().flatten();
        let is_down =
            state.is_some_and(|state| state.suspended || state.has_inactive || !state.is_active);
        if is_down && let Err(why) = self.resume_or_again(device) {
            self.errors.push(format!("cannot resume {}: {why}", device.name));
            self.failed.insert(place);
        }
    }

    /// Once more, as long as the new table still waits: the kernel drops one that it cannot take.
    fn resume_or_again(&self, device: &ReloadDevice) -> Result<(), String> {
        self.kernel.resume(&device.uuid, device.rules).or_else(|why| {
            let state = self.kernel.state(&device.uuid)?;
            if state.is_some_and(|state| state.has_inactive) || device.table.is_none() {
                self.kernel.resume(&device.uuid, device.rules)
            } else {
                Err(why)
            }
        })
    }

    /// With its old table again, unless that leads to what was emptied, or to what stays suspended. A layer
    /// that could not be emptied stays suspended as well: its parts are others' now.
    fn stay_old(&mut self, place: usize) {
        let Some(device) = self.reload.devices.get(place) else { return };
        let Some(found) = &device.found else { return };
        let is_removed = |number: DevNumber| {
            self.reload.steps.iter().any(|step| {
                let gone =
                    self.reload.devices.get(step.device).and_then(|gone| gone.found.as_ref());
                step.verb == Verb::Remove && gone.is_some_and(|gone| gone.number == number)
            })
        };
        let mut below = found.live.iter().flat_map(TargetLine::devices);
        let why = if is_removed(found.number) {
            Some("it could not be emptied".to_owned())
        } else if below.any(|below| is_removed(below) || self.down.contains(&below)) {
            Some("what its old table leads to was emptied, or is suspended".to_owned())
        } else {
            self.give_old(device, found).err()
        };
        match why {
            Some(why) => {
                self.down.insert(found.number);
                self.errors.push(format!("{} stays suspended: {why}", device.name));
            }
            None => self.errors.push(format!("{} has its old table", device.name)),
        }
    }

    fn give_old(&self, device: &ReloadDevice, found: &Found) -> Result<(), String> {
        if is_table(&self.kernel.table(&device.uuid, false)?, &found.live) {
            if self.kernel.state(&device.uuid)?.is_some_and(|state| state.has_inactive) {
                self.kernel.clear(&device.uuid)?;
            }
        } else {
            let old: Vec<Line> = found.live.iter().map(line).collect();
            self.kernel.load(&device.uuid, &old, found.read_only)?;
        }
        self.kernel.resume(&device.uuid, device.rules)
    }
}

/// The devices of the stack that a device will lie on.
fn below_then(reload: &Reload, device: &ReloadDevice) -> BTreeSet<usize> {
    let place_of = |number: DevNumber| {
        reload.devices.iter().position(|d| d.found.as_ref().is_some_and(|f| f.number == number))
    };
    let live = device.found.iter().flat_map(|found| &found.live).flat_map(TargetLine::devices);
    let Some(table) = &device.table else { return live.filter_map(place_of).collect() };
    let word = |word: &LoadWord| match word {
        LoadWord::Text(text) => DevNumber::parse(text).and_then(place_of),
        LoadWord::Created(place) => Some(*place),
    };
    table.iter().flat_map(|line| &line.args).filter_map(word).collect()
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

/// Goes back from any point before the first resume: tables that wait are dropped, everything that was
/// suspended on the way is resumed from the bottom up, and what was made goes. What maps more than before
/// stays so: nobody uses that.
///
/// # Errors
/// Everything that failed.
pub fn back(kernel: &Kernel, reload: &Reload) -> Result<(), String> {
    let mut going = GoingBack { kernel, reload, errors: Vec::new() };
    going.clear();
    going.resume();
    going.remove_made();
    if going.errors.is_empty() { Ok(()) } else { Err(going.errors.join("; ")) }
}

struct GoingBack<'a> {
    kernel: &'a Kernel,
    reload: &'a Reload,
    errors: Vec<String>,
}

impl GoingBack<'_> {
    fn note(&mut self, verb: &str, device: &ReloadDevice, result: Result<(), String>) -> bool {
        let failed = result.map_err(|why| format!("cannot {verb} {}: {why}", device.name));
        let is_done = failed.is_ok();
        self.errors.extend(failed.err());
        is_done
    }

    fn clear(&mut self) {
        for device in &self.reload.devices {
            let state = self.kernel.state(&device.uuid).ok().flatten();
            if state.is_some_and(|state| state.has_inactive) {
                let cleared = self.kernel.clear(&device.uuid);
                self.note("clear", device, cleared);
            }
        }
    }

    /// What lies on a device that cannot be resumed stays suspended.
    fn resume(&mut self) {
        let mut failed: BTreeSet<DevNumber> = BTreeSet::new();
        for place in &self.reload.bottom_up {
            let device = self.reload.devices.get(*place);
            let Some((device, found)) = device.and_then(|d| Some((d, d.found.as_ref()?))) else {
                continue;
            };
            let mut below = found.live.iter().flat_map(TargetLine::devices);
            let state = self.kernel.state(&device.uuid).ok().flatten();
            if below.any(|below| failed.contains(&below)) {
                failed.insert(found.number);
            } else if !found.suspended && state.is_some_and(|state| state.suspended) {
                let resumed = self.kernel.resume(&device.uuid, device.rules);
                if !self.note("resume", device, resumed) {
                    failed.insert(found.number);
                }
            }
        }
    }

    /// What lies on another goes first: until none of them can go any more.
    fn remove_made(&mut self) {
        let made = self.reload.steps.iter().filter(|step| step.verb == Verb::Create);
        let mut left: Vec<&ReloadDevice> =
            made.filter_map(|step| self.reload.devices.get(step.device)).collect();
        loop {
            let before = left.len();
            left.retain(|device| match self.kernel.state(&device.uuid) {
                Ok(Some(state)) => {
                    state.open_count > 0 || self.kernel.remove(&device.uuid, device.rules).is_err()
                }
                Ok(None) | Err(_) => false,
            });
            if left.len() == before {
                break;
            }
        }
        for device in left {
            let open = Err("somebody has it open".to_owned());
            self.note("remove", device, open);
        }
    }
}

fn line(line: &TargetLine) -> Line {
    (line.start.get(), line.len.get(), line.target.clone(), line.args.raw().to_owned())
}
