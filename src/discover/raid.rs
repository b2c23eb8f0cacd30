//! Superblocks of RAID legs, wherever any version of the metadata places one.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::ReadHost;
use crate::ids::PvUuid;
use crate::model::inventory::{Inventory, VgOnDisk};
use crate::model::legs::RaidMeta;
use crate::model::mapping::raid_meta_places;
use crate::ondisk::area_header::HEADER_SIZE;
use crate::ondisk::bytes::sector_at;
use crate::ondisk::raid_superblock::parse_raid_meta;
use crate::text::vg_of;
use crate::units::Sectors;

/// What stands at those places; where it cannot be read, nothing is known.
pub fn look_at_legs(
    host: &dyn ReadHost,
    inventory: &Inventory,
) -> BTreeMap<(PvUuid, Sectors), RaidMeta> {
    let places: BTreeSet<(PvUuid, Sectors)> = inventory.vgs.values().flat_map(places_of).collect();
    let mut metas = BTreeMap::new();
    for (pv, sector) in places {
        let devices = inventory.devices_of(pv);
        let ([device], Some(offset)) = (devices.as_slice(), sector.bytes()) else {
            continue;
        };
        let bytes = host.read(&device.name, offset, HEADER_SIZE).unwrap_or_default();
        if let Some(bytes) = sector_at(&bytes, 0) {
            metas.insert((pv, sector), parse_raid_meta(bytes));
        }
    }
    metas
}

/// A lost LV has its legs where an older version says.
fn places_of(on_disk: &VgOnDisk) -> Vec<(PvUuid, Sectors)> {
    let mut places = Vec::new();
    for version in on_disk.timeline.versions() {
        let type_name = b"\"raid";
        if version.text.bytes.windows(type_name.len()).any(|bytes| bytes == type_name) {
            places.extend(vg_of(&version.text).iter().flat_map(raid_meta_places));
        }
    }
    places
}
