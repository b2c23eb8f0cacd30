//! What a plan comes to on a running machine, told line by line, and what every operation there must
//! keep to.

use std::fmt::Write;

use lvmend::model::inventory::Inventory;
use lvmend::operation::act::{Act, PlannedProgram};
use lvmend::operation::reload_tree::steps::Step;
use lvmend::operation::{Operation, Probe};
use lvmend::simulate::lower;
use lvmend::simulate::planned::Planned;

use crate::support::machine::{planned, told};
use crate::support::world::signature;

/// Refusals, notes, and every operation with what it runs.
pub fn story(inventory: &Inventory, text: &str) -> String {
    let planned = planned(inventory, text);
    let mut out = told(&planned);
    for operation in &planned.graph.operations {
        let contract = operation.contract();
        let risk = contract.risk(planned.realm).name();
        writeln!(out, "{} [{risk}] {}", operation.kind(), contract.title()).unwrap();
        for why in contract.reasons() {
            writeln!(out, "  {why}").unwrap();
        }
        for act in acts_of(&planned, operation) {
            writeln!(out, "  > {act}").unwrap();
        }
    }
    keeps_its_word(&planned, inventory);
    out
}

fn acts_of(planned: &Planned, operation: &Operation) -> Vec<String> {
    let steps = planned.simulation.iter().flat_map(|simulation| &simulation.steps);
    let acts = steps.filter(|step| step.id == operation.id()).flat_map(|step| &step.acts);
    acts.map(act_shown).collect()
}

fn act_shown(act: &Act) -> String {
    match act {
        Act::Run(line) => line.to_string(),
        Act::ReadyToMount { name, at } => format!("waits for {name}, looks at {at}"),
        Act::RunWhenFree(line) => format!("when free: {line}"),
        Act::RunProgram(program) => {
            let PlannedProgram { command, timeout, environment, snapshot } = program;
            let at = environment.get("LVMEND_MOUNT");
            format!("{command} ({timeout}, {at:?}, {snapshot:?})")
        }
        Act::WriteLocked(write) => {
            let line = write.command.to_string();
            line.split(" --config").next().unwrap().to_owned()
        }
        Act::CopyToDevice { content, to, .. } => {
            format!("copies {} to {} ({}, {})", content.name, to.path, to.dm_uuid, to.size)
        }
        Act::CopyToFile { content, to } => format!("copies {} to {}", content.name, to.path),
        Act::Save(regions) => {
            let shown = regions.iter().map(|r| format!("{} {}+{}", r.device, r.offset, r.len));
            format!("saves {}", shown.collect::<Vec<_>>().join(", "))
        }
        Act::RebuildThin(rebuild) => {
            let devices =
                rebuild.devices.iter().map(|d| format!("{}:{}", d.shown(), d.mapped_blocks));
            format!(
                "rebuilds {} in {}, {}, for {}",
                rebuild.content.name,
                rebuild.to.shown(),
                rebuild.mend.map_or("as it is".to_owned(), |mend| format!("{mend:?}")),
                devices.collect::<Vec<_>>().join(" ")
            )
        }
        Act::ReloadTree(reload) => {
            let step = |step: &Step| {
                let device = &reload.devices[step.device];
                format!("{} {}", step.verb.name(), device.name)
            };
            reload.steps.iter().map(step).collect::<Vec<_>>().join(", ")
        }
        Act::Write(_) | Act::Sync(_) | Act::CompareContent { .. } => format!("{act:?}"),
    }
}

/// Each operation says of the world before it that it was not applied, of the world as predicted that
/// it was, has nothing left to do then, and can be undone if it says so.
fn keeps_its_word(planned: &Planned, inventory: &Inventory) {
    if planned.simulation.is_none() {
        return;
    }
    let mut now = inventory.clone();
    for operation in &planned.graph.operations {
        let (id, contract) = (operation.id(), operation.contract());
        let lowered = lower(operation, &now, &signature()).unwrap();
        let after = lowered.predicted;
        if operation.leaves_a_trace() {
            assert_eq!(contract.probe(&now), Probe::Before, "{id} before");
            // What LVM chooses is in no prediction: the UUID of a new PV, the extents of an LV.
            let chosen = ["extend_vg", "extend_pool", "create_pool_metadata", "swap_pool_metadata"];
            if chosen.contains(&operation.kind()) {
                continue;
            }
            assert_eq!(contract.probe(&after), Probe::After, "{id} after");
            let is_undone = !contract.undo(planned.realm).starts_with("none");
            if is_undone && contract.risk(planned.realm).has_undo() {
                let undone = contract.lower_undo(&after, &signature()).unwrap();
                assert!(!undone.acts.is_empty(), "{id}: an undo without acts");
                assert_eq!(contract.probe(&undone.predicted), Probe::Before, "{id} undone");
                if let Ok(again) = contract.lower_undo(&undone.predicted, &signature()) {
                    assert!(again.acts.is_empty(), "{id}: undone twice: {:?}", again.acts);
                }
            }
        }
        now = after;
    }
}
