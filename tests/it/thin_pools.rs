//! What stands in the metadata of thin pools, on disks made by real LVM2, and what is wrong with it.

use std::fs;
use std::process::Command;

use lvmend::fault::{FaultKind, find};
use lvmend::model::inventory::Inventory;
use lvmend::model::pools::{Pool, pools};
use lvmend::model::segment::Area;
use lvmend::model::thin_pool::{PoolMetadata, ThinSuperblockBlock};
use lvmend::ondisk::thin_superblock::{BLOCK_SIZE, superblock_checksum};

use crate::support::fixture::Fixture;
use crate::support::machine::{edit, machine, mapped_lv, snapshot, vg};
use crate::support::world::World;
use lvmend::host::fake::Schedule;

/// Where the metadata of the pool begins, and how long its first piece is, which is all of it unless it
/// was made longer.
pub fn place(inventory: &Inventory) -> (usize, usize, usize) {
    let vg = inventory.vgs.values().next().unwrap().current.clone().unwrap();
    let pool = pools(inventory, &vg)[0].metadata.name.clone();
    let lv = vg.lv(&pool).unwrap();
    let segment = &lv.segments[0];
    let [Area::Pv { pv, first }] = segment.kind.areas() else { panic!("not linear") };
    let extent = vg.extent_size.get();
    let sector = vg.pvs[*pv].pe_start.get() + first.get() * extent;
    let bytes = |sectors: u64| usize::try_from(sectors * 512).unwrap();
    (*pv, bytes(sector), bytes(segment.len.get() * extent))
}

/// A fixture whose pool metadata was changed.
fn changed(change: impl Fn(&mut [u8])) -> Inventory {
    let (disk, start, len) = place(&World::of("thin").look());
    let mut disks = Fixture::new("thin").disks();
    change(&mut disks[disk].1[start..start + len]);
    World::with(disks, &Schedule::quiet()).look()
}

/// Changes the superblock and signs it again.
pub fn superblock(metadata: &mut [u8], change: impl Fn(&mut [u8; BLOCK_SIZE])) {
    let block: &mut [u8; BLOCK_SIZE] = (&mut metadata[..BLOCK_SIZE]).try_into().unwrap();
    change(block);
    let sum = superblock_checksum(block);
    block[..4].copy_from_slice(&sum.to_le_bytes());
}

fn told(inventory: &Inventory) -> String {
    let of_pool = |kind: FaultKind| kind.name().contains("thin") || kind.name().contains("pool");
    let faults = find(inventory).into_iter().filter(|fault| of_pool(fault.kind));
    let lines: Vec<String> = faults
        .map(|f| format!("{}: {}: {}\n  {}", f.kind.name(), f.object, f.found, f.advice))
        .collect();
    lines.join("\n")
}

fn with_pool<T>(inventory: &Inventory, look: impl Fn(&Pool<'_>) -> T) -> T {
    let vg = inventory.vgs.values().next().unwrap().current.clone().unwrap();
    look(&pools(inventory, &vg)[0])
}

#[test]
fn devices_are_those_that_thin_dump_lists() {
    for fixture in ["thin", "thin-history", "all-types"] {
        let inventory = World::of(fixture).look();
        let (disk, start, len) = place(&inventory);
        let content = &Fixture::new(fixture).disks()[disk].1[start..start + len];
        // Its tools read directly, which not every file system of the system lets them.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let file = directory.path().join("tmeta");
        fs::write(&file, content).unwrap();
        let dumped = Command::new("/usr/sbin/thin_dump").arg(&file).output().unwrap();
        assert!(dumped.status.success(), "{dumped:?}");
        let dumped = String::from_utf8(dumped.stdout).unwrap();
        let expected: Vec<&str> =
            dumped.lines().map(str::trim).filter(|line| line.starts_with("<device ")).collect();
        let metadata = inventory.pools.values().next().unwrap();
        let details = metadata.details.clone().unwrap();
        assert!(!details.is_empty());
        let found: Vec<String> = details
            .iter()
            .map(|(id, device)| {
                format!(
                    "<device dev_id=\"{id}\" mapped_blocks=\"{}\" transaction=\"{}\" creation_time=\"{}\" snap_time=\"{}\">",
                    device.mapped_blocks,
                    device.transaction_id,
                    device.creation_time,
                    device.snapshot_time
                )
            })
            .collect();
        assert_eq!(found, expected, "{fixture}");
        assert_eq!(metadata.mapped.clone().unwrap(), details.keys().copied().collect());
        let known = with_pool(&inventory, |pool| pool.thin_lvs().into_keys().collect::<Vec<_>>());
        assert_eq!(known, details.keys().copied().collect::<Vec<_>>(), "{fixture}");
        assert_eq!(told(&inventory), "", "{fixture}");
    }
}

#[test]
fn what_is_wrong_with_a_pool() {
    let mut all = String::new();
    let mut say = |what: &str, inventory: &Inventory| {
        all += &format!("# {what}\n{}\n", told(inventory));
    };
    say("superblock zeroed", &changed(|metadata| metadata[..BLOCK_SIZE].fill(0)));
    say("superblock flipped", &changed(|metadata| metadata[500] ^= 1));
    say("something else", &changed(|metadata| metadata[..BLOCK_SIZE].fill(7)));
    let root = |at: usize| {
        let inventory = World::of("thin").look();
        let PoolMetadata { block: ThinSuperblockBlock::Sound(found), .. } =
            inventory.pools.values().next().unwrap().clone()
        else {
            panic!("not sound")
        };
        let block = if at == 0 { found.details_root } else { found.mapping_root };
        usize::try_from(block).unwrap() * BLOCK_SIZE
    };
    let (details, mapping) = (root(0), root(1));
    say("details flipped", &changed(|metadata| metadata[details + 40] ^= 1));
    say("mappings flipped", &changed(|metadata| metadata[mapping + 40] ^= 1));
    say("needs check", &changed(|metadata| superblock(metadata, |block| block[4] |= 1)));
    say("behind by one", &changed(|metadata| superblock(metadata, |block| block[48] -= 1)));
    say("behind by two", &changed(|metadata| superblock(metadata, |block| block[48] -= 2)));
    say("ahead", &changed(|metadata| superblock(metadata, |block| block[48] += 1)));
    say(
        "nothing left for metadata",
        &changed(|metadata| {
            superblock(metadata, |block| {
                let blocks = block[192..200].to_owned();
                block[200..208].copy_from_slice(&blocks);
            });
        }),
    );
    say(
        "the roots of another time",
        &changed(|metadata| {
            superblock(metadata, |block| {
                let mapping = block[320..328].to_owned();
                block[328..336].copy_from_slice(&mapping);
            });
        }),
    );
    snapshot("thin-faults", &all);
}

#[test]
fn what_the_kernel_says_of_a_pool() {
    let mut all = String::new();
    let mut say = |what: &str, status: &str| {
        let mut inventory = machine("thin");
        let text = vg(&inventory);
        edit(&mut inventory, |live| {
            let mut pool =
                mapped_lv(&text, "pool", "tpool", 5, &["0 20480 thin-pool 253:3 253:4 128 0 0"]);
            pool.status = vec![status.into()];
            live.mapped.push(pool);
        });
        inventory.pools.clear();
        all += &format!("# {what}\n{}\n", told(&inventory));
    };
    say("sound", "4 12/512 40/160 - rw discard_passdown queue_if_no_space - 1024");
    say(
        "full of metadata",
        "5 512/512 40/160 - ro discard_passdown queue_if_no_space needs_check 1024",
    );
    say(
        "full of data",
        "5 12/512 160/160 - out_of_data_space discard_passdown queue_if_no_space - 1024",
    );
    say("failed", "Fail");
    say("ahead", "5 12/512 40/160 - rw discard_passdown queue_if_no_space - 1024");
    let mut half = machine("thin");
    let text = vg(&half);
    edit(&mut half, |live| {
        live.mapped.push(mapped_lv(&text, "pool_tmeta", "", 5, &["0 4096 linear 8:0 2048"]));
    });
    all += &format!("# half active\n{}\n", told(&half));
    snapshot("thin-faults-live", &all);
}
