//! Thin LVs are read from the blocks of pools that are not active, as the kernel read them.

use lvmend::host::copy::digest_of;
use lvmend::host::fake::Schedule;
use lvmend::ids::Digest;
use lvmend::model::inventory::Inventory;
use lvmend::model::segment::SegmentKind;
use lvmend::operation::Unfit;
use lvmend::operation::act::ContentFrom;
use lvmend::operation::content::content_of;

use crate::support::fixture::Fixture;
use crate::support::world::World;
use crate::thin_pools::place;

/// Every thin LV, and what it holds.
pub fn digests(world: &World) -> Vec<(String, Result<Digest, String>)> {
    let inventory = world.look();
    let vg = inventory.vgs.values().next().unwrap().current.clone().unwrap();
    let is_thin = |kind: &SegmentKind| matches!(kind, SegmentKind::Thin { .. });
    let thin = vg.lvs.iter().filter(|lv| lv.segments.iter().any(|s| is_thin(&s.kind)));
    let digest = |lv: &lvmend::model::vg::Lv| {
        let content = content_of(&inventory, vg.uuid, lv.uuid).map_err(|unfit| unfit.why)?;
        digest_of(&world.host(), &content, &mut |_| {}).map_err(|error| error.to_string())
    };
    thin.map(|lv| (lv.name.to_string(), digest(lv))).collect()
}

#[test]
fn they_hold_what_the_kernel_said() {
    let mut count = 0;
    for fixture in ["thin", "thin-history", "all-types"] {
        let list =
            String::from_utf8(Fixture::new(fixture).expected("lvs.sha256").unwrap()).unwrap();
        for (name, found) in digests(&World::of(fixture)) {
            let is_it = |line: &&str| line.split_whitespace().nth(1) == Some(name.as_str());
            // One that LVM does not activate by itself was not read then.
            let Some(line) = list.lines().find(is_it) else { continue };
            let expected = line.split_whitespace().next().unwrap();
            assert_eq!(found.unwrap().to_string(), expected, "{fixture}: {name}");
            count += 1;
        }
    }
    // Snapshots, one with an external origin, and one whose pool lies on RAID among them.
    assert!(count >= 10, "{count}");
}

#[test]
fn what_is_damaged_is_not_read() {
    let sound = World::of("thin").look();
    let superblock = *sound.pools.values().next().unwrap().superblock().unwrap();
    let (disk, start, _) = place(&sound);
    let root = start + usize::try_from(superblock.mapping_root).unwrap() * 4096;
    let mut disks = Fixture::new("thin").disks();
    disks[disk].1[root + 40] ^= 1;
    for (name, found) in digests(&World::with(disks, &Schedule::quiet())) {
        let why = found.unwrap_err();
        assert!(why.contains("its checksum is wrong"), "{name}: {why}");
    }
}

#[test]
fn what_contradicts_the_pool_is_not_read() {
    let unfit = |change: &dyn Fn(&mut Inventory)| -> Unfit {
        let mut inventory = World::of("thin").look();
        let vg = inventory.vgs.values().next().unwrap().current.clone().unwrap();
        change(&mut inventory);
        content_of(&inventory, vg.uuid, vg.lv(&"thin2".parse().unwrap()).unwrap().uuid).unwrap_err()
    };
    let details =
        |change: fn(&mut std::collections::BTreeMap<u32, lvmend::model::thin_pool::ThinDevice>)| {
            unfit(&|inventory| {
                for pool in inventory.pools.values_mut() {
                    change(pool.details.as_mut().unwrap());
                }
            })
            .why
        };
    let reused = details(|found| found.get_mut(&2).unwrap().transaction_id += 5);
    assert!(reused.contains("another one than LVM knows"), "{reused}");
    let gone = details(|found| {
        found.remove(&2);
    });
    assert!(gone.contains("its pool does not have it"), "{gone}");
    let unread = unfit(&|inventory| inventory.pools.clear()).why;
    assert!(unread.contains("cannot be read"), "{unread}");
}

#[test]
fn a_pool_that_is_used_meanwhile_is_noticed() {
    let world = World::of("thin");
    let inventory = world.look();
    let vg = inventory.vgs.values().next().unwrap().current.clone().unwrap();
    let thin1 = vg.lv(&"thin1".parse().unwrap()).unwrap();
    let mut content = content_of(&inventory, vg.uuid, thin1.uuid).unwrap();
    let ContentFrom::Thin(thin) = &mut content.from else { panic!() };
    std::sync::Arc::make_mut(thin).seen = Digest::of(b"as it was");
    let error = digest_of(&world.host(), &content, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("its pool was used meanwhile"), "{error}");
}
