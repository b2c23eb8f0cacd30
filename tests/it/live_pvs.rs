//! PVs of a running machine: where LVM does not look, where it looks twice, and those that left the
//! VG and must not be seen.

use std::sync::Arc;

use lvmend::diff::RefusalCode;
use lvmend::host::fake::{FakeDisk, Schedule};
use lvmend::host::image::ImageHost;
use lvmend::host::{DeviceInfo, HostError, Machine, ReadHost, TargetState};
use lvmend::ids::{DeviceName, PvUuid};
use lvmend::model::device::SlotText;
use lvmend::model::inventory::{Inventory, Realm};
use lvmend::model::live::{Live, LvmVersion};
use lvmend::operation::Operation;
use lvmend::units::Bytes;

use crate::support::fixture::Fixture;
use crate::support::machine::{
    ATTACH, CHECK, RECOVER, SOUND, codes, disk_number, dm, edit, left_out, machine, mapped_lv,
    mount, node, planned, quiet, refused, refused_recovery, snapshot, told, vg,
};
use crate::support::world::{World, scope};

#[test]
fn pvs_where_lvm_does_not_look() {
    let reasons = [
        "device is not in devices file",
        "device is rejected by filter config",
        "device is a multipath component",
        "device is an md component",
        "device is an LV",
        "device type is unknown",
    ];
    let mut said = String::new();
    for why in reasons {
        said += &refused_recovery(RefusalCode::PvLeftOut, |inventory| {
            edit(inventory, |live| live.lvm.left_out = vec![left_out("/dev/sdb", why)]);
        });
    }
    snapshot("left-out", &said);
    // Also by another name of the device.
    refused_recovery(RefusalCode::PvLeftOut, |inventory| {
        let link = "/dev/disk/by-id/wwn-0x5000".to_owned();
        edit(inventory, |live| live.lvm.left_out = vec![left_out(&link, "not in devices file")]);
        inventory.devices[1].links = vec![link];
    });
}

#[test]
fn a_pv_that_is_hidden_is_not_called_missing() {
    // What flagged it MISSING is that LVM did not look: it is wanted, so that comes first.
    let flagged = refused(RefusalCode::PvLeftOut, ATTACH, machine("missing-pv"), |inventory| {
        edit(inventory, |live| {
            live.lvm.left_out = vec![left_out("/dev/sdb", "device is not in devices file")];
        });
    });
    snapshot("left-out-flagged", &flagged);
    // Where the plan does not want it, it is worth a note.
    let mut inventory = machine("missing-pv");
    edit(&mut inventory, |live| {
        live.lvm.left_out = vec![left_out("/dev/sdb", "device is not in devices file")];
    });
    let check = CHECK.replace("before", "on-a");
    snapshot("left-out-unwanted", &told(&planned(&inventory, &check)));
}

/// The machine `plain` without the label of disk b.
fn without_label() -> Inventory {
    let mut disks = Fixture::new("plain").disks();
    disks[1].1[512..1024].fill(0);
    for (disk, letter) in disks.iter_mut().zip('a'..) {
        disk.0 = format!("/dev/sd{letter}");
    }
    let mut inventory = World::with(disks, &Schedule::quiet()).look();
    inventory.realm = Realm::Live;
    inventory.live = Some(Arc::new(quiet()));
    inventory.devices[1].number = Some(disk_number(1));
    inventory
}

#[test]
fn a_label_is_not_written_where_lvm_does_not_look() {
    let label = refused(RefusalCode::PvLeftOut, SOUND, without_label(), |inventory| {
        edit(inventory, |live| {
            live.lvm.left_out = vec![left_out("/dev/sdb", "device is not in devices file")];
        });
    });
    snapshot("left-out-label", &label);
}

#[test]
fn a_label_is_not_written_under_somebody() {
    let label = refused(RefusalCode::VolumeInUse, SOUND, without_label(), |inventory| {
        edit(inventory, |live| live.mounts = vec![mount(disk_number(1), "/srv", "xfs")]);
    });
    snapshot("label-in-use", &label);
    // LVs of the VG lie on it, as they did before the label was lost.
    let mut inventory = without_label();
    let vg = vg(&inventory);
    edit(&mut inventory, |live| {
        live.blocks = vec![node(disk_number(1), "/dev/sdb")];
        live.blocks[0].holders = vec![dm(0)];
        live.mapped = vec![mapped_lv(&vg, "spread", "", 0, &["0 512 linear 8:16 2048"])];
    });
    assert_eq!(codes(&inventory, SOUND), []);
}

/// A machine on which disk b is there twice, as /dev/sdb and /dev/sdc.
fn twice() -> Inventory {
    let mut inventory = machine("plain");
    let mut copy = inventory.devices[1].clone();
    copy.name = DeviceName::whole("/dev/sdc");
    copy.number = Some(disk_number(2));
    inventory.devices.push(copy);
    edit(&mut inventory, |live| live.blocks.push(node(disk_number(2), "/dev/sdc")));
    inventory
}

#[test]
fn pvs_on_two_devices() {
    let duplicate = |change: &dyn Fn(&mut Live)| {
        let mut inventory = twice();
        edit(&mut inventory, |live| change(live));
        assert_eq!(codes(&inventory, SOUND), [RefusalCode::DuplicatePv]);
        told(&planned(&inventory, SOUND))
    };
    let identities = |one: &str, other: &str| {
        duplicate(&|live| {
            live.blocks[1].identity = Some(one.into());
            live.blocks[2].identity = Some(other.into());
        })
    };
    let clone = duplicate(&|_| ());
    assert_eq!(identities("naa.5000c500", "naa.5000c501"), clone);
    assert_eq!(identities("", ""), clone);
    let paths = identities("naa.5000c500", "naa.5000c500");
    let stacked = duplicate(&|live| live.blocks[2].slaves = vec![disk_number(1)]);
    let mut images = twice();
    images.live = None;
    images.realm = Realm::Images;
    let images = told(&planned(&images, SOUND));
    snapshot("duplicates", &[clone, paths, stacked, images].concat());
}

/// Images that claim to be a running machine.
struct Pretending(ImageHost<FakeDisk>, Live);

impl ReadHost for Pretending {
    fn realm(&self) -> Realm {
        Realm::Live
    }
    fn devices(&self) -> Vec<DeviceInfo> {
        self.0.devices()
    }
    fn read(&self, device: &DeviceName, at: Bytes, len: Bytes) -> Result<Vec<u8>, HostError> {
        self.0.read(device, at, len)
    }
    fn read_file(&self, path: &str, size_max: Bytes) -> Result<Vec<u8>, HostError> {
        self.0.read_file(path, size_max)
    }
    fn list_files(&self, directory: &str) -> Result<Vec<String>, HostError> {
        self.0.list_files(directory)
    }
    fn target_state(&self, path: &str) -> TargetState {
        self.0.target_state(path)
    }
    fn now(&self) -> i64 {
        self.0.now()
    }
    fn machine(&self) -> Machine {
        self.0.machine()
    }
    fn live(&self, _: Option<&Live>) -> Option<Live> {
        Some(self.1.clone())
    }
}

#[test]
fn a_copy_that_is_hidden_is_set_aside() {
    let mut disks = Fixture::new("plain").disks();
    disks.push(("c".to_owned(), disks[1].1.clone()));
    let world = World::with(disks, &Schedule::quiet());
    let seen = |left: &[(&str, &str)]| {
        let mut live = quiet();
        live.lvm.left_out = left.iter().map(|(name, why)| left_out(name, why)).collect();
        let inventory = lvmend::discover::take(&Pretending(world.host(), live), &scope());
        let names: Vec<String> = inventory.devices.iter().map(|d| d.name.to_string()).collect();
        (names.concat(), codes(&inventory, SOUND))
    };
    let duplicate = vec![RefusalCode::DuplicatePv];
    assert_eq!(seen(&[]), ("abc".to_owned(), duplicate.clone()));
    assert_eq!(seen(&[("c", "device is a multipath component")]), ("ab".to_owned(), Vec::new()));
    assert_eq!(seen(&[("b", "not in devices file")]), ("ac".to_owned(), Vec::new()));
    // LVM's own choice between duplicates proves nothing.
    assert_eq!(seen(&[("c", "device is a duplicate")]), ("abc".to_owned(), duplicate.clone()));
    // A PV that LVM sees nowhere keeps its devices.
    let nowhere = [("b", "not in devices file"), ("c", "not in devices file")];
    assert_eq!(seen(&nowhere), ("abc".to_owned(), duplicate));
    assert_eq!(seen(&[("a", "not in devices file")]).0, "abc");
}

/// Whether the evidence of a plan for sound metadata has the areas of this PV.
fn saves(inventory: &Inventory, pv: PvUuid) -> bool {
    let is_it = |operation: &Operation| matches!(operation, Operation::SaveEvidence(saved) if saved.pvs.contains(&pv));
    planned(inventory, SOUND).graph.operations.iter().any(is_it)
}

#[test]
fn a_pv_that_left_the_vg_is_not_shown_to_lvm() {
    let wanted = |inventory: &Inventory| {
        let on_disk = |d: &lvmend::model::device::Device| d.pv().map(|on| on.uuid);
        let pv = on_disk(&inventory.devices[1]).unwrap();
        let attach = format!("physical_volumes: {{{pv}: {{state: attached}}}}\n");
        format!("version: 1\nname: x\nvolume_group: {{name: vg}}\n{attach}")
    };
    let inventory = machine("outdated-pv");
    snapshot("outdated-wanted", &told(&planned(&inventory, &wanted(&inventory))));
    // Something else is to be written: a damaged area of disk a.
    let text = SOUND;
    let damage = |inventory: &mut Inventory| {
        let area = &mut inventory.devices[0].areas_mut()[0];
        area.committed = SlotText::Empty;
    };
    let mut inventory = inventory;
    damage(&mut inventory);
    let with = planned(&inventory, text);
    snapshot("outdated-written", &told(&with));
    let outdated = inventory.devices[1].pv().unwrap().uuid;
    assert!(saves(&inventory, outdated), "the evidence has its areas");
    let mut old = inventory.clone();
    edit(&mut old, |live| live.lvm.version = LvmVersion { major: 2, minor: 3, patch: 11 });
    assert_eq!(codes(&old, text), [RefusalCode::LvmTooOld]);
    snapshot("outdated-old-lvm", &told(&planned(&old, text)));
    edit(&mut old, |live| live.lvm.left_out = vec![left_out("/dev/sdb", "rejected by filter")]);
    assert_eq!(codes(&old, text), []);
    snapshot("outdated-hidden", &told(&planned(&old, text)));
    // Nothing is written, so nothing is wiped.
    let check = CHECK.replace("before", "on-a");
    assert_eq!(told(&planned(&machine("outdated-pv"), &check)), "");
}

#[test]
fn a_disk_that_is_gone_is_looked_for_here() {
    let mut inventory = machine("deleted-lv");
    inventory.devices.remove(1);
    snapshot("absent", &told(&planned(&inventory, RECOVER)));
    let mut inventory = machine("deleted-lv");
    inventory.devices[1].read_only = true;
    snapshot("read-only-device", &told(&planned(&inventory, RECOVER)));
}

#[test]
fn evidence_of_a_pv_whose_pointers_are_gone() {
    let mut inventory = machine("outdated-pv");
    inventory.devices[0].areas_mut()[0].committed = SlotText::Empty;
    inventory.devices[1].areas_mut()[0].committed = SlotText::Empty;
    let outdated = inventory.devices[1].pv().unwrap().uuid;
    assert!(saves(&inventory, outdated), "its ring still has texts of the VG");
    let ring = std::mem::take(&mut inventory.devices[1].areas_mut()[0].ring);
    assert!(!ring.is_empty() && !saves(&inventory, outdated), "a PV of nobody");
}
