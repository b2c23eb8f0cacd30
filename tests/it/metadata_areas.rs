//! Labels and metadata areas that are damaged, and made sound again.

use lvmend::diff::RefusalCode;
use lvmend::execute::Outcome;
use lvmend::fault::{self, FaultKind};
use lvmend::host::fake::Schedule;
use lvmend::model::device::Content;
use lvmend::plan::hazard::HazardKind;

use crate::support::fixture::Fixture;
use crate::support::world::{World, current, plan};

const SOUND: &str = "
version: 1
name: metadata-areas
volume_group:
  name: vg
  metadata: {state: sound}
";

const LABEL: usize = 512;
const AREA: usize = 4096;

/// A world with some bytes of some disks changed.
fn damaged(scenario: &str, damage: impl Fn(&str, &mut Vec<u8>)) -> World {
    let mut disks = Fixture::new(scenario).disks();
    for (name, content) in &mut disks {
        damage(name, content);
    }
    World::with(disks, &Schedule::quiet())
}

/// The label sector of a disk.
fn label_of(world: &World, disk: usize) -> [u8; 512] {
    let mut sector = [0; 512];
    world.contents()[disk].1.read(LABEL, &mut sector).unwrap();
    sector
}

/// Where the text that counts stands on a disk, in bytes.
fn text_at(content: &[u8], area: usize) -> usize {
    let slot = u64::from_le_bytes(content[area + 40..area + 48].try_into().unwrap());
    area + usize::try_from(slot).unwrap()
}

fn kinds(world: &World) -> Vec<FaultKind> {
    fault::find(&world.look()).iter().map(|fault| fault.kind).collect()
}

fn codes(world: &World, text: &str) -> Vec<RefusalCode> {
    world.plan(&plan(text)).refusals.iter().map(|r| r.code).collect()
}

/// Applies the plan, expects every fault to be gone, nothing left to do, and rollback to put back
/// every byte.
fn mends(mut world: World, text: &str) -> World {
    let before = world.contents();
    let report = world.must_apply(&plan(text));
    assert_eq!(kinds(&world), []);
    assert!(world.plan(&plan(text)).graph.is_empty());
    let after = world.contents();
    let back = world.rollback(&report.run).unwrap();
    assert_eq!(back.outcome, Outcome::RolledBack);
    assert!(world.contents() == before, "not byte-identical");
    World::with(after, &Schedule::quiet())
}

#[test]
fn a_sound_vg_needs_nothing() {
    for scenario in ["plain", "two-mdas", "ignored-mda", "no-mda", "label-sector", "wrapped-ring"] {
        assert!(World::of(scenario).plan(&plan(SOUND)).graph.is_empty(), "{scenario}");
    }
}

#[test]
fn a_damaged_text_on_one_pv_is_written_anew() {
    let world = damaged("plain", |name, content| {
        if name == "b" {
            let at = text_at(content, AREA);
            content[at + 100] ^= 1;
        }
    });
    assert_eq!(kinds(&world), [FaultKind::DamagedArea]);
    let old = current(&world.look()).seqno();
    let world = mends(world, SOUND);
    assert_eq!(current(&world.look()).seqno(), old + 1);
}

#[test]
fn a_damaged_header_on_one_pv_is_written_anew_and_the_ring_is_kept() {
    let world = damaged("plain", |name, content| {
        if name == "a" {
            content[AREA + 8] ^= 0xff;
        }
    });
    assert_eq!(kinds(&world), [FaultKind::DamagedArea]);
    let versions = world.look().vgs.values().next().unwrap().timeline.versions().len();
    let world = mends(world, SOUND);
    let now = world.look().vgs.values().next().unwrap().timeline.versions().len();
    assert_eq!(now, versions + 1, "no old version was overwritten");
}

#[test]
fn one_of_two_areas_of_each_pv_may_be_lost() {
    let world = damaged("two-mdas", |_, content| content[AREA..AREA + 512].fill(0));
    assert_eq!(kinds(&world), [FaultKind::DamagedArea, FaultKind::DamagedArea]);
    mends(world, SOUND);
}

#[test]
fn a_pv_that_left_the_vg_stays_behind() {
    let mut world = damaged("outdated-pv", |name, content| {
        if name == "a" {
            content[AREA..AREA + 512].fill(0);
        }
    });
    let found = kinds(&world);
    assert!(found.contains(&FaultKind::DamagedArea), "{found:?}");
    world.must_apply(&plan(SOUND));
    assert_eq!(kinds(&world), [FaultKind::OutdatedPv]);
    assert!(world.plan(&plan(SOUND)).graph.is_empty());
}

#[test]
fn an_empty_pointer_and_an_outvoted_copy_are_brought_up_to_date() {
    let world = damaged("plain", |name, content| {
        if name == "b" {
            // The header of an area that LVM had made and not yet committed to.
            let area = lvmend::model::device::DiskArea {
                offset: lvmend::units::Bytes::new(4096),
                size: lvmend::units::Bytes::new(1_044_480),
            };
            let empty = lvmend::model::device::Slots::default();
            let sector = lvmend::ondisk::area_header::encode_area_header(area, &empty);
            content[AREA..AREA + 512].copy_from_slice(&sector);
        }
    });
    assert_eq!(kinds(&world), [FaultKind::DamagedArea]);
    mends(world, SOUND);

    // Disk b as it was before the last commits: its whole first MiB, with an older committed text.
    let world = older_copy("plain", "b");
    assert_eq!(kinds(&world), [FaultKind::OutdatedCopy]);
    mends(world, SOUND);
}

/// A world in which one disk points to the oldest text of its ring.
fn older_copy(scenario: &str, disk: &str) -> World {
    let inventory = World::of(scenario).look();
    let device = inventory.devices.iter().find(|d| d.name.to_string() == disk).unwrap();
    let area = &device.areas()[0];
    let oldest = area.ring.iter().min_by_key(|text| text.offset).unwrap().clone();
    let lvmend::model::device::RingContent::Whole(key) = &oldest.text else { panic!() };
    let mut bytes = inventory.texts[key].bytes.to_vec();
    bytes.push(0);
    let slot = lvmend::model::device::Slot {
        offset: oldest.offset,
        size: oldest.size,
        checksum: lvmend::ondisk::checksum::lvm_crc(&bytes),
        ignored: false,
        raw_flags: 0,
    };
    let slots = lvmend::model::device::Slots { committed: slot, ..Default::default() };
    let at = lvmend::model::device::DiskArea { offset: area.offset, size: area.size };
    let header = lvmend::ondisk::area_header::encode_area_header(at, &slots);
    damaged(scenario, |name, content| {
        if name == disk {
            content[AREA..AREA + 512].copy_from_slice(&header);
        }
    })
}

#[test]
fn when_every_header_is_lost_the_newest_text_of_the_rings_serves() {
    let world = damaged("plain", |_, content| content[AREA..AREA + 512].fill(0xa5));
    let found = kinds(&world);
    assert!(found.contains(&FaultKind::NoMetadata), "{found:?}");
    let planned = world.plan(&plan(SOUND));
    // Nothing newer is known of, so nothing is lost.
    assert_eq!(planned.graph.hazards(), []);
    let newest = current(&World::of("plain").look()).text.clone();
    let world = mends(world, SOUND);
    let now = world.look();
    let text = &current(&now).text;
    assert_eq!(text.seqno, newest.seqno + 1);
}

#[test]
fn when_every_text_that_counts_is_damaged_an_older_one_is_a_hazard() {
    let world = damaged("plain", |_, content| {
        let at = text_at(content, AREA);
        content[at + 200] = b'{';
    });
    let planned = world.plan(&plan(SOUND));
    let hazards = planned.graph.hazards();
    assert_eq!(hazards.len(), 1, "{hazards:#?}");
    assert_eq!(hazards[0].kind, HazardKind::OlderMetadata);
    assert!(hazards[0].loss.iter().any(|loss| loss.contains("what it changed is not known")));
    assert_eq!(codes(&world, SOUND), [RefusalCode::HazardNotAccepted]);
    let accepted = format!(
        "{SOUND}policy: {{accept: [{{hazard: older-metadata, object: vg, because: tested}}]}}\n"
    );
    mends(world, &accepted);
}

#[test]
fn a_text_that_still_parses_but_fails_its_checksum_is_no_version() {
    // One digit of an extent number: a text that reads well and would map the wrong blocks.
    let intact = World::of("plain").look();
    let highest = current(&intact).seqno();
    let world = damaged("plain", |_, content| {
        let at = text_at(content, AREA);
        let text = String::from_utf8_lossy(&content[at..at + 2000]).into_owned();
        let digit = at + text.find("\"pv0\", 0").unwrap() + 7;
        content[digit] = b'7';
    });
    let inventory = world.look();
    let timeline = &inventory.vgs.values().next().unwrap().timeline;
    assert_eq!(timeline.highest_seqno(), Some(highest - 1), "the damaged text is no version");
}

#[test]
fn an_older_version_can_be_named_and_lists_what_is_lost() {
    let world = damaged("plain", |_, content| content[AREA..AREA + 512].fill(0xa5));
    let text = SOUND.replace("{state: sound}", "{state: sound, recover_from: {seqno: 3}}");
    let planned = world.plan(&plan(&text));
    let hazards = planned.graph.hazards();
    assert_eq!(hazards[0].kind, HazardKind::OlderMetadata);
    assert!(hazards[0].loss.iter().any(|loss| loss.contains("LV")), "{hazards:#?}");
    let accepted = format!(
        "{text}policy: {{accept: [{{hazard: older-metadata, object: vg, because: tested}}]}}\n"
    );
    let world = mends(world, &accepted);
    // The number is above everything that was seen, so that LVM cannot go back by itself.
    let now = world.look();
    let highest = current(&World::of("plain").look()).seqno();
    assert_eq!(current(&now).seqno(), highest + 1);
}

#[test]
fn branches_are_never_chosen_between() {
    // Disk b gets another text with the seqno that counts.
    let world = damaged("plain", |name, content| {
        if name != "b" {
            return;
        }
        let at = text_at(content, AREA);
        let size = u64::from_le_bytes(content[AREA + 48..AREA + 56].try_into().unwrap());
        let size = usize::try_from(size).unwrap();
        let text = String::from_utf8(content[at..at + size].to_vec()).unwrap();
        let other = text.replacen("max_lv = 0", "max_lv = 9", 1);
        content[at..at + size].copy_from_slice(other.as_bytes());
        let crc = lvmend::ondisk::checksum::lvm_crc(other.as_bytes());
        content[AREA + 56..AREA + 60].copy_from_slice(&crc.to_le_bytes());
        let header = lvmend::ondisk::checksum::lvm_crc(&content[AREA + 4..AREA + 512]);
        content[AREA..AREA + 4].copy_from_slice(&header.to_le_bytes());
    });
    assert_eq!(kinds(&world), [FaultKind::MetadataBranches]);
    assert_eq!(codes(&world, SOUND), [RefusalCode::MetadataBranches]);
    let inventory = world.look();
    let vg = inventory.vgs.values().next().unwrap();
    let seqno = vg.timeline.highest_seqno().unwrap();
    let branches = vg.timeline.branches(seqno);
    assert_eq!(branches.len(), 2);
    let digest = branches[0].content().short();
    let named = SOUND.replace(
        "{state: sound}",
        &format!("{{state: sound, recover_from: {{seqno: {seqno}, digest: {digest}}}}}"),
    );
    // What the other branch said is lost with it, if anything people see differs.
    let planned = world.plan(&plan(&named));
    assert_eq!(planned.refusals, []);
    mends(world, &named);
}

#[test]
fn a_lost_label_with_the_areas_intact_is_written_again() {
    for damage in [0, 1] {
        let world = damaged("plain", |name, content| {
            if name == "b" {
                match damage {
                    0 => content[LABEL..LABEL + 512].fill(0),
                    _ => content[LABEL + 70] ^= 1,
                }
            }
        });
        let found = kinds(&world);
        assert!(found.contains(&FaultKind::LostLabel), "{found:?}");
        let original = label_of(&World::of("plain"), 1);
        let world = mends(world, SOUND);
        assert_eq!(label_of(&world, 1), original, "the label is as LVM wrote it");
    }
}

#[test]
fn labels_of_two_pvs_with_two_areas_each_are_written_again() {
    let world = damaged("two-mdas", |name, content| {
        if name == "a" {
            content[LABEL..LABEL + 512].fill(0);
        }
    });
    let original = label_of(&World::of("two-mdas"), 0);
    let world = mends(world, SOUND);
    assert_eq!(label_of(&world, 0), original, "both areas are found again");
}

#[test]
fn a_device_that_nothing_links_to_the_pv_is_a_hazard() {
    // Both labels are gone, and both PVs have one size: the texts do not tell which is which.
    let world = damaged("plain", |_, content| content[LABEL..LABEL + 512].fill(0));
    assert_eq!(codes(&world, SOUND), [RefusalCode::UnclearDevice; 2]);
    // One PV is named by hand; the other follows from what is left.
    let world = damaged("plain", |name, content| {
        if name == "b" {
            content[..1 << 20].fill(0);
        }
    });
    let inventory = World::of("plain").look();
    let pv = inventory.devices[1].pv().unwrap().uuid;
    assert!(matches!(world.look().devices[1].content, Content::Foreign));
    let named = format!("{SOUND}physical_volumes:\n  {pv}: {{state: attached, device: b}}\n");
    let planned = world.plan(&plan(&named));
    assert_eq!(planned.graph.hazards()[0].kind, HazardKind::UnprovenDevice);
    let accepted = format!(
        "{named}policy: {{accept: [{{hazard: unproven-device, object: {pv}, because: tested}}]}}\n"
    );
    mends(world, &accepted);
}

#[test]
fn another_pvs_disk_is_refused() {
    let world = damaged("plain", |name, content| {
        if name == "b" {
            content[LABEL..LABEL + 512].fill(0);
        }
    });
    let inventory = World::of("plain").look();
    let pv = inventory.devices[1].pv().unwrap().uuid;
    let named = format!("{SOUND}physical_volumes:\n  {pv}: {{state: attached, device: a}}\n");
    assert_eq!(codes(&world, &named), [RefusalCode::WrongDevice]);
}

#[test]
fn a_precommitted_text_is_told_and_cleared() {
    let world = damaged("plain", |name, content| {
        if name == "a" {
            let slot = content[AREA + 40..AREA + 64].to_vec();
            content[AREA + 64..AREA + 88].copy_from_slice(&slot);
            let header = lvmend::ondisk::checksum::lvm_crc(&content[AREA + 4..AREA + 512]);
            content[AREA..AREA + 4].copy_from_slice(&header.to_le_bytes());
        }
    });
    assert_eq!(kinds(&world), [FaultKind::InterruptedCommit]);
    mends(world, SOUND);
}

#[test]
fn one_flipped_byte_anywhere_in_the_first_sectors_never_panics_and_is_noticed() {
    let intact = World::of("plain");
    let contents = intact.contents();
    for at in (0..512).map(|i| LABEL + i).chain((0..512).map(|i| AREA + i)) {
        let mut disks = contents.clone();
        let mut byte = [0];
        disks[0].1.read(at, &mut byte).unwrap();
        disks[0].1.write(at, &[byte[0] ^ 0x10]).unwrap();
        let world = World::with(disks, &Schedule::quiet());
        assert!(!kinds(&world).is_empty(), "byte {at}");
    }
}
