//! Properties, over whatever proptest thinks of; where the code is clever, it is compared with
//! something slow and obvious.

use std::borrow::Cow;
use std::collections::BTreeMap;

use lvmend::diff::RefusalCode;
use lvmend::graph::Graph;
use lvmend::ids::LvName;
use lvmend::model::extent_map::{ExtentMap, MapProblem};
use lvmend::model::inventory::Realm;
use lvmend::model::segment::Area;
use lvmend::model::timeline::{Source, Timeline};
use lvmend::model::vg::Vg;
use lvmend::operation::Operation;
use lvmend::text::parser::parse;
use lvmend::text::read_text;
use lvmend::text::tree::{Body, Entry, Section, Value};
use lvmend::text::write::{DeviceHints, write_vg};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::fixture::all;
use crate::support::naive::{EXTENTS, Event, Naive, disks, lv_name, uuid};
use crate::support::world::{World, current, plan};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..5_usize, 1..9_usize, 0..3_usize, 0..EXTENTS)
            .prop_map(|(lv, count, pv, at)| Event::Take { lv, count, pv, at }),
        3 => (0..5_usize).prop_map(|lv| Event::Remove { lv }),
        1 => Just(Event::Turn),
    ]
}

/// Versions of a VG, each after something happened.
fn history() -> impl Strategy<Value = Vec<Naive>> {
    (1..4_usize, vec(event(), 1..12)).prop_map(|(pvs, events)| {
        let mut versions = vec![Naive::new(pvs)];
        for event in events {
            let next = versions.last().unwrap().after(event);
            versions.extend(next);
        }
        versions
    })
}

/// The owner of every extent, read from a VG with nothing but its segments.
fn owners(vg: &Vg, pvs: usize) -> Vec<Vec<Option<(usize, usize)>>> {
    let mut owners = vec![vec![None; EXTENTS]; pvs];
    for lv in &vg.lvs {
        let number = |text: &str| text.trim_start_matches("lv").parse::<usize>().unwrap();
        for segment in &lv.segments {
            for area in segment.kind.areas() {
                let Area::Pv { pv, first } = area else { panic!("only plain segments here") };
                let pv = (0..pvs).find(|n| vg.pvs[*pv].uuid.to_string() == uuid('P', *n)).unwrap();
                for step in 0..segment.len.get() {
                    let at = usize::try_from(first.get() + step).unwrap();
                    let which = usize::try_from(segment.start.get() + step).unwrap();
                    assert_eq!(owners[pv][at], None, "two LVs on one extent");
                    owners[pv][at] = Some((number(lv.name.as_str()), which));
                }
            }
        }
    }
    owners
}

/// What bringing back an LV must come to: the version it is taken from is the last that has it.
fn with_lost(versions: &[Naive], lv: usize) -> Option<Result<Naive, ()>> {
    let now = versions.last().unwrap();
    let from = versions.iter().rev().find(|version| version.lvs().contains(&lv))?;
    if now.lvs().contains(&lv) {
        return None;
    }
    let mut with = now.clone();
    for (which, (pv, at)) in from.extents_of(lv).into_iter().enumerate() {
        let owner = &mut with.owners[pv][at];
        if owner.is_some() {
            return Some(Err(()));
        }
        *owner = Some((lv, which));
    }
    Some(Ok(with))
}

proptest! {
    #![proptest_config(config(150))]

    /// Whatever happened to a VG: a lost LV comes back exactly as it was, or not at all, and nobody
    /// else's extents change.
    #[test]
    fn a_splice_never_overlaps_and_never_loses_another_lv(versions in history(), lv in 0..5_usize) {
        let Some(expected) = with_lost(&versions, lv) else { return Ok(()) };
        let pvs = versions[0].owners.len();
        let mut world = World::with(disks(&versions), &lvmend::host::fake::Schedule::quiet());
        let name = lv_name(lv);
        let accept = format!("policy: {{accept: [{{hazard: reused-extents, object: {name}, because: test}}]}}\n");
        let document = format!("version: 1\nname: p\nvolume_group: {{name: vg}}\nlogical_volumes: {{{name}: {{state: present}}}}\n");
        let mut planned = world.plan(&plan(&document));
        let mut wanted = plan(&document);
        if planned.refusals.iter().any(|refusal| refusal.code == RefusalCode::HazardNotAccepted) {
            wanted = plan(&format!("{document}{accept}"));
            planned = world.plan(&wanted);
        }
        match expected {
            Err(()) => {
                let codes: Vec<RefusalCode> = planned.refusals.iter().map(|r| r.code).collect();
                prop_assert_eq!(codes, [RefusalCode::ExtentsTaken]);
            }
            Ok(expected) => {
                world.must_apply(&wanted);
                let inventory = world.look();
                let vg = inventory.vgs.values().next().unwrap().current.clone().unwrap();
                prop_assert_eq!(owners(&vg, pvs), expected.owners);
                prop_assert!(vg.seqno > versions.last().unwrap().seqno);
            }
        }
    }

    /// The order in which texts are found does not matter.
    #[test]
    fn history_merges_the_same_in_any_order(
        versions in history(),
        order in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let read = |naive: &Naive| read_text(&naive.text().into_bytes().into()).unwrap().text;
        let mut texts: Vec<_> = versions
            .iter()
            .flat_map(|naive| {
                ["/b", "/a"].map(|path| (read(naive), Source::Backup(path.into())))
            })
            .collect();
        let merged = Timeline::merged(texts.clone());
        for index in order {
            let at = index.index(texts.len());
            texts.swap(0, at);
        }
        prop_assert_eq!(&Timeline::merged(texts.clone()), &merged);
        let mut inserted = Timeline::merged(Vec::new());
        for (text, source) in texts {
            inserted.insert(text, source);
        }
        prop_assert_eq!(inserted, merged);
    }
}

/// Any segments at all, sound or not, on two PVs: text of one VG.
fn wild_vg() -> impl Strategy<Value = Vec<Vec<(usize, usize, usize)>>> {
    vec(vec((0..2_usize, 0..30_usize, 1..12_usize), 1..4), 0..5)
}

fn text_of(lvs: &[Vec<(usize, usize, usize)>]) -> String {
    let mut lines = String::new();
    for (number, segments) in lvs.iter().enumerate() {
        lines += &format!(
            "{} {{\nid = \"{}\"\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = {}\n",
            lv_name(number),
            uuid('L', number),
            segments.len()
        );
        let mut start = 0;
        for (index, (pv, first, len)) in (1..).zip(segments) {
            lines += &format!(
                "segment{index} {{\nstart_extent = {start}\nextent_count = {len}\ntype = \"striped\"\nstripe_count = 1\nstripes = [\"pv{pv}\", {first}]\n}}\n"
            );
            start += len;
        }
        lines += "}\n";
    }
    let empty = Naive::new(2).text();
    empty.replacen("}\n\n}\n#", &format!("}}\nlogical_volumes {{\n{lines}}}\n}}\n#"), 1)
}

proptest! {
    #![proptest_config(config(400))]

    /// Conflicts are found exactly where a list of owners has two, or none at all.
    #[test]
    fn extent_maps_find_what_a_list_of_owners_finds(lvs in wild_vg()) {
        let text = text_of(&lvs);
        let vg = read_text(&text.into_bytes().into()).unwrap().vg;
        let map = ExtentMap::of(&vg);
        let mut count = vec![vec![0_u32; 64]; 2];
        for (pv, first, len) in lvs.iter().flatten() {
            for at in *first..first + len {
                count[*pv][at] += 1;
            }
        }
        let shared = count.iter().flatten().any(|owners| *owners > 1);
        let beyond = lvs.iter().flatten().any(|(_, first, len)| first + len > EXTENTS);
        let overlaps = |p: &MapProblem<'_>| matches!(p, MapProblem::Overlap { .. });
        let ends = |p: &MapProblem<'_>| matches!(p, MapProblem::BeyondEnd { .. });
        prop_assert_eq!(map.problems().iter().any(overlaps), shared);
        prop_assert_eq!(map.problems().iter().any(ends), beyond);
        let total: usize = lvs.iter().flatten().map(|(_, _, len)| len).sum();
        prop_assert_eq!(map.allocated().get(), total as u64);
    }
}

fn value() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        any::<u32>().prop_map(|n| Value::integer(u64::from(n))),
        "[ -~]{0,12}".prop_map(|text| Value::Text(Cow::Owned(text.into_bytes()))),
        vec(1..=255_u8, 0..6).prop_map(|bytes| Value::Text(Cow::Owned(bytes))),
    ];
    let item = leaf.clone();
    prop_oneof![3 => leaf, 1 => vec(item, 0..4).prop_map(Value::List)]
}

fn section() -> impl Strategy<Value = Section<'static>> {
    let key = "[a-z_][a-z0-9_]{0,8}".prop_map(|key| Cow::Owned(key.into_bytes()));
    let leaf = vec((key.clone(), value()), 0..5).prop_map(|values| Section {
        entries: values.into_iter().map(|(key, v)| Entry { key, body: Body::Value(v) }).collect(),
    });
    leaf.prop_recursive(4, 24, 4, move |inner| {
        vec(
            (
                key.clone(),
                prop_oneof![value().prop_map(Body::Value), inner.prop_map(Body::Section)],
            ),
            0..5,
        )
        .prop_map(|entries| Section {
            entries: entries.into_iter().map(|(key, body)| Entry { key, body }).collect(),
        })
    })
}

/// A writer as plain as can be: one line for each thing.
fn plainly(section: &Section<'_>, out: &mut Vec<u8>) {
    for entry in &section.entries {
        out.extend_from_slice(&entry.key);
        match &entry.body {
            Body::Section(inner) => {
                out.extend_from_slice(b" {\n");
                plainly(inner, out);
                out.extend_from_slice(b"}\n");
            }
            Body::Value(value) => {
                out.extend_from_slice(b" = ");
                plain_value(value, out);
                out.push(b'\n');
            }
        }
    }
}

fn plain_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Integer(text) | Value::Float(text) | Value::Word(text) => {
            out.extend_from_slice(text);
        }
        Value::Text(text) => {
            out.push(b'"');
            for byte in text.iter() {
                if matches!(byte, b'"' | b'\\') {
                    out.push(b'\\');
                }
                out.push(*byte);
            }
            out.push(b'"');
        }
        Value::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                plain_value(item, out);
            }
            out.push(b']');
        }
    }
}

proptest! {
    #![proptest_config(config(300))]

    /// What is written says what was there, and what a plain writer would say.
    #[test]
    fn texts_are_written_and_read_back_the_same(vg in section()) {
        let mut written = Vec::new();
        write_vg(&mut written, b"vg", &vg, DeviceHints::Keep);
        let read = parse(&written).unwrap();
        prop_assert_eq!(read.section("vg"), Some(&vg));
        let mut plain = b"vg {\n".to_vec();
        plainly(&vg, &mut plain);
        plain.extend_from_slice(b"}\n");
        let plainly_read = parse(&plain).unwrap();
        prop_assert_eq!(plainly_read.section("vg"), Some(&vg));
    }
}

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
        "write_pv_label",
        "commit_metadata",
        "restore_missing_pv",
        "splice_lv",
        "copy_lv",
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
        let sorted = lvmend::graph::ordered(operations.clone(), Realm::Images);
        for index in swaps {
            let at = index.index(operations.len());
            operations.swap(0, at);
        }
        let graph = lvmend::graph::ordered(operations.clone(), Realm::Images);
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

#[test]
fn every_lv_of_every_fixture_survives_a_splice_of_another() {
    // The world of the fixtures has types that the naive VG does not know.
    let mut spliced = 0;
    for scenario in all().into_iter().filter(|name| name.starts_with("deleted")) {
        let mut world = World::of(&scenario);
        let document = plan(
            "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes: {precious: {state: present}}\n",
        );
        let inventory = world.look();
        let Ok(planned) = lvmend::simulate::planned::work_out(
            &document,
            &inventory,
            &crate::support::world::signature(),
        ) else {
            continue;
        };
        if !planned.refusals.is_empty() || planned.graph.is_empty() {
            continue;
        }
        spliced += 1;
        let vg = |world: &World| {
            let inventory = world.look();
            let text = current(&inventory).text.clone();
            read_text(&text.bytes).unwrap().vg
        };
        let before = vg(&world);
        world.must_apply(&document);
        let after = vg(&world);
        for lv in &before.lvs {
            assert_eq!(after.lv(&lv.name), Some(lv), "{scenario}: {}", lv.name);
        }
        let new: Vec<&LvName> =
            after.lvs.iter().map(|lv| &lv.name).filter(|name| before.lv(name).is_none()).collect();
        assert!(new.iter().any(|name| name.as_str() == "precious"), "{scenario}: {new:?}");
    }
    assert!(spliced > 1, "only {spliced} scenarios");
}
