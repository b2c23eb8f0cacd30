//! A reload worked out against what is there now.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{ForeignText, PvUuid};
use crate::model::inventory::Inventory;
use crate::model::live::{DevNumber, Live, LvmLayer, MappedDevice, TargetLine};
use crate::model::place::moved_below_state;
use crate::model::stale::number_of;
use crate::model::table::{TableLine, Word};
use crate::model::table_alike::{Numbers, alike};
use crate::model::table_goal::{DeviceNow, StackDevice, Then};
use crate::model::vg::Vg;
use crate::operation::act::Act;
use crate::operation::activation::{current, with_live};
use crate::operation::command::{DeviceStamp, live_of};
use crate::operation::live_commit::pointers;
use crate::operation::reload::{Found, LoadLine, LoadWord, Reload, ReloadDevice};
use crate::operation::reload_tree::ReloadTree;
use crate::operation::reload_tree::steps::steps;
use crate::operation::{Lowered, Unfit};

/// Works out what takes these devices from where they are to where they should be.
pub(super) fn lower(
    operation: &ReloadTree,
    wanted: &[StackDevice],
    now: &Inventory,
) -> Result<Lowered, Unfit> {
    let (live, vg) = (live_of(now)?, current(now, operation.vg)?);
    let working = Working { now, live, vg, numbers: Numbers::of(now, live, vg) };
    let mut devices = Vec::new();
    for device in wanted {
        devices.extend(working.present(device)?);
    }
    if let Some((moved, over)) = moved_below_state(&devices) {
        let (moved, over) = (&moved.name, &over.name);
        return Err(Unfit::new(format!("{moved} would change its place below {over}, which runs")));
    }
    working.refuse_newcomers(&devices)?;
    working.refuse_users(operation, &devices)?;
    if !devices.iter().any(StackDevice::is_wrong) {
        return Ok(Lowered { acts: Vec::new(), predicted: now.clone() });
    }
    let order = steps(&devices).map_err(|circle| Unfit::new(circle.to_string()))?;
    let is_held_up = |device: &StackDevice| {
        device.live().iter().any(|l| matches!(l.target.as_str(), "mirror" | "thin" | "thin-pool"))
    };
    let reload = Reload {
        vg: vg.name.clone(),
        locking_dir: live.lvm.locking_dir.clone(),
        is_unused: !operation.in_use && devices.iter().any(StackDevice::is_reloaded),
        unchanged: pointers(now, vg),
        disks: working.disks(&devices)?,
        devices: devices.iter().map(|d| working.reloaded(&devices, d)).collect::<Result<_, _>>()?,
        steps: order.steps,
        edges: order.edges,
        bottom_up: working.bottom_up(&devices),
        no_flush: devices.iter().any(is_held_up) && !devices.iter().any(StackDevice::shrinks),
    };
    let predicted = with_live(now, predict(live, &devices, &reload));
    Ok(Lowered { acts: vec![Act::ReloadTree(Box::new(reload))], predicted })
}

struct Working<'a> {
    now: &'a Inventory,
    live: &'a Live,
    vg: &'a Vg,
    numbers: Numbers<'a>,
}

impl Working<'_> {
    /// A device as it is by now, and what is still to be done; none when that is nothing and it is not
    /// there.
    fn present(&self, wanted: &StackDevice) -> Result<Option<StackDevice>, Unfit> {
        let changed = || Unfit::new(format!("{} changed since it was looked at", wanted.name));
        let Some(found) = self.live.mapped_of_layer(&wanted.layer) else {
            return match (&wanted.then, &wanted.now) {
                (Then::Gone, _) => Ok(None),
                (Then::Table { .. }, _) => Ok(Some(StackDevice { now: None, ..wanted.clone() })),
                (Then::Stay, _) => Err(changed()),
            };
        };
        let live = self.numbers.live(found);
        let is_error = live.iter().all(|line| line.target == "error");
        let was = wanted.now.as_ref().map_or(&[][..], |now| now.live.as_slice());
        let is_as_it_was = alike(&live, was);
        let then = match &wanted.then {
            Then::Table { lines, .. } if alike(&live, lines) => Then::Stay,
            // On the way back it was made for what the metadata says.
            Then::Gone if is_error || is_as_it_was || self.is_on_the_way(wanted, &live) => {
                Then::Gone
            }
            then if is_as_it_was || live.is_empty() => then.clone(),
            // On the way back from where it was to be.
            Then::Table { lines, read_only } if self.is_on_the_way(wanted, &live) => {
                Then::Table { lines: lines.clone(), read_only: *read_only }
            }
            Then::Gone | Then::Table { .. } | Then::Stay => return Err(changed()),
        };
        let now = DeviceNow {
            live,
            waiting: found.has_inactive.then(|| self.numbers.waiting(found)),
            suspended: found.suspended,
            read_only: found.read_only,
        };
        Ok(Some(StackDevice { now: Some(now), then, ..wanted.clone() }))
    }

    /// Whether a live table is what the metadata says: an undo starts from there.
    fn is_on_the_way(&self, wanted: &StackDevice, live: &[TableLine]) -> bool {
        let derived = crate::model::derived_tables::derived_tables(self.vg);
        let table = derived.device(&wanted.layer).and_then(|device| device.table.as_ref());
        table.is_some_and(|table| crate::model::table_alike::is_as_derived(live, table))
    }

    /// Nobody may have come to use what goes, or what was planned for while nobody used it.
    fn refuse_users(&self, operation: &ReloadTree, devices: &[StackDevice]) -> Result<(), Unfit> {
        for device in devices {
            let Some(mapped) = self.live.mapped_of_layer(&device.layer) else { continue };
            let uses = self.live.uses_of(mapped.number, operation.vg);
            if let Some(by) = uses.first()
                && (device.then == Then::Gone
                    || (!operation.in_use && devices.iter().any(StackDevice::is_reloaded)))
            {
                return Err(Unfit::in_use(format!("{} is in use: {by}", device.name)));
            }
        }
        Ok(())
    }

    /// A device that came to lie on the stack since would not be suspended with it.
    fn refuse_newcomers(&self, devices: &[StackDevice]) -> Result<(), Unfit> {
        let is_of = |layer: &LvmLayer| devices.iter().any(|device| device.layer == *layer);
        for mapped in self.live.mapped_of_vg(self.vg.uuid) {
            if mapped.layer.as_ref().is_some_and(is_of) {
                continue;
            }
            let lines = self.numbers.live(mapped);
            if lines.iter().flat_map(TableLine::layers).any(is_of) {
                let why = format!("{} came to lie upon it since it was looked at", mapped.name);
                return Err(Unfit::new(why));
            }
        }
        Ok(())
    }

    fn reloaded(
        &self,
        devices: &[StackDevice],
        device: &StackDevice,
    ) -> Result<ReloadDevice, Unfit> {
        let found = self.live.mapped_of_layer(&device.layer).map(found);
        let (table, read_only) = match &device.then {
            Then::Stay => (None, false),
            Then::Table { lines, read_only } => (Some(self.load(devices, lines)?), *read_only),
            Then::Gone => (device.is_reloaded().then(|| errors(device)), false),
        };
        let read_only = match &device.then {
            Then::Gone => found.as_ref().is_some_and(|found| found.read_only),
            Then::Stay | Then::Table { .. } => read_only,
        };
        let (name, uuid) = (device.name.clone(), device.layer.to_string());
        Ok(ReloadDevice { name, uuid, rules: device.rules, found, table, read_only })
    }

    fn load(&self, devices: &[StackDevice], lines: &[TableLine]) -> Result<Vec<LoadLine>, Unfit> {
        let line = |line: &TableLine| {
            let args = line.args.iter().map(|word| self.word(devices, word));
            Ok(LoadLine {
                start: line.start,
                len: line.len,
                target: line.target.clone(),
                args: args.collect::<Result<_, _>>()?,
            })
        };
        lines.iter().map(line).collect()
    }

    fn word(&self, devices: &[StackDevice], word: &Word) -> Result<LoadWord, Unfit> {
        let absent = |what: &dyn std::fmt::Display| Unfit::new(format!("{what} is not there"));
        let number = |layer: &LvmLayer| self.live.mapped_of_layer(layer).map(|m| m.number);
        match word {
            Word::Text(text) => Ok(LoadWord::Text(text.clone())),
            Word::Pv(pv) => {
                let number = number_of(self.now, *pv).ok_or_else(|| absent(&format!("PV {pv}")))?;
                Ok(LoadWord::Text(number.to_string()))
            }
            Word::Layer(layer) => {
                if let Some(number) = number(layer) {
                    return Ok(LoadWord::Text(number.to_string()));
                }
                let made = devices.iter().position(|device| device.layer == *layer);
                made.map(LoadWord::Created).ok_or_else(|| absent(&format!("device {layer}")))
            }
            Word::Option(name, layer) => {
                let number = number(layer).ok_or_else(|| absent(&format!("device {layer}")))?;
                Ok(LoadWord::Text(format!("{name}:{number}")))
            }
        }
    }

    /// The disks that tables to come name.
    fn disks(&self, devices: &[StackDevice]) -> Result<Vec<DeviceStamp>, Unfit> {
        let lines = devices.iter().flat_map(StackDevice::table_then);
        let pv = |word: &Word| if let Word::Pv(pv) = word { Some(*pv) } else { None };
        let pvs: BTreeSet<PvUuid> = lines.flat_map(|line| &line.args).filter_map(pv).collect();
        let names = pvs.into_iter().flat_map(|pv| self.now.devices_of(pv));
        names.map(|device| DeviceStamp::of(self.now, &device.name)).collect()
    }

    /// Places of those that are there, from the bottom up by what is live.
    fn bottom_up(&self, devices: &[StackDevice]) -> Vec<usize> {
        let place: BTreeMap<&LvmLayer, usize> =
            devices.iter().enumerate().map(|(place, device)| (&device.layer, place)).collect();
        let there = devices.iter().filter_map(|device| self.live.mapped_of_layer(&device.layer));
        let ordered = self.live.bottom_up(there).into_iter();
        ordered.filter_map(|mapped| place.get(mapped.layer.as_ref()?).copied()).collect()
    }
}

fn found(mapped: &MappedDevice) -> Found {
    Found {
        number: mapped.number,
        live: mapped.live.clone(),
        inactive: mapped.inactive.clone(),
        has_inactive: mapped.has_inactive,
        suspended: mapped.suspended,
        read_only: mapped.read_only,
    }
}

/// As long as it was, and every access fails.
fn errors(device: &StackDevice) -> Vec<LoadLine> {
    let len = crate::model::table::size_of(device.live());
    let (start, target) = (crate::units::Sectors::ZERO, "error".to_owned());
    vec![LoadLine { start, len, target, args: Vec::new() }]
}

/// What the kernel has afterwards.
fn predict(live: &Live, devices: &[StackDevice], reload: &Reload) -> Live {
    let mut next = live.clone();
    let made = next.mapped.len();
    let number = |place: usize| {
        let found = reload.devices.get(place).and_then(|device| device.found.as_ref());
        let index = u32::try_from(made.saturating_add(place)).unwrap_or(u32::MAX);
        found.map_or(DevNumber::predicted(index), |found| found.number)
    };
    for (place, (device, reloaded)) in devices.iter().zip(&reload.devices).enumerate() {
        let is_it = |mapped: &MappedDevice| mapped.layer.as_ref() == Some(&device.layer);
        if device.then == Then::Gone {
            next.mapped.retain(|mapped| !is_it(mapped));
            continue;
        }
        if !next.mapped.iter().any(is_it) {
            next.mapped.push(MappedDevice {
                name: device.name.as_str().into(),
                uuid: reloaded.uuid.as_str().into(),
                layer: Some(device.layer.clone()),
                number: number(place),
                open_count: 0,
                suspended: false,
                read_only: reloaded.read_only,
                live: Vec::new(),
                inactive: Vec::new(),
                has_inactive: false,
                has_node: true,
                status: Vec::new(),
            });
        }
        for mapped in next.mapped.iter_mut().filter(|mapped| is_it(mapped)) {
            mapped.suspended = false;
            mapped.has_inactive = false;
            mapped.inactive.clear();
            if let Some(table) = &reloaded.table {
                mapped.live = table.iter().map(|line| shown(line, &number)).collect();
                mapped.read_only = reloaded.read_only;
            }
        }
    }
    next.mapped.sort_by(|a, b| (&a.name, a.number).cmp(&(&b.name, b.number)));
    next
}

fn shown(line: &LoadLine, number: &dyn Fn(usize) -> DevNumber) -> TargetLine {
    let word = |word: &LoadWord| match word {
        LoadWord::Text(text) => text.clone(),
        LoadWord::Created(place) => number(*place).to_string(),
    };
    let args: Vec<String> = line.args.iter().map(word).collect();
    let (start, len, target) = (line.start, line.len, line.target.clone());
    TargetLine { start, len, target, args: ForeignText::from(args.join(" ")) }
}
