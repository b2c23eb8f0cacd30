//! Committing a new text of a VG: LVM's own protocol, made safe against a crash at any write.
//!
//! First the text goes into every ring, behind the one that counts; then every header points to
//! it from its precommitted slot; then from its committed slot. Devices are synced between the
//! phases, and no header is ever without a pointer that it had: a crash leaves every area with
//! the old text or the new one.
//!
//! # Source
//! LVM2 `lib/format_text/format-text.c`, `_vg_write_raw`, `_vg_precommit_raw`, `_vg_commit_raw`.

mod target;

use std::sync::Arc;

use crate::ids::{DeviceName, Digest, PvUuid, VgUuid};
use crate::model::choice::Standing;
use crate::model::compare::{Difference, differences};
use crate::model::device::{
    AreaHeader, Content, Device, MetadataArea, RingContent, RingText, Slot, SlotText, Slots,
};
use crate::model::extent_map::ExtentMap;
use crate::model::inventory::Inventory;
use crate::model::timeline::{MetadataText, Place, Source};
use crate::model::vg::Vg;
use crate::ondisk::area_header::{HEADER_SIZE, encode_area_header};
use crate::ondisk::checksum::lvm_crc;
use crate::ondisk::ring::RingRange;
use crate::operation::act::{Act, Write, WriteOf};
use crate::operation::commit::target::{Target, targets};
use crate::operation::{Lowered, Signature, Unfit};
use crate::text::edit::{EditError, set_seqno};
use crate::text::frame::{Frame, vg_mut};
use crate::text::read_text;
use crate::text::tree::Section;
use crate::text::write::{FrameText, write_text};
use crate::units::Bytes;

/// How much newer a text may claim to be that cannot be read as a whole: a flipped digit must not
/// use up all numbers.
const SEQNO_TRUST: u32 = 1 << 20;

/// How a commit on images is undone.
pub const UNDO_ON_IMAGES: &str = "area headers, then texts, are put back byte by byte";

/// What is committed.
pub struct Change<'a> {
    /// The VG.
    pub vg: VgUuid,
    /// The text it is built upon.
    pub base: &'a MetadataText,
    /// Areas to be written whatever state they are in.
    pub repair: &'a [(PvUuid, usize)],
    /// What the frame says wrote it.
    pub description: String,
}

/// Works out the commit of an edited text.
///
/// `allowed` says whether a difference between the base and the result is one the operation is
/// about; any other stops it.
pub fn lower(
    now: &Inventory,
    change: &Change<'_>,
    signature: &Signature,
    edit: impl FnOnce(&mut Section<'_>, &Vg) -> Result<(), EditError>,
    allowed: impl Fn(&Difference) -> bool,
) -> Result<Lowered, Unfit> {
    build(now, change, signature, edit, allowed).map(|built| built.lowered)
}

/// A commit, and the text that it writes.
pub struct Built {
    /// What is done on images, and what comes of it anywhere.
    pub lowered: Lowered,
    /// The new text.
    pub text: MetadataText,
}

/// Works out the commit of an edited text, and keeps the text.
pub fn build(
    now: &Inventory,
    change: &Change<'_>,
    signature: &Signature,
    edit: impl FnOnce(&mut Section<'_>, &Vg) -> Result<(), EditError>,
    allowed: impl Fn(&Difference) -> bool,
) -> Result<Built, Unfit> {
    let seqno = next_seqno(now, change)?;
    let bytes = edited(change, signature, seqno, edit)?;
    let new = read_text(&Arc::from(bytes)).map_err(|error| {
        Unfit::new(format!("BUG: the new metadata cannot be read back: {error}"))
    })?;
    check_result(change, &new.vg, allowed)?;
    let targets = targets(now, change, &new.text, &new.vg)?;
    let acts = acts(&targets, &new.text.bytes);
    let predicted = predicted(now, &targets, &new.text, new.vg);
    Ok(Built { lowered: Lowered { acts, predicted }, text: new.text })
}

/// One above every copy seen anywhere.
fn next_seqno(now: &Inventory, change: &Change<'_>) -> Result<u32, Unfit> {
    let known = now.vgs.get(&change.vg).and_then(|vg| vg.timeline.highest_seqno());
    let highest = known.unwrap_or(0).max(change.base.seqno);
    let cut =
        now.devices.iter().flat_map(Device::areas).flat_map(|area| &area.ring).filter_map(|text| {
            match &text.text {
                RingContent::Cut { vg_name: Some(name), seqno, .. }
                    if name.raw() == change.base.vg_name.as_str() =>
                {
                    *seqno
                }
                RingContent::Cut { .. } | RingContent::Whole(_) => None,
            }
        });
    let believed = cut.filter(|seqno| *seqno <= highest.saturating_add(SEQNO_TRUST)).max();
    let highest = highest.max(believed.unwrap_or(0));
    highest.checked_add(1).ok_or_else(|| Unfit::new(format!("seqno {highest} cannot be exceeded")))
}

fn edited(
    change: &Change<'_>,
    signature: &Signature,
    seqno: u32,
    edit: impl FnOnce(&mut Section<'_>, &Vg) -> Result<(), EditError>,
) -> Result<Vec<u8>, Unfit> {
    let unreadable =
        |error: &dyn std::fmt::Display| Unfit::new(format!("the metadata cannot be read: {error}"));
    let base = change.base;
    let mut tree = crate::text::parser::parse(&base.bytes).map_err(|e| unreadable(&e))?;
    let frame = Frame::of(&tree).map_err(|e| unreadable(&e))?;
    let vg = crate::text::read::read_vg(frame.vg_name, frame.vg).map_err(|e| unreadable(&e))?;
    let section = vg_mut(&mut tree).ok_or_else(|| unreadable(&"it describes no VG"))?;
    edit(section, &vg).map_err(|error| Unfit::new(error.to_string()))?;
    set_seqno(section, seqno);
    let frame = frame_text(signature, &change.description);
    Ok(write_text(base.vg_name.as_str().as_bytes(), section, &frame))
}

/// What stands around the VG in a text of this run.
pub fn frame_text(signature: &Signature, description: &str) -> FrameText {
    FrameText {
        generated_by: format!("Generated by {}", signature.program),
        description: description.to_owned(),
        creation_host: signature.node.clone(),
        machine: signature.machine.clone(),
        creation_time: signature.time,
        time_shown: signature.time_shown.clone(),
    }
}

/// Nothing may differ but what the operation is about, and no two LVs may share an extent.
fn check_result(
    change: &Change<'_>,
    new: &Vg,
    allowed: impl Fn(&Difference) -> bool,
) -> Result<(), Unfit> {
    let old = crate::text::vg_of(change.base)
        .map_err(|error| Unfit::new(format!("the metadata cannot be read: {error}")))?;
    let foreign = differences(&old, new).into_iter().find(|difference| !allowed(difference));
    if let Some(foreign) = foreign {
        return Err(Unfit::new(format!("BUG: the new metadata would also change: {foreign}")));
    }
    let (before, after) = (ExtentMap::of(&old), ExtentMap::of(new));
    if after.problems().len() > before.problems().len() {
        return Err(Unfit::new("the new metadata would give extents to two LVs, or too many"));
    }
    Ok(())
}

fn new_slots(target: &Target, text: &[u8]) -> (Slots, Slots) {
    let with_nul = [text, &[0]].concat();
    let new = Slot {
        offset: Bytes::new(target.range.first.start),
        size: Bytes::of_len(with_nul.len()),
        checksum: lvm_crc(&with_nul),
        ignored: false,
        raw_flags: 0,
    };
    let precommitted = Slots { committed: target.keeps, precommitted: new };
    (precommitted, Slots { committed: new, precommitted: Slot::default() })
}

fn acts(targets: &[Target], text: &[u8]) -> Vec<Act> {
    let mut devices: Vec<DeviceName> = targets.iter().map(|t| t.device.clone()).collect();
    devices.dedup();
    let mut acts = Vec::new();
    for target in targets {
        acts.extend(text_writes(target, text));
    }
    acts.push(Act::Sync(devices.clone()));
    for (of, pick) in [(WriteOf::Precommit, 0), (WriteOf::Commit, 1)] {
        for target in targets {
            let (precommitted, committed) = new_slots(target, text);
            let slots = if pick == 0 { precommitted } else { committed };
            acts.push(Act::Write(Write {
                device: target.device.clone(),
                offset: target.area.offset,
                bytes: encode_area_header(target.area, &slots).to_vec(),
                of,
            }));
        }
        acts.push(Act::Sync(devices.clone()));
    }
    acts
}

/// The text with its NUL, and zeros up to the end of its last sector, as LVM leaves it.
fn text_writes(target: &Target, text: &[u8]) -> Vec<Act> {
    let with_nul = [text, &[0]].concat();
    let first_len = usize::try_from(target.range.first.end - target.range.first.start)
        .unwrap_or(with_nul.len());
    let (first, second) = with_nul.split_at_checked(first_len).unwrap_or((&with_nul, &[]));
    let padded = |bytes: &[u8], start: u64| {
        let end = (start + bytes.len() as u64).next_multiple_of(512).min(target.area.size.get());
        let mut bytes = bytes.to_vec();
        bytes.resize(usize::try_from(end.saturating_sub(start)).unwrap_or(bytes.len()), 0);
        bytes
    };
    let write = |start: u64, bytes: Vec<u8>| {
        Act::Write(Write {
            device: target.device.clone(),
            offset: target.area.offset.saturating_add(Bytes::new(start)),
            bytes,
            of: WriteOf::Text,
        })
    };
    let start = target.range.first.start;
    if second.is_empty() {
        return vec![write(start, padded(first, start))];
    }
    let ring_start = HEADER_SIZE.get();
    vec![write(start, first.to_vec()), write(ring_start, padded(second, ring_start))]
}

/// The inventory once every area holds the text.
fn predicted(now: &Inventory, targets: &[Target], text: &MetadataText, vg: Vg) -> Inventory {
    let mut next = now.clone();
    let key = Digest::of(&text.bytes);
    let mut sources = Vec::new();
    for target in targets {
        let (_, slots) = new_slots(target, &text.bytes);
        let place = Place {
            device: target.device.clone(),
            area: target.index,
            offset: target.area.offset.saturating_add(slots.committed.offset),
            wrapped: target.range.wrapped > 0,
        };
        sources.push(Source::Committed(place));
        let area = next
            .devices
            .iter_mut()
            .find(|device| device.name == target.device)
            .and_then(|device| area_mut(&mut device.content, target.index));
        if let Some(area) = area {
            commit_in(area, &target.range, slots, key);
        }
    }
    next.texts.insert(key, text.clone());
    let standing = Standing::of(next.committed_copies(vg.uuid));
    if let Some(on_disk) = next.vgs.get_mut(&vg.uuid) {
        for source in sources {
            on_disk.timeline.insert(text.clone(), source);
        }
        let counts = standing.content() == Some(text.content);
        on_disk.current = counts.then(|| Arc::new(vg));
        on_disk.standing = standing;
    }
    next
}

fn area_mut(content: &mut Content, index: usize) -> Option<&mut MetadataArea> {
    match content {
        Content::Pv(pv) => pv.areas.get_mut(index),
        Content::LostLabel(lost) => lost.areas.get_mut(index),
        Content::PartitionTable | Content::Foreign | Content::Unreadable(_) => None,
    }
}

fn commit_in(area: &mut MetadataArea, range: &RingRange, slots: Slots, key: Digest) {
    area.header = AreaHeader::Good(slots);
    area.committed = SlotText::Good(key);
    area.precommitted = SlotText::Empty;
    let overlaps = |text: &RingText| {
        RingRange::new(text.offset, text.size, area.size).is_some_and(|r| r.overlaps(range))
    };
    area.ring.retain(|text| !overlaps(text));
    area.ring.push(RingText {
        offset: slots.committed.offset,
        size: slots.committed.size,
        wrapped: range.wrapped > 0,
        text: RingContent::Whole(key),
    });
    area.ring.sort_by_key(|text| text.offset);
}
