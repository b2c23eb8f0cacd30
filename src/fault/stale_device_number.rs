//! A live table that maps a device which is gone, or which is not where the PV is now: a disk went
//! away under an active LV and came back as another device.

use std::collections::BTreeSet;

use crate::fault::live::{is_of_vg, numbers_of, shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::device::{Content, Device};
use crate::model::inventory::Inventory;
use crate::model::live::{DevNumber, Live, MappedDevice};
use crate::model::parts::Roles;
use crate::model::segment::{Area, SegmentKind};
use crate::model::vg::{Lv, Pv, Vg};

const KIND: Kind = Kind {
    kind: FaultKind::StaleDeviceNumber,
    severity: Severity::Critical,
    matters: "reads and writes of the LV go to a device that is gone or is another, although the \
              disk may be back",
    plan: None,
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let Some(live) = inventory.live.as_deref() else { return Vec::new() };
    let mut faults = Vec::new();
    for vg in inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_deref()) {
        let look = Look { inventory, live, vg };
        let roles = Roles::of(vg);
        for mapped in live.mapped_of_vg(vg.uuid).filter(|mapped| is_plain(mapped)) {
            let lv = mapped.layer.as_ref().and_then(|layer| vg.lv_by_uuid(layer.lv));
            if let Some(lv) = lv {
                faults.extend(look.fault(roles.top_of(lv), lv, mapped));
            }
        }
    }
    faults
}

struct Look<'i> {
    inventory: &'i Inventory,
    live: &'i Live,
    vg: &'i Vg,
}

impl Look<'_> {
    fn fault(&self, top: &Lv, lv: &Lv, mapped: &MappedDevice) -> Option<Fault> {
        let pvs = pvs_of(self.vg, lv)?;
        let all_there = pvs.iter().all(|pv| !numbers_of(self.inventory, pv.uuid).is_empty());
        let used = mapped.lies_on();
        let stale: Vec<String> = used
            .iter()
            .filter(|number| {
                !is_of_vg(self.inventory, self.live, self.vg, **number)
                    && self.is_stale(**number, all_there)
            })
            .map(|number| self.shown(*number))
            .collect();
        if stale.is_empty() {
            return None;
        }
        let moved: Vec<String> = pvs
            .iter()
            .filter(|pv| {
                !numbers_of(self.inventory, pv.uuid).iter().any(|number| used.contains(number))
            })
            .map(|pv| self.place_of(pv))
            .collect();
        let name = shown(mapped);
        let found = format!("{name} maps {}; {}", stale.join(" and "), moved.join("; "));
        let refresh = format!(
            "`lvchange --refresh {}/{}`; a file system on it may have seen errors: unmount it, \
             check it, mount it again",
            self.vg.name, top.name
        );
        let advice =
            if all_there { refresh } else { format!("bring the disk back, then {refresh}") };
        Some(KIND.fault(format!("LV {}", lv.name), found).of_vg(self.vg.uuid).advise(advice))
    }

    /// Whether a device that is none of the VG's is gone, or is certainly no PV of it. What cannot
    /// be read may be one; what can be may have lost its label, as long as a PV of the LV is not to
    /// be found.
    fn is_stale(&self, number: DevNumber, all_there: bool) -> bool {
        let Some(node) = self.live.node_by_number(number) else { return true };
        let is_other = |device: &Device| {
            device.number == Some(number) && !matches!(device.content, Content::Unreadable(_))
        };
        all_there && (node.component_of.is_some() || self.inventory.devices.iter().any(is_other))
    }

    fn shown(&self, number: DevNumber) -> String {
        match self.live.node_by_number(number) {
            Some(node) => format!("{number}, which is {} and no PV of the VG", node.name),
            None => format!("{number}, which is gone"),
        }
    }

    fn place_of(&self, pv: &Pv) -> String {
        let devices = self.inventory.devices_of(pv.uuid);
        let places: Vec<String> = devices
            .iter()
            .map(|device| {
                let number = device.number.map(|number| format!(" ({number})"));
                format!("{}{}", device.name, number.unwrap_or_default())
            })
            .collect();
        if places.is_empty() {
            format!("PV {} is on no device", pv.uuid)
        } else {
            format!("PV {} is on {} now", pv.uuid, places.join(" and "))
        }
    }
}

/// Whether every target maps devices one to one, without anything between.
fn is_plain(mapped: &MappedDevice) -> bool {
    !mapped.live.is_empty()
        && mapped.live.iter().all(|line| matches!(line.target.as_str(), "linear" | "striped"))
}

/// The PVs of an LV that lies on nothing else.
fn pvs_of<'vg>(vg: &'vg Vg, lv: &Lv) -> Option<Vec<&'vg Pv>> {
    let mut pvs = BTreeSet::new();
    for segment in &lv.segments {
        let SegmentKind::Striped { stripes, .. } = &segment.kind else { return None };
        for area in stripes {
            let Area::Pv { pv, .. } = area else { return None };
            pvs.insert(*pv);
        }
    }
    pvs.into_iter().map(|index| vg.pvs.get(index)).collect()
}
