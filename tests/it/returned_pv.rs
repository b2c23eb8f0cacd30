//! PVs flagged MISSING that are there again.

use lvmend::diff::RefusalCode;
use lvmend::execute::Outcome;
use lvmend::fault;
use lvmend::operation::Operation;
use lvmend::plan::hazard::HazardKind;

use crate::support::fixture::Fixture;
use crate::support::world::{World, current, plan};

const EVERY_PV: &str = "
version: 1
name: returned-pv
volume_group: {name: vg}
physical_volumes:
  '*': {state: attached}
";

fn pv_of(scenario: &str, disk: &str) -> String {
    let inventory = World::of(scenario).look();
    let device = inventory.devices.iter().find(|d| d.name.to_string() == disk).unwrap();
    device.pv().unwrap().uuid.to_string()
}

fn with_accepted(hazards: &[(&str, &str)]) -> String {
    let accepted: Vec<String> = hazards
        .iter()
        .map(|(hazard, object)| {
            format!("    - {{hazard: {hazard}, object: {object}, because: tested}}")
        })
        .collect();
    format!("{EVERY_PV}policy:\n  accept:\n{}\n", accepted.join("\n"))
}

#[test]
fn one_pv_is_attached_and_nothing_else_changes() {
    let mut world = World::of("missing-pv");
    let before = world.look();
    let plan = plan(EVERY_PV);
    let planned = world.plan(&plan);
    let kinds: Vec<&str> = planned.graph.operations.iter().map(Operation::kind).collect();
    assert_eq!(kinds, ["save_evidence", "restore_missing_pv"]);
    world.must_apply(&plan);
    let after = world.look();
    assert_eq!(fault::find(&after), []);
    let (old, new) = (current(&before), current(&after));
    assert_eq!(new.seqno(), old.seqno() + 1);
    let text = String::from_utf8(new.text.bytes.to_vec()).unwrap();
    assert!(!text.contains("MISSING"));
    // Applying again says nothing to do.
    assert!(world.plan(&plan).graph.is_empty());
}

#[test]
fn a_pv_named_by_uuid_is_attached_alone() {
    let mut world = World::of("missing-two");
    let pv = pv_of("missing-two", "c");
    let one = plan(&format!(
        "version: 1\nname: one\nvolume_group: {{name: vg}}\nphysical_volumes:\n  {pv}: {{state: attached}}\n"
    ));
    world.must_apply(&one);
    let faults = fault::find(&world.look());
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(world.plan(&one).graph.is_empty());
    world.must_apply(&plan(EVERY_PV));
    assert_eq!(fault::find(&world.look()), []);
}

#[test]
fn a_pv_named_on_the_wrong_device_is_refused() {
    let world = World::of("missing-pv");
    let pv = pv_of("missing-pv", "b");
    let wrong = plan(&format!(
        "version: 1\nname: one\nvolume_group: {{name: vg}}\nphysical_volumes:\n  {pv}: {{state: attached, device: a}}\n"
    ));
    let codes: Vec<_> = world.plan(&wrong).refusals.iter().map(|r| r.code).collect();
    assert_eq!(codes, [RefusalCode::WrongDevice]);
}

#[test]
fn stale_mirror_legs_must_be_accepted_and_raid_legs_are_named() {
    let world = World::of("missing-legs");
    let planned = world.plan(&plan(EVERY_PV));
    let hazards: Vec<(HazardKind, String)> =
        planned.graph.hazards().into_iter().map(|h| (h.kind, h.object)).collect();
    let stale = |lv: &str| (HazardKind::StaleLeg, lv.to_owned());
    assert_eq!(hazards, [stale("mdisk"), stale("mcore")]);
    let codes: Vec<_> = planned.refusals.iter().map(|r| r.code).collect();
    assert_eq!(codes, [RefusalCode::HazardNotAccepted; 2]);
    let reasons = planned.graph.operations[1].contract().reasons().join("\n");
    for lv in ["r1", "r5"] {
        assert!(
            reasons.contains(&format!("LV {lv}: its leg on this PV may have missed")),
            "{reasons}"
        );
    }

    let mut world = World::of("missing-legs");
    let accepted = plan(&with_accepted(&[("stale-leg", "mcore"), ("stale-leg", "mdisk")]));
    world.must_apply(&accepted);
    assert_eq!(fault::find(&world.look()), []);
}

#[test]
fn a_leg_whose_partner_is_away_now_is_a_hazard() {
    let mut disks = Fixture::new("missing-legs").disks();
    disks.retain(|(name, _)| name != "a");
    let world = World::with(disks, &lvmend::host::fake::Schedule::quiet());
    let planned = world.plan(&plan(EVERY_PV.replace('*', &pv_of("missing-legs", "b")).as_str()));
    let objects: Vec<String> =
        planned.graph.hazards().into_iter().map(|hazard| hazard.object).collect();
    for lv in ["r1", "r5"] {
        assert!(objects.iter().any(|object| object == lv), "{objects:?}");
    }
}

#[test]
fn what_happened_meanwhile_is_told() {
    let world = World::of("missing-changed");
    let planned = world.plan(&plan(EVERY_PV));
    let reasons = planned.graph.operations[1].contract().reasons().join("\n");
    assert!(reasons.contains("meanwhile: LV"), "{reasons}");
    assert!(reasons.contains("its piece on this PV was given up"), "{reasons}");
}

#[test]
fn a_pv_the_vg_dropped_is_refused_with_a_warning() {
    let world = World::of("outdated-pv");
    let pv = pv_of("outdated-pv", "b");
    let wanted = plan(&format!(
        "version: 1\nname: one\nvolume_group: {{name: vg}}\nphysical_volumes:\n  {pv}: {{state: attached}}\n"
    ));
    let planned = world.plan(&wanted);
    assert_eq!(planned.refusals.len(), 1, "{:#?}", planned.refusals);
    assert_eq!(planned.refusals[0].code, RefusalCode::PvNotInVg);
    assert!(planned.refusals[0].help.as_ref().unwrap().contains("`vgck --updatemetadata`"));
}

#[test]
fn an_absent_pv_and_a_duplicate_are_refused() {
    let mut disks = Fixture::new("missing-pv").disks();
    let b = disks.remove(1);
    let world = World::with(disks.clone(), &lvmend::host::fake::Schedule::quiet());
    let codes = |world: &World| -> Vec<RefusalCode> {
        world.plan(&plan(EVERY_PV)).refusals.iter().map(|r| r.code).collect()
    };
    assert_eq!(codes(&world), [RefusalCode::PvAbsent]);
    disks.push(b.clone());
    disks.push(("clone".to_owned(), b.1));
    let world = World::with(disks, &lvmend::host::fake::Schedule::quiet());
    assert_eq!(codes(&world), [RefusalCode::DuplicatePv]);
}

#[test]
fn rollback_puts_back_every_byte() {
    for scenario in ["missing-pv", "missing-two", "missing-changed"] {
        let mut world = World::of(scenario);
        let before = world.contents();
        let report = world.must_apply(&plan(EVERY_PV));
        assert!(world.contents() != before);
        let back = world.rollback(&report.run).unwrap();
        assert_eq!(back.outcome, Outcome::RolledBack, "{back:#?}");
        assert!(world.contents() == before, "{scenario}: not byte-identical");
        assert_eq!(
            fault::find(&world.look()).len(),
            fault::find(&World::of(scenario).look()).len()
        );
    }
}
