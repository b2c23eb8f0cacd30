//! Properties, over whatever proptest thinks of; where the code is clever, it is compared with
//! something slow and obvious.

use lvmend::diff::RefusalCode;
use lvmend::ids::LvName;
use lvmend::model::extent_map::{ExtentMap, MapProblem};
use lvmend::model::segment::Area;
use lvmend::model::timeline::{Source, Timeline};
use lvmend::model::vg::Vg;
use lvmend::text::read_text;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::fixture::all;
use crate::support::naive::{EXTENTS, Event, Naive, disks, lv_name, uuid};
use crate::support::world::{World, current, plan};

pub fn config(cases: u32) -> ProptestConfig {
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
