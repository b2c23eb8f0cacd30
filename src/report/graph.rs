//! The graph as DOT and as Mermaid.

use std::fmt::Write as _;

use crate::graph::Graph;
use crate::model::inventory::Realm;
use crate::operation::reload_tree::steps::{Step, Steps, steps};
use crate::operation::{Operation, Risk};

fn number_of(graph: &Graph, id: &crate::ids::OperationId) -> usize {
    graph.operations.iter().position(|o| o.id() == *id).map_or(0, |at| at + 1)
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn label(number: usize, operation: &Operation, realm: Realm) -> String {
    let contract = operation.contract();
    format!(
        "{number}. {}\n{} ({})",
        operation.kind(),
        contract.title(),
        contract.risk(realm).name()
    )
}

/// For Graphviz.
pub fn dot(graph: &Graph, realm: Realm) -> String {
    let mut out =
        "digraph plan {\n  rankdir=TB;\n  node [shape=box, fontname=\"monospace\"];\n".to_owned();
    for (index, operation) in graph.operations.iter().enumerate() {
        let label = escaped(&label(index + 1, operation, realm)).replace('\n', "\\n");
        let style = match operation.contract().risk(realm) {
            Risk::ReadOnly => "style=dashed",
            Risk::Reversible => "style=solid",
            Risk::OneWay => "style=bold",
            Risk::Irreversible => "style=\"bold,filled\", fillcolor=\"#ffcccc\"",
        };
        let _ = writeln!(out, "  n{} [label=\"{label}\", {style}];", index + 1);
    }
    for (index, operation) in graph.operations.iter().enumerate() {
        dot_steps(&mut out, index + 1, operation);
    }
    for edge in &graph.edges {
        let (from, to) = (number_of(graph, &edge.from), number_of(graph, &edge.to));
        let _ =
            writeln!(out, "  n{from} -> n{to} [label=\"{}\"];", escaped(&edge.reason.to_string()));
    }
    out.push_str("}\n");
    out
}

/// The steps of a reload and what each is called; none of other operations.
fn steps_of(operation: &Operation) -> Option<(Steps, Vec<String>)> {
    let Operation::ReloadTree(reload) = operation else { return None };
    let steps = steps(&reload.devices).ok()?;
    let label = |step: &Step| {
        let device = reload.devices.get(step.device).map_or("", |device| device.name.as_str());
        format!("{} {device}", step.verb.name())
    };
    let labels = steps.steps.iter().map(label).collect();
    Some((steps, labels))
}

/// What a reload does within, in a frame of its own.
fn dot_steps(out: &mut String, number: usize, operation: &Operation) {
    let Some((steps, labels)) = steps_of(operation) else { return };
    let _ = writeln!(out, "  subgraph cluster_{number} {{\n    label=\"{number}\";");
    for (step, label) in labels.iter().enumerate() {
        let label = escaped(label);
        let _ =
            writeln!(out, "    n{number}_{} [label=\"{number}.{} {label}\"];", step + 1, step + 1);
    }
    for (from, to, reason) in &steps.edges {
        let (from, to) = (from + 1, to + 1);
        let _ = writeln!(out, "    n{number}_{from} -> n{number}_{to} [label=\"{reason}\"];");
    }
    out.push_str("  }\n");
}

/// For Mermaid, as merge requests show it.
pub fn mermaid(graph: &Graph, realm: Realm) -> String {
    let text = |text: &str| text.replace('"', "#quot;").replace('\n', "<br/>");
    let mut out = "flowchart TD\n".to_owned();
    for (index, operation) in graph.operations.iter().enumerate() {
        let label = text(&label(index + 1, operation, realm));
        let _ = writeln!(out, "  n{}[\"{label}\"]", index + 1);
    }
    for (index, operation) in graph.operations.iter().enumerate() {
        mermaid_steps(&mut out, index + 1, operation);
    }
    for edge in &graph.edges {
        let (from, to) = (number_of(graph, &edge.from), number_of(graph, &edge.to));
        let _ = writeln!(out, "  n{from} -->|\"{}\"| n{to}", text(&edge.reason.to_string()));
    }
    out
}

/// What a reload does within, in a frame of its own.
fn mermaid_steps(out: &mut String, number: usize, operation: &Operation) {
    let Some((steps, labels)) = steps_of(operation) else { return };
    let _ = writeln!(out, "  subgraph s{number} [\"{number}\"]");
    for (step, label) in labels.iter().enumerate() {
        let label = label.replace('"', "#quot;");
        let _ = writeln!(out, "    n{number}_{}[\"{number}.{} {label}\"]", step + 1, step + 1);
    }
    for (from, to, reason) in &steps.edges {
        let (from, to) = (from + 1, to + 1);
        let _ = writeln!(out, "    n{number}_{from} -->|\"{reason}\"| n{number}_{to}");
    }
    out.push_str("  end\n");
}
