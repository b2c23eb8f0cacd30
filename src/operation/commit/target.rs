//! Which areas a commit goes to, and where in their rings.

use crate::ids::{DeviceName, Digest};
use crate::model::device::{DiskArea, MetadataArea, RingContent, Slot, SlotText};
use crate::model::inventory::Inventory;
use crate::model::timeline::MetadataText;
use crate::model::vg::Vg;
use crate::ondisk::checksum::lvm_crc;
use crate::ondisk::ring::{RingRange, next_position, text_size_max};
use crate::operation::Unfit;
use crate::operation::area_place::check_place;
use crate::operation::commit::Change;
use crate::units::Bytes;

/// An area that is written.
pub struct Target {
    pub device: DeviceName,
    pub index: usize,
    pub area: DiskArea,
    /// What the committed slot holds until the commit.
    pub keeps: Slot,
    pub range: RingRange,
}

/// Every area that the commit goes to.
pub fn targets(
    now: &Inventory,
    change: &Change<'_>,
    text: &MetadataText,
    vg: &Vg,
) -> Result<Vec<Target>, Unfit> {
    let mut targets = Vec::new();
    for pv in &vg.pvs {
        let devices = now.devices_of(pv.uuid);
        let device = match devices.as_slice() {
            [] => continue,
            [device] => *device,
            _ => return Err(Unfit::new(format!("PV {} is on several devices", pv.uuid))),
        };
        let foreign = now.committed_vgs(device).into_iter().find(|vg| *vg != change.vg);
        for (index, area) in device.areas().iter().enumerate() {
            let is_repaired = change.repair.contains(&(pv.uuid, index));
            if !is_repaired && (pv.is_missing() || !is_in_use(area)) {
                continue;
            }
            if let Some(other) = foreign {
                let device = &device.name;
                return Err(Unfit::new(format!("{device} holds metadata of VG {other}")));
            }
            check_place(device, index, pv, vg)?;
            targets.push(target(now, change, &device.name, index, area, text)?);
        }
    }
    if targets.is_empty() {
        return Err(Unfit::new("no metadata area of the VG can be written"));
    }
    targets.sort_by(|a, b| (&a.device, a.index).cmp(&(&b.device, b.index)));
    Ok(targets)
}

/// Whether LVM would write to this area: not marked as ignored, header good, text not damaged.
fn is_in_use(area: &MetadataArea) -> bool {
    area.header.good().is_some()
        && !area.is_ignored()
        && !matches!(area.committed, SlotText::Damaged(_))
}

fn target(
    now: &Inventory,
    change: &Change<'_>,
    device: &DeviceName,
    index: usize,
    area: &MetadataArea,
    text: &MetadataText,
) -> Result<Target, Unfit> {
    let size = size_with_nul(text);
    let max = text_size_max(area.size);
    if size > max {
        return Err(Unfit::new(format!(
            "the metadata is {size} long, area {index} of {device} takes {max}"
        )));
    }
    let keeps = kept_slot(now, change, area);
    let kept = RingRange::new(keeps.offset, keeps.size, area.size);
    let last = kept.clone().or_else(|| newest_in_ring(now, change, area));
    let position = next_position(area.size, last.as_ref());
    let range = RingRange::new(position, size, area.size)
        .filter(|range| !kept.is_some_and(|kept| kept.overlaps(range)))
        .ok_or_else(|| {
            Unfit::new(format!("area {index} of {device} has no room beside the text that counts"))
        })?;
    let area = DiskArea { offset: area.offset, size: area.size };
    Ok(Target { device: device.clone(), index, area, keeps, range })
}

fn size_with_nul(text: &MetadataText) -> Bytes {
    Bytes::of_len(text.bytes.len()).saturating_add(Bytes::new(1))
}

/// What the committed slot holds until the commit: what it held; where that is no sound text, the
/// base text, should it still stand in the ring.
fn kept_slot(now: &Inventory, change: &Change<'_>, area: &MetadataArea) -> Slot {
    let held = area.header.good().map(|slots| slots.committed);
    if let (Some(held), SlotText::Good(_)) = (held, &area.committed) {
        return held;
    }
    let is_base =
        |key: &Digest| now.texts.get(key).is_some_and(|text| text.content == change.base.content);
    let found = area.ring.iter().find_map(|text| match &text.text {
        RingContent::Whole(key) if is_base(key) => now.texts.get(key).map(|t| (text.offset, t)),
        RingContent::Whole(_) | RingContent::Cut { .. } => None,
    });
    let base = found.map(|(offset, text)| slot_for(offset, text));
    base.or(held).unwrap_or_default()
}

fn slot_for(offset: Bytes, text: &MetadataText) -> Slot {
    let with_nul = [&text.bytes, &[0_u8][..]].concat();
    Slot {
        offset,
        size: Bytes::of_len(with_nul.len()),
        checksum: lvm_crc(&with_nul),
        ignored: false,
        raw_flags: 0,
    }
}

/// Where the newest text of this VG stands in a ring whose header cannot tell.
fn newest_in_ring(now: &Inventory, change: &Change<'_>, area: &MetadataArea) -> Option<RingRange> {
    let whole = area.ring.iter().filter_map(|text| match &text.text {
        RingContent::Whole(key) => Some((text, now.texts.get(key)?)),
        RingContent::Cut { .. } => None,
    });
    let ours = whole.filter(|(_, text)| text.vg_uuid == change.vg);
    let (newest, _) = ours.max_by_key(|(place, text)| (text.seqno, place.offset))?;
    RingRange::new(newest.offset, newest.size, area.size)
}
