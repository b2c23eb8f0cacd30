//! What is not LVM's and stands where a label is to be written, and tables of disks that were cut
//! off.

use lvmend::diff::RefusalCode;
use lvmend::execute::Outcome;
use lvmend::fault::{self, Fault, FaultKind};
use lvmend::host::fake::Schedule;
use lvmend::model::device::Content;
use lvmend::plan::hazard::{Hazard, HazardKind};

use crate::support::fixture::Fixture;
use crate::support::program::Desk;
use crate::support::world::{World, plan};

const SOUND: &str = "
version: 1
name: metadata-areas
volume_group:
  name: vg
  metadata: {state: sound}
";

/// `plain`, with the start of disk b changed.
fn plain_with(change: impl Fn(&mut Vec<u8>)) -> World {
    let mut disks = Fixture::new("plain").disks();
    change(&mut disks[1].1);
    World::with(disks, &Schedule::quiet())
}

fn hazards(world: &World, text: &str) -> Vec<Hazard> {
    world.plan(&plan(text)).graph.hazards()
}

fn codes(world: &World, text: &str) -> Vec<RefusalCode> {
    world.plan(&plan(text)).refusals.iter().map(|r| r.code).collect()
}

fn accepting(text: &str, accepted: &[(&str, &str)]) -> String {
    let line = |(hazard, object): &(&str, &str)| {
        format!("{{hazard: {hazard}, object: {object}, because: tested}}")
    };
    let lines: Vec<String> = accepted.iter().map(line).collect();
    format!("{text}policy: {{accept: [{}]}}\n", lines.join(", "))
}

/// An ext4 superblock as far as it can be told by, and the header of a LUKS 2 volume.
fn make_ext4_and_luks(content: &mut [u8]) {
    content[..8].copy_from_slice(b"LUKS\xba\xbe\x00\x02");
    content[1024] = 1;
    content[1080..1082].copy_from_slice(&[0x53, 0xef]);
    content[1024 + 96..1024 + 98].copy_from_slice(&0x2c2_u16.to_le_bytes());
}

#[test]
fn a_label_over_another_file_system_is_a_hazard_of_its_own() {
    let mut world = plain_with(|content| {
        content[..1 << 20].fill(0);
        make_ext4_and_luks(content);
    });
    let before = world.contents();
    assert!(matches!(world.look().devices[1].content, Content::Foreign));
    let pv = World::of("plain").look().devices[1].pv().unwrap().uuid.to_string();
    let named = format!("{SOUND}physical_volumes:\n  {pv}: {{state: attached, device: b}}\n");
    let found = hazards(&world, &named);
    let kinds: Vec<HazardKind> = found.iter().map(|hazard| hazard.kind).collect();
    assert_eq!(kinds, [HazardKind::UnprovenDevice, HazardKind::OverwriteSignature]);
    assert_eq!(found[1].object, "b");
    let of = format!("the label and metadata of PV {pv} are written over parts of it");
    assert_eq!(
        found[1].loss,
        [
            format!("on b stands LUKS 2 (byte 0); {of}"),
            format!("on b stands ext4 (byte 1080); {of}"),
        ]
    );
    let half = accepting(&named, &[("unproven-device", &pv)]);
    assert_eq!(codes(&world, &half), [RefusalCode::HazardNotAccepted]);
    let whole = accepting(&named, &[("unproven-device", &pv), ("overwrite-signature", "b")]);
    let report = world.must_apply(&plan(&whole));
    assert!(world.plan(&plan(&whole)).graph.is_empty());
    let back = world.rollback(&report.run).unwrap();
    assert_eq!(back.outcome, Outcome::RolledBack);
    assert!(world.contents() == before, "not byte-identical");
}

#[test]
fn what_was_made_over_a_pv_is_told_even_where_the_device_is_proven() {
    let mut world = plain_with(|content| {
        content[..1024].fill(0);
        content[..4].copy_from_slice(b"XFSB");
    });
    assert!(matches!(world.look().devices[1].content, Content::LostLabel(_)));
    let faults = fault::find(&world.look());
    let lost = faults.iter().find(|fault| fault.kind == FaultKind::LostLabel).unwrap();
    assert!(lost.found.ends_with("something else was made there since: XFS (byte 0)"), "{lost:#?}");
    let found = hazards(&world, SOUND);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].kind, HazardKind::OverwriteSignature);
    assert_eq!(codes(&world, SOUND), [RefusalCode::HazardNotAccepted]);
    world.must_apply(&plan(&accepting(SOUND, &[("overwrite-signature", "b")])));
    // Nothing of it is a hazard once the label stands.
    assert_eq!(hazards(&world, SOUND), []);
}

#[test]
fn a_bad_sector_hides_neither_the_pv_nor_what_was_made_over_it() {
    let world = plain_with(|content| {
        content[..1024].fill(0);
        content[..4].copy_from_slice(b"XFSB");
    });
    let without = world.look().devices[1].signatures.clone();
    // In the ring, where nothing but a signature is looked for.
    world.disks[1].1.break_at(20_480..20_992);
    let device = world.look().devices.remove(1);
    assert!(matches!(device.content, Content::LostLabel(_)), "{device:#?}");
    assert_eq!(device.signatures, without);
    assert_eq!(device.signatures.len(), 1);
}

#[test]
fn plans_show_what_would_be_overwritten_and_take_the_name_they_show() {
    let desk = Desk::with("plain");
    let mut disk = std::fs::read(desk.image(1)).unwrap();
    disk[..1024].fill(0);
    disk[4096 - 10..4096].copy_from_slice(b"SWAPSPACE2");
    std::fs::write(desk.image(1), &disk).unwrap();
    desk.put("plan.yaml", SOUND);
    let refused = desk.run(&["plan", "plan.yaml"]).with_code(3).stdout;
    assert!(refused.contains("overwrite-signature of b.img (NOT ACCEPTED)"), "{refused}");
    assert!(refused.contains("on b.img stands swap space (byte 4086)"), "{refused}");
    desk.put("plan.yaml", &accepting(SOUND, &[("overwrite-signature", "b.img")]));
    desk.run(&["apply", "plan.yaml", "--yes"]).with_code(0);
}

/// The faults of `partitions`, with one of its disks cut off.
fn faults_of_cut(disk: usize, len: usize) -> (World, Vec<Fault>) {
    let mut disks = Fixture::new("partitions").disks();
    disks[disk].1.truncate(len);
    let world = World::with(disks, &Schedule::quiet());
    let faults = fault::find(&world.look());
    (world, faults.into_iter().filter(|f| f.kind == FaultKind::ShortDevice).collect())
}

#[test]
fn a_table_of_partitions_that_were_cut_off_stays_a_table() {
    let whole = World::of("partitions").look();
    assert!(whole.devices.iter().all(|device| device.cut_off.is_empty()));
    let names = |world: &World| -> Vec<String> {
        world.look().devices.iter().map(|device| device.name.to_string()).collect()
    };
    for disk in [0, 1] {
        // Not even the first partition is there as a whole.
        let (world, faults) = faults_of_cut(disk, (1 << 20) + 4096);
        let name = ["a", "b"][disk];
        assert!(names(&world).iter().filter(|found| found.starts_with(name)).count() == 1);
        let inventory = world.look();
        let device = inventory.devices.iter().find(|d| d.name.to_string() == name).unwrap();
        assert_eq!(device.content, Content::PartitionTable, "{name}");
        assert!(faults.len() > 1, "{faults:#?}");
        for fault in &faults {
            assert!(fault.object.starts_with(&format!("{name}#")), "{fault:#?}");
            let size = format!("{name} is 1052672 bytes long (1.00 MiB): the image is cut off");
            assert!(fault.found.contains(&size), "{fault:#?}");
        }
    }
    // The last partition alone.
    let (world, faults) = faults_of_cut(0, (24 << 20) - (4 << 20));
    assert!(names(&world).contains(&"a#1".to_owned()), "{:?}", names(&world));
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert_eq!(faults[0].object, "a#2");
    assert!(faults[0].found.starts_with("partition 2 ends at byte "), "{faults:#?}");
}
