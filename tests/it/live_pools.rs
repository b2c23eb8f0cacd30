//! What a plan does about thin pools on a running machine.

use std::sync::Arc;

use lvmend::model::flags::LvStatus;
use lvmend::model::inventory::Inventory;
use lvmend::model::thin_pool::{
    Compared, Coverage, Mend, PoolTrial, Rebuilt, ThinSuperblockBlock, Told,
};

use lvmend::diff::RefusalCode;
use lvmend::operation::{Operation, Probe};
use lvmend::simulate::lower;

use crate::support::live_story::story;
use crate::support::machine::{edit, edit_vg, machine, mapped_lv, planned, snapshot, told, vg};
use crate::support::world::signature;

const METADATA: &str = "metadata: {state: sound}";

/// A plan that asks this of pool `pool`.
pub fn asks(of_pool: &str) -> String {
    format!(
        "version: 1\nname: p\nvolume_group: {{name: vg}}\nthin_pools: {{pool: {{{of_pool}}}}}\n"
    )
}

/// The pool is not active, and was judged so; a rebuild finds all there is.
pub fn judged(inventory: &mut Inventory, checked: Result<(), String>) {
    let vg = vg(inventory);
    let key = (vg.uuid, vg.lv(&"pool".parse().unwrap()).unwrap().uuid);
    let found = inventory.pools[&key].clone();
    let told =
        Told { superblock: *found.superblock().unwrap(), devices: found.details.clone().unwrap() };
    let mend = checked.is_err().then_some(Mend::Repair);
    let coverage = Ok(Coverage { unmapped: 0, stray: 0 });
    let compared = Compared { differing: Ok(Vec::new()), coverage, twice: Ok(0) };
    let rebuilt = Rebuilt { mend, old: Ok(told.clone()), new: told, compared };
    let trial = PoolTrial { checked, rebuilt: Some(Ok(rebuilt)) };
    inventory.trials.insert(key, Ok(trial));
}

/// A pool whose metadata `thin_check` does not like.
pub fn damaged() -> Inventory {
    let mut inventory = machine("thin");
    judged(&mut inventory, Err("metadata reference counts differ for block 7".to_owned()));
    inventory
}

/// A pool with the flag, and nothing else wrong.
pub fn flagged() -> Inventory {
    let mut inventory = machine("thin");
    judged(&mut inventory, Ok(()));
    for found in inventory.pools.values_mut() {
        let ThinSuperblockBlock::Sound(superblock) = &mut found.block else { panic!() };
        superblock.needs_check = true;
    }
    inventory
}

fn active(status: &str) -> Inventory {
    let mut inventory = machine("thin");
    let vg = vg(&inventory);
    edit(&mut inventory, |live| {
        let table = ["0 20480 thin-pool 253:3 253:4 128 0 0"];
        let mut pool = mapped_lv(&vg, "pool", "tpool", 5, &table);
        pool.status = vec![status.into()];
        live.mapped.push(pool);
    });
    inventory.pools.clear();
    inventory
}

const SOUND: &str = "4 12/512 40/160 - rw discard_passdown queue_if_no_space - 1024";

#[test]
fn what_is_done_about_pools() {
    let mut all = String::new();
    let mut tell = |what: &str, inventory: &Inventory, of_pool: &str| {
        let asks = asks(of_pool);
        let told = told(&planned(inventory, &asks));
        let story = if told.contains("help:") { told } else { story(inventory, &asks) + &told };
        all += &format!("# {what}: {of_pool}\n{story}\n");
    };
    let mut sound = machine("thin");
    judged(&mut sound, Ok(()));
    tell("sound", &sound, METADATA);
    tell("sound", &sound, "metadata: {state: sound, method: rebuild}");
    tell("sound", &sound, "metadata: {state: sound, min_size: 4MiB}");
    tell("sound", &sound, "metadata: {state: sound, max_used_percent: 1}");
    tell("sound", &sound, "data: {max_used_percent: 50}");
    tell("sound", &sound, "metadata: {state: sound, min_size: 1TiB}");
    tell("flagged", &flagged(), METADATA);
    tell("flagged", &flagged(), "metadata: {state: sound, min_size: 4MiB}");
    tell("damaged", &damaged(), METADATA);
    tell("damaged", &damaged(), "metadata: {state: sound, method: extend}");
    tell("active", &active(SOUND), METADATA);
    tell(
        "active",
        &active(SOUND),
        "metadata: {state: sound, min_size: 4MiB}, data: {min_size: 20MiB}",
    );
    let flagged = SOUND.replace("rw", "ro").replace(" - 1024", " needs_check 1024");
    tell("active and flagged", &active(&flagged), METADATA);
    tell("failed", &active("Fail"), METADATA);
    let mut half = sound.clone();
    let text = vg(&half);
    edit(&mut half, |live| {
        live.mapped = vec![mapped_lv(&text, "pool_tmeta", "", 5, &["0 4096 linear 8:0 2048"])];
    });
    half.pools.clear();
    tell("half active", &half, METADATA);
    tell("half active", &half, "activation: inactive");
    tell("ahead", &active(&SOUND.replacen('4', "9", 1)), METADATA);
    snapshot("pools", &all);
}

#[test]
fn what_a_rebuild_loses() {
    let mut all = String::new();
    let mut tell = |what: &str, change: &dyn Fn(&mut Rebuilt), of_pool: &str| {
        let mut inventory = damaged();
        for trial in inventory.trials.values_mut() {
            let Ok(PoolTrial { rebuilt: Some(Ok(rebuilt)), .. }) = trial else { panic!() };
            change(rebuilt);
        }
        all += &format!("# {what}\n{}\n", told(&planned(&inventory, &asks(of_pool))));
    };
    let lose = |rebuilt: &mut Rebuilt| rebuilt.new.devices.get_mut(&1).unwrap().mapped_blocks -= 3;
    tell("three blocks", &lose, METADATA);
    tell("three blocks, two allowed", &lose, "metadata: {state: sound, max_lost_mappings: 2}");
    tell("three blocks, three allowed", &lose, "metadata: {state: sound, max_lost_mappings: 3}");
    let other = |rebuilt: &mut Rebuilt| rebuilt.new.devices.get_mut(&3).unwrap().creation_time += 1;
    tell("another device", &other, "metadata: {state: sound, max_lost_mappings: 100000}");
    let back = |rebuilt: &mut Rebuilt| rebuilt.new.superblock.time -= 1;
    tell("back in time", &back, "metadata: {state: sound, max_lost_mappings: 100000}");
    let covers = |unmapped, stray| {
        move |rebuilt: &mut Rebuilt| rebuilt.compared.coverage = Ok(Coverage { unmapped, stray })
    };
    tell("other blocks", &covers(2, 2), METADATA);
    tell("blocks that no device lacks", &covers(1, 0), METADATA);
    let blind =
        |rebuilt: &mut Rebuilt| rebuilt.compared.coverage = Err("block 3: it is empty".to_owned());
    tell("no space map", &blind, METADATA);
    let twice = |rebuilt: &mut Rebuilt| rebuilt.compared.twice = Ok(4);
    tell("blocks for two places", &twice, "metadata: {state: sound, max_lost_mappings: 100000}");
    let other = |rebuilt: &mut Rebuilt| {
        rebuilt.mend = Some(Mend::DeviceList);
        rebuilt.compared.differing = Ok(vec![2, 3]);
    };
    tell("not what was dumped", &other, METADATA);
    let leaks = |rebuilt: &mut Rebuilt| {
        rebuilt.mend = Some(Mend::SuperblockChecksum);
        rebuilt.compared.coverage = Ok(Coverage { unmapped: 1, stray: 0 });
    };
    tell("a superblock that may lead elsewhere", &leaks, METADATA);
    let larger = |rebuilt: &mut Rebuilt| rebuilt.new.superblock.data.blocks += 1;
    tell("data of another size", &larger, METADATA);
    let held = |rebuilt: &mut Rebuilt| {
        rebuilt.old.as_mut().unwrap().superblock.held_root = Some(9);
    };
    tell("a metadata snapshot", &held, METADATA);
    let drop_device = |rebuilt: &mut Rebuilt| {
        rebuilt.new.devices.remove(&2).unwrap();
    };
    tell("a device", &drop_device, "metadata: {state: sound, max_lost_mappings: 100000}");
    snapshot("pools-lost", &all);
}

#[test]
fn once_the_pool_is_used_there_is_no_way_back() {
    let text = format!("{}logical_volumes: {{thin1: {{activation: active}}}}\n", asks(METADATA));
    snapshot("pools-used", &story(&damaged(), &text));
}

/// A pool at another transaction, with the devices that the text has.
pub fn numbered() -> Inventory {
    let mut inventory = machine("thin");
    judged(&mut inventory, Ok(()));
    for found in inventory.pools.values_mut() {
        let ThinSuperblockBlock::Sound(superblock) = &mut found.block else { panic!() };
        superblock.transaction_id = 9;
    }
    inventory
}

/// The pool does not have the device of thin1, of which snap is a snapshot.
pub fn one_less() -> Inventory {
    let mut inventory = machine("thin");
    judged(&mut inventory, Ok(()));
    for found in inventory.pools.values_mut() {
        found.details.as_mut().unwrap().remove(&1).unwrap();
        found.mapped.as_mut().unwrap().remove(&1);
    }
    inventory
}

/// What a repair found lacks a device that the metadata still has in its list, or in its mapping tree.
#[test]
fn a_device_that_the_old_metadata_has_is_not_dropped() {
    for is_listed in [true, false] {
        let mut inventory = damaged();
        for trial in inventory.trials.values_mut() {
            let rebuilt = trial.as_mut().unwrap().rebuilt.as_mut().unwrap().as_mut().unwrap();
            rebuilt.old = Err("its mapping tree cannot be read".to_owned());
            rebuilt.new.devices.remove(&1).unwrap();
        }
        for found in inventory.pools.values_mut() {
            if is_listed {
                found.mapped = Err("block 5: its checksum is wrong".to_owned());
            } else {
                found.details.as_mut().unwrap().remove(&1).unwrap();
            }
        }
        let refused = planned(&inventory, &dropping()).refusals;
        let why = refused.iter().find(|refusal| refusal.code == RefusalCode::UnknownLoss).unwrap();
        assert!(why.why.contains("thin1 (device 1)"), "{}", why.why);
    }
}

/// A plan that accepts that thin1 is dropped.
pub fn dropping() -> String {
    format!(
        "{}policy: {{accept: [{{hazard: drop-thin-device, object: thin1, because: no copy has it}}]}}\n",
        asks(METADATA)
    )
}

#[test]
fn a_number_alone_is_set_and_devices_that_differ_are_not() {
    let mut all = story(&numbered(), &asks(METADATA));
    let mut more = numbered();
    for found in more.pools.values_mut() {
        let details = found.details.as_mut().unwrap();
        let one = details[&1];
        details.insert(77, one);
    }
    all += &format!("# a device more\n{}\n", told(&planned(&more, &asks(METADATA))));
    let less = one_less();
    let mut less_and_ahead = one_less();
    for found in less_and_ahead.pools.values_mut() {
        let ThinSuperblockBlock::Sound(superblock) = &mut found.block else { panic!() };
        superblock.transaction_id = 9;
    }
    let mut behind = numbered();
    for found in behind.pools.values_mut() {
        let ThinSuperblockBlock::Sound(superblock) = &mut found.block else { panic!() };
        superblock.transaction_id = 2;
    }
    all += &format!("# behind\n{}\n", told(&planned(&behind, &asks(METADATA))));
    let mut reused = numbered();
    for found in reused.pools.values_mut() {
        found.details.as_mut().unwrap().get_mut(&2).unwrap().transaction_id += 5;
    }
    all += &format!("# a number used again\n{}\n", told(&planned(&reused, &asks(METADATA))));
    all += &format!("# a device less\n{}\n", told(&planned(&less, &asks(METADATA))));
    all += &story(&less, &dropping());
    // Which of them went back, and what it had, is for a person.
    let both = told(&planned(&less_and_ahead, &dropping()));
    all += &format!("# a device less, and another number\n{both}\n");
    snapshot("pools-numbers", &all);
}

#[test]
fn what_others_do_to_the_pool_ends_the_rebuild() {
    let inventory = damaged();
    let planned = planned(&inventory, &asks(METADATA));
    let [save, create, rebuild, swap] = planned.graph.operations.as_slice() else { panic!() };
    let why = |operation: &Operation, now: &Inventory| {
        lower(operation, now, &signature()).unwrap_err().why
    };
    let mut used = inventory.clone();
    for found in used.pools.values_mut() {
        found.digest = lvmend::ids::Digest::of(b"another commit");
    }
    for operation in [rebuild, swap] {
        lower(operation, &inventory, &signature()).unwrap();
        assert!(why(operation, &used).contains("somebody used the pool since"));
    }
    let mut active = inventory.clone();
    let text = vg(&active);
    edit(&mut active, |live| {
        live.mapped.push(mapped_lv(&text, "pool_tmeta", "tmeta", 5, &["0 4096 linear 8:0 2048"]));
    });
    // What the kernel writes is no evidence either.
    for operation in [save, rebuild, swap] {
        assert!(why(operation, &active).contains("active"), "{operation:?}");
    }
    // An LV of that name that somebody else made is neither written nor removed.
    let mut taken = inventory.clone();
    edit_vg(&mut taken, |vg| {
        let lv = vg.lvs.iter_mut().find(|lv| lv.name.as_str() == "pool_tmeta").unwrap();
        let mut other = lv.clone();
        other.name = "pool_meta0".parse().unwrap();
        other.uuid = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa".parse().unwrap();
        other.status.insert(LvStatus::Visible);
        let index = vg.lvs.len();
        Arc::make_mut(&mut vg.by_name).insert(other.name.clone(), index);
        vg.lvs.push(other);
    });
    assert!(why(create, &taken).contains("somebody made an LV pool_meta0"));
    assert_eq!(create.contract().probe(&taken), Probe::Neither);
    let undone = create.contract().lower_undo(&taken, &signature()).unwrap_err();
    assert!(undone.why.contains("it is not removed"), "{undone}");
}
