//! A device shorter than the PV on it, or than the partitions that its table lists.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::device::{CutOff, Device};
use crate::model::inventory::Inventory;
use crate::units::{Bytes, Sectors};

const KIND: Kind = Kind {
    kind: FaultKind::ShortDevice,
    severity: Severity::Critical,
    matters: "LVs with extents past its end cannot be activated, or fail when that part is read",
    plan: None,
};

const CUT_OFF: Kind = Kind {
    matters: "what lies in that partition, a PV perhaps, is lost from the image in part or as a \
              whole, and is not looked at",
    ..KIND
};

/// Partitions that reach past the end of their image.
fn cut_off(inventory: &Inventory) -> impl Iterator<Item = Fault> {
    let of = |device: &Device, cut: &CutOff| {
        let Device { name, size, .. } = device;
        let found = format!(
            "partition {} ends at byte {} by the partition table, {name} is {} bytes long ({size}): \
             the image is cut off",
            cut.number,
            cut.end.get(),
            size.get(),
        );
        CUT_OFF
            .fault(name.partition(cut.number), found)
            .on(name)
            .at(cut.start)
            .advise("use the whole disk or image: what is missing at its end cannot be made up for")
    };
    inventory
        .devices
        .iter()
        .flat_map(move |device| device.cut_off.iter().map(move |cut| of(device, cut)))
}

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut faults: Vec<Fault> = cut_off(inventory).collect();
    for vg in inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_ref()) {
        for pv in &vg.pvs {
            let end = pv.extent_start(pv.pe_count, vg.extent_size).and_then(Sectors::bytes);
            for device in inventory.devices_of(pv.uuid) {
                if end.is_some_and(|end| end <= device.size) {
                    continue;
                }
                let needs = end.unwrap_or(Bytes::new(u64::MAX));
                let found =
                    format!("its extents end at {needs}, {} is {} long", device.name, device.size);
                faults.push(
                    KIND.fault(format!("PV {}", pv.uuid), found)
                        .of_vg(vg.uuid)
                        .on(&device.name)
                        .advise("an image may be cut off; a disk may be another than it was"),
                );
            }
        }
    }
    faults
}
