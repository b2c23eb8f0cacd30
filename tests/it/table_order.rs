//! The steps that give a stack its tables, done to a small device-mapper that knows what must not be done:
//! whatever the stack looks like, nothing of that is, and all is as it should be in the end.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use lvmend::model::live::LvmLayer;
use lvmend::model::table::{TableLine, Word};
use lvmend::model::table_goal::{DeviceNow, StackDevice, Then, UdevRules, named};
use lvmend::operation::reload_tree::steps::{Step, Verb, steps};
use lvmend::units::Sectors;

const MAX: usize = 7;

fn layer(index: usize) -> LvmLayer {
    let lv = format!("{index}00000-0000-0000-0000-0000-0000-000000").parse().unwrap();
    let vg = "VVVVVV-0000-0000-0000-0000-0000-000000".parse().unwrap();
    LvmLayer { vg, lv, suffix: String::new() }
}

fn table(below: &BTreeSet<usize>, len: u64) -> Vec<TableLine> {
    let mut args = vec![Word::text("0")];
    args.extend(below.iter().map(|index| Word::Layer(layer(*index))));
    let target = if below.is_empty() { "linear" } else { "mirror" };
    vec![TableLine {
        start: Sectors::ZERO,
        len: Sectors::new(len),
        target: target.to_owned(),
        args,
    }]
}

/// What is drawn for one device.
#[expect(clippy::struct_excessive_bools, reason = "each is drawn by itself")]
#[derive(Clone, Debug)]
struct Drawn {
    is_there: bool,
    is_empty: bool,
    goes: bool,
    changes: bool,
    suspended: bool,
    waits: bool,
    below_now: BTreeSet<usize>,
    below_then: BTreeSet<usize>,
    len_now: u64,
    len_then: u64,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let below = || prop::collection::btree_set(0..MAX, 0..3);
    let odds = |percent: u8| (0..100u8).prop_map(move |n| n < percent);
    let flags = (odds(85), odds(10), odds(20), odds(40), odds(25), odds(20));
    (flags, below(), below(), 1..3u64, 1..3u64).prop_map(
        |((is_there, is_empty, goes, changes, suspended, waits), now, then, len_now, len_then)| {
            Drawn {
                is_there,
                is_empty,
                goes,
                changes,
                suspended,
                waits,
                below_now: now,
                below_then: then,
                len_now: len_now * 8,
                len_then: len_then * 8,
            }
        },
    )
}

/// Devices lie on those drawn before them; what stays is not on what goes.
fn stack(drawn: &[Drawn]) -> Vec<StackDevice> {
    let mut devices: Vec<StackDevice> = Vec::new();
    for (index, draw) in drawn.iter().enumerate() {
        let of = |below: &BTreeSet<usize>, is: &dyn Fn(&StackDevice) -> bool| -> BTreeSet<usize> {
            below.iter().copied().filter(|b| *b < index && is(&devices[*b])).collect()
        };
        let has_table = |d: &StackDevice| d.now.as_ref().is_some_and(|now| !now.live.is_empty());
        let stays = |d: &StackDevice| d.then != Then::Gone;
        let now = draw.is_there.then(|| DeviceNow {
            live: if draw.is_empty {
                Vec::new()
            } else {
                table(&of(&draw.below_now, &has_table), draw.len_now)
            },
            waiting: draw.waits.then(|| table(&BTreeSet::new(), 64)),
            suspended: draw.suspended,
            read_only: false,
        });
        let live = now.as_ref().map_or(&[][..], |now| &now.live);
        let lies_on_gone = named(live).iter().any(|layer| {
            devices.iter().any(|device| device.layer == **layer && device.then == Then::Gone)
        });
        let then = if draw.goes {
            Then::Gone
        } else if live.is_empty() || draw.changes || lies_on_gone {
            let lines = table(&of(&draw.below_then, &stays), draw.len_then);
            if lines == live { Then::Stay } else { Then::Table { lines, read_only: false } }
        } else {
            Then::Stay
        };
        let name = format!("d{index}");
        devices.push(StackDevice {
            layer: layer(index),
            name,
            rules: UdevRules::Hidden,
            now,
            then,
        });
    }
    devices
}

/// A device of the small device-mapper.
#[derive(Clone, Debug, Default)]
struct Device {
    live: Vec<TableLine>,
    inactive: Option<Vec<TableLine>>,
    suspended: bool,
}

struct Kernel<'d> {
    goals: &'d [StackDevice],
    devices: BTreeMap<usize, Device>,
}

impl Kernel<'_> {
    fn below(&self, table: &[TableLine]) -> Vec<usize> {
        let place =
            |layer: &LvmLayer| self.goals.iter().position(|goal| goal.layer == *layer).unwrap();
        named(table).into_iter().map(place).collect()
    }

    fn all_below(&self, index: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut next = vec![index];
        while let Some(index) = next.pop() {
            let live =
                self.devices.get(&index).map(|device| device.live.clone()).unwrap_or_default();
            next.extend(self.below(&live).into_iter().filter(|below| found.insert(*below)));
        }
        found
    }

    fn parents(&self, index: usize) -> Vec<usize> {
        let lies_on = |(_, device): &(&usize, &Device)| self.below(&device.live).contains(&index);
        self.devices.iter().filter(lies_on).map(|(index, _)| *index).collect()
    }

    fn take(&mut self, Step { verb, device: index }: Step) {
        let goal = &self.goals[index];
        match verb {
            Verb::Clear => self.devices.get_mut(&index).unwrap().inactive = None,
            Verb::Create => {
                assert!(self.devices.insert(index, Device::default()).is_none(), "made twice");
            }
            Verb::Load => {
                let lines = match &goal.then {
                    Then::Table { lines, .. } => lines.clone(),
                    Then::Gone => table(&BTreeSet::new(), 8),
                    Then::Stay => panic!("nothing to load"),
                };
                for below in self.below(&lines) {
                    let below = self.devices.get(&below).expect("a table names what is not there");
                    assert!(!below.live.is_empty() || below.inactive.is_some(), "no table below");
                }
                let any =
                    self.devices.values().any(|device| device.suspended && device.live.is_empty());
                assert!(!any);
                let device = self.devices.get_mut(&index).unwrap();
                assert!(device.inactive.is_none(), "over a table that waits");
                device.inactive = Some(lines);
            }
            Verb::Thaw => {
                let device = self.devices.get_mut(&index).unwrap();
                assert!(device.suspended && device.inactive.is_none(), "a thaw with a table");
                device.suspended = false;
            }
            Verb::Grow => {
                let device = self.devices.get_mut(&index).unwrap();
                device.live = device.inactive.take().expect("nothing loaded");
                device.suspended = false;
            }
            Verb::Suspend => self.suspend(index),
            Verb::Resume => self.resume(index),
            Verb::Remove => {
                assert_eq!(self.parents(index), [0; 0], "removed under somebody");
                self.devices.remove(&index).unwrap();
            }
        }
    }

    fn suspend(&mut self, index: usize) {
        assert!(!self.devices[&index].suspended, "suspended twice");
        for parent in self.parents(index) {
            assert!(self.devices[&parent].suspended, "a child is suspended before its parent");
        }
        for below in self.all_below(index) {
            assert!(!self.devices[&below].suspended, "it would wait for what is suspended below");
        }
        self.devices.get_mut(&index).unwrap().suspended = true;
    }

    fn resume(&mut self, index: usize) {
        let is_layer = self.goals[index].then == Then::Gone;
        let device = self.devices.get_mut(&index).unwrap();
        let had = device.live.clone();
        if let Some(table) = device.inactive.take() {
            assert!(device.suspended || had.is_empty(), "switched while it ran");
            device.live = table;
        }
        device.suspended = false;
        let live = device.live.clone();
        for below in self.below(&live) {
            let below = &self.devices[&below];
            assert!(!below.suspended && below.inactive.is_none(), "a parent runs before its child");
        }
        if !is_layer {
            for (other, device) in &self.devices {
                let leaves = self.goals[*other].then == Then::Gone;
                let is_emptied = device.inactive.is_none() && self.below(&device.live).is_empty();
                let never_ran = device.live.is_empty();
                assert!(!leaves || is_emptied || never_ran, "runs beside a layer that leaves");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_done_that_must_not_be(drawn in prop::collection::vec(drawn(), 1..MAX)) {
        let goals = stack(&drawn);
        let steps = steps(&goals).unwrap();
        let there = goals.iter().enumerate().filter_map(|(index, goal)| {
            let now = goal.now.clone()?;
            // The kernel has no device that is suspended and never had a table.
            let suspended = now.suspended && !now.live.is_empty();
            Some((index, Device { live: now.live, inactive: now.waiting, suspended }))
        });
        let mut kernel = Kernel { goals: &goals, devices: there.collect() };
        for step in &steps.steps {
            kernel.take(*step);
        }
        for (index, goal) in goals.iter().enumerate() {
            let Some(device) = kernel.devices.get(&index) else {
                prop_assert_eq!(&goal.then, &Then::Gone);
                continue;
            };
            prop_assert!(goal.then != Then::Gone);
            prop_assert!(!device.suspended && device.inactive.is_none());
            prop_assert_eq!(&device.live[..], goal.table_then());
        }
        for (earlier, later, _) in steps.edges {
            prop_assert!(earlier < later);
        }
    }
}

#[test]
fn a_circle_has_no_order() {
    let lies_on = |index: usize, below: usize| StackDevice {
        layer: layer(index),
        name: format!("d{index}"),
        rules: UdevRules::Hidden,
        now: None,
        then: Then::Table { lines: table(&BTreeSet::from([below]), 8), read_only: false },
    };
    assert!(steps(&[lies_on(0, 1), lies_on(1, 0)]).is_err());
}
