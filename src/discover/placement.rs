//! Areas that lie within the data of their PV, which only the text of the VG shows.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::discover::TextStore;
use crate::ids::{PvUuid, VgUuid};
use crate::model::choice::{Copy, Standing};
use crate::model::device::{Content, Device, DiskArea, MetadataArea};
use crate::model::inventory::committed_copies;
use crate::ondisk::placement::{Surroundings, misplacement};
use crate::units::Bytes;

/// Marks areas that share bytes with the extents of their PV, as the text of each VG that counts
/// places them. What stands in such an area counts no more, so that another text may be the one
/// that counts: this goes on until nothing changes.
pub fn mark_within_data(devices: &mut [Device], store: &TextStore) {
    while mark(devices, &data_of_pvs(devices, store)) {}
}

fn data_of_pvs(devices: &[Device], store: &TextStore) -> BTreeMap<PvUuid, Range<Bytes>> {
    let mut by_vg: BTreeMap<VgUuid, Vec<Copy>> = BTreeMap::new();
    for (vg, copy) in committed_copies(devices, |key| store.text(key)) {
        by_vg.entry(vg).or_default().push(copy);
    }
    let mut data = BTreeMap::new();
    for copies in by_vg.into_values() {
        let Standing::Clear { text, .. } = Standing::of(copies) else {
            continue;
        };
        if let Some(vg) = store.vg(text) {
            data.extend(vg.pvs.iter().map(|pv| (pv.uuid, pv.data_range(vg.extent_size))));
        }
    }
    data
}

/// Whether any area was marked that was not before.
fn mark(devices: &mut [Device], data: &BTreeMap<PvUuid, Range<Bytes>>) -> bool {
    let mut has_marked = false;
    for device in devices {
        let device_size = device.size;
        let Content::Pv(pv) = &mut device.content else {
            continue;
        };
        let places: Vec<DiskArea> = pv.areas.iter().map(MetadataArea::place).collect();
        let data = data.get(&pv.uuid).cloned();
        let around = Surroundings { device_size, areas: &places, data };
        for (index, area) in pv.areas.iter_mut().enumerate() {
            if let (false, Some(why)) = (area.is_misplaced(), misplacement(index, &around)) {
                area.misplace(why);
                has_marked = true;
            }
        }
    }
    has_marked
}
