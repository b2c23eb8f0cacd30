//! Copies of mirrors and RAID1 are read from a leg that is up to date, or not at all.

use lvmend::execute::Outcome;
use lvmend::host::fake::{DiskImage, Schedule};
use lvmend::ids::PvUuid;
use lvmend::model::legs::{Everything, RaidMeta, Reach};
use lvmend::model::mapping::{ContentMap, Place, raid_meta_places};
use lvmend::model::segment::SegmentKind;
use lvmend::model::vg::Vg;
use lvmend::units::Sectors;

use crate::support::fixture::Fixture;
use crate::support::world::{World, plan};

const SCENARIO: &str = "missing-legs";

fn vg(world: &World) -> Vg {
    let inventory = world.look();
    let vg = inventory.vgs.values().next().unwrap();
    vg.current.as_deref().unwrap().clone()
}

/// A plan that attaches everything and then holds an LV to what it held last.
fn attach_and_check(lv: &str) -> String {
    let vg = vg(&World::of(SCENARIO));
    let uuid = vg.lv(&lv.parse().unwrap()).unwrap().uuid.to_string();
    let list = String::from_utf8(Fixture::new(SCENARIO).expected("lvs.sha256").unwrap()).unwrap();
    // What was written while a leg was away is recorded last.
    let newest = list.lines().rfind(|line| line.ends_with(&uuid)).unwrap();
    let digest = newest.split_whitespace().next().unwrap();
    format!(
        "version: 1\nname: legs\nvolume_group: {{name: vg}}\nphysical_volumes:\n  '*': {{state: attached}}\nchecks:\n  - sha256: {{logical_volume: {lv}, digest: {digest}}}\npolicy:\n  accept:\n    - {{hazard: stale-leg, object: mcore, because: test}}\n    - {{hazard: stale-leg, object: mdisk, because: test}}\n"
    )
}

#[test]
fn after_a_leg_came_back_the_one_that_stayed_is_read() {
    for lv in ["r1", "mcore", "mdisk"] {
        let report = World::of(SCENARIO).apply(&plan(&attach_and_check(lv))).unwrap();
        assert_eq!(report.outcome, Outcome::Done, "{lv}: {report:#?}");
    }
}

/// The disks, with what both legs of `r1` hold exchanged, superblocks included.
fn exchanged() -> Vec<(String, DiskImage)> {
    let world = World::of(SCENARIO);
    let vg = vg(&world);
    let r1 = vg.lv(&"r1".parse().unwrap()).unwrap();
    let SegmentKind::Raid { legs, .. } = &r1.segments[0].kind else { panic!("{r1:?}") };
    let mut disks = world.contents();
    for part in 0..2 {
        let stretch = |leg: usize| {
            let name =
                if part == 0 { legs[leg].meta.clone().unwrap() } else { legs[leg].image.clone() };
            let lv = vg.lv(&name).unwrap();
            let map = ContentMap::of(&vg, lv, &Everything).unwrap();
            let piece = map.piece_at(Sectors::ZERO, map.len()).unwrap();
            assert_eq!(piece.len, map.len(), "{name} is in one piece");
            let Place::Pv { pv, sector } = piece.place else { panic!("{piece:?}") };
            let disk = vg.pvs.iter().position(|p| p.uuid == pv).unwrap();
            (
                disk,
                usize::try_from(sector.get()).unwrap() * 512,
                usize::try_from(map.len().get()).unwrap() * 512,
            )
        };
        let ((one, first, len), (other, second, _)) = (stretch(0), stretch(1));
        let (mut a, mut b) = (vec![0; len], vec![0; len]);
        disks[one].1.read(first, &mut a).unwrap();
        disks[other].1.read(second, &mut b).unwrap();
        disks[one].1.write(first, &b).unwrap();
        disks[other].1.write(second, &a).unwrap();
    }
    disks
}

#[test]
fn the_first_leg_is_passed_over_when_it_is_stale() {
    let wanted = plan(&attach_and_check("r1"));
    // The superblock that counts is on the second leg now, and calls just that one failed: then
    // none is up to date, and nothing is read.
    let disks = exchanged();
    let planned = World::with(disks.clone(), &Schedule::quiet()).plan(&wanted);
    assert_eq!(planned.refusals.len(), 1);
    assert!(planned.refusals[0].why.contains("only legs are there that missed writes"));
    // With the mark where the exchange would have put it, the second leg is read.
    let mut disks = disks;
    let vg = vg(&World::of(SCENARIO));
    let mut marked = 0;
    for (pv, sector) in raid_meta_places(&vg) {
        let disk = vg.pvs.iter().position(|p| p.uuid == pv).unwrap();
        let at = usize::try_from(sector.get()).unwrap() * 512 + 24;
        let mut failed = [0];
        disks[disk].1.read(at, &mut failed).unwrap();
        if failed == [0b10] && disk == 1 {
            disks[disk].1.write(at, &[0b01]).unwrap();
            marked += 1;
        }
    }
    assert_eq!(marked, 1);
    let report = World::with(disks, &Schedule::quiet()).apply(&wanted).unwrap();
    assert_eq!(report.outcome, Outcome::Done, "{report:#?}");
}

#[test]
fn of_mirror_legs_the_one_that_was_never_away_is_read() {
    /// Some PVs were flagged MISSING once, the last time in this version.
    struct Away(Vec<(PvUuid, u32)>);

    impl Reach for Away {
        fn is_there(&self, _: PvUuid) -> bool {
            true
        }

        fn away_until(&self, pv: PvUuid) -> Option<u32> {
            self.0.iter().find(|(away, _)| *away == pv).map(|(_, seqno)| *seqno)
        }

        fn raid_meta(&self, _: PvUuid, _: Sectors) -> Option<RaidMeta> {
            None
        }
    }
    let vg = vg(&World::of(SCENARIO));
    let mirror = vg.lv(&"mcore".parse().unwrap()).unwrap();
    let (a, b) = (vg.pvs[0].uuid, vg.pvs[1].uuid);
    for (away, expected) in [
        (vec![], a),
        (vec![(b, 9)], a),
        (vec![(a, 9)], b),
        (vec![(a, 9), (b, 4)], b),
        (vec![(a, 4), (b, 9)], a),
        (vec![(a, 4), (b, 4)], a),
    ] {
        let map = ContentMap::of(&vg, mirror, &Away(away.clone())).unwrap();
        let piece = map.piece_at(Sectors::ZERO, Sectors::new(1)).unwrap();
        assert!(matches!(piece.place, Place::Pv { pv, .. } if pv == expected), "{away:?}");
    }
}
