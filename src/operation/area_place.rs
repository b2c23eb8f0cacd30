//! The last look at where an area lies before it is written.

use crate::model::device::{Device, DiskArea, MetadataArea};
use crate::model::vg::{Pv, Vg};
use crate::ondisk::placement::{Surroundings, misplacement};
use crate::operation::Unfit;

/// Refuses an area that lies where no area of this PV may: over its label, another area or its
/// extents, past the end of the device, or larger than any that LVM makes.
pub fn check_place(device: &Device, index: usize, pv: &Pv, vg: &Vg) -> Result<(), Unfit> {
    let places: Vec<DiskArea> = device.areas().iter().map(MetadataArea::place).collect();
    let data = Some(pv.data_range(vg.extent_size));
    let around = Surroundings { device_size: device.size, areas: &places, data };
    let (Some(why), Some(place)) = (misplacement(index, &around), places.get(index)) else {
        return Ok(());
    };
    Err(Unfit::new(format!(
        "metadata area {index} of {} is not written: it begins at byte {} and is {} long by the \
         label, {}; the label is wrong, or not this PV's",
        device.name,
        place.offset.get(),
        place.size,
        why.shown()
    )))
}
