//! A reload for people: devices as `dmsetup ls --tree` shows them before and after, every table old and
//! new, and the steps with their reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::live::{DevNumber, TargetLine};
use crate::operation::act::Act;
use crate::operation::reload::{LoadLine, LoadWord, Reload, ReloadDevice};
use crate::operation::reload_tree::steps::{Step, Verb};

/// What a reload does.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TablesJson {
    /// The devices as they are, as a tree.
    before: Vec<String>,
    /// The devices as they will be.
    after: Vec<String>,
    /// Devices whose table changes, or has one that waits.
    devices: Vec<DeviceJson>,
    /// What is done, in order.
    steps: Vec<StepJson>,
}

/// A device.
#[derive(Debug, Serialize, JsonSchema)]
struct DeviceJson {
    /// What it is called.
    name: String,
    /// Its UUID.
    uuid: String,
    /// Its live table.
    old: Vec<String>,
    /// The table that waits in its inactive slot, which is dropped.
    waiting: Option<Vec<String>>,
    /// The table it is given; null where it keeps its own.
    new: Option<Vec<String>>,
}

/// A step.
#[derive(Debug, Serialize, JsonSchema)]
struct StepJson {
    /// Counted from 1.
    number: usize,
    /// As `dmsetup` has it.
    verb: String,
    /// The device.
    device: String,
    /// Steps it must follow, and why.
    after: Vec<AfterJson>,
}

/// Why a step follows another.
#[derive(Debug, Serialize, JsonSchema)]
struct AfterJson {
    /// The step it follows.
    step: usize,
    /// Why.
    reason: String,
}

/// The tables of an operation, where it reloads any.
pub fn gather(acts: &[Act]) -> Option<TablesJson> {
    let reload = acts.iter().find_map(|act| {
        let Act::ReloadTree(reload) = act else { return None };
        Some(reload.as_ref())
    })?;
    let goes = |place: usize| reload.steps.contains(&Step { verb: Verb::Remove, device: place });
    let old = |device: &ReloadDevice| {
        device.found.iter().flat_map(|found| &found.live).map(ToString::to_string).collect()
    };
    let device = |(place, device): (usize, &ReloadDevice)| {
        let waiting = device.found.as_ref().filter(|found| found.has_inactive);
        let new = device.table.as_ref().map(|table| lines(reload, table));
        (waiting.is_some() || new.is_some() || goes(place)).then(|| DeviceJson {
            name: device.name.clone(),
            uuid: device.uuid.clone(),
            old: old(device),
            waiting: waiting.map(|found| found.inactive.iter().map(shown).collect()),
            new: if goes(place) { Some(Vec::new()) } else { new },
        })
    };
    Some(TablesJson {
        before: Tree::of(reload, false).lines(),
        after: Tree::of(reload, true).lines(),
        devices: reload.devices.iter().enumerate().filter_map(device).collect(),
        steps: steps(reload),
    })
}

fn shown(line: &TargetLine) -> String {
    line.to_string().trim_end().to_owned()
}

fn lines(reload: &Reload, table: &[LoadLine]) -> Vec<String> {
    let word = |word: &LoadWord| match word {
        LoadWord::Text(text) => text.clone(),
        LoadWord::Created(place) => {
            let made = reload.devices.get(*place).map_or("?", |device| device.name.as_str());
            format!("({made})")
        }
    };
    let line = |line: &LoadLine| {
        let args: Vec<String> = line.args.iter().map(word).collect();
        let LoadLine { start, len, target, .. } = line;
        format!("{} {} {target} {}", start.get(), len.get(), args.join(" ")).trim_end().to_owned()
    };
    table.iter().map(line).collect()
}

fn steps(reload: &Reload) -> Vec<StepJson> {
    let step = |(place, step): (usize, &Step)| {
        let edges = reload.edges.iter().filter(|(_, later, _)| *later == place);
        let device = reload.devices.get(step.device);
        StepJson {
            number: place + 1,
            verb: step.verb.name().to_owned(),
            device: device.map(|device| device.name.clone()).unwrap_or_default(),
            after: edges
                .map(|(earlier, _, reason)| AfterJson {
                    step: earlier + 1,
                    reason: reason.to_string(),
                })
                .collect(),
        }
    };
    reload.steps.iter().enumerate().map(step).collect()
}

/// Devices and what they lie on; disks by number.
struct Tree<'r> {
    names: BTreeMap<String, &'r str>,
    below: BTreeMap<&'r str, BTreeSet<String>>,
}

impl<'r> Tree<'r> {
    fn of(reload: &'r Reload, is_after: bool) -> Self {
        let mut tree = Self { names: BTreeMap::new(), below: BTreeMap::new() };
        for (place, device) in reload.devices.iter().enumerate() {
            let number = device.found.as_ref().map(|found| found.number.to_string());
            let key = number.unwrap_or_else(|| format!("made {place}"));
            let is_there = if is_after {
                !reload.steps.contains(&Step { verb: Verb::Remove, device: place })
            } else {
                device.found.is_some()
            };
            if !is_there {
                continue;
            }
            tree.names.insert(key, &device.name);
            let live = || device.found.iter().flat_map(|found| &found.live);
            let named = match (&device.table, is_after) {
                (Some(table), true) => table.iter().flat_map(named).collect(),
                (Some(_) | None, _) => {
                    live().flat_map(TargetLine::devices).map(|number| number.to_string()).collect()
                }
            };
            tree.below.insert(&device.name, named);
        }
        tree
    }

    fn lines(&self) -> Vec<String> {
        let held: BTreeSet<&str> =
            self.below.values().flatten().filter_map(|key| self.names.get(key).copied()).collect();
        let mut lines = Vec::new();
        for name in self.below.keys().filter(|name| !held.contains(*name)) {
            self.add(name, None, "", true, 0, &mut lines);
        }
        lines
    }

    /// `dmsetup ls --tree`: one line each, what it lies on behind it.
    fn add(
        &self,
        name: &str,
        number: Option<&str>,
        indent: &str,
        is_last: bool,
        depth: usize,
        lines: &mut Vec<String>,
    ) {
        let branch = match (depth, is_last) {
            (0, _) => "",
            (_, true) => " └─",
            (_, false) => " ├─",
        };
        let own = self.names.iter().find(|(_, known)| **known == name).map(|(key, _)| key.as_str());
        let number = number.or(own).filter(|number| !number.starts_with("made "));
        let number = number.map_or_else(|| "(new)".to_owned(), |number| format!("({number})"));
        let gap = if name.is_empty() { "" } else { " " };
        lines.push(format!("{indent}{branch}{name}{gap}{number}"));
        // Circles cannot be, and are not followed should one be told.
        let Some(below) = self.below.get(name).filter(|_| depth < 32) else { return };
        let indent = match (depth, is_last) {
            (0, _) => String::new(),
            (_, true) => format!("{indent}   "),
            (_, false) => format!("{indent} │ "),
        };
        for (place, key) in below.iter().enumerate() {
            let is_last = place + 1 == below.len();
            match self.names.get(key) {
                Some(name) => self.add(name, None, &indent, is_last, depth + 1, lines),
                None => self.add("", Some(key), &indent, is_last, depth + 1, lines),
            }
        }
    }
}

fn named(line: &LoadLine) -> Vec<String> {
    let key = |word: &LoadWord| match word {
        LoadWord::Text(text) => DevNumber::parse(text).map(|number| number.to_string()),
        LoadWord::Created(place) => Some(format!("made {place}")),
    };
    line.args.iter().filter_map(key).collect()
}

/// For people.
pub fn text(out: &mut String, tables: &TablesJson) {
    let tree = |out: &mut String, title: &str, lines: &[String]| {
        let _ = writeln!(out, "       {title}");
        for line in lines {
            let _ = writeln!(out, "         {line}");
        }
    };
    tree(out, "devices as they are", &tables.before);
    tree(out, "devices as they will be", &tables.after);
    out.push_str("       tables\n");
    for device in &tables.devices {
        let _ = writeln!(out, "         {}", device.name);
        for line in &device.old {
            let _ = writeln!(out, "           now    {line}");
        }
        for line in device.waiting.iter().flatten() {
            let _ = writeln!(out, "           waits  {line}");
        }
        match &device.new {
            Some(lines) if lines.is_empty() => out.push_str("           then   gone\n"),
            Some(lines) => {
                for line in lines {
                    let _ = writeln!(out, "           then   {line}");
                }
            }
            None => out.push_str("           then   as now\n"),
        }
    }
    out.push_str("       steps\n");
    for step in &tables.steps {
        let _ = write!(out, "         {}. {} {}", step.number, step.verb, step.device);
        let reasons: Vec<String> = step
            .after
            .iter()
            .map(|after| format!("after {}: {}", after.step, after.reason))
            .collect();
        let reasons =
            if reasons.is_empty() { String::new() } else { format!("  ({})", reasons.join("; ")) };
        let _ = writeln!(out, "{reasons}");
    }
}
