//! Thin pools on images, mended without a kernel: metadata is rebuilt where the new LV lies, and
//! swapped as a commit of a text; pools are made larger. What the volumes hold is what the kernel read.

use std::collections::BTreeMap;
use std::fs;

use lvmend::discover::JudgedPools;
use lvmend::execute::Outcome;
use lvmend::fault::find;
use lvmend::host::RunStore;
use lvmend::host::copy::copy_through;
use lvmend::host::fake::{Fault, Schedule};
use lvmend::host::thin_tools::ThinTools;
use lvmend::ids::Digest;
use lvmend::model::inventory::Inventory;
use lvmend::model::pools::pools;
use lvmend::model::vg::Vg;
use lvmend::operation::content::content_of;
use lvmend::operation::{Contract as _, Operation};

use crate::live_pools::asks;
use crate::support::case::Disks;
use crate::support::fixture::Fixture;
use crate::support::machine::{snapshot, told};
use crate::support::world::{SCRATCH, World, plan, signature};
use crate::thin_content::digests;
use crate::thin_pools::{place, superblock};

type Bytes = Vec<(String, Vec<u8>)>;

/// The disks of the fixture, its pool metadata changed.
fn broken(change: impl Fn(&mut [u8])) -> Bytes {
    let (disk, start, len) = place(&World::of("thin").look());
    let mut disks = Fixture::new("thin").disks();
    change(&mut disks[disk].1[start..start + len]);
    disks
}

fn world_of(disks: Bytes, rebuild: bool) -> World {
    let mut world = World::with(disks, &Schedule::quiet());
    let names = BTreeMap::from([("pool".parse().unwrap(), rebuild)]);
    world.scope.pools = Some(JudgedPools { names, scratch: SCRATCH.to_owned() });
    world
}

fn vg(inventory: &Inventory) -> std::sync::Arc<Vg> {
    inventory.vgs.values().next().unwrap().current.clone().unwrap()
}

/// Where a tree of the sound metadata begins.
fn root(of: impl Fn(&lvmend::model::thin_pool::ThinSuperblock) -> u64) -> usize {
    let inventory = World::of("thin").look();
    let found = *inventory.pools.values().next().unwrap().superblock().unwrap();
    usize::try_from(of(&found)).unwrap() * 4096
}

fn sound_digests() -> BTreeMap<String, Digest> {
    let found = digests(&World::of("thin"));
    found.into_iter().map(|(name, digest)| (name, digest.unwrap())).collect()
}

/// The metadata that the pool has now, by the tools.
fn check(world: &World) -> Result<(), String> {
    let inventory = world.look();
    let vg = vg(&inventory);
    let metadata = pools(&inventory, &vg)[0].metadata.uuid;
    let content = content_of(&inventory, vg.uuid, metadata).unwrap();
    let mut bytes = Vec::new();
    copy_through(&world.host(), &content, &mut |_| {}, &mut |_, piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })
    .unwrap();
    let directory = tempfile::tempdir_in(SCRATCH).unwrap();
    let file = directory.path().join("tmeta");
    fs::write(&file, bytes).unwrap();
    ThinTools::find().unwrap().check(file.to_str().unwrap()).unwrap()
}

/// Applies the plan; nothing is wrong then, nothing is lost, and nothing is left to be done. Rolled
/// back, every byte is what it was.
fn is_mended(what: &str, world: &mut World, of_pool: &str) {
    let before = world.contents();
    let plan = plan(&asks(of_pool));
    let report = world.must_apply(&plan);
    let after = world.look();
    assert_eq!(find(&after), [], "{what}");
    assert_eq!(check(world), Ok(()), "{what}");
    let held: BTreeMap<String, Digest> =
        digests(world).into_iter().map(|(name, digest)| (name, digest.unwrap())).collect();
    assert_eq!(held, sound_digests(), "{what}");
    assert_eq!(world.plan(&plan).graph.operations, [], "{what}");
    let back = world.rollback(&report.run).unwrap();
    assert_eq!(back.outcome, Outcome::RolledBack, "{what}: {back:#?}");
    assert!(world.contents() == before, "{what}: rolled back, it is not as it was");
}

const SOUND: &str = "metadata: {state: sound}";

#[test]
fn damage_that_loses_nothing() {
    let bitmap = root(|found| found.data_bitmap_root);
    let details = root(|found| found.details_root);
    for (what, disks) in [
        ("flag", broken(|metadata| superblock(metadata, |block| block[4] |= 1))),
        ("checksum of the superblock", broken(|metadata| metadata[500] ^= 1)),
        ("space map", broken(|metadata| metadata[bitmap + 40] ^= 1)),
        ("list of devices", broken(|metadata| metadata[details + 40] ^= 1)),
    ] {
        is_mended(what, &mut world_of(disks, false), SOUND);
    }
    let rebuilt = "metadata: {state: sound, method: rebuild, min_size: 3MiB, spare: present}";
    is_mended("too small", &mut world_of(broken(|_| ()), true), rebuilt);
}

#[test]
fn what_is_planned() {
    let mut all = String::new();
    let flagged = || broken(|metadata| superblock(metadata, |block| block[4] |= 1));
    for (what, disks, of_pool) in [
        ("flagged", flagged(), SOUND),
        ("flagged, no rebuild", flagged(), "metadata: {state: sound, method: extend}"),
        (
            "longer",
            broken(|_| ()),
            "metadata: {state: sound, min_size: 3MiB}, data: {min_size: 12MiB}",
        ),
        ("too much", broken(|_| ()), "data: {min_size: 200MiB}"),
    ] {
        let planned = world_of(disks, false).plan(&plan(&asks(of_pool)));
        let of = |operation: &Operation| {
            let (title, why) = (operation.contract().title(), operation.contract().reasons());
            format!("{title}\n  {}\n", why.join("\n  "))
        };
        let operations: String = planned.graph.operations.iter().map(of).collect();
        all += &format!("# {what}\n{operations}{}\n", told(&planned));
    }
    snapshot("thin-images", &all);
}

/// Without as many extents the text would contradict itself.
#[test]
fn no_pool_is_longer_than_its_data() {
    let world = world_of(broken(|_| ()), false);
    let planned = world.plan(&plan(&asks("data: {min_size: 12MiB}")));
    let is_extend = |operation: &&Operation| operation.kind() == "extend_pool";
    let found = planned.graph.operations.iter().find(is_extend).unwrap();
    let Operation::ExtendPool(mut extend) = found.clone() else { panic!() };
    extend.pool.data_place.clear();
    let unfit = extend.lower(&world.look(), &signature()).unwrap_err();
    assert!(unfit.why.contains("another length"), "{}", unfit.why);
}

#[test]
fn pools_are_made_larger() {
    let larger = "metadata: {state: sound, min_size: 3MiB}, data: {min_size: 12MiB}";
    is_mended("longer", &mut world_of(broken(|_| ()), false), larger);
    let mut world = world_of(broken(|_| ()), false);
    world.must_apply(&plan(&asks(larger)));
    let (inventory, mib) = (world.look(), 1_u64 << 20);
    let vg = vg(&inventory);
    let pool = pools(&inventory, &vg)[0];
    let size = |lv: &lvmend::model::vg::Lv| lv.len().bytes_shown(vg.extent_size).get();
    assert_eq!(
        (size(pool.metadata), size(pool.data), size(pool.lv)),
        (3 * mib, 12 * mib, 12 * mib)
    );
}

/// A volume whose device is nowhere goes, a snapshot of it stays; and with a rebuild in the same plan.
#[test]
fn a_volume_without_a_device_is_dropped() {
    let accept = "policy: {accept: [{hazard: drop-thin-device, object: thin1, because: gone}]}";
    for method in ["auto", "rebuild"] {
        let mut world = world_of(broken(without_device_1), method == "rebuild");
        let asked = asks(&format!("metadata: {{state: sound, method: {method}, min_size: 3MiB}}"));
        let before = world.contents();
        let report = world.must_apply(&plan(&format!("{asked}{accept}\n")));
        let after = world.look();
        assert_eq!(find(&after), [], "{method}");
        assert!(vg(&after).lv(&"thin1".parse().unwrap()).is_none(), "{method}");
        let mut held = sound_digests();
        held.remove("thin1").unwrap();
        let found: BTreeMap<String, Digest> =
            digests(&world).into_iter().map(|(name, digest)| (name, digest.unwrap())).collect();
        assert_eq!(found, held, "{method}");
        world.rollback(&report.run).unwrap();
        assert!(world.contents() == before, "{method}");
    }
}

/// The metadata as if device 1 had been deleted, made by the tools.
pub fn without_device_1(metadata: &mut [u8]) {
    let directory = tempfile::tempdir_in(SCRATCH).unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("tmeta"), &*metadata).unwrap();
    let tools = ThinTools::find().unwrap();
    tools.dump(&path("tmeta"), &path("dump"), false).unwrap().unwrap();
    let dump = fs::read_to_string(path("dump")).unwrap();
    let (head, rest) = dump.split_once("  <device dev_id=\"1\"").unwrap();
    let (_, rest) = rest.split_once("</device>\n").unwrap();
    fs::write(path("dump"), format!("{head}{rest}")).unwrap();
    tools.restore(&path("dump"), &path("tmeta")).unwrap().unwrap();
    metadata.copy_from_slice(&fs::read(path("tmeta")).unwrap());
}

/// The kernel has let the pool in since: it counts on its new metadata.
#[test]
fn what_was_used_since_is_not_taken_back() {
    let flagged = broken(|metadata| superblock(metadata, |block| block[4] |= 1));
    for (disks, of_pool, sizes) in [
        (flagged, SOUND, None),
        (broken(|_| ()), "metadata: {state: sound, min_size: 3MiB}", Some(3_u64 << 8)),
    ] {
        let mut world = world_of(disks, false);
        let report = world.must_apply(&plan(&asks(of_pool)));
        let (disk, start, len) = place(&world.look());
        let mut used: Bytes =
            world.contents().into_iter().map(|(name, disk)| (name, disk.to_vec())).collect();
        superblock(&mut used[disk].1[start..start + len], |block| {
            block[48] ^= 1;
            if let Some(blocks) = sizes {
                // The space map of the metadata counts its blocks.
                block[192..200].copy_from_slice(&blocks.to_le_bytes());
            }
        });
        let used = used.into_iter().map(|(name, disk)| (name, disk.into())).collect();
        let mut world = world.continued(used, &Schedule::quiet());
        let before = world.contents();
        let back = world.rollback(&report.run).unwrap();
        assert_eq!(back.outcome, Outcome::Stuck, "{back:#?}");
        assert!(world.contents() == before, "{of_pool}: something was taken back");
    }
}

/// Whoever wrote over the old metadata took the way back with it.
#[test]
fn metadata_that_is_not_the_old_any_more_is_not_given_back() {
    let flagged = || broken(|metadata| superblock(metadata, |block| block[4] |= 1));
    let mut world = world_of(flagged(), false);
    let (disk, start, _) = place(&world.look());
    let report = world.must_apply(&plan(&asks(SOUND)));
    let wiped = with_bytes(&world, disk, |image| image[start..start + 4096].fill(0));
    is_stuck_and_nothing_written(&world.continued(wiped, &Schedule::quiet()), &report.run);
    // An extension whose pool nobody can ask any more.
    let mut world = world_of(broken(|_| ()), false);
    let report = world.must_apply(&plan(&asks("data: {min_size: 12MiB}")));
    let flipped = with_bytes(&world, disk, |image| image[start + 500] ^= 1);
    is_stuck_and_nothing_written(&world.continued(flipped, &Schedule::quiet()), &report.run);
}

fn with_bytes(world: &World, disk: usize, change: impl Fn(&mut [u8])) -> Disks {
    let mut images: Bytes =
        world.contents().into_iter().map(|(name, disk)| (name, disk.to_vec())).collect();
    change(&mut images[disk].1);
    images.into_iter().map(|(name, disk)| (name, disk.into())).collect()
}

fn is_stuck_and_nothing_written(world: &World, run: &str) {
    let mut world = world.continued(world.contents(), &Schedule::quiet());
    let before = world.contents();
    let back = world.rollback(run).unwrap();
    assert_eq!(back.outcome, Outcome::Stuck, "{back:#?}");
    assert!(world.contents() == before, "something was written");
}

/// A run stopped while it wrote new metadata, or while it put back what stood there; somebody else
/// gave the extents to another LV since. Nothing is put back over that.
#[test]
fn extents_that_somebody_else_has_by_now_are_not_written() {
    let disks = || broken(|metadata| metadata[500] ^= 1);
    let stop = plan(&format!("{}policy: {{on_failure: stop}}\n", asks(SOUND)));
    let scope = world_of(disks(), false).scope;
    let new = |log: &[String]| log.iter().position(|what| what.starts_with("write of 2097152"));
    let mut quiet = world_of(disks(), false);
    quiet.must_apply(&stop);
    let at = u64::try_from(new(quiet.schedule.borrow().log()).unwrap()).unwrap();
    let mut stopped = World::with(disks(), &Schedule::striking(at, Fault::Fail));
    stopped.scope = scope.clone();
    let report = stopped.apply(&stop).unwrap();
    assert_eq!(report.outcome, Outcome::Incomplete, "{report:#?}");
    // The same extents, as LVM would take them, for something else.
    let mut other = world_of(broken(|_| ()), false);
    other.must_apply(&plan(&asks("data: {min_size: 20MiB}")));
    let others = other.contents();

    let mut rolled = stopped.continued(stopped.contents(), &Schedule::quiet());
    rolled.rollback(&report.run).unwrap();
    let begins = {
        let schedule = rolled.schedule.borrow();
        schedule.log().iter().position(|what| what.starts_with("write of ")).unwrap()
    };
    let begins = u64::try_from(begins).unwrap();
    let schedule = Schedule::striking(begins, Fault::Crash);
    let mut half = stopped.continued(stopped.contents(), &schedule);
    let _ = half.rollback(&report.run);
    assert!(schedule.borrow().is_dark());

    for world in [&stopped, &half] {
        let mut world = world.continued(others.clone(), &Schedule::quiet());
        let error = world.rollback(&report.run).unwrap_err().to_string();
        assert!(error.contains("written by somebody else"), "{error}");
        assert!(world.contents() == others, "something was written");
    }
}

/// The dump that the new metadata was made of stays with the run.
#[test]
fn the_dump_is_kept() {
    use std::io::Read as _;
    let mut world = world_of(broken(|metadata| metadata[500] ^= 1), false);
    let report = world.must_apply(&plan(&asks(SOUND)));
    let packed = world.store.get(&report.run, "evidence/thin_dump-pool_tmeta.xml.gz").unwrap();
    let mut dump = String::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut dump).unwrap();
    assert_eq!(dump.matches("<device ").count(), 4, "{dump}");
}

/// Every write and record fails, before it is done and after: forward or back, everything is whole.
#[test]
fn whatever_fails_on_the_way() {
    let disks = || broken(|metadata| metadata[500] ^= 1);
    let plan = plan(&asks(SOUND));
    let mut quiet = world_of(disks(), false);
    let before = quiet.contents();
    quiet.must_apply(&plan);
    let (after, log) = (quiet.contents(), quiet.schedule.borrow().log().to_vec());
    let is_old = |world: &World| world.contents() == before;
    for (at, what) in (0..).zip(&log) {
        // Most records of the journal are as those of any run; every third is tried.
        let on_disk = what.starts_with("write of ") || what.starts_with("sync of ");
        if !on_disk && at % 3 != 0 {
            continue;
        }
        // The new metadata is the largest write: it may be there in part.
        let is_large = what.starts_with("write of 2097152");
        let torn = is_large.then_some(Fault::CrashTorn { sectors: 100 });
        for fault in [Fault::Fail, Fault::Crash].into_iter().chain(torn) {
            let schedule = Schedule::striking(at, fault);
            let mut world = World::with(before.clone(), &schedule);
            world.scope = quiet.scope.clone();
            let result = world.apply(&plan);
            let what = format!("{at} {what} {fault:?}");
            assert!(schedule.borrow().struck().is_some(), "{what}: the fault never fired");
            if let Ok(report) = &result {
                let is_whole = match report.outcome {
                    Outcome::Done => world.contents() == after,
                    Outcome::RolledBack | Outcome::Failed => is_old(&world),
                    Outcome::Incomplete | Outcome::Stuck | Outcome::Abandoned => false,
                };
                assert!(is_whole, "{what}: {report:#?}");
                continue;
            }
            let found = world.store.runs().unwrap();
            let begun = found.iter().find(|run| !world.store.journal(run).unwrap().is_empty());
            let Some(run) = begun.cloned() else {
                assert!(is_old(&world), "{what}");
                continue;
            };
            // Each half of the places one way; where the disks are written, both.
            if on_disk || at % 2 == 0 {
                resumes(&world, &run, (&before, &after), &what);
            }
            if on_disk || at % 2 == 1 {
                rolls_back(&world, &run, &before, &what);
            }
        }
    }
}

fn resumes(world: &World, run: &str, (before, after): (&Disks, &Disks), what: &str) {
    let mut world = world.continued(world.contents(), &Schedule::quiet());
    let found = match world.resume(run) {
        Ok(report) if report.outcome == Outcome::Done => after,
        Ok(report) if report.outcome == Outcome::RolledBack => before,
        Ok(report) => panic!("{what}: {report:#?}"),
        // Nothing was left to be done but to say so.
        Err(error) if error.to_string().contains("is over: done") => after,
        Err(error) if error.to_string().contains("is over") => before,
        Err(error) => panic!("{what}: {error}"),
    };
    assert!(world.contents() == *found, "{what}: resumed, it ends elsewhere");
}

fn rolls_back(world: &World, run: &str, before: &Disks, what: &str) {
    let mut world = world.continued(world.contents(), &Schedule::quiet());
    match world.rollback(run) {
        Ok(report) => assert_eq!(report.outcome, Outcome::RolledBack, "{what}: {report:#?}"),
        Err(error) => assert!(error.to_string().contains("is over"), "{what}: {error}"),
    }
    assert!(world.contents() == *before, "{what}: rolled back, it is not as it was");
}
