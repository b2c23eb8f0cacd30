//! Who lies on whom in a stack, and what is to be done to each.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::live::LvmLayer;
use crate::model::table::TableLine;
use crate::model::table_goal::{DeviceNow, StackDevice, Then, named};
use crate::operation::reload_tree::steps::{Step, Verb};

/// Who lies on whom, and what is done to each.
pub(super) struct Shape<'d> {
    pub devices: &'d [StackDevice],
    /// For each device, those that its live table names.
    pub below_now: Vec<BTreeSet<usize>>,
    /// For each device, those that its table to come names.
    pub below_then: Vec<BTreeSet<usize>>,
    pub cleared: BTreeSet<usize>,
    pub thawed: BTreeSet<usize>,
    pub created: BTreeSet<usize>,
    pub loaded: BTreeSet<usize>,
    pub grown: BTreeSet<usize>,
    pub suspended: BTreeSet<usize>,
    pub resumed: BTreeSet<usize>,
    pub removed: BTreeSet<usize>,
}

impl<'d> Shape<'d> {
    pub fn of(devices: &'d [StackDevice]) -> Self {
        let index: BTreeMap<&LvmLayer, usize> =
            devices.iter().enumerate().map(|(index, device)| (&device.layer, index)).collect();
        let places = |layers: BTreeSet<&LvmLayer>| -> BTreeSet<usize> {
            layers.into_iter().filter_map(|layer| index.get(layer).copied()).collect()
        };
        let below_now: Vec<_> = devices.iter().map(|device| places(named(device.live()))).collect();
        let below_then: Vec<_> =
            devices.iter().map(|device| places(named(device.table_then()))).collect();
        let mut shape = Self {
            devices,
            below_now,
            below_then,
            cleared: BTreeSet::new(),
            thawed: BTreeSet::new(),
            created: BTreeSet::new(),
            loaded: BTreeSet::new(),
            grown: BTreeSet::new(),
            suspended: BTreeSet::new(),
            resumed: BTreeSet::new(),
            removed: BTreeSet::new(),
        };
        shape.decide();
        shape
    }

    fn which(&self, is: impl Fn(usize, &StackDevice) -> bool) -> BTreeSet<usize> {
        let found = self.devices.iter().enumerate().filter(|(index, device)| is(*index, device));
        found.map(|(index, _)| index).collect()
    }

    fn decide(&mut self) {
        let now =
            |device: &StackDevice, is: fn(&DeviceNow) -> bool| device.now.as_ref().is_some_and(is);
        self.cleared = self.which(|_, device| now(device, |now| now.waiting.is_some()));
        self.created = self.which(|_, device| device.now.is_none() && device.then != Then::Gone);
        self.removed = self.which(|_, device| device.now.is_some() && device.then == Then::Gone);
        self.loaded = self.which(|_, device| device.is_reloaded());
        let has_parent: BTreeSet<usize> = self.below_then.iter().flatten().copied().collect();
        // A device that is only just made must not run beside the one whose table it takes over, and no
        // target may that keeps a state of its own.
        self.grown = self.which(|index, device| {
            let takes_over = device.layer.suffix == "real" && device.live().is_empty();
            let is_plain = |line: &TableLine| matches!(line.target.as_str(), "linear" | "striped");
            let is_plain = device.table_then().iter().all(is_plain);
            has_parent.contains(&index) && device.grows() && is_plain && !takes_over
        });
        let is_suspended = self.which(|_, device| now(device, |now| now.suspended));
        let affected = self.affected();
        let is_running =
            self.which(|index, device| !device.live().is_empty() && !is_suspended.contains(&index));
        let mut under = self.below(&is_running);
        // The kernel reads what lies below while it takes a table.
        if !self.loaded.is_empty() {
            let all = self.below_now.iter().chain(&self.below_then).flatten();
            let over_grown = self.above(&self.grown);
            let is_thawed =
                |below: &usize| !self.live_is_empty(*below) && !over_grown.contains(below);
            under.extend(all.copied().filter(is_thawed));
        }
        self.thawed = &(&is_suspended & &under) - &self.grown;
        let left = &is_suspended - &self.thawed;
        self.suspended = &(&affected - &left) - &self.grown;
        let made: BTreeSet<usize> =
            self.loaded.iter().copied().filter(|index| self.live_is_empty(*index)).collect();
        let resumed = &(&self.suspended | &left) | &made;
        self.resumed = &(&resumed - &self.grown) - &self.never_had_a_table();
    }

    /// Devices that get another table while nothing reaches them, and everything that lies upon them.
    /// What grows and is among the latter waits for its turn.
    fn affected(&mut self) -> BTreeSet<usize> {
        loop {
            let at_once =
                |index: &usize| !self.grown.contains(index) && !self.live_is_empty(*index);
            let switched: BTreeSet<usize> = self.loaded.iter().copied().filter(at_once).collect();
            let affected = &self.above(&switched) | &switched;
            let running: BTreeSet<usize> =
                affected.iter().copied().filter(|index| !self.live_is_empty(*index)).collect();
            let before = self.grown.len();
            self.grown = &self.grown - &affected;
            if self.grown.len() == before {
                return &running | &self.pools_over_grown();
            }
        }
    }

    /// A thin pool takes longer metadata or data only when it is resumed; with what lies upon it.
    fn pools_over_grown(&self) -> BTreeSet<usize> {
        let is_pool = |index: &usize| {
            let live = self.devices.get(*index).map_or(&[][..], StackDevice::live);
            live.iter().any(|line| line.target == "thin-pool")
        };
        let pools: BTreeSet<usize> = self.above(&self.grown).into_iter().filter(is_pool).collect();
        &self.above(&pools) | &pools
    }

    fn live_is_empty(&self, index: usize) -> bool {
        self.devices.get(index).is_none_or(|device| device.live().is_empty())
    }

    /// What was only made and goes again.
    fn never_had_a_table(&self) -> BTreeSet<usize> {
        self.which(|_, device| device.live().is_empty() && device.then == Then::Gone)
    }

    /// Everything that lies on these, by live tables, and by tables that come into force at once.
    fn above(&self, of: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut found: BTreeSet<usize> = BTreeSet::new();
        let mut grew = true;
        while grew {
            let more = self.which(|index, _| {
                let is_at_once = self.grown.contains(&index);
                let then = self.below_then.get(index).filter(|_| is_at_once);
                let mut below = self.below_now.get(index).into_iter().chain(then).flatten();
                below.any(|below| of.contains(below) || found.contains(below))
            });
            grew = more.len() > found.len();
            found = more;
        }
        found
    }

    /// Everything below these, by live tables.
    fn below(&self, of: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut next: Vec<usize> = of.iter().copied().collect();
        while let Some(index) = next.pop() {
            for below in self.below_now.get(index).into_iter().flatten() {
                if found.insert(*below) {
                    next.push(*below);
                }
            }
        }
        found
    }

    /// Every step, in no order.
    pub fn all(&self) -> Vec<Step> {
        let of = [
            (Verb::Clear, &self.cleared),
            (Verb::Thaw, &self.thawed),
            (Verb::Create, &self.created),
            (Verb::Load, &self.loaded),
            (Verb::Grow, &self.grown),
            (Verb::Suspend, &self.suspended),
            (Verb::Resume, &self.resumed),
            (Verb::Remove, &self.removed),
        ];
        let steps = |(verb, devices): &(Verb, &BTreeSet<usize>)| {
            let verb = *verb;
            devices.iter().map(|device| Step { verb, device: *device }).collect::<Vec<_>>()
        };
        of.iter().flat_map(steps).collect()
    }

    /// The target of its table to come.
    pub fn target(&self, index: usize) -> &str {
        let table = self.devices.get(index).map_or(&[][..], StackDevice::table_then);
        table.first().map_or("", |line| line.target.as_str())
    }
}
