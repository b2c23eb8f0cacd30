//! Steps as a graph, and one order of it.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::Direction;
use petgraph::algo::{toposort, tred};
use petgraph::graph::{DiGraph, NodeIndex};

use crate::operation::reload_tree::steps::shape::Shape;
use crate::operation::reload_tree::steps::{Circle, Step, StepReason, Steps, Verb};

/// Steps that are being put into order.
pub(super) struct Building {
    dag: DiGraph<Step, StepReason>,
    nodes: BTreeMap<Step, NodeIndex>,
}

impl Building {
    /// Every step, and what must go before what.
    pub fn of(shape: &Shape<'_>) -> Self {
        let mut building = Self { dag: DiGraph::new(), nodes: BTreeMap::new() };
        for step in shape.all() {
            let node = building.dag.add_node(step);
            building.nodes.insert(step, node);
        }
        building.prepare(shape);
        building.suspend(shape);
        building.resume(shape);
        building.remove(shape);
        building
    }

    /// Both are there: one goes before the other.
    fn edge(&mut self, from: (Verb, usize), to: (Verb, usize), reason: StepReason) {
        let node = |(verb, device)| self.nodes.get(&Step { verb, device }).copied();
        if let (Some(from), Some(to)) = (node(from), node(to))
            && from != to
            && !self.dag.contains_edge(from, to)
        {
            self.dag.add_edge(from, to, reason);
        }
    }

    fn prepare(&mut self, shape: &Shape<'_>) {
        for device in 0..shape.devices.len() {
            let clear = (Verb::Clear, device);
            for verb in [Verb::Thaw, Verb::Load, Verb::Suspend, Verb::Resume, Verb::Remove] {
                self.edge(clear, (verb, device), StepReason::ClearedFirst);
            }
            // With a table loaded, a thaw would put that into force.
            self.edge((Verb::Thaw, device), (Verb::Load, device), StepReason::ThawedFirst);
            self.edge((Verb::Create, device), (Verb::Load, device), StepReason::NamesIt);
            self.edge((Verb::Load, device), (Verb::Grow, device), StepReason::LoadedFirst);
            for below in shape.below_then.get(device).into_iter().flatten() {
                self.edge((Verb::Create, *below), (Verb::Load, device), StepReason::NamesIt);
                self.edge((Verb::Load, *below), (Verb::Load, device), StepReason::NamesIt);
                self.edge((Verb::Grow, *below), (Verb::Load, device), StepReason::GrownFirst);
            }
            for below in shape.below_now.get(device).into_iter().flatten() {
                self.edge((Verb::Thaw, *below), (Verb::Thaw, device), StepReason::BottomFirst);
            }
            for thawed in &shape.thawed {
                self.edge((Verb::Thaw, *thawed), (Verb::Load, device), StepReason::ThawedFirst);
            }
        }
    }

    fn suspend(&mut self, shape: &Shape<'_>) {
        for device in &shape.suspended {
            for below in shape.below_now.get(*device).into_iter().flatten() {
                self.edge((Verb::Suspend, *device), (Verb::Suspend, *below), StepReason::TopFirst);
            }
            for loaded in &shape.loaded {
                let suspend = (Verb::Suspend, *device);
                self.edge((Verb::Load, *loaded), suspend, StepReason::LoadedFirst);
                self.edge((Verb::Grow, *loaded), suspend, StepReason::LoadedFirst);
            }
            for thawed in &shape.thawed {
                let suspend = (Verb::Suspend, *device);
                self.edge((Verb::Thaw, *thawed), suspend, StepReason::ThawedFirst);
            }
        }
    }

    fn resume(&mut self, shape: &Shape<'_>) {
        for device in &shape.resumed {
            let resume = (Verb::Resume, *device);
            for suspended in &shape.suspended {
                self.edge((Verb::Suspend, *suspended), resume, StepReason::AllSuspended);
            }
            for loaded in &shape.loaded {
                self.edge((Verb::Load, *loaded), resume, StepReason::LoadedFirst);
                self.edge((Verb::Grow, *loaded), resume, StepReason::GrownFirst);
            }
            if shape.removed.contains(device) {
                for other in shape.resumed.difference(&shape.removed) {
                    self.edge(resume, (Verb::Resume, *other), StepReason::EmptiedFirst);
                }
            }
            let below = shape.below_then.get(*device).into_iter().flatten();
            for below in below {
                self.edge((Verb::Resume, *below), resume, StepReason::BottomFirst);
            }
            if shape.target(*device) == "snapshot-origin" {
                self.snapshots_first(shape, *device);
            }
        }
    }

    /// Snapshots of this origin: they lie on the same device.
    fn snapshots_first(&mut self, shape: &Shape<'_>, origin: usize) {
        let real = shape.below_then.get(origin).cloned().unwrap_or_default();
        for other in &shape.resumed {
            let shares =
                shape.below_then.get(*other).is_some_and(|below| !below.is_disjoint(&real));
            if shares && shape.target(*other) == "snapshot" {
                let (first, then) = ((Verb::Resume, *other), (Verb::Resume, origin));
                self.edge(first, then, StepReason::SnapshotFirst);
            }
        }
    }

    fn remove(&mut self, shape: &Shape<'_>) {
        for device in &shape.removed {
            let remove = (Verb::Remove, *device);
            for resumed in &shape.resumed {
                self.edge((Verb::Resume, *resumed), remove, StepReason::RemovedLast);
            }
            for cleared in &shape.cleared {
                self.edge((Verb::Clear, *cleared), remove, StepReason::RemovedLast);
            }
            for below in shape.below_now.get(*device).into_iter().flatten() {
                self.edge(remove, (Verb::Remove, *below), StepReason::TopFirst);
            }
        }
    }

    /// Of all steps that nothing left must precede, the first by verb and device.
    pub fn ordered(self) -> Result<Steps, Circle> {
        let topological = toposort(&self.dag, None).map_err(|_| Circle)?;
        let incoming =
            |node: NodeIndex| self.dag.neighbors_directed(node, Direction::Incoming).count();
        let mut left: BTreeMap<NodeIndex, usize> =
            self.dag.node_indices().map(|node| (node, incoming(node))).collect();
        let mut free: BTreeSet<(Step, NodeIndex)> = BTreeSet::new();
        let step = |node: NodeIndex| self.dag.node_weight(node).copied();
        free.extend(
            left.iter().filter(|(_, n)| **n == 0).filter_map(|(n, _)| Some((step(*n)?, *n))),
        );
        let mut order: Vec<NodeIndex> = Vec::with_capacity(left.len());
        while let Some((_, node)) = free.pop_first() {
            order.push(node);
            for next in self.dag.neighbors_directed(node, Direction::Outgoing) {
                let count = left.entry(next).or_default();
                *count = count.saturating_sub(1);
                if *count == 0 {
                    free.extend(step(next).map(|step| (step, next)));
                }
            }
        }
        let steps = order.iter().filter_map(|node| step(*node)).collect();
        Ok(Steps { steps, edges: self.reduced(&order, &topological) })
    }

    /// Edges that do not follow from others.
    fn reduced(
        &self,
        order: &[NodeIndex],
        topological: &[NodeIndex],
    ) -> Vec<(usize, usize, StepReason)> {
        let (list, revmap) =
            tred::dag_to_toposorted_adjacency_list::<_, u32>(&self.dag, topological);
        let (reduction, _) = tred::dag_transitive_reduction_closure(&list);
        let places: BTreeMap<NodeIndex, usize> =
            order.iter().enumerate().map(|(place, node)| (*node, place)).collect();
        let mut edges: Vec<(usize, usize, StepReason)> = Vec::new();
        for edge in self.dag.edge_indices() {
            let Some((from, to)) = self.dag.edge_endpoints(edge) else { continue };
            let at = |node: NodeIndex| revmap.get(node.index()).copied();
            let (Some(a), Some(b)) = (at(from), at(to)) else { continue };
            if !reduction.contains_edge(a, b) {
                continue;
            }
            let place = |node| places.get(&node).copied();
            if let (Some(from), Some(to), Some(reason)) =
                (place(from), place(to), self.dag.edge_weight(edge))
            {
                edges.push((from, to, *reason));
            }
        }
        edges.sort_unstable();
        edges
    }
}
