//! Where RAID legs keep their metadata.

use super::{Builder, Piece, Place};
use crate::ids::PvUuid;
use crate::model::legs::Everything;
use crate::model::segment::SegmentKind;
use crate::model::vg::Vg;
use crate::units::Sectors;

/// Where the metadata of every RAID leg of this VG begins.
pub fn raid_meta_places(vg: &Vg) -> Vec<(PvUuid, Sectors)> {
    let builder = Builder { vg, reach: &Everything };
    let mut places = Vec::new();
    for segment in vg.lvs.iter().flat_map(|lv| &lv.segments) {
        let SegmentKind::Raid { legs, .. } = &segment.kind else { continue };
        for meta in legs.iter().filter_map(|leg| vg.lv(leg.meta.as_ref()?)) {
            let piece = builder
                .map(meta, 0)
                .ok()
                .and_then(|map| map.piece_at(Sectors::ZERO, Sectors::new(1)));
            if let Some(Piece { place: Place::Pv { pv, sector }, .. }) = piece {
                places.push((pv, sector));
            }
        }
    }
    places
}
