//! The order of operations is that of a slow and obvious search, and the same for any order of what
//! it is made of.

use std::collections::BTreeMap;

use lvmend::graph::{Graph, Turns, ordered};
use lvmend::model::inventory::Realm;
use lvmend::operation::Operation;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::properties::config;
use crate::support::world::{World, plan};

/// Operations of a plan that asks for everything at once.
fn many_operations() -> Vec<Operation> {
    let mut operations: BTreeMap<String, Operation> = BTreeMap::new();
    let documents = [
        (
            "missing-two",
            "version: 1\nname: p\nvolume_group: {name: vg}\nphysical_volumes: {'*': {state: attached}}\n",
        ),
        (
            "deleted-lv",
            "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes: {precious: {state: present}}\ntasks: [copy: {from: precious, to: {file: /nowhere/a}}, copy: {from: before, to: {file: /nowhere/b}}]\nchecks: [sha256: {logical_volume: before, digest: \"0000000000000000000000000000000000000000000000000000000000000000\"}]\n",
        ),
    ];
    for (scenario, document) in documents {
        let planned = World::of(scenario).plan(&plan(document));
        operations.extend(planned.graph.operations.into_iter().map(|o| (o.id().to_string(), o)));
    }
    assert!(operations.len() > 7, "{} operations", operations.len());
    operations.into_values().collect()
}

/// Labels, areas, returned PVs, lost LVs; then tasks and checks.
fn rank(operation: &Operation) -> usize {
    let kinds = [
        "save_evidence",
        "unmount",
        "deactivate_lvs",
        "write_pv_label",
        "commit_metadata",
        "restore_missing_pv",
        "extend_vg",
        "splice_lv",
        "refresh_lvs",
        "activate_lvs",
        "copy_lv",
        "mount_again",
        "check_sha256",
    ];
    kinds.iter().position(|kind| *kind == operation.kind()).unwrap()
}

/// The order, the slow way: of all orders that follow the edges, built from the end, the one that
/// puts the riskiest last.
fn slow_order(operations: &[Operation], graph: &Graph) -> Vec<String> {
    let mut left: Vec<&Operation> = operations.iter().collect();
    let mut reversed = Vec::new();
    while !left.is_empty() {
        let is_free = |candidate: &&Operation| {
            !graph.edges.iter().any(|edge| {
                edge.from == candidate.id() && left.iter().any(|other| other.id() == edge.to)
            })
        };
        let last = left
            .iter()
            .copied()
            .filter(is_free)
            .max_by_key(|o| (o.contract().risk(Realm::Images), o.stage(), rank(o), o.id()))
            .unwrap();
        left.retain(|other| other.id() != last.id());
        reversed.push(last.id().to_string());
    }
    reversed.reverse();
    reversed
}

proptest! {
    #![proptest_config(config(100))]

    /// The same operations in any order give the same bytes; edges are followed.
    #[test]
    fn graphs_do_not_depend_on_the_order_of_what_they_are_made_of(
        swaps in vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let mut operations = many_operations();
        let sorted = ordered(operations.clone(), &Turns::new(), Realm::Images);
        for index in swaps {
            let at = index.index(operations.len());
            operations.swap(0, at);
        }
        let graph = ordered(operations.clone(), &Turns::new(), Realm::Images);
        let bytes = |graph: &Graph| serde_json::to_vec(graph).unwrap();
        prop_assert_eq!(bytes(&graph), bytes(&sorted));
        let ids: Vec<String> = graph.operations.iter().map(|o| o.id().to_string()).collect();
        prop_assert_eq!(&ids, &slow_order(&operations, &graph));
        for edge in &graph.edges {
            let at = |id: &lvmend::ids::OperationId| {
                ids.iter().position(|known| *known == id.to_string())
            };
            prop_assert!(at(&edge.from) < at(&edge.to));
        }
    }
}
