//! What some command was in the middle of when it wrote a text.

use crate::ids::LvName;
use crate::model::flags::LvStatus;
use crate::model::segment::SegmentKind;
use crate::model::vg::Lv;

/// Something that is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// Extents are being moved between PVs.
    Pvmove,
    /// A RAID LV is being laid out anew.
    Reshape,
    /// A snapshot is being merged into this LV.
    Merge(LvName),
    /// That many messages were not sent to a thin pool.
    PoolMessages(usize),
}

/// Everything about this LV alone that is not finished.
pub fn unfinished(lv: &Lv) -> Vec<Unfinished> {
    let mut found = Vec::new();
    if lv.status.has(LvStatus::Pvmove) || lv.status.has(LvStatus::Locked) {
        found.push(Unfinished::Pvmove);
    }
    for segment in &lv.segments {
        if segment.type_flags.iter().any(|flag| flag.raw().contains("RESHAPE")) {
            found.push(Unfinished::Reshape);
        }
        if let SegmentKind::Snapshot { merging: true, origin, .. } = &segment.kind {
            found.push(Unfinished::Merge(origin.clone()));
        }
        if let SegmentKind::Thin { merge: Some(into), .. } = &segment.kind {
            found.push(Unfinished::Merge(into.clone()));
        }
        if let SegmentKind::ThinPool { messages, .. } = &segment.kind
            && !messages.is_empty()
        {
            found.push(Unfinished::PoolMessages(messages.len()));
        }
    }
    found
}
