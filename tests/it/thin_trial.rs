//! Metadata of thin pools, damaged in many ways, judged and rebuilt on a copy by both generations of
//! the thin tools.

use std::fs;

use lvmend::host::thin_copy::{read_blocks, told_and_mapped};
use lvmend::host::thin_tools::ThinTools;
use lvmend::host::thin_trial::{Scratch, try_pool};
use lvmend::model::pools::pools;
use lvmend::model::thin_pool::{Compared, Coverage, Mend, PoolTrial, Rebuilt, ThinSuperblock};
use lvmend::ondisk::thin_superblock::{BLOCK_SIZE, signed, superblock_checksum};
use lvmend::operation::content::content_of;

use crate::support::fixture::Fixture;
use crate::support::world::World;
use crate::thin_pools::place;
use lvmend::host::fake::Schedule;

/// Where both generations are: that of this machine, and the other one.
pub fn tools() -> Vec<(String, ThinTools)> {
    let unpacked = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools"));
    let unpacked = unpacked.expect("`make setup-test` fetches the other tools");
    let mut directories: Vec<String> = unpacked
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .filter(|path| path.contains("thin-tools-"))
        .map(|path| format!("{path}/usr/sbin"))
        .collect();
    directories.push("/usr/sbin".to_owned());
    assert_eq!(directories.len(), 2, "{directories:?}");
    let found = |directory: String| {
        let tools = ThinTools::find_in(&[&directory]).unwrap();
        (directory, tools)
    };
    directories.into_iter().map(found).collect()
}

/// What comes of judging the pool of a fixture, its metadata changed, by each generation of tools.
fn tried(change: impl Fn(&mut [u8], &ThinSuperblock)) -> Vec<PoolTrial> {
    tried_of("thin", change)
}

fn tried_of(fixture: &str, change: impl Fn(&mut [u8], &ThinSuperblock)) -> Vec<PoolTrial> {
    let sound = World::of(fixture).look();
    let superblock = *sound.pools.values().next().unwrap().superblock().unwrap();
    let (disk, start, len) = place(&sound);
    let mut disks = Fixture::new(fixture).disks();
    change(&mut disks[disk].1[start..start + len], &superblock);
    let world = World::with(disks, &Schedule::quiet());
    let inventory = world.look();
    let vg = inventory.vgs.values().next().unwrap().current.clone().unwrap();
    let pool = pools(&inventory, &vg)[0];
    let content = content_of(&inventory, vg.uuid, pool.metadata.uuid).unwrap();
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let within = scratch.path().to_str().unwrap();
    let by = |(directory, tools): (String, ThinTools)| {
        let tried = try_pool(&world.host(), &tools, &content, &pool.by_text(), within, true);
        assert_eq!(fs::read_dir(within).unwrap().count(), 0, "something is left");
        tried.unwrap_or_else(|why| panic!("tools of {directory}: {why}"))
    };
    tools().into_iter().map(by).collect()
}

fn rebuilt(trial: &PoolTrial) -> &Rebuilt {
    trial.rebuilt.as_ref().unwrap().as_ref().unwrap()
}

/// Nothing differs.
fn the_same() -> Compared {
    let coverage = Ok(Coverage { unmapped: 0, stray: 0 });
    Compared { differing: Ok(Vec::new()), coverage, twice: Ok(0) }
}

fn block_of(metadata: &mut [u8], number: u64) -> &mut [u8] {
    let start = usize::try_from(number).unwrap() * BLOCK_SIZE;
    &mut metadata[start..start + BLOCK_SIZE]
}

#[test]
fn sound_metadata_is_rebuilt_as_it_is() {
    for trial in tried(|_, _| {}) {
        assert_eq!(trial.checked, Ok(()));
        let Rebuilt { mend, old, new, compared } = rebuilt(&trial);
        assert_eq!(*compared, the_same());
        assert_eq!(*mend, None);
        assert_eq!(old.as_ref().unwrap().devices, new.devices);
        assert_eq!(old.as_ref().unwrap().superblock.data, new.superblock.data);
    }
}

#[test]
fn a_superblock_whose_checksum_alone_is_wrong_leads_to_everything() {
    let sound = World::of("thin").look().pools.values().next().unwrap().clone();
    // A byte that means nothing, as the space map roots are shorter than the room they have; and the
    // root of the metadata's own space map, which is made anew.
    for byte in [150, 208] {
        for trial in tried(|metadata, _| metadata[byte] ^= 1) {
            assert!(trial.checked.is_err());
            let Rebuilt { mend, old, new, compared } = rebuilt(&trial);
            assert_eq!(*compared, the_same());
            assert_eq!(*mend, Some(Mend::SuperblockChecksum));
            assert_eq!(old.as_ref().unwrap().superblock, *sound.superblock().unwrap());
            assert_eq!(new.devices, sound.details.clone().unwrap());
        }
    }
}

/// What it says is taken from elsewhere: from LVM's text, and from the trees that are left.
#[test]
fn a_superblock_that_says_something_else_is_not_believed() {
    let sound = World::of("thin").look().pools.values().next().unwrap().clone();
    // Bytes of the transaction id, of the size of data blocks, of each root, and of the time.
    for byte in [48, 337, 64, 320, 328, 47] {
        for trial in tried(|metadata, _| metadata[byte] ^= 2) {
            let found = rebuilt(&trial);
            assert!(matches!(found.mend, Some(Mend::Superblock { .. })), "byte {byte}: {found:?}");
            assert_eq!(found.new.devices, sound.details.clone().unwrap(), "byte {byte}");
            assert_eq!(found.new.superblock.transaction_id, 4, "byte {byte}");
        }
    }
}

#[test]
fn a_list_of_devices_is_made_anew() {
    let sound = World::of("thin").look().pools.values().next().unwrap().clone();
    let details = sound.details.clone().unwrap();
    let trials = tried(|metadata, superblock| {
        block_of(metadata, superblock.details_root)[40] ^= 1;
    });
    for trial in trials {
        assert!(trial.checked.is_err());
        let Rebuilt { mend, old, new, compared } = rebuilt(&trial);
        assert_eq!(*compared, the_same());
        assert_eq!(*mend, Some(Mend::DeviceList));
        assert_eq!(old.as_ref().unwrap().devices, new.devices);
        let brief = |id: &u32, mapped: u64, transaction: u64| (*id, mapped, transaction);
        let all = |d: &std::collections::BTreeMap<u32, lvmend::model::thin_pool::ThinDevice>| {
            d.iter().map(|(id, d)| brief(id, d.mapped_blocks, d.transaction_id)).collect::<Vec<_>>()
        };
        assert_eq!(all(&new.devices), all(&details));
        let time = new.superblock.time;
        assert!(new.devices.values().all(|d| (d.creation_time, d.snapshot_time) == (time, time)));
        assert_eq!(new.superblock.data, sound.superblock().unwrap().data);
    }
}

/// The tools find the mapping root of the commit before. All devices are there and map as many blocks
/// as they should: only that other blocks are in use shows it. One generation crashes over it.
#[test]
fn an_older_tree_is_seen_by_the_blocks_that_it_maps() {
    let trials = tried(|metadata, superblock| {
        block_of(metadata, superblock.mapping_root)[40] ^= 1;
    });
    let (found, failed): (Vec<_>, Vec<_>) =
        trials.into_iter().map(|trial| trial.rebuilt.unwrap()).partition(Result::is_ok);
    for rebuilt in found.iter().flatten() {
        let Rebuilt { mend, old, new, compared } = rebuilt;
        assert_eq!(*mend, Some(Mend::Repair));
        assert_eq!(old.as_ref().unwrap().devices, new.devices);
        assert_eq!(compared.coverage, Ok(Coverage { unmapped: 3, stray: 0 }));
        assert_eq!(compared.twice, Ok(0));
    }
    assert!(!found.is_empty());
    for why in failed.into_iter().filter_map(Result::err) {
        assert!(why.contains("thin_dump -r: it crashed (signal 11)"), "{why}");
    }
}

#[test]
fn the_flag_is_not_taken_over() {
    let trials = tried(|metadata, _| {
        metadata[4] |= 1;
        let first: &mut [u8; BLOCK_SIZE] = (&mut metadata[..BLOCK_SIZE]).try_into().unwrap();
        *first = signed(*first);
    });
    for trial in trials {
        let Rebuilt { mend, new, compared, .. } = rebuilt(&trial);
        assert_eq!((*mend, new.superblock.needs_check), (None, false));
        assert_eq!(*compared, the_same());
    }
}

/// Of the states that are left the one that counted is found, by what LVM knows: one generation of the
/// tools takes trees here that have devices which were removed long ago, the other crashes.
#[test]
fn without_a_superblock_the_trees_that_counted_are_found() {
    for fixture in ["thin", "thin-history", "all-types"] {
        let world = World::of(fixture);
        let sound = world.look().pools.values().next().unwrap().clone();
        let superblock = *sound.superblock().unwrap();
        for fill in [0, 7] {
            for trial in tried_of(fixture, |metadata, _| metadata[..BLOCK_SIZE].fill(fill)) {
                let Rebuilt { mend, old, new, compared } = rebuilt(&trial);
                assert!(matches!(mend, Some(Mend::Superblock { .. })), "{fixture}: {mend:?}");
                assert_eq!(*compared, the_same(), "{fixture}");
                assert_eq!(new.devices, sound.details.clone().unwrap(), "{fixture}");
                assert_eq!(new.superblock.data, superblock.data, "{fixture}");
                let found = old.as_ref().unwrap().superblock;
                assert_eq!(found.mapping_root, superblock.mapping_root, "{fixture}");
                assert_eq!(found.time, superblock.time, "{fixture}");
            }
        }
    }
}

#[test]
fn without_a_superblock_trees_that_lvm_does_not_know_are_not_taken() {
    let trials = tried(|metadata, _| {
        metadata[..BLOCK_SIZE].fill(0);
        // Leaves of a list of devices have values of 24 bytes.
        for block in metadata.chunks_mut(BLOCK_SIZE).filter(|block| block[24] == 24) {
            block.fill(0);
        }
    });
    for trial in trials {
        let why = trial.rebuilt.unwrap().unwrap_err();
        assert!(why.contains("no trees are left that have the devices LVM knows"), "{why}");
    }
}

/// Whatever a dump lacks is missed, whether the tools count mappings or believe what it says.
#[test]
fn mappings_that_a_dump_lacks_are_missed() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (disk, start, len) = place(&World::of("thin").look());
    fs::write(path("tmeta"), &Fixture::new("thin").disks()[disk].1[start..start + len]).unwrap();
    let mut found = Vec::new();
    for (_, tools) in tools() {
        tools.dump(&path("tmeta"), &path("dump"), false).unwrap().unwrap();
        let dump = fs::read_to_string(path("dump")).unwrap();
        let is_kept = |line: &&str| !line.contains("_mapping ");
        let less: Vec<&str> = dump.lines().filter(is_kept).collect();
        assert!(less.len() < dump.lines().count());
        fs::write(path("dump"), less.join("\n")).unwrap();
        fs::write(path("new"), vec![0; len]).unwrap();
        tools.restore(&path("dump"), &path("new")).unwrap().unwrap();
        let told = told_and_mapped(&mut read_blocks(&path("new")).unwrap());
        found.push(
            told.map(|(told, _)| told.devices.values().map(|d| d.mapped_blocks).sum::<u64>()),
        );
        fs::remove_file(path("dump")).unwrap();
    }
    found.sort();
    let why = "its devices do not map as many blocks as they say".to_owned();
    assert_eq!(found, [Ok(0), Err(why)]);
}

#[test]
fn a_signed_superblock_stays_what_it_is() {
    let mut block = [0; BLOCK_SIZE];
    block[0..4].copy_from_slice(&superblock_checksum(&[0; BLOCK_SIZE]).to_le_bytes());
    assert_eq!(signed([0; BLOCK_SIZE]), block);
}

#[test]
fn what_a_killed_run_left_is_removed_and_nothing_else() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let within = directory.path();
    let [left, other, begun] =
        ["lvmend-aaaaaa", "other", "lvmend-bbbbbb"].map(|name| within.join(name));
    for path in [&left, &other, &begun] {
        fs::create_dir(path).unwrap();
    }
    // The file that whoever uses it holds locked.
    for path in [&left, &other] {
        fs::write(path.join("direct"), "").unwrap();
        fs::write(path.join("metadata"), "x").unwrap();
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
    }
    let one = Scratch::make(within.to_str().unwrap()).unwrap();
    let _two = Scratch::make(within.to_str().unwrap()).unwrap();
    assert!(!left.exists() && other.exists() && begun.exists());
    fs::write(one.file("metadata"), "y").unwrap();
    drop(one);
    assert_eq!(fs::read_dir(within).unwrap().count(), 3);
}
