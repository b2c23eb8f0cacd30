//! Running machines in memory: fixtures whose disks are devices, and a kernel and LVM2 beside them
//! that say what a test lets them say.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use lvmend::diff::RefusalCode;
use lvmend::host::fake::Schedule;
use lvmend::ids::{DeviceName, ForeignText, LvUuid, VgUuid};
use lvmend::model::inventory::{Inventory, Realm};
use lvmend::model::live::{
    BlockNode, DevNumber, LeftOut, Live, LvmLayer, LvmSetup, LvmVersion, MappedDevice, Mount,
    Opener, TargetLine,
};
use lvmend::model::vg::Vg;
use lvmend::simulate::planned::{Planned, work_out};
use lvmend::units::Sectors;

use crate::support::fixture::Fixture;
use crate::support::world::{World, plan, signature};

pub const HEALTHY: LvmVersion = LvmVersion { major: 2, minor: 3, patch: 16 };

/// A machine on which nothing is special.
pub fn quiet() -> Live {
    Live {
        lvm: LvmSetup {
            program: "/usr/sbin/lvm".to_owned(),
            version: HEALTHY,
            system_dir: "/etc/lvm".to_owned(),
            locking_dir: "/run/lock/lvm".to_owned(),
            backup_dir: "/etc/lvm/backup".to_owned(),
            archive_dir: "/etc/lvm/archive".to_owned(),
            system_id: None,
            extra_system_ids: Vec::new(),
            issue_discards: false,
            udev_sync: true,
            left_out: Vec::new(),
        },
        mapped: Vec::new(),
        mapped_is_complete: true,
        programs: BTreeMap::new(),
        blocks: Vec::new(),
        mounts: Vec::new(),
        swaps: Vec::new(),
        openers: Vec::new(),
        file_users: Vec::new(),
        kernel: "6.1.0".into(),
        targets: BTreeMap::new(),
        thin_tools: None,
        services: Vec::new(),
        unknown: Vec::new(),
    }
}

/// Number of the device that disk `index` of a fixture is: 8:0, 8:16, …
pub fn disk_number(index: usize) -> DevNumber {
    DevNumber { major: 8, minor: u32::try_from(index * 16).unwrap() }
}

/// Number of a device-mapper device.
pub fn dm(minor: u32) -> DevNumber {
    DevNumber { major: 253, minor }
}

/// The fixture's disks as `/dev/sda`, `/dev/sdb`, … of a quiet machine.
pub fn machine(scenario: &str) -> Inventory {
    machine_of(&[scenario])
}

/// The disks of several fixtures in one machine.
pub fn machine_of(scenarios: &[&str]) -> Inventory {
    let disks = scenarios.iter().flat_map(|scenario| Fixture::new(scenario).disks());
    let contents: Vec<Vec<u8>> = disks.map(|(_, content)| content).collect();
    let named =
        ('a'..).zip(contents).map(|(letter, content)| (format!("/dev/sd{letter}"), content));
    let mut inventory = World::with(named.collect(), &Schedule::quiet()).look();
    inventory.realm = Realm::Live;
    let mut live = quiet();
    for (index, device) in inventory.devices.iter_mut().enumerate() {
        device.number = Some(disk_number(index));
        live.blocks.push(node(disk_number(index), device.name.path()));
    }
    inventory.live = Some(Arc::new(live));
    inventory
}

/// Changes what the machine says of itself.
pub fn edit(inventory: &mut Inventory, change: impl FnOnce(&mut Live)) {
    change(Arc::make_mut(inventory.live.as_mut().unwrap()));
}

/// Changes the text that counts in the VG called `vg`, without touching the disks.
pub fn edit_vg(inventory: &mut Inventory, change: impl FnOnce(&mut Vg)) {
    let mut vgs = inventory.vgs.values_mut().filter(|on_disk| on_disk.current.is_some());
    change(Arc::make_mut(vgs.next().unwrap().current.as_mut().unwrap()));
}

/// The VG that counts.
pub fn vg(inventory: &Inventory) -> Arc<Vg> {
    inventory.vgs.values().find_map(|on_disk| on_disk.current.clone()).unwrap()
}

pub fn node(number: DevNumber, path: &str) -> BlockNode {
    BlockNode {
        number,
        name: DeviceName::whole(path),
        links: Vec::new(),
        identity: None,
        holders: Vec::new(),
        slaves: Vec::new(),
        component_of: None,
    }
}

pub fn left_out(path: &str, why: &str) -> LeftOut {
    LeftOut { device: DeviceName::whole(path), why: why.into() }
}

/// One line of a table, as `dmsetup table` prints it.
pub fn line(text: &str) -> TargetLine {
    let words: Vec<&str> = text.splitn(4, ' ').collect();
    TargetLine {
        start: Sectors::new(words[0].parse().unwrap()),
        len: Sectors::new(words[1].parse().unwrap()),
        target: words[2].to_owned(),
        args: words.get(3).copied().unwrap_or_default().into(),
    }
}

/// A device of LVM's with this table.
pub fn mapped(name: &str, minor: u32, of: (VgUuid, LvUuid, &str), table: &[&str]) -> MappedDevice {
    let (vg, lv, suffix) = of;
    let tail = if suffix.is_empty() { String::new() } else { format!("-{suffix}") };
    let compact = |uuid: String| uuid.replace('-', "");
    let uuid = format!("LVM-{}{}{tail}", compact(vg.to_string()), compact(lv.to_string()));
    MappedDevice {
        name: name.into(),
        layer: LvmLayer::parse(&uuid),
        uuid: uuid.into(),
        number: dm(minor),
        open_count: 0,
        suspended: false,
        read_only: false,
        live: table.iter().map(|text| line(text)).collect(),
        inactive: Vec::new(),
        has_inactive: false,
        has_node: true,
        status: Vec::new(),
    }
}

/// A device of the LV with this name, which lies on nothing unless a table says so.
pub fn mapped_lv(vg: &Vg, lv: &str, suffix: &str, minor: u32, table: &[&str]) -> MappedDevice {
    let uuid = vg.lv(&lv.parse().unwrap()).unwrap().uuid;
    let layer = if suffix.is_empty() { String::new() } else { format!("-{suffix}") };
    mapped(&format!("vg-{lv}{layer}"), minor, (vg.uuid, uuid, suffix), table)
}

pub fn mount(device: DevNumber, at: &str, fs_type: &str) -> Mount {
    Mount {
        root: "/".into(),
        device,
        at: at.into(),
        fs_type: fs_type.into(),
        options: "rw,relatime".into(),
        source: ForeignText::default(),
        is_ours: true,
        seen_by: None,
    }
}

pub fn opener(device: DevNumber, pid: u32, name: &str) -> Opener {
    Opener { device, pid, name: name.into(), owner: "root".into() }
}

/// What a plan comes to on this machine.
pub fn planned(inventory: &Inventory, text: &str) -> Planned {
    work_out(&plan(text), inventory, &signature()).unwrap()
}

/// Refusals and notes as reports show them.
pub fn told(planned: &Planned) -> String {
    let mut out = String::new();
    for refusal in &planned.refusals {
        let code = serde_json::to_value(refusal.code).unwrap();
        out += &format!("{}: {}\n  {}\n", code.as_str().unwrap(), refusal.object, refusal.why);
        if let Some(help) = &refusal.help {
            writeln!(out, "  help: {help}").unwrap();
        }
    }
    for note in &planned.diff.notes {
        writeln!(out, "note: {note}").unwrap();
    }
    out
}

/// Compares with the snapshot of this name.
pub fn snapshot(name: &str, told: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(format!("live-{name}"), told));
}

pub const RECOVER: &str = "version: 1\nname: x\nvolume_group: {name: vg}\nlogical_volumes: {precious: {state: present}}\n";
pub const ATTACH: &str =
    "version: 1\nname: x\nvolume_group: {name: vg}\nphysical_volumes: {'*': {state: attached}}\n";
pub const SOUND: &str = "version: 1\nname: x\nvolume_group: {name: vg, metadata: {state: sound}}\n";
pub const CHECK: &str = "version: 1\nname: x\nvolume_group: {name: vg}\nchecks: [sha256: {logical_volume: before, digest: 0000000000000000000000000000000000000000000000000000000000000000}]\n";

pub fn codes(inventory: &Inventory, text: &str) -> Vec<RefusalCode> {
    planned(inventory, text).refusals.iter().map(|refusal| refusal.code).collect()
}

/// Asserts that the change is refused, alone; what is said.
pub fn refused(
    code: RefusalCode,
    text: &str,
    before: Inventory,
    change: impl Fn(&mut Inventory),
) -> String {
    assert_eq!(codes(&before, text), [], "{code:?}: refused without it");
    let mut after = before;
    change(&mut after);
    assert_eq!(codes(&after, text), [code]);
    told(&planned(&after, text))
}

pub fn refused_recovery(code: RefusalCode, change: impl Fn(&mut Inventory)) -> String {
    refused(code, RECOVER, machine("deleted-lv"), change)
}
