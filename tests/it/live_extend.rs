//! Blank devices that become PVs of a VG.

use lvmend::diff::RefusalCode;
use lvmend::ids::DeviceName;
use lvmend::model::compare::differences;
use lvmend::model::device::{Content, Device, PvOnDevice};
use lvmend::model::inventory::Inventory;
use lvmend::model::live::{DevNumber, LeftOut};
use lvmend::model::signature::{ForeignSignature, Format};
use lvmend::operation::act::Act;
use lvmend::operation::{Contract, ExtendVg, Operation, Probe};
use lvmend::units::Bytes;

use crate::support::live_story::story;
use crate::support::machine::{
    disk_number, edit, edit_vg, machine, mount, node, planned, snapshot, told, vg,
};
use crate::support::world::{World, plan, signature};

const LINK: &str = "/dev/disk/by-id/wwn-0x5";
const PLAN: &str =
    "version: 1\nname: p\nvolume_group: {name: vg, extend_with: [/dev/disk/by-id/wwn-0x5]}\n";

/// Two PVs, and a blank disk /dev/sdc.
fn with_blank_disk() -> Inventory {
    let mut inventory = machine("plain");
    let number = disk_number(2);
    inventory.devices.push(Device {
        name: DeviceName::whole("/dev/sdc"),
        number: Some(number),
        links: vec![LINK.to_owned()],
        size: Bytes::new(64 << 20),
        read_only: false,
        content: Content::Foreign,
        signatures: Vec::new(),
        cut_off: Vec::new(),
    });
    edit(&mut inventory, |live| {
        let mut node = node(number, "/dev/sdc");
        node.identity = Some("wwn-0x5".into());
        live.blocks.push(node);
    });
    inventory
}

fn disk(inventory: &mut Inventory) -> &mut Device {
    inventory.devices.last_mut().unwrap()
}

/// The disk with a label.
fn label(inventory: &mut Inventory) -> PvOnDevice {
    let on = PvOnDevice {
        uuid: "Pes61U-OJhv-INj7-lwSa-khQZ-KDkL-aFEBcd".parse().unwrap(),
        label_sector: 1,
        device_size: Bytes::new(64 << 20),
        data_areas: Vec::new(),
        in_use: Some(false),
        extension_version: 2,
        bootloader_areas: Vec::new(),
        areas: Vec::new(),
    };
    disk(inventory).content = Content::Pv(Box::new(on.clone()));
    on
}

/// What LVM leaves: the disk is a PV of the VG.
fn extended(inventory: &Inventory) -> Inventory {
    let mut after = inventory.clone();
    let on = label(&mut after);
    edit_vg(&mut after, |vg| {
        let mut pv = vg.pvs[0].clone();
        pv.uuid = on.uuid;
        pv.device_hint = Some("/dev/sdc".into());
        vg.pvs.push(pv);
        vg.seqno += 1;
    });
    after
}

fn operation(inventory: &Inventory) -> ExtendVg {
    let planned = planned(inventory, PLAN);
    let found = planned.graph.operations.into_iter().find_map(|operation| {
        let Operation::ExtendVg(extend) = operation else { return None };
        Some(extend)
    });
    found.unwrap()
}

fn lines(acts: &[Act]) -> Vec<String> {
    let line = |act: &Act| {
        let Act::Run(line) = act else { panic!("{act:?}") };
        line.to_string()
    };
    acts.iter().map(line).collect()
}

#[test]
fn a_blank_disk_becomes_a_pv() {
    let inventory = with_blank_disk();
    snapshot("extend", &story(&inventory, PLAN));
    assert!(planned(&extended(&inventory), PLAN).graph.is_empty(), "it is one already");
}

#[test]
fn what_lvm_chooses_is_allowed_and_nothing_else() {
    let inventory = with_blank_disk();
    let operation = operation(&inventory);
    let after = extended(&inventory);
    let predicted = operation.lower(&inventory, &signature()).unwrap().predicted;
    let found = differences(&vg(&predicted), &vg(&after));
    assert_eq!(found.len(), 1);
    assert!(found.iter().all(|difference| operation.allows(difference)), "{found:?}");
    assert_eq!(vg(&predicted).seqno, vg(&after).seqno);
    let mut worse = after.clone();
    edit_vg(&mut worse, |vg| drop(vg.lvs.pop()));
    let found = differences(&vg(&predicted), &vg(&worse));
    assert!(!found.iter().all(|difference| operation.allows(difference)));
}

#[test]
fn half_way_and_back() {
    let inventory = with_blank_disk();
    let operation = operation(&inventory);
    assert_eq!(operation.probe(&inventory), Probe::Before);
    // Labelled, and in no VG yet: it is simply added.
    let mut half = inventory.clone();
    label(&mut half);
    assert_eq!(operation.probe(&half), Probe::Before);
    let devices = "--devices /dev/sda,/dev/sdb,/dev/sdc";
    let extend = format!("/usr/sbin/lvm vgextend {devices} vg /dev/sdc");
    assert_eq!(lines(&operation.lower(&half, &signature()).unwrap().acts), [extend]);
    let remove = "/usr/sbin/lvm pvremove --devices /dev/sdc /dev/sdc".to_owned();
    let undo = |now: &Inventory| operation.lower_undo(now, &signature()).map(|l| lines(&l.acts));
    assert_eq!(undo(&half).unwrap(), [remove.as_str()]);
    let after = extended(&inventory);
    assert_eq!(operation.probe(&after), Probe::After);
    let reduce = format!("/usr/sbin/lvm vgreduce {devices} vg /dev/sdc");
    assert_eq!(undo(&after).unwrap(), [reduce, remove]);
    assert_eq!(undo(&inventory).unwrap(), Vec::<String>::new());
    // Somebody put an LV there.
    let mut used = after;
    edit_vg(&mut used, |vg| {
        let on_a = vg.pvs[0].uuid;
        let new = vg.pvs[2].uuid;
        (vg.pvs[0].uuid, vg.pvs[2].uuid) = (new, on_a);
    });
    let why = undo(&used).unwrap_err().why;
    assert!(why.starts_with("LVs have extents on /dev/sdc"), "{why}");
}

#[test]
fn another_disk_under_that_name_is_not_taken() {
    let inventory = with_blank_disk();
    let operation = operation(&inventory);
    let mut swapped = inventory;
    edit(&mut swapped, |live| live.blocks[2].identity = Some("wwn-0x6".into()));
    assert_eq!(operation.probe(&swapped), Probe::Neither);
    let why = operation.lower(&swapped, &signature()).unwrap_err().why;
    assert_eq!(why, format!("{LINK} is gone, or another device than when it was planned"));
}

#[test]
fn what_is_not_blank_or_not_free_is_refused() {
    let mut all = String::new();
    let mut refused = |code: RefusalCode, change: &dyn Fn(&mut Inventory)| {
        let mut inventory = with_blank_disk();
        change(&mut inventory);
        let planned = planned(&inventory, PLAN);
        let codes: Vec<RefusalCode> = planned.refusals.iter().map(|r| r.code).collect();
        assert_eq!(codes, [code]);
        all += &told(&planned);
    };
    refused(RefusalCode::DeviceAbsent, &|i| drop(i.devices.pop()));
    refused(RefusalCode::DeviceAbsent, &|i| {
        let device = DeviceName::whole("/dev/sdc");
        let left = LeftOut { device, why: "not in the devices file".into() };
        edit(i, |live| live.lvm.left_out.push(left.clone()));
    });
    refused(RefusalCode::DeviceNotBlank, &|i| {
        let found = ForeignSignature { at: Bytes::new(1080), format: Format::Ext4 };
        disk(i).signatures.push(found);
    });
    refused(RefusalCode::DeviceNotBlank, &|i| disk(i).content = Content::PartitionTable);
    refused(RefusalCode::DeviceNotBlank, &|i| disk(i).content = Content::Unreadable("EIO".into()));
    refused(RefusalCode::DeviceNotBlank, &|i| drop(label(i)));
    refused(RefusalCode::ReadOnlyDevice, &|i| disk(i).read_only = true);
    refused(RefusalCode::DeviceTooSmall, &|i| disk(i).size = Bytes::new(1 << 20));
    refused(RefusalCode::DeviceInUse, &|i| {
        edit(i, |live| live.mounts.push(mount(disk_number(2), "/mnt", "ext4")));
    });
    refused(RefusalCode::DeviceInUse, &|i| {
        edit(i, |live| live.blocks[2].holders.push(DevNumber { major: 9, minor: 0 }));
    });
    snapshot("extend-refused", &all);
    let on_images = World::of("plain").plan(&plan(PLAN));
    snapshot("extend-on-images", &told(&on_images));
    let mut missing = machine("missing-pv");
    missing.devices.push(with_blank_disk().devices.pop().unwrap());
    let alone = planned(&missing, PLAN);
    assert_eq!(alone.refusals[0].code, RefusalCode::PvAbsent);
    let both = format!("{PLAN}physical_volumes: {{'*': {{state: attached}}}}\n");
    let kinds: Vec<&str> =
        planned(&missing, &both).graph.operations.iter().map(Operation::kind).collect();
    assert_eq!(kinds, ["save_evidence", "restore_missing_pv", "extend_vg"]);
}
