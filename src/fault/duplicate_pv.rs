//! One PV on two devices: a clone, or one disk seen over two paths.

use std::collections::BTreeMap;

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::ids::PvUuid;
use crate::model::device::Device;
use crate::model::inventory::Inventory;

const KIND: Kind = Kind {
    kind: FaultKind::DuplicatePv,
    severity: Severity::Critical,
    matters: "LVM picks one of them by its own rules and refuses to change the VG; writing to the \
              wrong one loses data",
    plan: None,
};

/// A PV of which LVM is shown one device only.
const CHOSEN: Kind = Kind {
    severity: Severity::Note,
    matters: "LVM is shown one of them only, so it does not pick the wrong one; it would if its filter \
              or devices file were lost",
    ..KIND
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut by_uuid: BTreeMap<PvUuid, Vec<&Device>> = BTreeMap::new();
    for device in &inventory.devices {
        if let Some(pv) = device.pv() {
            by_uuid.entry(pv.uuid).or_default().push(device);
        }
    }
    let doubled = by_uuid.into_iter().filter(|(_, devices)| devices.len() > 1);
    doubled
        .map(|(uuid, devices)| {
            let names: Vec<String> = devices.iter().map(|d| d.name.to_string()).collect();
            let found = format!("its label stands on {}", names.join(" and "));
            let object = format!("PV {uuid}");
            match only_shown(inventory, &devices) {
                Some(shown) => CHOSEN
                    .fault(object, format!("{found}; LVM looks at {} only", shown.name))
                    .advise("nothing, if that is the one that is meant"),
                None => KIND
                    .fault(object, found)
                    .advise("find out which is meant, and leave the other out"),
            }
        })
        .collect()
}

/// The one of these devices that LVM is shown on a running machine. One that LVM itself has chosen
/// among several is none.
fn only_shown<'d>(inventory: &Inventory, devices: &[&'d Device]) -> Option<&'d Device> {
    let live = inventory.live.as_deref()?;
    let is_hidden = |device: &Device| {
        let why = live.lvm.left_out.iter().find(|out| out.device == device.name);
        why.is_some_and(|out| !out.is_duplicate())
    };
    let shown: Vec<&Device> = devices.iter().copied().filter(|d| !is_hidden(d)).collect();
    match shown.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}
