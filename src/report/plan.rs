//! `lvmend plan`: what would be done, why, in what order, and what it could cost.

mod acts;
mod tables;

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::graph::Graph;
use crate::ids::ForeignText;
use crate::model::compare::differences;
use crate::model::inventory::Inventory;
use crate::operation::{Operation, Stage};
use crate::plan::Plan;
use crate::report::plan::tables::TablesJson;
use crate::report::{Head, text_diff};
use crate::simulate::planned::Planned;
use crate::simulate::text_that_counts;

/// What a plan comes to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanJson {
    #[serde(flatten)]
    head: Head,
    /// The plan.
    plan: String,
    /// The VG.
    vg: String,
    /// Its UUID.
    vg_uuid: String,
    /// Whether every state the plan wants holds already.
    states_hold: bool,
    /// Whether the plan may be applied.
    applicable: bool,
    /// Digest of the graph: two plans with the same do the same.
    graph_digest: String,
    /// The operations, in order.
    operations: Vec<OperationJson>,
    /// Why each must follow others.
    edges: Vec<EdgeJson>,
    /// The first operation without an undo, counted from 1.
    point_of_no_return: Option<usize>,
    /// What can be lost.
    hazards: Vec<HazardJson>,
    /// What speaks against it.
    refusals: Vec<RefusalJson>,
    /// What is worth knowing.
    notes: Vec<String>,
    /// What the metadata will say otherwise, in words.
    metadata_changes: Vec<String>,
    /// The metadata as it will be against what it is, as a unified diff.
    metadata_diff: String,
}

/// An operation.
#[derive(Debug, Serialize, JsonSchema)]
struct OperationJson {
    /// Counted from 1.
    number: usize,
    /// Kind and object.
    id: String,
    /// Its kind.
    kind: &'static str,
    /// `evidence`, `state`, `task` or `check`.
    stage: &'static str,
    /// What it does, in words.
    title: String,
    /// Why, and what follows.
    reasons: Vec<String>,
    /// `read-only`, `reversible`, `one-way` or `irreversible`.
    risk: &'static str,
    /// How it is undone.
    undo: String,
    /// What exactly is done.
    does: Vec<String>,
    /// The kernel's tables before and after, and in which order they are changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    tables: Option<TablesJson>,
}

/// Why one operation follows another.
#[derive(Debug, Serialize, JsonSchema)]
struct EdgeJson {
    /// The id of the one that comes first.
    from: String,
    /// The id of the one that follows.
    to: String,
    /// Why.
    reason: String,
}

/// Something that can be lost.
#[derive(Debug, Serialize, JsonSchema)]
struct HazardJson {
    /// Its kind.
    hazard: String,
    /// Of what.
    object: String,
    /// What, item by item.
    loss: Vec<String>,
    /// Whether the plan accepts it.
    accepted: bool,
}

/// Something that speaks against the plan.
#[derive(Debug, Serialize, JsonSchema)]
struct RefusalJson {
    /// Its stable code.
    code: String,
    /// About what.
    object: String,
    /// Why.
    why: String,
    /// What to do about it.
    help: Option<String>,
}

/// Gathers what a plan comes to.
pub fn gather(plan: &Plan, planned: &Planned, inventory: &Inventory) -> PlanJson {
    let graph = &planned.graph;
    let (metadata_changes, metadata_diff) = metadata_difference(planned, inventory);
    let accept = &plan.document.policy.accept;
    PlanJson {
        head: Head::unchanged("plan"),
        plan: plan.document.name.to_string(),
        vg: planned.vg_name.to_string(),
        vg_uuid: planned.vg.to_string(),
        states_hold: !graph.changes_state() && planned.refusals.is_empty(),
        applicable: planned.refusals.is_empty(),
        graph_digest: planned.fingerprint(plan).whole.to_string(),
        operations: operations(planned),
        edges: edges(graph),
        point_of_no_return: graph.point_of_no_return(planned.realm).map(|at| at + 1),
        hazards: graph
            .hazards()
            .into_iter()
            .map(|hazard| HazardJson {
                accepted: accept
                    .iter()
                    .any(|a| a.hazard == hazard.kind && a.object == hazard.object),
                hazard: hazard.kind.name().to_owned(),
                object: hazard.object,
                loss: hazard.loss,
            })
            .collect(),
        refusals: planned.refusals.iter().map(refusal_json).collect(),
        notes: planned.diff.notes.clone(),
        metadata_changes,
        metadata_diff,
    }
}

fn refusal_json(refusal: &crate::diff::Refusal) -> RefusalJson {
    let code = serde_json::to_value(refusal.code).ok();
    RefusalJson {
        code: code.and_then(|c| c.as_str().map(str::to_owned)).unwrap_or_default(),
        object: refusal.object.clone(),
        why: refusal.why.clone(),
        help: refusal.help.clone(),
    }
}

fn operations(planned: &Planned) -> Vec<OperationJson> {
    let acts = |index: usize| {
        let step = planned.simulation.as_ref().and_then(|s| s.steps.get(index));
        step.map_or(&[][..], |step| step.acts.as_slice())
    };
    let json = |(index, operation): (usize, &Operation)| {
        let contract = operation.contract();
        OperationJson {
            number: index + 1,
            id: operation.id().to_string(),
            kind: operation.kind(),
            stage: match operation.stage() {
                Stage::Evidence => "evidence",
                Stage::State => "state",
                Stage::Task => "task",
                Stage::Check => "check",
            },
            title: contract.title(),
            reasons: contract.reasons(),
            risk: contract.risk(planned.realm).name(),
            undo: contract.undo(planned.realm).to_owned(),
            does: acts::does(acts(index)),
            tables: tables::gather(acts(index)),
        }
    };
    planned.graph.operations.iter().enumerate().map(json).collect()
}

fn edges(graph: &Graph) -> Vec<EdgeJson> {
    let json = |edge: &crate::graph::Edge| EdgeJson {
        from: edge.from.to_string(),
        to: edge.to.to_string(),
        reason: edge.reason.to_string(),
    };
    graph.edges.iter().map(json).collect()
}

/// What the metadata will say otherwise: in words, and as a diff of texts.
fn metadata_difference(planned: &Planned, inventory: &Inventory) -> (Vec<String>, String) {
    let Some(simulation) = &planned.simulation else {
        return (Vec::new(), String::new());
    };
    let old = text_that_counts(inventory, planned.vg);
    match (old, text_that_counts(&simulation.last, planned.vg)) {
        (Some((old, old_vg)), Some((new, new_vg))) if old.content != new.content => {
            let words = differences(old_vg, new_vg).iter().map(ToString::to_string).collect();
            (words, text_diff::unified(old, new))
        }
        (None, Some((new, _))) => {
            (vec!["a text of the VG counts again".to_owned()], text_diff::indented(new))
        }
        _ => (Vec::new(), String::new()),
    }
}

/// What a plan comes to, for people: good enough to be read in a merge request.
pub fn text(plan: &Plan, found: &PlanJson) -> String {
    let mut out = String::new();
    heading(&mut out, plan, found);
    if !found.operations.is_empty() {
        operations_text(&mut out, found);
    }
    if !found.metadata_changes.is_empty() {
        out.push_str("\nThe metadata afterwards\n");
        for change in &found.metadata_changes {
            let _ = writeln!(out, "  {change}");
        }
        out.push('\n');
        for line in found.metadata_diff.lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
    if !found.hazards.is_empty() {
        out.push_str("\nWhat can be lost\n");
        for hazard in &found.hazards {
            let state = if hazard.accepted { "accepted" } else { "NOT ACCEPTED" };
            let _ = writeln!(out, "  {} of {} ({state})", hazard.hazard, hazard.object);
            for loss in &hazard.loss {
                let _ = writeln!(out, "    {loss}");
            }
        }
    }
    if !found.notes.is_empty() {
        out.push_str("\nNotes\n");
        for note in &found.notes {
            let _ = writeln!(out, "  {note}");
        }
    }
    ending(&mut out, found);
    out
}

fn heading(out: &mut String, plan: &Plan, found: &PlanJson) {
    let document = &plan.document;
    let _ = writeln!(out, "Plan {} for VG {} ({})", found.plan, found.vg, found.vg_uuid);
    if let Some(summary) = &document.summary {
        let _ = writeln!(out, "  {}", ForeignText::from(summary.as_str()));
    }
    if let Some(reference) = &document.reference {
        let _ = writeln!(out, "  reference {}", ForeignText::from(reference.as_str()));
    }
}

fn operations_text(out: &mut String, found: &PlanJson) {
    let count = found.operations.len();
    let s = if count == 1 { "" } else { "s" };
    let _ = writeln!(out, "\n{count} operation{s}, in this order");
    for operation in &found.operations {
        let repeats = match operation.stage {
            "task" => ", runs every time",
            "check" => ", checked every time",
            _ => "",
        };
        let _ = writeln!(
            out,
            "\n  {}. {}\n     {} ({}{repeats})",
            operation.number, operation.title, operation.kind, operation.risk
        );
        for reason in &operation.reasons {
            let _ = writeln!(out, "       why    {reason}");
        }
        for edge in found.edges.iter().filter(|edge| edge.to == operation.id) {
            let before = found.operations.iter().find(|o| o.id == edge.from);
            let number = before.map_or(0, |o| o.number);
            let _ = writeln!(out, "       after  {number}: {}", edge.reason);
        }
        for line in &operation.does {
            let _ = writeln!(out, "       does   {line}");
        }
        operation.tables.iter().for_each(|tables| tables::text(out, tables));
        let _ = writeln!(out, "       undo   {}", operation.undo);
        if found.point_of_no_return == Some(operation.number) {
            out.push_str("     -- point of no return: nothing from here on can be undone --\n");
        }
    }
}

fn ending(out: &mut String, found: &PlanJson) {
    if !found.refusals.is_empty() {
        out.push_str("\nRefused\n");
        for refusal in &found.refusals {
            let _ = writeln!(out, "  {}: {}", refusal.code, refusal.object);
            let _ = writeln!(out, "    {}", refusal.why);
            if let Some(help) = &refusal.help {
                let _ = writeln!(out, "    help: {help}");
            }
        }
        out.push_str("\nNothing would be written.\n");
        return;
    }
    if found.operations.is_empty() {
        out.push_str("\nNothing to do: every state holds.\n");
        return;
    }
    match found.point_of_no_return {
        Some(number) => {
            let _ = writeln!(out, "\nPoint of no return: operation {number}.");
        }
        None => out.push_str("\nPoint of no return: none; everything can be undone.\n"),
    }
    let digest: String = found.graph_digest.chars().take(12).collect();
    let _ = writeln!(out, "Graph {digest}.");
}
