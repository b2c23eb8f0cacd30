//! The graph as DOT and as Mermaid.

use std::fmt::Write as _;

use crate::graph::Graph;
use crate::model::inventory::Realm;
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
    for edge in &graph.edges {
        let (from, to) = (number_of(graph, &edge.from), number_of(graph, &edge.to));
        let _ =
            writeln!(out, "  n{from} -> n{to} [label=\"{}\"];", escaped(&edge.reason.to_string()));
    }
    out.push_str("}\n");
    out
}

/// For Mermaid, as merge requests show it.
pub fn mermaid(graph: &Graph, realm: Realm) -> String {
    let text = |text: &str| text.replace('"', "#quot;").replace('\n', "<br/>");
    let mut out = "flowchart TD\n".to_owned();
    for (index, operation) in graph.operations.iter().enumerate() {
        let label = text(&label(index + 1, operation, realm));
        let _ = writeln!(out, "  n{}[\"{label}\"]", index + 1);
    }
    for edge in &graph.edges {
        let (from, to) = (number_of(graph, &edge.from), number_of(graph, &edge.to));
        let _ = writeln!(out, "  n{from} -->|\"{}\"| n{to}", text(&edge.reason.to_string()));
    }
    out
}
