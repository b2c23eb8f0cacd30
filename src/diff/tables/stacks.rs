//! Stacks: devices of a VG that lie upon each other, by what is live, what waits, and what should be.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::LvUuid;
use crate::model::derived_tables::Derived;
use crate::model::live::{Live, LvmLayer, MappedDevice};
use crate::model::table::TableLine;
use crate::model::table_alike::Numbers;
use crate::model::vg::Vg;

/// Devices that lie upon each other.
#[derive(Debug)]
pub struct Stack<'i> {
    /// By name.
    pub devices: Vec<&'i MappedDevice>,
}

impl Stack<'_> {
    /// The LVs that the devices are of.
    pub fn lvs(&self) -> impl Iterator<Item = LvUuid> {
        self.devices.iter().filter_map(|mapped| mapped.layer.as_ref()).map(|layer| layer.lv)
    }
}

/// Every stack of the VG that has devices in the kernel, by the name of its first.
pub fn all<'i>(
    live: &'i Live,
    vg: &Vg,
    derived: &Derived,
    numbers: &Numbers<'_>,
) -> Vec<Stack<'i>> {
    let mut of_layer: BTreeMap<&LvmLayer, usize> = BTreeMap::new();
    let devices: Vec<&MappedDevice> = live.mapped_of_vg(vg.uuid).collect();
    for (index, mapped) in devices.iter().enumerate() {
        of_layer.extend(mapped.layer.as_ref().map(|layer| (layer, index)));
    }
    let mut group: Vec<usize> = (0..devices.len()).collect();
    for (index, mapped) in devices.iter().enumerate() {
        let lines = numbers.live(mapped).into_iter().chain(numbers.waiting(mapped));
        let mut named: BTreeSet<LvmLayer> =
            lines.flat_map(|line| line.layers().cloned().collect::<Vec<_>>()).collect();
        if let Some(layer) = &mapped.layer {
            reachable(derived, layer, &mut named);
            // Devices of one LV belong together, whether one still lies on the other or not.
            let own = of_layer.keys().filter(|other| other.lv == layer.lv);
            named.extend(own.map(|layer| (*layer).clone()));
        }
        for other in named.iter().filter_map(|layer| of_layer.get(layer)) {
            join(&mut group, index, *other);
        }
    }
    let mut stacks: BTreeMap<usize, Vec<&MappedDevice>> = BTreeMap::new();
    for (mapped, group) in devices.iter().zip(&group) {
        stacks.entry(*group).or_default().push(mapped);
    }
    let mut stacks: Vec<Stack<'_>> =
        stacks.into_values().map(|devices| Stack { devices }).collect();
    for stack in &mut stacks {
        stack.devices.sort_by_key(|mapped| (&mapped.name, mapped.number));
    }
    stacks.sort_by(|a, b| {
        a.devices.first().map(|m| &m.name).cmp(&b.devices.first().map(|m| &m.name))
    });
    stacks
}

/// Everything that the derived table of a layer names, and that of what it names.
fn reachable(derived: &Derived, layer: &LvmLayer, found: &mut BTreeSet<LvmLayer>) {
    let mut next = vec![layer.clone()];
    let mut seen = BTreeSet::new();
    while let Some(layer) = next.pop() {
        if !seen.insert(layer.clone()) {
            continue;
        }
        let table = derived.device(&layer).and_then(|device| device.table.as_ref());
        let lines: &[TableLine] = table.map_or(&[], |table| &table.lines);
        for below in lines.iter().flat_map(TableLine::layers) {
            found.insert(below.clone());
            next.push(below.clone());
        }
    }
}

fn join(group: &mut [usize], one: usize, other: usize) {
    let (Some(a), Some(b)) = (group.get(one).copied(), group.get(other).copied()) else { return };
    let (low, high) = (a.min(b), a.max(b));
    group.iter_mut().filter(|of| **of == high).for_each(|of| *of = low);
}
