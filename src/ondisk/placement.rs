//! Where a metadata area may lie. A label is only bytes: what it says of areas is believed when
//! they lie where LVM could have put them, because areas are read whole and written.

use std::ops::Range;

use crate::model::device::{DiskArea, HeaderDamage};
use crate::ondisk::label::LABEL_SECTORS;
use crate::units::{Bytes, SECTOR_BYTES};

/// Where LVM puts the first metadata area of a PV it makes.
pub const AREA_START: Bytes = Bytes::new(4096);

/// The largest metadata area taken seriously. LVM makes 1 MiB unless asked; a text of tens of
/// thousands of LVs takes some 10 MiB, and a ring holds at least two.
pub const AREA_SIZE_MAX: Bytes = Bytes::new(256 << 20);

/// What an area must keep clear of.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// How large the device is.
    pub device_size: Bytes,
    /// The areas of the PV, this one among them.
    pub areas: &'a [DiskArea],
    /// The PV's extents, when any text tells of them.
    pub data: Option<Range<Bytes>>,
}

/// Why an area must not lie where it lies, if it must not: `index` is its place among the areas.
pub fn misplacement(index: usize, around: &Surroundings<'_>) -> Option<HeaderDamage> {
    let area = around.areas.get(index)?;
    let Some(end) = area.end().filter(|end| *end <= around.device_size) else {
        return Some(HeaderDamage::PastEnd);
    };
    if area.size > AREA_SIZE_MAX {
        return Some(HeaderDamage::TooLarge);
    }
    if area.offset < Bytes::new(LABEL_SECTORS * SECTOR_BYTES) {
        return Some(HeaderDamage::OverLabel);
    }
    let is_over = |other: &Range<Bytes>| area.offset < other.end && other.start < end;
    let mut others = around.areas.iter().enumerate().filter(|(other, _)| *other != index);
    if others.any(|(_, other)| overlap(area, other)) {
        return Some(HeaderDamage::OverArea);
    }
    let data = around.data.as_ref().filter(|data| !data.is_empty());
    data.is_some_and(is_over).then_some(HeaderDamage::OverData)
}

/// Whether two areas have a byte in common.
pub fn overlap(one: &DiskArea, other: &DiskArea) -> bool {
    let end = |area: &DiskArea| area.end().unwrap_or(Bytes::new(u64::MAX));
    one.offset < end(other) && other.offset < end(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn area(offset: u64, size: u64) -> DiskArea {
        DiskArea { offset: Bytes::new(offset), size: Bytes::new(size) }
    }

    fn of(areas: &[DiskArea], data: Range<u64>) -> Vec<Option<HeaderDamage>> {
        let data = Some(Bytes::new(data.start)..Bytes::new(data.end));
        let around = Surroundings { device_size: Bytes::new(4096 * MIB), areas, data };
        (0..areas.len()).map(|index| misplacement(index, &around)).collect()
    }

    #[test]
    fn areas_beside_the_data_are_well_placed() {
        let first = area(4096, MIB - 4096);
        let last = area(4095 * MIB, MIB);
        assert_eq!(of(&[first, last], MIB..4095 * MIB), [None, None]);
        assert_eq!(of(&[area(2048, 256 * MIB)], 0..0), [None]);
    }

    #[test]
    fn areas_that_would_be_written_over_something_are_not() {
        use HeaderDamage::{OverArea, OverData, OverLabel, PastEnd, TooLarge};
        let one = |area: DiskArea| of(&[area], MIB..4095 * MIB);
        assert_eq!(one(area(4096, 256 * MIB + 512)), [Some(TooLarge)]);
        assert_eq!(one(area(4095 * MIB, MIB + 512)), [Some(PastEnd)]);
        assert_eq!(one(area(u64::MAX, 2)), [Some(PastEnd)]);
        assert_eq!(one(area(1536, MIB)), [Some(OverLabel)]);
        assert_eq!(one(area(4096, MIB)), [Some(OverData)]);
        assert_eq!(one(area(4094 * MIB, 2 * MIB)), [Some(OverData)]);
        let twice = [area(4096, 65536), area(8192, 4096)];
        assert_eq!(of(&twice, MIB..2 * MIB), [Some(OverArea), Some(OverArea)]);
    }
}
