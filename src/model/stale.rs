//! Live tables that map a device which is gone, while its PV is there again as another device.

use crate::ids::PvUuid;
use crate::model::inventory::Inventory;
use crate::model::live::{DevNumber, Live, MappedDevice};
use crate::model::parts::{Roles, activated_together, leaning_on};
use crate::model::segment::Area;
use crate::model::vg::{Lv, Vg};

/// A device of the VG whose live table maps what is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleTable<'a> {
    /// The device.
    pub device: &'a MappedDevice,
    /// The LV it belongs to; a hidden part, perhaps.
    pub lv: &'a Lv,
    /// What its table maps and is gone.
    pub gone: Vec<DevNumber>,
    /// PVs that it should map, and the devices that those are now.
    pub back: Vec<(PvUuid, DevNumber)>,
}

/// Every such device of this VG. `number_of` says which device a PV is on now.
///
/// A table that maps something else than the metadata says, but something that is there, is another
/// matter.
pub fn stale_tables<'a>(
    now: &Inventory,
    live: &'a Live,
    vg: &'a Vg,
    number_of: impl Fn(PvUuid) -> Option<DevNumber>,
) -> Vec<StaleTable<'a>> {
    let is_there = |number: &DevNumber| {
        live.node_by_number(*number).is_some()
            || live.mapped_by_number(*number).is_some()
            || now.devices.iter().any(|device| device.number == Some(*number))
    };
    let stale = live.mapped_of_vg(vg.uuid).filter_map(|device| {
        let lv = vg.lv_by_uuid(device.layer.as_ref()?.lv)?;
        let mapped = device.lies_on();
        let gone: Vec<DevNumber> = mapped.iter().filter(|n| !is_there(n)).copied().collect();
        let pvs = pvs_of(vg, lv).into_iter();
        let back: Vec<(PvUuid, DevNumber)> = pvs
            .filter_map(|pv| Some((pv, number_of(pv)?)))
            .filter(|(_, number)| !mapped.contains(number))
            .collect();
        let is_stale = !gone.is_empty() && !back.is_empty();
        is_stale.then_some(StaleTable { device, lv, gone, back })
    });
    stale.collect()
}

/// Which device each PV is on, where it is on one.
pub fn number_of(now: &Inventory, pv: PvUuid) -> Option<DevNumber> {
    match now.devices_of(pv).as_slice() {
        [device] => device.number,
        _ => None,
    }
}

/// PVs that this LV's segments lie on directly, each once, in the order of the segments.
fn pvs_of(vg: &Vg, lv: &Lv) -> Vec<PvUuid> {
    let areas = lv.segments.iter().flat_map(|segment| segment.kind.areas());
    let mut pvs = Vec::new();
    for area in areas {
        let Area::Pv { pv, .. } = area else { continue };
        let pv = vg.pvs.get(*pv).map(|pv| pv.uuid);
        pvs.extend(pv.filter(|pv| !pvs.contains(pv)));
    }
    pvs
}

/// The LV whose refresh gives this one, perhaps a hidden part, its table anew: the one on top of it.
/// LVM2 passes over an LV whose own device is not there, such as a pool of which only thin LVs are
/// active; then it is one of those.
pub fn refreshed_by<'a>(live: &Live, vg: &'a Vg, lv: &'a Lv) -> Option<&'a Lv> {
    let roles = Roles::of(vg);
    let top = roles.top_of(lv);
    let is_up = |lv: &&Lv| live.is_up(vg.uuid, lv.uuid);
    let up = Some(top).filter(is_up).or_else(|| leaning_on(vg, top).into_iter().find(is_up))?;
    activated_together(vg, up).first().copied()
}
