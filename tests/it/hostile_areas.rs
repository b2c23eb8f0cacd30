//! Labels and headers that claim areas where none may be: too large, past the end, over the data.
//! Nothing is read or written on their word.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Command;

use lvmend::diff::RefusalCode;
use lvmend::fault::{self, FaultKind};
use lvmend::host::RunStore;
use lvmend::host::fake::Schedule;
use lvmend::ids::Digest;
use lvmend::model::device::{Content, DiskArea, HeaderDamage, RingContent, Slot, Slots};
use lvmend::ondisk::area_header::encode_area_header;
use lvmend::ondisk::checksum::lvm_crc;
use lvmend::ondisk::label::{Label, LabelSector, parse_label};
use lvmend::units::Bytes;
use serde_json::Value;

use crate::support::fixture::Fixture;
use crate::support::program::{Desk, Ended};
use crate::support::world::{World, plan};

const SOUND: &str = "version: 1\nname: sound\nvolume_group: {name: vg, metadata: {state: sound}}\n";
const ATTACHED: &str = "version: 1\nname: attached\nvolume_group: {name: vg}\n\
                        physical_volumes: {'*': {state: attached}}\n";
const PRESENT: &str = "version: 1\nname: precious\nvolume_group: {name: vg}\n\
                       logical_volumes: {precious: {state: present}}\n";
const LABEL: usize = 512;
const AREA: usize = 4096;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

fn area(offset: u64, size: u64) -> DiskArea {
    DiskArea { offset: Bytes::new(offset), size: Bytes::new(size) }
}

/// The label of a disk with other metadata areas.
fn relabelled(content: &[u8], areas: Vec<DiskArea>) -> [u8; 512] {
    let sector = content[LABEL..LABEL + 512].try_into().unwrap();
    let LabelSector::Sound(label) = parse_label(&sector, 1) else { panic!("no label") };
    Label { metadata_areas: areas, ..label }.encode().unwrap()
}

/// A header with a text behind it, and the text.
fn with_text(place: DiskArea, text: &[u8]) -> Vec<u8> {
    let bytes = [text, &[0]].concat();
    let slot = Slot {
        offset: Bytes::new(512),
        size: Bytes::of_len(bytes.len()),
        checksum: lvm_crc(&bytes),
        ignored: false,
        raw_flags: 0,
    };
    let slots = Slots { committed: slot, ..Slots::default() };
    [&encode_area_header(place, &slots)[..], &bytes].concat()
}

/// The oldest text of the VG that still stands on a disk of a scenario.
fn oldest_text(scenario: &str, disk: usize) -> Vec<u8> {
    let inventory = World::of(scenario).look();
    let ring = &inventory.devices[disk].areas()[0].ring;
    let texts = ring.iter().filter_map(|text| match &text.text {
        RingContent::Whole(key) => inventory.texts.get(key),
        RingContent::Cut { .. } => None,
    });
    texts.min_by_key(|text| text.seqno).unwrap().bytes.to_vec()
}

/// Where the extents of the PV on a disk lie, and what stands there.
fn data_of(world: &World, scenario: &str, disk: usize) -> (std::ops::Range<usize>, Digest) {
    let intact = World::of(scenario).look();
    let vg = intact.vgs.values().find_map(|vg| vg.current.clone()).unwrap();
    let pv = vg.pv(intact.devices[disk].pv().unwrap().uuid).unwrap();
    let data = pv.data_range(vg.extent_size);
    let range = data.start.to_usize().unwrap()..data.end.to_usize().unwrap();
    let content = world.contents()[disk].1.to_vec();
    let digest = Digest::of(&content[range.clone()]);
    (range, digest)
}

/// A place for a small area within the last extent of disk b of a scenario.
fn place_in_data(scenario: &str) -> DiskArea {
    let (data, _) = data_of(&World::of(scenario), scenario, 1);
    area(data.end as u64 / 4096 * 4096 - 65536, 32768)
}

#[test]
fn an_area_of_an_earlier_life_within_the_data_is_not_adopted() {
    let place = place_in_data("plain");
    let mut disks = Fixture::new("plain").disks();
    let original = disks[1].1[LABEL..LABEL + 512].to_vec();
    let content = &mut disks[1].1;
    content[LABEL..LABEL + 512].fill(0);
    let stray = with_text(place, &oldest_text("plain", 1));
    let at = place.offset.to_usize().unwrap();
    content[at..at + stray.len()].copy_from_slice(&stray);
    let mut world = World::with(disks, &Schedule::quiet());
    let Content::LostLabel(lost) = &world.look().devices[1].content else { panic!("a label") };
    assert_eq!(lost.areas.len(), 2, "the forged area is seen: {lost:#?}");
    let before: Vec<Digest> = (0..2).map(|disk| data_of(&world, "plain", disk).1).collect();
    for text in [ATTACHED, SOUND] {
        world.must_apply(&plan(text));
        let after: Vec<Digest> = (0..2).map(|disk| data_of(&world, "plain", disk).1).collect();
        assert_eq!(after, before, "data was overwritten");
        let mut label = [0; 512];
        world.contents()[1].1.read(LABEL, &mut label).unwrap();
        assert_eq!(label[..], original, "the label names the areas that it named before");
    }
}

#[test]
fn an_area_without_a_text_of_the_vg_is_not_adopted() {
    let mut disks = Fixture::new("two-mdas").disks();
    let second = World::of("two-mdas").look().devices[0].areas()[1].place();
    let content = &mut disks[0].1;
    content[LABEL..LABEL + 512].fill(0);
    let at = second.offset.to_usize().unwrap();
    let end = at + second.size.to_usize().unwrap();
    content[at..end].fill(0);
    content[at..at + 512].copy_from_slice(&encode_area_header(second, &Slots::default()));
    let mut world = World::with(disks, &Schedule::quiet());
    assert_eq!(world.look().devices[0].areas().len(), 2);
    world.must_apply(&plan(SOUND));
    assert_eq!(world.look().devices[0].areas().len(), 1);
    let after = world.contents()[0].1.to_vec();
    assert!(after[at + 512..end].iter().all(|byte| *byte == 0), "nothing was written there");
}

/// `deleted-lv`, where the label of disk b names a second area within the data, with an old text.
fn over_data() -> World {
    let place = place_in_data("deleted-lv");
    let mut disks = Fixture::new("deleted-lv").disks();
    let first = World::of("deleted-lv").look().devices[1].areas()[0].place();
    let text = oldest_text("deleted-lv", 1);
    let content = &mut disks[1].1;
    let label = relabelled(content, vec![first, place]);
    content[LABEL..LABEL + 512].copy_from_slice(&label);
    let forged = with_text(place, &text);
    let at = place.offset.to_usize().unwrap();
    content[at..at + forged.len()].copy_from_slice(&forged);
    World::with(disks, &Schedule::quiet())
}

fn damage_of(world: &World, disk: usize, index: usize) -> Vec<HeaderDamage> {
    let inventory = world.look();
    match &inventory.devices[disk].areas()[index].header {
        lvmend::model::device::AreaHeader::Good(_) => Vec::new(),
        lvmend::model::device::AreaHeader::Damaged { damage, .. } => damage.clone(),
    }
}

fn refusals(world: &World, text: &str) -> Vec<(RefusalCode, String)> {
    world.plan(&plan(text)).refusals.into_iter().map(|r| (r.code, r.why)).collect()
}

#[test]
fn an_area_that_a_label_places_over_the_data_is_never_written() {
    let mut world = over_data();
    assert_eq!(damage_of(&world, 1, 1), [HeaderDamage::OverData]);
    let faults = fault::find(&world.look());
    let fault = faults.iter().find(|fault| fault.kind == FaultKind::DamagedArea).unwrap();
    assert!(fault.found.contains("overlaps the PV's data"), "{fault:#?}");
    assert_eq!(fault.plan, None);
    assert!(world.look().devices[1].areas()[1].ring.is_empty());
    let refused = refusals(&world, SOUND);
    assert_eq!(refused.len(), 1, "{refused:#?}");
    assert_eq!(refused[0].0, RefusalCode::Unfit);
    assert!(refused[0].1.contains("metadata area 1 of b is not written"), "{refused:#?}");
    // What does not ask for this area is done without it.
    let before = data_of(&world, "deleted-lv", 1).1;
    world.must_apply(&plan(PRESENT));
    assert_eq!(data_of(&world, "deleted-lv", 1).1, before, "data was overwritten");
}

#[test]
fn an_area_over_the_data_is_refused_when_no_text_tells_before_the_commit() {
    let mut disks: Vec<(String, Vec<u8>)> =
        over_data().contents().into_iter().map(|(name, disk)| (name, disk.to_vec())).collect();
    let place = place_in_data("deleted-lv").offset.to_usize().unwrap();
    for (name, content) in &mut disks {
        content[AREA..AREA + 512].fill(0xa5);
        if name == "b" {
            content[place..place + 4].fill(0xa5);
        }
    }
    let world = World::with(disks, &Schedule::quiet());
    let refused = refusals(&world, SOUND);
    assert_eq!(refused.iter().map(|r| r.0).collect::<Vec<_>>(), [RefusalCode::Unfit]);
    assert!(refused[0].1.contains("overlaps the PV's data"), "{refused:#?}");
}

#[test]
fn areas_past_the_end_over_the_label_or_each_other_do_not_count() {
    let good = World::of("plain").look().devices[1].areas()[0].place();
    let cases = [
        (vec![good, area(15 * MIB, 64 * MIB)], 1, HeaderDamage::PastEnd),
        (vec![good, area(u64::MAX - 511, 1024)], 1, HeaderDamage::PastEnd),
        (vec![area(1024, 2048), good], 0, HeaderDamage::OverLabel),
        (vec![good, area(8192, 4096)], 0, HeaderDamage::OverArea),
        (vec![good, area(8192, 4096)], 1, HeaderDamage::OverArea),
        (vec![area(4096, 2 * MIB)], 0, HeaderDamage::OverData),
    ];
    for (areas, index, expected) in cases {
        let mut disks = Fixture::new("plain").disks();
        let label = relabelled(&disks[1].1, areas.clone());
        disks[1].1[LABEL..LABEL + 512].copy_from_slice(&label);
        let world = World::with(disks, &Schedule::quiet());
        let found = damage_of(&world, 1, index);
        assert_eq!(found.last(), Some(&expected), "{areas:?}");
        assert_eq!(refusals(&world, SOUND)[0].0, RefusalCode::Unfit, "{areas:?}");
    }
}

#[test]
fn evidence_of_a_large_area_is_saved_in_pieces() {
    let mut disks = Fixture::new("deleted-lv").disks();
    let first = World::of("deleted-lv").look().devices[1].areas()[0].place();
    let large = area(17 * MIB, 40 * MIB);
    let content = &mut disks[1].1;
    let label = relabelled(content, vec![first, large]);
    content[LABEL..LABEL + 512].copy_from_slice(&label);
    content.resize(64 << 20, 0);
    content[17 << 20..][..512].copy_from_slice(&encode_area_header(large, &Slots::default()));
    let before = content.clone();
    let mut world = World::with(disks, &Schedule::quiet());
    let run = world.must_apply(&plan(PRESENT)).run;
    let manifest = world.store.get(&run, "evidence/manifest.json").unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let mut next = large.offset.get();
    for saved in manifest["files"].as_array().unwrap() {
        let number = |key: &str| saved["region"][key].as_u64().unwrap();
        let (offset, len) = (number("offset"), number("len"));
        assert!(len <= 16 * MIB, "{saved:#}");
        if offset < large.offset.get() {
            continue;
        }
        assert_eq!(offset, next, "without a gap: {manifest:#}");
        next += len;
        let file = saved["file"].as_str().unwrap();
        let bytes = world.store.get(&run, &format!("evidence/{file}")).unwrap();
        let at = usize::try_from(offset).unwrap();
        assert!(before[at..][..usize::try_from(len).unwrap()] == bytes, "{saved:#}");
        assert_eq!(saved["sha256"].as_str().unwrap(), Digest::of(&bytes).to_string());
    }
    assert_eq!(next, large.end().unwrap().get(), "as a whole");
}

/// Makes a disk a sparse one of 4 TiB, whose label and headers claim these areas.
fn make_hostile(path: &std::path::Path, areas: &[DiskArea]) {
    let content = fs::read(path).unwrap();
    let disk = File::options().write(true).open(path).unwrap();
    disk.set_len(4 * TIB).unwrap();
    disk.write_all_at(&relabelled(&content, areas.to_vec()), LABEL as u64).unwrap();
    for place in areas {
        let header = encode_area_header(*place, &Slots::default());
        disk.write_all_at(&header, place.offset.get()).unwrap();
    }
}

/// Runs the program with so much address space and no more.
fn with_memory(desk: &Desk, kib: u32, arguments: &[&str]) -> Ended {
    let program = desk.command(arguments);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -v {kib} && exec \"$0\" \"$@\""));
    shell.arg(program.get_program()).args(program.get_args()).current_dir(desk.path());
    desk.ended(&shell.output().unwrap())
}

#[test]
fn a_label_that_claims_terabytes_costs_no_memory() {
    let desk = Desk::with("deleted-lv");
    make_hostile(&desk.image(1), &[area(TIB, 3 * TIB)]);
    desk.put("plan.yaml", PRESENT);
    let images = |arguments: &[&'static str]| -> Vec<String> {
        desk.with_images(arguments).into_iter().map(str::to_owned).collect()
    };
    let run = |arguments: &[&'static str]| {
        let arguments = images(arguments);
        with_memory(&desk, 300_000, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let found = run(&["inspect"]).with_code(2);
    assert!(
        found.stdout.contains("the area is larger than any that LVM makes"),
        "{}",
        found.stdout
    );
    run(&["apply", "plan.yaml", "--yes"]).with_code(0);
}

#[test]
fn eight_images_with_the_largest_areas_there_may_be_are_looked_at_one_by_one() {
    let desk = Desk::empty();
    let disks = Fixture::new("plain").disks();
    let names: Vec<String> = (0..8).map(|number| format!("{number}.img")).collect();
    for name in &names {
        let path = desk.path().join(name);
        fs::write(&path, &disks[1].1).unwrap();
        make_hostile(&path, &[area(TIB, 256 * MIB), area(2 * TIB, 2 * TIB)]);
    }
    let mut arguments = vec!["inspect"];
    arguments.extend(names.iter().flat_map(|name| ["--image", name.as_str()]));
    with_memory(&desk, 500_000, &arguments).with_code(2);
}
