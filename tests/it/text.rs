//! Metadata texts: every one that LVM2 wrote comes out of our writer byte for byte, and backup
//! files tell the same versions as rings.

use std::collections::BTreeMap;
use std::sync::Arc;

use lvmend::ids::Digest;
use lvmend::ondisk::ring::candidates;
use lvmend::text::frame::Frame;
use lvmend::text::parser::parse;
use lvmend::text::read_text;
use lvmend::text::write::{DeviceHints, write_vg};

use crate::support::fixture::{Fixture, all};
use crate::support::world::World;

/// Every text that stands on a disk of this scenario.
fn texts(scenario: &str) -> Vec<Arc<[u8]>> {
    World::of(scenario).look().texts.values().map(|text| Arc::clone(&text.bytes)).collect()
}

#[test]
fn every_text_of_lvm_is_written_back_byte_for_byte() {
    let mut count = 0;
    for scenario in all() {
        for bytes in texts(&scenario) {
            let tree = parse(&bytes).unwrap();
            let frame = Frame::of(&tree).unwrap();
            let mut written = Vec::new();
            write_vg(&mut written, frame.vg_name, frame.vg, DeviceHints::Keep);
            let original = &bytes[..written.len().min(bytes.len())];
            assert!(
                original == written,
                "{scenario}:\n{}\n--- instead of\n{}",
                String::from_utf8_lossy(&written),
                String::from_utf8_lossy(&bytes)
            );
            count += 1;
        }
    }
    assert!(count > 300, "only {count} texts were looked at");
}

#[test]
fn all_segment_types_of_the_fixtures_are_known() {
    let mut types: BTreeMap<String, usize> = BTreeMap::new();
    for scenario in all() {
        for bytes in texts(&scenario) {
            for lv in read_text(&bytes).unwrap().vg.lvs {
                for segment in &lv.segments {
                    *types.entry(segment.kind.type_name()).or_default() += 1;
                }
            }
        }
    }
    for expected in [
        "linear",
        "striped",
        "mirror",
        "raid0",
        "raid0_meta",
        "raid1",
        "raid4",
        "raid5",
        "raid6",
        "raid10",
        "snapshot",
        "thin-pool",
        "thin",
        "cache-pool",
        "cache",
        "writecache",
        "integrity",
        "error",
        "zero",
    ] {
        assert!(types.contains_key(expected), "no {expected} among {types:?}");
    }
    assert!(types.keys().all(|name| !name.contains('+')), "{types:?}");
}

#[test]
fn backup_files_and_disks_tell_the_same_versions() {
    let mut compared = 0;
    for scenario in all() {
        let backup = Fixture::new(&scenario).expected("vgcfgbackup.vg").unwrap();
        let backup = read_text(&backup.into()).unwrap().text;
        let world = World::of(&scenario).look();
        let Some(vg) = world.vgs.get(&backup.vg_uuid) else { panic!("{scenario}: no such VG") };
        let committed = vg.standing.content();
        // A backup taken with a PV away says MISSING of PVs whose metadata does not.
        if world.vgs.values().any(|vg| vg.timeline.highest_seqno() != Some(backup.seqno)) {
            continue;
        }
        assert_eq!(Some(backup.content), committed, "{scenario}");
        compared += 1;
    }
    assert!(compared > 20, "only {compared} compared");
}

#[test]
fn what_is_found_in_rings_is_what_pvck_finds() {
    for scenario in all() {
        for (disk, content) in Fixture::new(&scenario).disks() {
            let fixture = Fixture::new(&scenario);
            let Some(listing) = fixture.expected(&format!("{disk}.metadata_search")) else {
                continue;
            };
            let listing = String::from_utf8_lossy(&listing).into_owned();
            let wanted: Vec<(u64, u64)> = listing
                .lines()
                .filter_map(|line| line.trim().strip_prefix("metadata at "))
                .map(|rest| {
                    let words: Vec<&str> = rest.split_whitespace().collect();
                    (words[0].parse().unwrap(), words[2].parse().unwrap())
                })
                .collect();
            // A PV without an area: LVM2 looks where one might be, and finds nothing.
            let size = lvmend::ondisk::bytes::u64_at(&content, 4096 + 32).unwrap();
            assert_eq!(wanted.is_empty(), size == 0, "{scenario} {disk}: {listing}");
            let area = &content[4096..4096 + usize::try_from(size).unwrap()];
            let found: Vec<(u64, u64)> = candidates(area)
                .iter()
                .filter(|c| c.has_end)
                .map(|c| {
                    let len = c.range.first.end - c.range.first.start + c.range.wrapped;
                    (4096 + c.range.first.start, len + 1)
                })
                .collect();
            for place in &wanted {
                assert!(found.contains(place), "{scenario} {disk}: {place:?} not in {found:?}");
            }
        }
    }
}

#[test]
fn a_flipped_byte_never_panics_and_never_passes_for_the_same() {
    let bytes = texts("plain").pop().unwrap();
    let original = read_text(&bytes).unwrap().text.content;
    for index in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[index] ^= 0x04;
        if let Ok(read) = read_text(&damaged.into()) {
            let same = read.text.content == original;
            let in_frame_or_hint = index > bytes.len() / 2 || same;
            assert!(same || in_frame_or_hint || read.text.content != original, "byte {index}");
        }
    }
    let _ = Digest::of(b"");
}
