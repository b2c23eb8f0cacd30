//! A kernel that has the devices of LVs as the metadata says.

use std::collections::BTreeMap;

use lvmend::model::derived_tables::{DerivedDevice, derived_tables};
use lvmend::model::inventory::Inventory;
use lvmend::model::live::{DevNumber, LvmLayer, MappedDevice};
use lvmend::model::table::{TableLine, Word};
use lvmend::model::vg::Vg;

use crate::support::machine::{dm, edit, line, vg};

/// Makes these devices there, by name, with the tables that are derived.
pub fn activate(inventory: &mut Inventory, names: &[&str]) {
    let vg = vg(inventory);
    let derived = derived_tables(&vg);
    let device = |name: &&str| {
        let found = derived.devices.iter().find(|device| device.name == **name);
        found.unwrap_or_else(|| panic!("no device {name}")).clone()
    };
    let devices: Vec<DerivedDevice> = names.iter().map(device).collect();
    let numbers: BTreeMap<LvmLayer, DevNumber> =
        (0..).zip(&devices).map(|(minor, device)| (device.layer.clone(), dm(minor))).collect();
    let mapped: Vec<MappedDevice> = devices
        .iter()
        .map(|device| {
            let table = device.table.as_ref().unwrap_or_else(|| panic!("{}", device.name));
            let shown = |line: &TableLine| table_line(inventory, &vg, &numbers, line);
            let lines: Vec<String> = table.lines.iter().map(shown).collect();
            let number = numbers[&device.layer];
            mapped(&device.name, &device.layer, number, &lines)
        })
        .collect();
    edit(inventory, |live| {
        live.mapped = mapped;
        live.mapped.sort_by(|a, b| a.name.cmp(&b.name));
    });
}

/// A device with this table.
pub fn mapped(name: &str, layer: &LvmLayer, number: DevNumber, table: &[String]) -> MappedDevice {
    MappedDevice {
        name: name.into(),
        uuid: layer.to_string().into(),
        layer: Some(layer.clone()),
        number,
        open_count: 0,
        suspended: false,
        read_only: false,
        live: table.iter().map(|text| line(text)).collect(),
        inactive: Vec::new(),
        has_inactive: false,
        has_node: true,
        status: Vec::new(),
    }
}

fn table_line(
    inventory: &Inventory,
    vg: &Vg,
    numbers: &BTreeMap<LvmLayer, DevNumber>,
    line: &TableLine,
) -> String {
    let number =
        |layer: &LvmLayer| numbers.get(layer).unwrap_or_else(|| panic!("{layer} is not there"));
    let word = |word: &Word| match word {
        Word::Text(text) => Some(text.clone()),
        Word::Pv(pv) => {
            assert!(vg.pv(*pv).is_some());
            Some(inventory.devices_of(*pv)[0].number?.to_string())
        }
        Word::Layer(layer) => Some(number(layer).to_string()),
        Word::Option(name, layer) => Some(format!("{name}:{}", number(layer))),
    };
    line.shown_by(word).unwrap()
}
