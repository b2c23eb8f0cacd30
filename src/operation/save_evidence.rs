//! Operation zero: saves the raw bytes of everything the plan may touch, before the first write.
//!
//! Effect: none on any device. What is saved are the first page of every PV of the VG, where the
//! label is, and all of its metadata areas, rings included: LVM itself wipes such bytes on its
//! first write. Half way: a part is saved, nothing else has begun. Undo: none needed.

use serde::{Deserialize, Serialize};

use crate::diff::Claim;
use crate::ids::{DeviceName, LvUuid, PvUuid, VgUuid};
use crate::model::device::{Device, DiskArea};
use crate::model::extent_map::ExtentRange;
use crate::model::inventory::{Inventory, Realm};
use crate::model::mapping::{Piece, Place};
use crate::ondisk::area_header::HEADER_SIZE;
use crate::operation::act::{Act, ContentFrom, Region};
use crate::operation::activation::current;
use crate::operation::content::content_of;
use crate::operation::{Contract, Lowered, Probe, Resource, Signature, Touches, Unfit};
use crate::plan::hazard::Hazard;
use crate::units::Bytes;

/// Where the label is, and all that comes before the first metadata area.
const FIRST_PAGE: Bytes = Bytes::new(4096);

/// Saves everything the plan may touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaveEvidence {
    /// The VG.
    pub vg: VgUuid,
    /// PVs of it that are there.
    pub pvs: Vec<PvUuid>,
    /// Devices that get a label, with the areas that will be written there.
    pub unlabelled: Vec<(DeviceName, Vec<DiskArea>)>,
    /// LVs with metadata of thin pools that are worked on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thin_metadata: Vec<LvUuid>,
    /// Free extents that are written as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extents: Vec<Claim>,
}

impl SaveEvidence {
    fn regions(&self, now: &Inventory) -> Result<Vec<Region>, Unfit> {
        let mut regions = Vec::new();
        for pv in &self.pvs {
            let devices = now.devices_of(*pv);
            let device = devices
                .first()
                .ok_or_else(|| Unfit::new(format!("PV {pv} is not on any device any more")))?;
            regions.extend(regions_of(device, &[]));
        }
        for (name, areas) in &self.unlabelled {
            let device = now
                .device(name)
                .ok_or_else(|| Unfit::new(format!("{name} is not there any more")))?;
            regions.extend(regions_of(device, areas));
        }
        for lv in &self.thin_metadata {
            regions.extend(regions_of_lv(now, self.vg, *lv)?);
        }
        regions.extend(regions_of_extents(now, self.vg, &self.extents)?);
        Ok(merged(regions))
    }
}

/// Where the content of an LV lies. One that is active the kernel writes: what is on the disks is
/// then no evidence.
fn regions_of_lv(now: &Inventory, vg: VgUuid, lv: LvUuid) -> Result<Vec<Region>, Unfit> {
    let content = content_of(now, vg, lv)?;
    let name = &content.name;
    let ContentFrom::Pvs { map, devices } = &content.from else {
        return Err(Unfit::new(format!("LV {name} is active: somebody activated it")));
    };
    let region = |piece: Piece| {
        let Place::Pv { pv, sector } = piece.place else { return None };
        let away = || Unfit::new(format!("PV {pv}, which LV {name} lies on, is not there"));
        let place = || {
            let device = devices.get(&pv)?.clone();
            Some(Region { device, offset: sector.bytes()?, len: piece.len.bytes()? })
        };
        Some(place().ok_or_else(away))
    };
    map.pieces().filter_map(region).collect()
}

/// Where extents lie on the devices.
pub fn regions_of_extents(
    now: &Inventory,
    vg: VgUuid,
    claims: &[Claim],
) -> Result<Vec<Region>, Unfit> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let vg = current(now, vg)?;
    let region = |(pv, range): (PvUuid, ExtentRange)| {
        let place = || {
            let device = now.devices_of(pv).first()?.name.clone();
            let offset = vg.pv(pv)?.extent_start(range.first, vg.extent_size)?.bytes()?;
            let len = range.len().sectors(vg.extent_size)?.bytes()?;
            Some(Region { device, offset, len })
        };
        place().ok_or_else(|| Unfit::new(format!("PV {pv} is not there any more")))
    };
    claims.iter().flat_map(Claim::ranges).map(region).collect()
}

/// Regions in order, those that touch or overlap as one.
fn merged(mut regions: Vec<Region>) -> Vec<Region> {
    let end = |region: &Region| region.offset.saturating_add(region.len);
    regions.sort();
    let mut merged: Vec<Region> = Vec::with_capacity(regions.len());
    for region in regions {
        match merged.last_mut() {
            Some(last) if last.device == region.device && region.offset <= end(last) => {
                let both = end(last).max(end(&region));
                last.len = both.saturating_sub(last.offset);
            }
            Some(_) | None => merged.push(region),
        }
    }
    merged
}

fn regions_of(device: &Device, further: &[DiskArea]) -> Vec<Region> {
    let region = |offset: Bytes, len: Bytes| {
        let len = len.min(device.size.saturating_sub(offset));
        (!len.is_zero()).then(|| Region { device: device.name.clone(), offset, len })
    };
    let first = region(Bytes::ZERO, FIRST_PAGE);
    let found = device.areas().iter().filter_map(|area| {
        // Where no area may lie nothing is written: what its header says is all there is to keep.
        let size = if area.is_misplaced() { HEADER_SIZE } else { area.size };
        region(area.offset, size)
    });
    let further = further.iter().filter_map(|area| region(area.offset, area.size));
    first.into_iter().chain(found).chain(further).collect()
}

impl Contract for SaveEvidence {
    fn object(&self) -> String {
        self.vg.to_string()
    }

    fn title(&self) -> String {
        let count = self.pvs.len() + self.unlabelled.len();
        let thin = if self.thin_metadata.is_empty() { "" } else { ", and thin metadata" };
        format!("save labels and metadata areas of {count} PVs{thin}")
    }

    fn reasons(&self) -> Vec<String> {
        vec!["whatever is overwritten later, by this run or by LVM, can be put back".to_owned()]
    }

    fn touches(&self) -> Touches {
        Touches { reads: Vec::new(), writes: vec![Resource::Evidence] }
    }

    fn risk(&self, realm: Realm) -> crate::operation::Risk {
        match realm {
            Realm::Images | Realm::Live => crate::operation::Risk::ReadOnly,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images | Realm::Live => "none needed: it writes to the state directory only",
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        Ok(Lowered { acts: vec![Act::Save(self.regions(now)?)], predicted: now.clone() })
    }

    fn probe(&self, _: &Inventory) -> Probe {
        // It leaves no trace on any device, and may be done again.
        Probe::Before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(device: &str, offset: u64, len: u64) -> Region {
        let device = DeviceName::whole(device);
        Region { device, offset: Bytes::new(offset), len: Bytes::new(len) }
    }

    #[test]
    fn what_touches_or_overlaps_is_saved_as_one() {
        let all = vec![
            region("b", 0, 10),
            region("a", 8, 2),
            region("a", 0, 4),
            region("a", 4, 4),
            region("a", 20, 5),
            region("a", 21, 1),
        ];
        assert_eq!(merged(all), [region("a", 0, 10), region("a", 20, 5), region("b", 0, 10)]);
    }
}
