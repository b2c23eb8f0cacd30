//! Devices of the VG that no command may meet as they are, and state directories that a run would
//! cut off.

use std::collections::BTreeSet;

use lvmend::diff::RefusalCode;
use lvmend::diff::live::{Disturbed, StateDirVerdict, bottom_up, state_dir_verdict};
use lvmend::ids::DeviceName;
use lvmend::model::inventory::Inventory;
use lvmend::model::live::{DevNumber, MappedDevice};

use crate::support::machine::{
    RECOVER, codes, disk_number, dm, edit, line, machine, mapped_lv, mount, node, planned,
    snapshot, told, vg,
};

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

/// The same devices, of LVs that no metadata describes: what their tables should be nobody can tell.
fn with_strays() -> Inventory {
    let mut inventory = with_pool();
    edit(&mut inventory, |live| {
        for (mapped, letter) in live.mapped.iter_mut().zip('A'..) {
            let uuid = format!("{letter}00000-0000-0000-0000-0000-0000-000000");
            mapped.layer.as_mut().unwrap().lv = uuid.parse().unwrap();
        }
    });
    inventory
}

#[test]
fn suspended_devices_and_tables_that_wait() {
    let text = SNAP.replace("simple", "thin1");
    // Contents of thin LVs are not read without a kernel: what matters is what comes before that.
    let without = codes(&with_strays(), &text);
    let said = |change: &dyn Fn(&mut Inventory)| {
        let mut inventory = with_strays();
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
fn devices_that_could_not_be_looked_at_may_be_anything() {
    let mut inventory = machine("deleted-lv");
    assert_eq!(codes(&inventory, RECOVER), []);
    edit(&mut inventory, |live| live.mapped_is_complete = false);
    assert_eq!(codes(&inventory, RECOVER), [RefusalCode::Unfit]);
    snapshot("tables-unknown", &told(&planned(&inventory, RECOVER)));
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
    // Without its device a thin LV is read from the blocks of its pool.
    assert_eq!(codes(&inventory, &text), []);
}

#[test]
fn names_are_written_as_a_shell_takes_them() {
    let mut inventory = with_strays();
    touch(&mut inventory, "vg-thin1", |mapped| {
        mapped.name = "a b;reboot".into();
        mapped.suspended = true;
    });
    let said = told(&planned(&inventory, &SNAP.replace("simple", "thin1")));
    assert!(said.contains("`dmsetup resume 'a b;reboot'`"), "{said}");
}

/// A machine with LVs `simple` (its root, behind LUKS) and `between`, a disk of its own for /srv,
/// and a memory file system.
fn hypervisor() -> Inventory {
    let mut inventory = machine("plain");
    let vg = vg(&inventory);
    edit(&mut inventory, |live| {
        let mut luks = mapped_lv(&vg, "simple", "", 2, &["0 2048 crypt aes 0 253:0 0"]);
        (luks.name, luks.layer) = ("luks-root".into(), None);
        live.mapped = vec![
            mapped_lv(&vg, "simple", "", 0, &["0 2048 linear 8:0 2048"]),
            mapped_lv(&vg, "between", "", 1, &["0 1024 linear 8:0 9216"]),
            luks,
        ];
        let srv = DevNumber { major: 259, minor: 0 };
        let boot = DevNumber { major: 259, minor: 1 };
        live.blocks.push(node(srv, "/dev/nvme0n1"));
        live.blocks.push(node(boot, "/dev/nvme1n1"));
        let mut frozen = mount(srv, "/frozen", "ext4");
        frozen.options = "ro,relatime".into();
        let mut theirs = mount(srv, "/theirs", "ext4");
        (theirs.is_ours, theirs.seen_by) = (false, Some(99));
        live.mounts = vec![
            mount(boot, "/boot", "ext4"),
            mount(boot, "/boot/efi", "vfat"),
            frozen,
            mount(DevNumber { major: 0, minor: 31 }, "/run", "tmpfs"),
            mount(srv, "/srv", "xfs"),
            theirs,
            mount(dm(2), "/", "ext4"),
            mount(dm(1), "/a", "ext4"),
        ];
    });
    inventory
}

fn verdict(inventory: &Inventory, at: &[DevNumber], disturbed: &Disturbed) -> StateDirVerdict {
    let live = inventory.live.as_deref().unwrap();
    state_dir_verdict(live, inventory, vg(inventory).uuid, at, disturbed)
}

fn lvs(inventory: &Inventory, names: &[&str]) -> Disturbed {
    let vg = vg(inventory);
    let uuid = |name: &&str| vg.lv(&name.parse().unwrap()).unwrap().uuid;
    Disturbed { lvs: names.iter().map(uuid).collect(), ..Disturbed::default() }
}

fn refused(verdict: StateDirVerdict) -> String {
    match verdict {
        StateDirVerdict::Refused(refusal) => {
            assert_eq!(refusal.code, RefusalCode::StateDirectory);
            format!("{}\n  help: {}\n", refusal.why, refusal.help.unwrap())
        }
        other @ (StateDirVerdict::Apart | StateDirVerdict::Warned(_)) => panic!("{other:?}"),
    }
}

#[test]
fn a_journal_is_not_kept_where_the_run_cuts_it_off() {
    let inventory = hypervisor();
    let root = [dm(2)];
    let mut said = refused(verdict(&inventory, &root, &lvs(&inventory, &["simple"])));
    let on_disk = |index: usize| inventory.devices[index].pv().unwrap().uuid;
    let by_hand =
        |index| Disturbed { pvs: BTreeSet::from([on_disk(index)]), ..Disturbed::default() };
    said += &refused(verdict(&inventory, &root, &by_hand(0)));
    let label = BTreeSet::from([DeviceName::whole("/dev/sda")]);
    let label = Disturbed { devices: label, ..Disturbed::default() };
    said += &refused(verdict(&inventory, &[disk_number(0)], &label));
    // What the run does elsewhere in the VG is no reason, but the VG is worth a warning.
    for apart in [lvs(&inventory, &["between"]), by_hand(1), Disturbed::default()] {
        let StateDirVerdict::Warned(warning) = verdict(&inventory, &root, &apart) else {
            panic!("{apart:?}")
        };
        assert!(
            said.contains(&warning) || {
                said += &(warning + "\n");
                true
            }
        );
    }
    snapshot("state-directory", &said);
    let srv = [DevNumber { major: 259, minor: 0 }];
    let all = lvs(&inventory, &["simple", "between"]);
    assert_eq!(verdict(&inventory, &srv, &all), StateDirVerdict::Apart);
    // A file system over several devices is no safer than the worst of them.
    refused(verdict(&inventory, &[srv[0], dm(1)], &lvs(&inventory, &["between"])));
}

#[test]
fn a_file_system_that_cannot_be_placed_is_not_trusted() {
    let inventory = hypervisor();
    for unknown in [vec![], vec![DevNumber { major: 0, minor: 99 }]] {
        refused(verdict(&inventory, &unknown, &lvs(&inventory, &["between"])));
        let idle = verdict(&inventory, &unknown, &Disturbed::default());
        assert!(matches!(idle, StateDirVerdict::Warned(_)), "{unknown:?}");
    }
}

#[test]
fn another_directory_is_named_where_there_is_one() {
    let mut inventory = hypervisor();
    let named = |inventory: &Inventory| {
        let disturbed = lvs(inventory, &["simple"]);
        refused(verdict(inventory, &[dm(2)], &disturbed))
            .split("--state-dir ")
            .nth(1)
            .unwrap()
            .to_owned()
    };
    assert_eq!(named(&inventory), "/srv/lvmend`\n");
    edit(&mut inventory, |live| live.mounts.retain(|m| m.at.raw() != "/srv"));
    assert_eq!(named(&inventory), "/boot/lvmend`\n");
    edit(&mut inventory, |live| live.mounts.retain(|m| m.at.raw() != "/boot"));
    assert_eq!(named(&inventory), "DIR`\n");
}

#[test]
fn operations_say_what_they_disturb() {
    let sound = "version: 1\nname: x\nvolume_group: {name: vg, metadata: {state: sound}}\n";
    let mut inventory = machine("plain");
    inventory.devices[1].areas_mut()[0].committed = lvmend::model::device::SlotText::Empty;
    let graph = planned(&inventory, sound).graph;
    let written = inventory.devices[1].pv().unwrap().uuid;
    assert_eq!(graph.disturbs().pvs, BTreeSet::from([written]));
    assert!(graph.disturbs().lvs.is_empty());
    let recover = "version: 1\nname: x\nvolume_group: {name: vg}\nlogical_volumes: {precious: {state: present}}\n";
    assert!(planned(&machine("deleted-lv"), recover).graph.disturbs().is_empty());
    let mut active = machine("plain");
    let vg = vg(&active);
    edit(&mut active, |live| {
        live.mapped = vec![mapped_lv(&vg, "simple", "", 0, &["0 2048 linear 8:0 2048"])];
        live.mounts = vec![mount(dm(0), "/srv", "ext4")];
    });
    let off = "version: 1\nname: x\nvolume_group: {name: vg}\nlogical_volumes: {simple: {activation: inactive}}\npolicy: {busy: {unmount: [/srv]}}\n";
    let graph = planned(&active, off).graph;
    assert_eq!(graph.operations.len(), 3, "{:?}", graph.operations);
    for operation in &graph.operations[1..] {
        assert_eq!(operation.disturbs(), lvs(&active, &["simple"]), "{operation:?}");
    }
    let thin = machine("thin");
    let data = "version: 1\nname: x\nvolume_group: {name: vg}\nthin_pools: {pool: {data: {min_size: 60MiB}}}\n";
    let graph = planned(&thin, data).graph;
    assert!(graph.disturbs().lvs.is_superset(&lvs(&thin, &["pool"]).lvs), "{:?}", graph.operations);
}
