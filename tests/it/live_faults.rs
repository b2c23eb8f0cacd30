//! Faults of a running machine: what the kernel has, held against the metadata.

use std::sync::Arc;

use lvmend::fault::{self, Fault, FaultKind, Severity};
use lvmend::ids::DeviceName;
use lvmend::model::device::Content;
use lvmend::model::inventory::Inventory;
use lvmend::model::live::{DevNumber, LeftOut, Live, LvmLayer, MappedDevice, Mount};
use lvmend::model::vg::Vg;
use lvmend::report::inspect as report;

use crate::support::machine::{line, node, quiet};
use crate::support::world::World;

const DM: u32 = 253;
const SD: u32 = 8;
const GONE: &str = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";

fn number(major: u32, minor: u32) -> DevNumber {
    DevNumber { major, minor }
}

/// A machine on which the disks of the fixture `plain` are, as 8:0, 8:16, and nothing is active.
fn machine() -> (Inventory, Vg) {
    let mut inventory = World::of("plain").look();
    let mut blocks = Vec::new();
    for (device, index) in inventory.devices.iter_mut().zip(0_u32..) {
        device.number = Some(number(SD, index * 16));
        blocks.push(node(number(SD, index * 16), device.name.path()));
    }
    inventory.live = Some(Arc::new(Live { blocks, ..quiet() }));
    let vg = inventory.vgs.values().find_map(|vg| vg.current.clone()).unwrap();
    (inventory, Vg::clone(&vg))
}

/// A device of an LV with this table, named after its number.
fn mapped(vg: &Vg, lv: &str, minor: u32, tables: &[&str]) -> MappedDevice {
    let lv = vg
        .lvs
        .iter()
        .find(|l| l.name.as_str() == lv)
        .map_or_else(|| GONE.to_owned(), |lv| lv.uuid.0.compact());
    let uuid = format!("LVM-{}{lv}", vg.uuid.0.compact());
    MappedDevice {
        name: format!("vg-{minor}").into(),
        layer: LvmLayer::parse(&uuid),
        uuid: uuid.into(),
        number: number(DM, minor),
        open_count: 0,
        suspended: false,
        read_only: false,
        live: tables.iter().map(|text| line(text)).collect(),
        inactive: Vec::new(),
        has_inactive: false,
        has_node: true,
        status: Vec::new(),
    }
}

fn with(inventory: &mut Inventory, change: impl FnOnce(&mut Live)) {
    let mut live = inventory.live.as_deref().unwrap().clone();
    change(&mut live);
    inventory.live = Some(Arc::new(live));
}

fn with_mapped(devices: Vec<MappedDevice>) -> Inventory {
    let (mut inventory, _) = machine();
    with(&mut inventory, |live| {
        live.blocks
            .extend(devices.iter().map(|d| node(d.number, &format!("/dev/mapper/{}", d.name))));
        live.mapped = devices;
    });
    inventory
}

fn only(inventory: &Inventory) -> Fault {
    let mut faults = fault::find(inventory);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    faults.remove(0)
}

#[test]
fn a_machine_in_order_has_no_faults() {
    let (inventory, vg) = machine();
    assert_eq!(fault::find(&inventory), []);
    let active = mapped(&vg, "simple", 0, &["0 4096 linear 8:0 2048"]);
    assert_eq!(fault::find(&with_mapped(vec![active])), []);
}

#[test]
fn a_stray_device_comes_before_everything_else() {
    let (_, vg) = machine();
    let stray =
        MappedDevice { open_count: 1, ..mapped(&vg, "lost", 0, &["0 4096 linear 8:0 90000"]) };
    let mut inventory = with_mapped(vec![
        MappedDevice { suspended: true, ..mapped(&vg, "simple", 1, &["0 4096 linear 8:0 2048"]) },
        stray,
    ]);
    with(&mut inventory, |live| {
        live.mounts.push(Mount {
            root: "/".into(),
            device: number(DM, 0),
            at: "/srv".into(),
            fs_type: "xfs".into(),
            options: "rw".into(),
            source: "/dev/mapper/vg-0".into(),
            is_ours: true,
            seen_by: None,
        });
    });
    let faults = fault::find(&inventory);
    let kinds: Vec<FaultKind> = faults.iter().map(|fault| fault.kind).collect();
    assert_eq!(kinds, [FaultKind::StrayDevice, FaultKind::SuspendedDevice]);
    let fault = &faults[0];
    assert_eq!((fault.severity, fault.vg), (Severity::Critical, Some(vg.uuid)));
    for part in ["its table: 0 4096 linear 8:0 90000", "mounted at /srv", "no version"] {
        assert!(fault.found.contains(part), "{part}: {}", fault.found);
    }
    for part in ["do not reboot", "`dmsetup table vg-0`", "recover_from: device_table"] {
        assert!(fault.advice.contains(part), "{part}: {}", fault.advice);
    }
    let text = report::text(&report::gather(&inventory, None, &faults), report::Show::Visible);
    assert!(text.starts_with("DO NOT REBOOT, DO NOT DEACTIVATE ANYTHING.\n"), "{text}");
}

#[test]
fn a_stray_that_leads_nowhere_is_no_danger() {
    let (_, vg) = machine();
    let fault = only(&with_mapped(vec![mapped(&vg, "lost", 0, &["0 8 error"])]));
    assert_eq!((fault.kind, fault.severity), (FaultKind::StrayDevice, Severity::Warning));
    assert!(fault.advice.contains("`dmsetup remove vg-0`"), "{}", fault.advice);
}

#[test]
fn a_device_of_a_vg_that_is_nowhere_is_a_stray() {
    let (_, vg) = machine();
    let mut device = mapped(&vg, "simple", 0, &["0 4096 linear 8:0 2048"]);
    let other = format!("LVM-{GONE}{GONE}");
    device.layer = LvmLayer::parse(&other);
    device.uuid = other.into();
    let fault = only(&with_mapped(vec![device]));
    assert_eq!(fault.kind, FaultKind::StrayDevice);
    assert!(fault.found.contains("no metadata of it was found"), "{}", fault.found);
}

#[test]
fn suspended_devices_are_resumed_from_the_bottom_up() {
    let (_, vg) = machine();
    let suspended = |device| MappedDevice { suspended: true, ..device };
    let top = suspended(mapped(&vg, "simple", 0, &["0 4096 linear 253:1 0"]));
    let middle = suspended(mapped(&vg, "simple", 1, &["0 4096 linear 253:2 0"]));
    let mut bottom = suspended(mapped(&vg, "simple", 2, &["0 4096 linear 8:0 2048"]));
    bottom.has_inactive = true;
    bottom.inactive = vec![line("0 4096 error")];
    let faults = fault::find(&with_mapped(vec![top, middle, bottom]));
    let kinds: Vec<FaultKind> = faults.iter().map(|fault| fault.kind).collect();
    assert_eq!(kinds, [FaultKind::SuspendedDevice, FaultKind::WaitingTable]);
    let advice = &faults[0].advice;
    assert!(
        advice.ends_with("`dmsetup resume vg-2`, `dmsetup resume vg-1`, `dmsetup resume vg-0`"),
        "{advice}"
    );
    assert!(advice.contains("`dmsetup clear vg-2`; then resume"), "{advice}");
}

#[test]
fn a_table_that_waits_is_cleared_and_what_was_only_made_removed() {
    let (_, vg) = machine();
    let waits = |device| MappedDevice {
        has_inactive: true,
        inactive: vec![line("0 4096 linear 8:16 2048")],
        ..device
    };
    let old = waits(mapped(&vg, "simple", 0, &["0 4096 linear 8:0 2048"]));
    let made = waits(mapped(&vg, "spread", 1, &[]));
    let fault = only(&with_mapped(vec![old, made]));
    assert_eq!((fault.kind, fault.severity), (FaultKind::WaitingTable, Severity::Warning));
    assert!(fault.found.contains("`0 4096 linear 8:16 2048` waits"), "{}", fault.found);
    for part in ["`dmsetup clear vg-0`;", "`dmsetup remove vg-1`", "`vgchange --refresh vg`"] {
        assert!(fault.advice.contains(part), "{part}: {}", fault.advice);
    }
}

#[test]
fn a_disk_that_came_back_as_another_device() {
    let (_, vg) = machine();
    let on = |device: &str| {
        with_mapped(vec![mapped(&vg, "simple", 0, &[&format!("0 4096 linear {device} 2048")])])
    };
    let fault = only(&on("8:80"));
    assert_eq!((fault.kind, fault.severity), (FaultKind::StaleDeviceNumber, Severity::Critical));
    assert!(fault.found.contains("maps 8:80, which is gone"), "{}", fault.found);
    assert!(fault.found.contains("(8:0) now"), "{}", fault.found);
    assert!(fault.advice.starts_with("`lvchange --refresh vg/simple`"), "{}", fault.advice);
    // The number is another device's by now; one that cannot be read may be anything.
    for (content, is_told) in
        [(Content::Foreign, true), (Content::Unreadable("suspended".into()), false)]
    {
        let mut inventory = on("8:80");
        with(&mut inventory, |live| live.blocks.push(node(number(SD, 80), "/dev/sdf")));
        let mut other = inventory.devices[0].clone();
        other.name = DeviceName::whole("/dev/sdf");
        other.number = Some(number(SD, 80));
        other.content = content;
        inventory.devices.push(other);
        let faults = fault::find(&inventory);
        assert_eq!(faults.len(), usize::from(is_told));
        for fault in faults {
            assert!(fault.found.contains("8:80, which is /dev/sdf and no PV"), "{}", fault.found);
        }
    }
}

#[test]
fn a_disk_that_lost_its_label_under_an_active_lv_is_not_gone() {
    let (_, vg) = machine();
    let mut inventory = with_mapped(vec![mapped(&vg, "simple", 0, &["0 4096 linear 8:0 2048"])]);
    inventory.devices.retain(|device| device.number != Some(number(SD, 0)));
    let kinds: Vec<FaultKind> = fault::find(&inventory).iter().map(|fault| fault.kind).collect();
    assert_eq!(kinds, [FaultKind::AbsentPv]);
}

#[test]
fn a_pv_that_lvm_does_not_look_at() {
    let leave_out = |devices: &[usize]| {
        let (mut inventory, _) = machine();
        let left_out: Vec<LeftOut> = devices
            .iter()
            .map(|index| LeftOut {
                device: inventory.devices[*index].name.clone(),
                why: "device is not in devices file".into(),
            })
            .collect();
        with(&mut inventory, |live| live.lvm.left_out = left_out);
        inventory
    };
    let fault = only(&leave_out(&[1]));
    assert_eq!((fault.kind, fault.severity), (FaultKind::LeftOutPv, Severity::Critical));
    assert!(fault.found.contains("device is not in devices file"), "{}", fault.found);
    assert!(fault.advice.contains("`lvm lvmdevices --adddev"), "{}", fault.advice);
    // All of them: the disks of a virtual machine, most likely.
    let faults = fault::find(&leave_out(&[0, 1]));
    let found: Vec<(FaultKind, Severity)> = faults.iter().map(|f| (f.kind, f.severity)).collect();
    assert_eq!(found, [(FaultKind::LeftOutPv, Severity::Note); 2]);
}

#[test]
fn a_vg_that_is_left_out_and_active() {
    let (_, vg) = machine();
    let mut inventory = with_mapped(vec![mapped(&vg, "simple", 0, &["0 4096 linear 8:0 2048"])]);
    let names: Vec<DeviceName> = inventory.devices.iter().map(|d| d.name.clone()).collect();
    let why = "device is rejected by filter config";
    with(&mut inventory, |live| {
        let left_out = |device| LeftOut { device, why: why.into() };
        live.lvm.left_out = names.into_iter().map(left_out).collect();
    });
    let severities: Vec<Severity> = fault::find(&inventory).iter().map(|f| f.severity).collect();
    assert_eq!(severities, [Severity::Critical; 2]);
}

#[test]
fn a_duplicate_that_lvm_is_not_shown() {
    let of = |why: &str| {
        let (mut inventory, _) = machine();
        let mut copy = inventory.devices[0].clone();
        copy.name = DeviceName::whole("/dev/copy");
        copy.number = Some(number(SD, 96));
        inventory.devices.push(copy.clone());
        let left_out = vec![LeftOut { device: copy.name, why: why.into() }];
        with(&mut inventory, |live| live.lvm.left_out = left_out);
        only(&inventory)
    };
    let fault = of("device is not in devices file");
    assert_eq!((fault.kind, fault.severity), (FaultKind::DuplicatePv, Severity::Note));
    let fault = of("device is a duplicate: LVM prefers /dev/a because of its name");
    assert_eq!((fault.kind, fault.severity), (FaultKind::DuplicatePv, Severity::Critical));
}

#[test]
fn nothing_of_this_is_told_of_images() {
    let inventory = World::of("plain").look();
    assert!(inventory.live.is_none());
    assert_eq!(fault::find(&inventory), []);
}

/// Kinds of faults of a machine that has these devices.
fn kinds(devices: Vec<MappedDevice>) -> Vec<FaultKind> {
    fault::find(&with_mapped(devices)).iter().map(|fault| fault.kind).collect()
}

#[test]
fn a_table_that_is_not_what_the_metadata_says() {
    let (_, vg) = machine();
    let simple = |table: &str| mapped(&vg, "simple", 0, &[table]);
    assert_eq!(kinds(vec![simple("0 4096 linear 8:0 2048")]), []);
    for other in [
        "0 4096 linear 8:0 2560",
        "0 4096 linear 8:16 2048",
        "0 3584 linear 8:0 2048",
        "0 4096 striped 2 128 8:0 2048 8:16 2048",
        "0 4096 error",
    ] {
        assert_eq!(kinds(vec![simple(other)]), [FaultKind::StaleTable], "{other}");
    }
    let fault = only(&with_mapped(vec![simple("0 4096 linear 8:0 2560")]));
    assert_eq!(fault.severity, Severity::Critical);
    for part in ["vg-0 (253:0) has `0 4096 linear 8:0 2560`", "says `0 4096 linear 8:0 2048`"] {
        assert!(fault.found.contains(part), "{part}: {}", fault.found);
    }
    assert!(fault.advice.contains("only: [simple]"), "{}", fault.advice);
    // What a command left half-way comes first.
    let half = MappedDevice { suspended: true, ..mapped(&vg, "spread", 1, &["0 8 error"]) };
    let found = kinds(vec![simple("0 4096 linear 8:0 2560"), half]);
    assert_eq!(found, [FaultKind::SuspendedDevice]);
}

#[test]
fn tables_of_thin_lvs() {
    use crate::support::machine::{mapped_lv, vg};
    let inventory = crate::support::machine::machine("thin");
    let vg = vg(&inventory);
    let found = |table: &str| {
        let mut inventory = inventory.clone();
        inventory.pools.clear();
        with(&mut inventory, |live| {
            let pool = "0 20480 thin-pool 253:3 253:4 128 0 0";
            live.mapped.push(mapped_lv(&vg, "pool", "tpool", 5, &[pool]));
            live.mapped.push(mapped_lv(&vg, "pool_tdata", "tdata", 4, &["0 20480 linear 8:0 1"]));
            live.mapped.push(mapped_lv(&vg, "thin2", "", 6, &[table]));
        });
        let stale =
            |fault: &Fault| fault.kind == FaultKind::StaleTable && fault.object == "LV thin2";
        fault::find(&inventory).into_iter().filter(stale).count()
    };
    assert_eq!(found("0 8192 thin 253:5 2"), 0);
    assert_eq!([found("0 8192 thin 253:5 1"), found("0 8192 thin 253:4 2")], [1, 1]);
}
