//! Devices of the VG that no command may meet as they are.

use lvmend::diff::RefusalCode;
use lvmend::diff::live::bottom_up;
use lvmend::model::inventory::Inventory;
use lvmend::model::live::MappedDevice;

use crate::support::machine::{codes, edit, line, machine, mapped_lv, planned, snapshot, told, vg};

const SNAP: &str = "version: 1\nname: x\nvolume_group: {name: vg}\nchecks: [sha256: {logical_volume: simple, digest: 0000000000000000000000000000000000000000000000000000000000000000}]\n";

/// A machine on which a thin pool with two LVs is active; the devices from the bottom up.
fn with_pool() -> Inventory {
    let mut inventory = machine("thin");
    let vg = vg(&inventory);
    edit(&mut inventory, |live| {
        live.mapped = vec![
            mapped_lv(&vg, "pool_tdata", "tdata", 1, &["0 8192 linear 8:0 6144"]),
            mapped_lv(&vg, "pool_tmeta", "tmeta", 0, &["0 2048 linear 8:16 2048"]),
            mapped_lv(&vg, "thin1", "", 3, &["0 4096 thin 253:2 1"]),
            mapped_lv(&vg, "thin2", "", 4, &["0 4096 thin 253:2 2"]),
            mapped_lv(&vg, "pool", "tpool", 2, &["0 8192 thin-pool 253:0 253:1 128 0 0"]),
        ];
    });
    inventory
}

fn names(devices: &[&MappedDevice]) -> Vec<String> {
    devices.iter().map(|mapped| mapped.name.to_string()).collect()
}

#[test]
fn devices_stand_behind_what_they_lie_on() {
    let inventory = with_pool();
    let live = inventory.live.as_deref().unwrap();
    let order =
        ["vg-pool_tdata-tdata", "vg-pool_tmeta-tmeta", "vg-pool-tpool", "vg-thin1", "vg-thin2"];
    assert_eq!(names(&bottom_up(live)), order);
    // The order in which they are listed does not matter, and a circle ends.
    let mut turned = live.clone();
    turned.mapped.reverse();
    assert_eq!(names(&bottom_up(&turned)), order);
    turned.mapped.iter_mut().for_each(|m| m.live = vec![line("0 8 linear 253:2 0")]);
    assert_eq!(bottom_up(&turned).len(), 5);
}

/// A change to the device with this name.
fn touch(inventory: &mut Inventory, name: &str, change: impl FnOnce(&mut MappedDevice)) {
    edit(inventory, |live| {
        change(live.mapped.iter_mut().find(|mapped| mapped.name.raw() == name).unwrap());
    });
}

#[test]
fn suspended_devices_and_tables_that_wait() {
    let text = SNAP.replace("simple", "thin1");
    // Contents of thin LVs are not read without a kernel: what matters is what comes before that.
    let without = codes(&with_pool(), &text);
    let said = |change: &dyn Fn(&mut Inventory)| {
        let mut inventory = with_pool();
        change(&mut inventory);
        let planned = planned(&inventory, &text);
        let live = [RefusalCode::WaitingTables, RefusalCode::SuspendedDevices];
        let is_live = |code: &&RefusalCode| live.contains(code);
        let found: Vec<RefusalCode> =
            codes(&inventory, &text).iter().filter(is_live).copied().collect();
        let mut only = planned;
        only.refusals.retain(|refusal| live.contains(&refusal.code));
        (found, told(&only))
    };
    assert!(!without.contains(&RefusalCode::SuspendedDevices));
    let suspend = |inventory: &mut Inventory, name: &str| {
        touch(inventory, name, |mapped| mapped.suspended = true);
    };
    let wait = |inventory: &mut Inventory, name: &str, table: &str| {
        touch(inventory, name, |mapped| {
            mapped.has_inactive = true;
            mapped.inactive = Some(table).filter(|t| !t.is_empty()).map(line).into_iter().collect();
        });
    };
    let (found, suspended) = said(&|inventory| {
        suspend(inventory, "vg-thin1");
        suspend(inventory, "vg-pool-tpool");
    });
    assert_eq!(found, [RefusalCode::SuspendedDevices]);
    let (found, waiting) = said(&|inventory| {
        wait(inventory, "vg-thin2", "0 8192 linear 8:0 4096");
        wait(inventory, "vg-pool_tmeta-tmeta", "");
    });
    assert_eq!(found, [RefusalCode::WaitingTables]);
    let (found, both) = said(&|inventory| {
        suspend(inventory, "vg-thin1");
        wait(inventory, "vg-thin1", "0 4096 error");
        suspend(inventory, "vg-pool-tpool");
    });
    assert_eq!(found, [RefusalCode::WaitingTables, RefusalCode::SuspendedDevices]);
    snapshot("tables", &[suspended, waiting, both].concat());
}

#[test]
fn devices_of_others_may_be_as_they_are() {
    let text = SNAP.replace("simple", "thin1");
    let mut inventory = with_pool();
    edit(&mut inventory, |live| {
        for mapped in &mut live.mapped {
            mapped.suspended = true;
            mapped.has_inactive = true;
            mapped.layer = None;
        }
    });
    // Without its device a thin LV cannot be read, and that is all that is said.
    assert_eq!(codes(&inventory, &text), [RefusalCode::Unfit]);
}

#[test]
fn names_are_written_as_a_shell_takes_them() {
    let mut inventory = with_pool();
    touch(&mut inventory, "vg-thin1", |mapped| {
        mapped.name = "a b;reboot".into();
        mapped.suspended = true;
    });
    let said = told(&planned(&inventory, &SNAP.replace("simple", "thin1")));
    assert!(said.contains("`dmsetup resume 'a b;reboot'`"), "{said}");
}
