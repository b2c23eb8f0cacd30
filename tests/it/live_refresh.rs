//! Tables that map a device which went away, and came back as another one.

use lvmend::model::inventory::Inventory;
use lvmend::model::live::{DevNumber, MappedDevice};
use lvmend::operation::Probe;
use lvmend::simulate::planned::work_out;

use crate::support::live_story::story;
use crate::support::machine::{edit, machine, mapped_lv, planned, snapshot, vg};
use crate::support::world::{plan, signature};

const ATTACHED: &str =
    "version: 1\nname: p\nvolume_group: {name: vg}\nphysical_volumes: {'*': {state: attached}}\n";
/// Where disk b was when its LVs were activated.
const GONE: &str = "8:128";

/// Nothing is left to be done in the world that a plan predicts.
fn is_met_afterwards(inventory: &Inventory, text: &str) {
    let after = planned(inventory, text).simulation.unwrap().last;
    let again = work_out(&plan(text), &after, &signature()).unwrap();
    assert_eq!((again.refusals, again.graph.operations), (vec![], vec![]));
}

fn with_mapped(mut inventory: Inventory, devices: &[(&str, &str, &[&str])]) -> Inventory {
    let vg = vg(&inventory);
    let device = |(minor, (lv, suffix, table)): (u32, &(&str, &str, &[&str]))| -> MappedDevice {
        mapped_lv(&vg, lv, suffix, minor, table)
    };
    edit(&mut inventory, |live| live.mapped.extend((0..).zip(devices).map(device)));
    inventory
}

fn line(device: &str, at: u32) -> String {
    format!("0 8192 linear {device} {at}")
}

#[test]
fn a_returned_pv_is_mapped_again() {
    let (gone, there) = (line(GONE, 2048), line("8:0", 2048));
    let spans = [gone.as_str(), "8192 8192 linear 8:32 4096"];
    let inventory = with_mapped(
        machine("missing-pv"),
        &[("on-a", "", &[&there]), ("on-b", "", &[&gone]), ("spans", "", &spans)],
    );
    snapshot("refresh", &story(&inventory, ATTACHED));
    is_met_afterwards(&inventory, ATTACHED);
    let stop = format!("{ATTACHED}logical_volumes: {{on-b: {{activation: inactive}}}}\n");
    snapshot("refresh-or-deactivate", &story(&inventory, &stop));
}

#[test]
fn a_plan_that_only_needs_a_refresh_is_not_met() {
    let gone = line(GONE, 2048);
    let inventory = with_mapped(machine("plain"), &[("simple", "", &[&gone])]);
    let planned = planned(&inventory, ATTACHED);
    assert!(planned.graph.changes_state());
    assert_eq!(planned.graph.operations.len(), 2);
    assert_eq!(planned.graph.operations[1].contract().probe(&inventory), Probe::Before);
    is_met_afterwards(&inventory, ATTACHED);
    // Nobody asked for that PV.
    let other = "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes: {simple: {activation: active}}\n";
    snapshot("refresh-not-wanted", &story(&inventory, other));
}

#[test]
fn what_is_there_is_not_taken_for_gone() {
    let gone = line(GONE, 2048);
    let mut inventory = with_mapped(machine("plain"), &[("simple", "", &[&gone])]);
    edit(&mut inventory, |live| {
        let number = DevNumber::parse(GONE).unwrap();
        live.blocks.push(crate::support::machine::node(number, "/dev/sdi"));
    });
    assert!(planned(&inventory, ATTACHED).graph.is_empty());
}

#[test]
fn hidden_parts_are_refreshed_by_what_is_active_above_them() {
    let (gone, there) = (line(GONE, 2048), line("8:0", 2048));
    let devices: [(&str, &str, &[&str]); 6] = [
        ("pool_tdata", "tdata", &[&gone]),
        ("pool_tmeta", "tmeta", &[&there]),
        ("pool", "tpool", &["0 8192 thin-pool 253:1 253:0 128 0 0"]),
        ("thin1", "", &["0 8192 thin 253:2 1"]),
        ("thin2", "", &["0 8192 thin 253:2 2"]),
        ("pool", "pool", &["0 8192 linear 253:2 0"]),
    ];
    let story = |devices: &[(&str, &str, &[&str])]| {
        let inventory = with_mapped(machine("thin"), devices);
        is_met_afterwards(&inventory, ATTACHED);
        story(&inventory, ATTACHED)
    };
    snapshot("refresh-pool", &story(&devices));
    snapshot("refresh-thin", &story(&devices[..5]));
}
