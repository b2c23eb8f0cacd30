//! Edges and order.

use std::collections::BTreeMap;

use petgraph::Direction;
use petgraph::algo::{toposort, tred};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use crate::graph::{Edge, Graph, Reason};
use crate::ids::OperationId;
use crate::model::inventory::Realm;
use crate::operation::{DeactivateLvs, Operation, Resource, Risk, Stage, Touches};

/// Where an operation stands among others when nothing else decides.
type Rank = (Stage, usize, u8, OperationId);

/// Which task of the plan an operation is for, counted from 0.
pub type Turns = BTreeMap<OperationId, usize>;

fn rank(operation: &Operation, turns: &Turns) -> Rank {
    // What must be free is freed first. Labels make areas reachable, sound areas make the metadata
    // count, returned PVs make LVs whole, and only then is an LV put back; what is to be active is
    // activated when the metadata is as it should be.
    let kind = match operation {
        Operation::SaveEvidence(_) => 0,
        // What is suspended would hold up everything else.
        Operation::ReloadTree(_) => 1,
        Operation::Unmount(_) => 2,
        // What a task had activated goes again behind it.
        Operation::DeactivateLvs(DeactivateLvs { task_of: Some(_), .. }) => 21,
        Operation::DeactivateLvs(_) => 3,
        Operation::WritePvLabel(_) => 4,
        Operation::CommitMetadata(_) => 5,
        Operation::RestoreMissingPv(_) => 6,
        Operation::ExtendVg(_) => 7,
        Operation::SpliceLv(_) => 8,
        // Where LVM chooses it could take what another was promised.
        Operation::CreatePoolMetadata(create) if create.pool.place.is_empty() => 10,
        Operation::CreatePoolMetadata(_) => 9,
        Operation::RebuildPoolMetadata(_) => 11,
        Operation::SwapPoolMetadata(_) => 12,
        // The room first: the kernel takes it when it is let in.
        Operation::ExtendPool(_) => 13,
        // With another number LVM does not let the pool in.
        Operation::SetTransactionId(_) => 14,
        Operation::DropThinLv(_) => 15,
        Operation::ClearNeedsCheck(_) => 16,
        // LVM makes it longer by itself where it makes a pool's metadata longer.
        Operation::MakePoolSpare(_) => 17,
        Operation::RefreshLvs(_) => 18,
        Operation::ActivateLvs(_) | Operation::RemoveSnapshot(_) => 19,
        Operation::CopyLv(_) | Operation::SnapshotBackup(_) => 20,
        Operation::MountAgain(_) => 22,
        Operation::CheckSha256(_) => 23,
    };
    let id = operation.id();
    (operation.stage(), turns.get(&id).copied().unwrap_or(0), kind, id)
}

/// Puts operations into order, riskier ones as late as their edges allow.
pub fn ordered(mut operations: Vec<Operation>, turns: &Turns, realm: Realm) -> Graph {
    operations.sort_by_key(|operation| rank(operation, turns));
    operations.dedup_by(|a, b| a.id() == b.id());
    let mut dag: DiGraph<Operation, Reason> = DiGraph::new();
    let nodes: Vec<NodeIndex> = operations.into_iter().map(|o| dag.add_node(o)).collect();
    add_edges(&mut dag, &nodes, turns);
    let order = order(&dag, turns, realm);
    let edges = reduced_edges(&dag, &order);
    let operations = order.iter().filter_map(|node| dag.node_weight(*node).cloned()).collect();
    Graph { operations, edges }
}

/// Edges run only from lower to higher rank, so there is no circle.
fn add_edges(dag: &mut DiGraph<Operation, Reason>, nodes: &[NodeIndex], turns: &Turns) {
    let touches: Vec<(Place, Touches)> = nodes
        .iter()
        .filter_map(|node| dag.node_weight(*node))
        .map(|operation| (place(operation, turns), operation.contract().touches()))
        .collect();
    for (later, (later_place, later_touches)) in touches.iter().enumerate() {
        for (earlier, (place, earlier_touches)) in touches.iter().enumerate().take(later) {
            let reason = reason(*place, earlier_touches, *later_place, later_touches);
            if let (Some(reason), Some(from), Some(to)) =
                (reason, nodes.get(earlier), nodes.get(later))
            {
                dag.add_edge(*from, *to, reason);
            }
        }
    }
}

/// To which stage and which task an operation belongs.
type Place = (Stage, Option<usize>);

fn place(operation: &Operation, turns: &Turns) -> Place {
    (operation.stage(), turns.get(&operation.id()).copied())
}

fn reason(
    (stage, turn): Place,
    earlier: &Touches,
    (later_stage, later_turn): Place,
    later: &Touches,
) -> Option<Reason> {
    let common = |one: &[Resource], other: &[Resource]| {
        one.iter().find(|resource| other.contains(resource)).cloned()
    };
    if stage == Stage::Evidence {
        return Some(Reason::EvidenceFirst);
    }
    if let Some(resource) = common(&earlier.writes, &later.reads) {
        return Some(Reason::Needs(resource));
    }
    if let Some(resource) = common(&earlier.writes, &later.writes) {
        return Some(Reason::SameResource(resource));
    }
    if let Some(resource) = common(&earlier.reads, &later.writes) {
        return Some(Reason::ReadBefore(resource));
    }
    if stage != later_stage {
        return Some(Reason::Stage);
    }
    (turn != later_turn).then_some(Reason::Turn)
}

/// Fills the order from its end: of all operations that nothing left must follow, the riskiest
/// goes last; among equals, the one with the highest rank.
fn order(dag: &DiGraph<Operation, Reason>, turns: &Turns, realm: Realm) -> Vec<NodeIndex> {
    let risk = |node: NodeIndex| -> Option<(Risk, Rank)> {
        let operation = dag.node_weight(node)?;
        Some((operation.contract().risk(realm), rank(operation, turns)))
    };
    let mut followers: BTreeMap<NodeIndex, usize> = dag
        .node_indices()
        .map(|node| (node, dag.neighbors_directed(node, Direction::Outgoing).count()))
        .collect();
    let mut reversed = Vec::with_capacity(followers.len());
    while !followers.is_empty() {
        let free = followers.iter().filter(|(_, count)| **count == 0).map(|(node, _)| *node);
        let Some(last) = free.max_by_key(|node| risk(*node)) else {
            break;
        };
        followers.remove(&last);
        for before in dag.neighbors_directed(last, Direction::Incoming) {
            if let Some(count) = followers.get_mut(&before) {
                *count = count.saturating_sub(1);
            }
        }
        reversed.push(last);
    }
    reversed.reverse();
    reversed
}

/// Where in the order an edge leads to, and where it comes from.
type EdgePlace = (Option<usize>, Option<usize>);

/// Edges that do not follow from others, sorted by the order of what they join.
fn reduced_edges(dag: &DiGraph<Operation, Reason>, order: &[NodeIndex]) -> Vec<Edge> {
    let Ok(topological) = toposort(dag, None) else {
        return Vec::new();
    };
    let (list, revmap) = tred::dag_to_toposorted_adjacency_list::<_, u32>(dag, &topological);
    let (reduction, _) = tred::dag_transitive_reduction_closure(&list);
    let position = |node: NodeIndex| order.iter().position(|n| *n == node);
    let mut edges: Vec<(EdgePlace, Edge)> = Vec::new();
    for edge in dag.edge_references() {
        let at = |node: NodeIndex| revmap.get(node.index()).copied();
        let (Some(from), Some(to)) = (at(edge.source()), at(edge.target())) else {
            continue;
        };
        let id = |node| dag.node_weight(node).map(Operation::id);
        if !reduction.contains_edge(from, to) {
            continue;
        }
        let (Some(from), Some(to)) = (id(edge.source()), id(edge.target())) else {
            continue;
        };
        let key = (position(edge.target()), position(edge.source()));
        edges.push((key, Edge { from, to, reason: edge.weight().clone() }));
    }
    edges.sort_by_key(|(key, _)| *key);
    edges.into_iter().map(|(_, edge)| edge).collect()
}
