//! A PV on a device that LVM does not look at: missing to LVM, and there.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::device::Device;
use crate::model::inventory::Inventory;
use crate::model::live::LeftOut;
use crate::model::vg::{Pv, Vg};

const KIND: Kind = Kind {
    kind: FaultKind::LeftOutPv,
    severity: Severity::Critical,
    matters: "to LVM the PV is missing: LVs on it are not activated, and `vgreduce \
              --removemissing` would throw them away although every disk is there",
    plan: None,
};

/// A VG that is kept from LVM as a whole, as the disks of virtual machines are.
const HIDDEN: Kind = Kind {
    severity: Severity::Note,
    matters: "to LVM the VG does not exist; that is meant so where it belongs to a virtual machine",
    ..KIND
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let Some(live) = inventory.live.as_deref() else { return Vec::new() };
    let left_out = &live.lvm.left_out;
    let mut faults = Vec::new();
    for vg in inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_deref()) {
        let unseen: Vec<(&Pv, &Device, &LeftOut)> =
            vg.pvs.iter().filter_map(|pv| unseen(inventory, left_out, pv)).collect();
        let there = vg.pvs.iter().filter(|pv| !inventory.devices_of(pv.uuid).is_empty()).count();
        // What is in use on this machine is no virtual machine's.
        let is_hidden = unseen.len() == there && live.mapped_of_vg(vg.uuid).next().is_none();
        let kind = if is_hidden { &HIDDEN } else { &KIND };
        faults.extend(unseen.into_iter().map(|(pv, device, out)| fault(kind, vg, pv, device, out)));
    }
    faults
}

/// The PV with its device, when LVM looks at no device that carries it.
fn unseen<'i>(
    inventory: &'i Inventory,
    left_out: &'i [LeftOut],
    pv: &'i Pv,
) -> Option<(&'i Pv, &'i Device, &'i LeftOut)> {
    let why = |device: &Device| left_out.iter().find(|out| out.device == device.name);
    let devices = inventory.devices_of(pv.uuid);
    let first = devices.first().copied()?;
    devices.iter().all(|device| why(device).is_some()).then_some(())?;
    Some((pv, first, why(first)?))
}

fn fault(kind: &Kind, vg: &Vg, pv: &Pv, device: &Device, out: &LeftOut) -> Fault {
    let found = format!(
        "VG {} has it, {} carries it, and LVM leaves that out: {}",
        vg.name, device.name, out.why
    );
    kind.fault(format!("PV {}", pv.uuid), found)
        .of_vg(vg.uuid)
        .on(&device.name)
        .advise(advice(device, out))
}

fn advice(device: &Device, out: &LeftOut) -> String {
    let why = out.why.raw();
    if why.contains("devices file") {
        format!("`lvm lvmdevices --adddev {}`, if LVM is to use it", device.name)
    } else if why.contains("filter config") {
        "see `filter` and `global_filter` in `lvm.conf`: `lvmconfig --type full devices/filter \
         devices/global_filter`"
            .to_owned()
    } else {
        "find out what LVM has against the device before anything writes this VG".to_owned()
    }
}
