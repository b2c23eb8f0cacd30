//! LVs that are gone, put back from older metadata.

use std::collections::BTreeMap;
use std::fs;

use lvmend::diff::RefusalCode;
use lvmend::execute::Outcome;
use lvmend::fault;
use lvmend::ids::{LvName, PvUuid};
use lvmend::model::compare::{Difference, differences};
use lvmend::model::extent_map::{ExtentMap, taken_by};
use lvmend::model::flags::LvFlag;
use lvmend::model::inventory::Inventory;
use lvmend::model::vg::Vg;
use lvmend::plan::hazard::HazardKind;
use lvmend::text::search::{Wanted, versions_with};
use tempfile::TempDir;

use crate::support::fixture::Fixture;
use crate::support::world::{World, current, plan};

fn recover(lv: &str, how: &str) -> String {
    format!(
        "version: 1\nname: deleted-lv\nvolume_group: {{name: vg}}\nlogical_volumes:\n  {lv}: {{state: present{how}}}\n"
    )
}

fn vg(inventory: &Inventory) -> &Vg {
    inventory.vgs.values().find_map(|vg| vg.current.as_deref()).unwrap()
}

fn name(text: &str) -> LvName {
    text.parse().unwrap()
}

/// The newest description of an LV that is gone.
fn lost(inventory: &Inventory, lv: &str) -> (Vg, lvmend::ids::LvUuid) {
    let wanted = name(lv);
    let on_disk = inventory.vgs.values().next().unwrap();
    let (_, vg) = versions_with(&on_disk.timeline, Wanted::Name(&wanted)).next().unwrap();
    let uuid = vg.lv(&wanted).unwrap().uuid;
    (vg, uuid)
}

fn codes(world: &World, text: &str) -> Vec<RefusalCode> {
    world.plan(&plan(text)).refusals.iter().map(|r| r.code).collect()
}

#[test]
fn the_lv_comes_back_alone_and_everything_since_is_kept() {
    let mut world = World::of("deleted-lv");
    let before = world.look();
    let (old, uuid) = lost(&before, "precious");
    let wanted = plan(&recover("precious", ""));
    world.must_apply(&wanted);
    let after = world.look();
    let what = differences(vg(&before), vg(&after));
    assert_eq!(what.len(), 1, "{what:#?}");
    assert!(matches!(&what[0], Difference::LvAdded { uuid: added, .. } if *added == uuid));
    let back = vg(&after).lv(&name("precious")).unwrap();
    assert!(back.flags.has(LvFlag::ActivationSkip));
    let then = taken_by(&old, [old.lv(&name("precious")).unwrap()]);
    assert_eq!(taken_by(vg(&after), [back]), then);
    assert_eq!(ExtentMap::of(vg(&after)).problems(), []);
    assert_eq!(fault::find(&after), []);
    assert!(world.plan(&wanted).graph.is_empty(), "applying again says nothing to do");
}

#[test]
fn its_content_is_copied_out_byte_for_byte() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("precious.img");
    let path = path.to_str().unwrap();
    let text = format!(
        "{}tasks:\n  - copy: {{from: precious, to: {{file: {path}}}}}\n",
        recover("precious", "")
    );
    let mut world = World::of("deleted-lv");
    world.scope.targets = vec![path.to_owned()];
    let (_, uuid) = lost(&world.look(), "precious");
    let (digest, size) = Fixture::new("deleted-lv").content_of(&uuid.to_string()).unwrap();
    let report = world.must_apply(&plan(&text));
    assert_eq!(report.steps[2].sha256.unwrap().to_string(), digest);
    let copy = fs::read(path).unwrap();
    assert_eq!(copy.len() as u64, size);
    assert_eq!(lvmend::ids::Digest::of(&copy).to_string(), digest);
    let manifest = fs::read_to_string(format!("{path}.lvmend.json")).unwrap();
    assert!(manifest.contains(&digest));
    // The copy is finished, so there is nothing left to do; another file in its place is refused.
    assert!(world.plan(&plan(&text)).graph.is_empty());
    fs::remove_file(format!("{path}.lvmend.json")).unwrap();
    assert_eq!(codes(&world, &text), [RefusalCode::CopyRefused]);
}

#[test]
fn every_readable_type_is_copied_as_the_kernel_reads_it() {
    let mut copied = 0;
    for scenario in ["plain", "striped3", "all-types", "partitions", "missing-legs", "wrapped-ring"]
    {
        let fixture = Fixture::new(scenario);
        let world = World::of(scenario);
        let inventory = world.look();
        for lv in &vg(&inventory).lvs {
            let Some((digest, _)) = fixture.content_of(&lv.uuid.to_string()) else { continue };
            // Merges that are not finished change the content; see the fixtures' README.
            if ["mrg", "thin2"].contains(&lv.name.as_str()) {
                continue;
            }
            let text = format!(
                "version: 1\nname: check\nvolume_group: {{name: {}}}\nchecks:\n  - sha256: {{logical_volume: {}, digest: {digest}}}\n",
                vg(&inventory).name,
                lv.name
            );
            let planned = world.plan(&plan(&text));
            if let Some(refusal) = planned.refusals.first() {
                let reasons = ["only the kernel can read", "which is not attached"];
                let is_known = reasons.iter().any(|reason| refusal.why.contains(reason));
                assert!(is_known, "{scenario}: {refusal:?}");
                continue;
            }
            let report = World::of(scenario).apply(&plan(&text)).unwrap();
            assert_eq!(report.outcome, Outcome::Done, "{scenario} {}: {report:#?}", lv.name);
            copied += 1;
        }
    }
    assert!(copied >= 15, "only {copied} compared");
}

#[test]
fn extents_that_belong_to_others_now_are_refused_with_their_owners() {
    let world = World::of("deleted-reused");
    let planned = world.plan(&plan(&recover("precious", "")));
    assert_eq!(planned.refusals.len(), 1);
    let refusal = &planned.refusals[0];
    assert_eq!(refusal.code, RefusalCode::ExtentsTaken);
    assert!(refusal.why.contains(": LV "), "{}", refusal.why);
}

#[test]
fn extents_that_others_used_in_between_are_a_hazard() {
    let mut world = World::of("deleted-between");
    let planned = world.plan(&plan(&recover("precious", "")));
    let hazards = planned.graph.hazards();
    assert_eq!(hazards.len(), 1);
    assert_eq!(hazards[0].kind, HazardKind::ReusedExtents);
    assert!(hazards[0].loss[0].contains('%'), "{:?}", hazards[0].loss);
    assert!(hazards[0].loss.len() > 1, "the ranges are named");
    assert_eq!(codes(&world, &recover("precious", "")), [RefusalCode::HazardNotAccepted]);
    let accepted = format!(
        "{}policy: {{accept: [{{hazard: reused-extents, object: precious, because: tested}}]}}\n",
        recover("precious", "")
    );
    world.must_apply(&plan(&accepted));
    assert_eq!(fault::find(&world.look()), []);
}

#[test]
fn a_name_that_is_taken_needs_a_uuid_and_another_name() {
    let mut world = World::of("deleted-name-taken");
    let inventory = world.look();
    let taken = vg(&inventory).lv(&name("precious")).unwrap().uuid;
    let fixture = Fixture::new("deleted-name-taken");
    let list = String::from_utf8(fixture.expected("lvs.sha256").unwrap()).unwrap();
    let uuids: Vec<&str> = list
        .lines()
        .filter(|line| line.contains(" precious "))
        .map(|line| line.split_whitespace().last().unwrap())
        .collect();
    let gone = uuids.iter().find(|uuid| **uuid != taken.to_string()).unwrap();

    // The name alone means the LV that bears it now.
    assert!(world.plan(&plan(&recover("precious", ""))).graph.is_empty());
    assert_eq!(
        codes(&world, &recover("precious", ", recover_as: rescued")),
        [RefusalCode::NameTaken]
    );
    let by_uuid = format!(", uuid: {gone}");
    assert_eq!(codes(&world, &recover("precious", &by_uuid)), [RefusalCode::NameTaken]);
    let both = recover("precious", &format!("{by_uuid}, recover_as: rescued"));
    world.must_apply(&plan(&both));
    let after = world.look();
    assert_eq!(vg(&after).lv(&name("rescued")).unwrap().uuid.to_string(), *gone);
    assert_eq!(vg(&after).lv(&name("precious")).unwrap().uuid, taken);
    assert!(world.plan(&plan(&both)).graph.is_empty());
}

#[test]
fn pv_sections_that_shifted_are_mapped_by_uuid() {
    let mut world = World::of("deleted-pv-renumbered");
    let before = world.look();
    let (old, _) = lost(&before, "precious");
    let then = taken_by(&old, [old.lv(&name("precious")).unwrap()]);
    world.must_apply(&plan(&recover("precious", "")));
    let after = world.look();
    let now = taken_by(vg(&after), [vg(&after).lv(&name("precious")).unwrap()]);
    assert_eq!(now, then);
    let sections = |vg: &Vg| -> BTreeMap<PvUuid, String> {
        vg.pvs.iter().map(|pv| (pv.uuid, pv.section.to_string())).collect()
    };
    assert!(sections(&old) != sections(vg(&after)), "the fixture shifts sections");
}

#[test]
fn lvs_with_hidden_parts_bring_them() {
    for (lv, parts) in [("r1", 4), ("r5", 6), ("mir", 3), ("cached", 4), ("pool", 3), ("origin", 0)]
    {
        let mut world = World::of("deleted-parts");
        let before = world.look();
        world.must_apply(&plan(&recover(lv, "")));
        let after = world.look();
        let added = vg(&after).lvs.len() - vg(&before).lvs.len();
        assert_eq!(added, parts + 1, "{lv}");
        assert_eq!(ExtentMap::of(vg(&after)).problems(), [], "{lv}");
        assert_eq!(fault::find(&after), [], "{lv}");
    }
}

#[test]
fn all_of_them_come_back_in_one_plan_and_under_other_names() {
    let lvs = ["r1", "r5", "mir", "cached", "pool", "origin"];
    let entries: Vec<String> =
        lvs.iter().map(|lv| format!("  {lv}: {{state: present, recover_as: new-{lv}}}")).collect();
    let text = format!(
        "version: 1\nname: all\nvolume_group: {{name: vg}}\nlogical_volumes:\n{}\n",
        entries.join("\n")
    );
    let mut world = World::of("deleted-parts");
    world.must_apply(&plan(&text));
    let after = world.look();
    let vg = vg(&after);
    for lv in lvs {
        assert!(vg.lv(&name(&format!("new-{lv}"))).is_some(), "{lv}");
    }
    assert!(vg.lv(&name("new-r1_rimage_0")).is_some(), "parts are renamed with their LV");
    assert!(vg.lv(&name("thin")).is_some(), "what lives in a pool keeps its name");
    assert_eq!(ExtentMap::of(vg).problems(), []);
}

#[test]
fn what_metadata_alone_cannot_bring_back_is_refused_with_the_reason() {
    let world = World::of("deleted-parts");
    for (lv, why) in [("snap", "it is a snapshot"), ("thin", "its pool pool is gone as well")] {
        let planned = world.plan(&plan(&recover(lv, "")));
        assert_eq!(planned.refusals.len(), 1, "{lv}");
        assert_eq!(planned.refusals[0].code, RefusalCode::NotRecoverable, "{lv}");
        assert!(planned.refusals[0].why.contains(why), "{}", planned.refusals[0].why);
    }
}

#[test]
fn a_named_version_is_taken_as_it_is() {
    let world = World::of("deleted-lv");
    let smaller = recover("precious", ", recover_from: {seqno: 4}");
    let planned = world.plan(&plan(&smaller));
    let now = planned.simulation.unwrap().last;
    let lv = vg(&now).lv(&name("precious")).unwrap().len();
    let newest = world.plan(&plan(&recover("precious", ""))).simulation.unwrap().last;
    assert!(lv < vg(&newest).lv(&name("precious")).unwrap().len());
    assert_eq!(current(&now).seqno(), current(&world.look()).seqno() + 1);
    let without = recover("precious", ", recover_from: {seqno: 2}");
    assert_eq!(codes(&world, &without), [RefusalCode::NotRecoverable]);
}

#[test]
fn archive_files_serve_when_the_ring_has_forgotten() {
    let mut world = World::of("deleted-lv");
    // Only the text that counts is left in the rings.
    let keep = world.look();
    for (name, disk) in &mut world.disks {
        let mut content = disk.content();
        for device in &keep.devices {
            let area = &device.areas()[0];
            let counts = area.header.good().unwrap().committed.offset;
            for text in area.ring.iter().filter(|text| text.offset != counts) {
                let at = usize::try_from((area.offset.get()) + text.offset.get()).unwrap();
                content.write(at, &[0; 64]).unwrap();
            }
        }
        *disk = lvmend::host::fake::FakeDisk::new(name, content, &world.schedule);
    }
    let wanted = plan(&recover("precious", ""));
    let problems = lvmend::plan::resolve::resolve(&wanted, &world.look()).unwrap_err();
    assert_eq!(problems[0].code.text(), "plan-unknown-object");

    // A text that LVM2 wrote, saved by hand before, is as good as one in a ring.
    let (version, _) = {
        let vg = keep.vgs.values().next().unwrap();
        versions_with(&vg.timeline, Wanted::Name(&name("precious"))).next().unwrap()
    };
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("vg_00007-1.vg");
    fs::write(&file, &version.text.bytes).unwrap();
    world.scope.archive_dir = Some(directory.path().to_str().unwrap().to_owned());
    world.must_apply(&wanted);
    assert!(vg(&world.look()).lv(&name("precious")).is_some());
}
