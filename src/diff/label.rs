//! PVs of the VG whose label is gone: which device each is on, and what proves it.

use crate::diff::{Base, Change, Context, Diff, LostPv, Refusal, RefusalCode};
use crate::ids::{ForeignText, PvUuid};
use crate::model::device::{Content, Device, DiskArea, LostLabel, MetadataArea, RingContent};
use crate::model::inventory::Inventory;
use crate::model::signature::ForeignSignature;
use crate::model::timeline::MetadataText;
use crate::model::vg::Pv;
use crate::ondisk::placement::{AREA_SIZE_MAX, AREA_START, overlap};
use crate::plan::hazard::{Hazard, HazardKind};
use crate::text::vg_of;
use crate::units::{Bytes, Sectors};

/// Finds PVs without a label that the plan wants back.
pub fn lost_labels(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    for pv in &base.vg.pvs {
        let attached = context.goals.attached.iter().find(|goal| goal.uuid == pv.uuid);
        let wanted =
            attached.is_some() || (context.goals.sound_metadata.is_some() && !pv.is_missing());
        if !wanted || !context.inventory.devices_of(pv.uuid).is_empty() {
            check_named_device(context, pv, attached.and_then(|goal| goal.device.as_deref()), diff);
            continue;
        }
        let named = attached.and_then(|goal| goal.device.as_deref());
        match find(context, base, pv, named) {
            Ok(lost) => diff.changes.push(Change::WriteLabel(lost)),
            Err(refusal) => diff.refusals.push(refusal),
        }
    }
    for goal in context.goals.attached.iter().filter(|goal| base.vg.pv(goal.uuid).is_none()) {
        diff.refusals.push(left_vg(context, goal.uuid));
    }
}

fn object(pv: PvUuid) -> String {
    format!("PV {pv}")
}

/// A PV that a plan wants attached, but that the metadata has dropped.
fn left_vg(context: &Context<'_>, pv: PvUuid) -> Refusal {
    let there = match context.inventory.devices_of(pv).as_slice() {
        [] => String::new(),
        [device, ..] => format!("; its label and old metadata still stand on {}", device.name),
    };
    let why = format!("the VG's metadata does not have this PV any more{there}");
    Refusal::new(RefusalCode::PvNotInVg, object(pv), why).with_help(context.advice(
        "do not run `vgck --updatemetadata`, which LVM advises now: it wipes the PV. Save the device \
         first; `lvmend history diff` shows what was dropped with it",
        "do not run `vgck --updatemetadata`, which LVM advises now: it wipes the PV. Hide the device from \
         LVM first (`lvm lvmdevices --deldev`, or `devices/global_filter`) and save it, or its first and \
         last MiB at least. `lvmend history diff` shows what was dropped with it",
    ))
}

/// A device that the plan names for a PV must carry it.
fn check_named_device(context: &Context<'_>, pv: &Pv, named: Option<&str>, diff: &mut Diff) {
    let Some(named) = named else { return };
    let devices = context.inventory.devices_of(pv.uuid);
    if let Some(device) = devices.iter().find(|device| !device.is_written(named)) {
        let why = format!("the plan says it is {named}, but its label is on {}", device.name);
        diff.refusals.push(Refusal::new(RefusalCode::WrongDevice, object(pv.uuid), why));
    }
}

/// A device that could carry the PV.
struct Candidate<'a> {
    device: &'a Device,
    lost: Option<&'a LostLabel>,
}

fn find(
    context: &Context<'_>,
    base: &Base,
    pv: &Pv,
    named: Option<&str>,
) -> Result<LostPv, Refusal> {
    let candidate = match named {
        Some(named) => named_candidate(context, pv, named)?,
        None => only_candidate(context, base, pv)?,
    };
    let (link, is_proven) = link_of(context, base, pv, &candidate)?;
    let areas = candidate.lost.map(|lost| areas_of(lost, context, base, pv)).unwrap_or_default();
    let areas_found = !areas.is_empty();
    let areas = if areas_found { areas } else { default_areas(pv) };
    let device_size = size_for(pv, base, candidate.device)?;
    let unproven = (!is_proven).then(|| Hazard {
        kind: HazardKind::UnprovenDevice,
        object: pv.uuid.to_string(),
        loss: vec![format!(
            "{} becomes PV {} although nothing on it proves it; if it is another disk, the LVs on \
             this PV will show that disk's content",
            candidate.device.name, pv.uuid
        )],
    });
    Ok(LostPv {
        pv: pv.uuid,
        device: candidate.device.name.clone(),
        identity: identity_of(context.inventory, candidate.device),
        device_size,
        data_start: pv.pe_start,
        bootloader: pv.ba_start.and_then(|start| {
            Some(DiskArea { offset: start.bytes()?, size: pv.ba_size?.bytes()? })
        }),
        areas,
        areas_found,
        link,
        hazards: unproven.into_iter().chain(overwritten(pv, candidate.device)).collect(),
    })
}

/// What tells the disk from all others, on a running machine.
pub fn identity_of(inventory: &Inventory, device: &Device) -> Option<ForeignText> {
    inventory.live.as_deref()?.identity_of(device.number?).cloned()
}

/// The areas of the PV among those that stand on the device: they lie beside its extents and hold
/// a text of this VG. An area of an earlier life may stand where an LV has its data by now.
///
/// Where two overlap, the one with the newer text is the one that was written last.
fn areas_of(lost: &LostLabel, context: &Context<'_>, base: &Base, pv: &Pv) -> Vec<DiskArea> {
    let newest = |area: &MetadataArea| {
        let texts = texts_in(area, context);
        texts.filter(|text| text.vg_uuid == base.vg.uuid).map(|text| text.seqno).max()
    };
    let data = pv.data_range(base.vg.extent_size);
    let data = DiskArea { offset: data.start, size: data.end.saturating_sub(data.start) };
    let mut known: Vec<(u32, DiskArea)> = lost
        .areas
        .iter()
        .filter(|area| !area.is_misplaced() && !overlap(&area.place(), &data))
        .filter_map(|area| Some((newest(area)?, area.place())))
        .collect();
    known.sort_by_key(|(seqno, place)| (std::cmp::Reverse(*seqno), *place));
    let mut areas: Vec<DiskArea> = Vec::with_capacity(known.len());
    for (_, place) in known {
        if !areas.iter().any(|taken| overlap(taken, &place)) {
            areas.push(place);
        }
    }
    areas.sort_unstable();
    areas
}

/// What stands on the device that is not LVM's: label and metadata are written over parts of it.
fn overwritten(pv: &Pv, device: &Device) -> Option<Hazard> {
    let name = &device.name;
    let loss = |found: &ForeignSignature| {
        format!(
            "on {name} stands {found}; the label and metadata of PV {} are written over parts of it",
            pv.uuid
        )
    };
    let loss: Vec<String> = device.signatures.iter().map(loss).collect();
    let kind = HazardKind::OverwriteSignature;
    (!loss.is_empty()).then(|| Hazard { kind, object: name.to_string(), loss })
}

fn named_candidate<'a>(
    context: &Context<'a>,
    pv: &Pv,
    named: &str,
) -> Result<Candidate<'a>, Refusal> {
    let wrong = |why: String| Refusal::new(RefusalCode::WrongDevice, object(pv.uuid), why);
    let device = context.inventory.devices.iter().find(|d| d.is_written(named));
    let device = device.ok_or_else(|| wrong(format!("there is no device {named}")))?;
    match &device.content {
        Content::LostLabel(lost) => Ok(Candidate { device, lost: Some(lost) }),
        Content::Foreign => Ok(Candidate { device, lost: None }),
        Content::Pv(other) => Err(wrong(format!("{named} is PV {}", other.uuid))),
        Content::PartitionTable => Err(wrong(format!("{named} holds a partition table"))),
        Content::Unreadable(why) => Err(wrong(format!("{named} cannot be read: {why}"))),
    }
}

/// Without a name: the one device whose traces fit this PV, and no other PV without a device.
fn only_candidate<'a>(
    context: &Context<'a>,
    base: &Base,
    pv: &Pv,
) -> Result<Candidate<'a>, Refusal> {
    let mut fitting = Vec::new();
    for device in &context.inventory.devices {
        let Content::LostLabel(lost) = &device.content else {
            continue;
        };
        let remains = lost.remains.iter().find_map(|remains| remains.uuid);
        let fits = match remains {
            Some(uuid) => uuid == pv.uuid,
            None => holds_text_of(lost, context, base) && fits_size(pv, device),
        };
        if fits {
            fitting.push(Candidate { device, lost: Some(lost) });
        }
    }
    let absent = Refusal::new(
        RefusalCode::PvAbsent,
        object(pv.uuid),
        "no device carries its label, and on none are traces that could be it",
    );
    if fitting.len() > 1 {
        let names: Vec<String> = fitting.iter().map(|c| c.device.name.to_string()).collect();
        let why = format!("{} could each be it", names.join(" and "));
        return Err(Refusal::new(RefusalCode::UnclearDevice, object(pv.uuid), why)
            .with_help("name the right one under `physical_volumes`, with `device:`"));
    }
    fitting.pop().ok_or_else(|| {
        absent.with_help(context.advice(
            "give its image with --image; or name the device that is to become it with `device:`",
            "connect its disk; or name the device that is to become it with `device:`",
        ))
    })
}

fn fits_size(pv: &Pv, device: &Device) -> bool {
    pv.dev_size.and_then(Sectors::bytes) == Some(device.size)
}

/// Whether a text of this VG stands on the device.
fn holds_text_of(lost: &LostLabel, context: &Context<'_>, base: &Base) -> bool {
    let texts = lost.areas.iter().flat_map(|area| texts_in(area, context));
    texts.into_iter().any(|text| text.vg_uuid == base.vg.uuid)
}

/// Every sound text in this area.
fn texts_in<'a>(
    area: &MetadataArea,
    context: &Context<'a>,
) -> impl Iterator<Item = &'a MetadataText> {
    let ring = area.ring.iter().filter_map(|text| match &text.text {
        RingContent::Whole(key) => Some(*key),
        RingContent::Cut { .. } => None,
    });
    let keys = area.committed.good().into_iter().chain(ring);
    let texts = &context.inventory.texts;
    keys.filter_map(|key| texts.get(&key))
}

/// What links the device to the PV, and whether that is proof.
fn link_of(
    context: &Context<'_>,
    base: &Base,
    pv: &Pv,
    candidate: &Candidate<'_>,
) -> Result<(String, bool), Refusal> {
    let device = candidate.device;
    let remains = candidate.lost.and_then(|lost| lost.remains.iter().find_map(|r| r.uuid));
    match remains {
        Some(uuid) if uuid == pv.uuid => {
            return Ok(("its UUID still stands in the damaged label".to_owned(), true));
        }
        Some(other) => {
            let why = format!("{} carries the damaged label of PV {other}", device.name);
            return Err(Refusal::new(RefusalCode::WrongDevice, object(pv.uuid), why));
        }
        None => {}
    }
    let has_text = candidate.lost.is_some_and(|lost| holds_text_of(lost, context, base));
    let has_foreign = candidate.lost.is_some_and(|lost| !lost.areas.is_empty()) && !has_text;
    if has_foreign {
        let why = format!("{} holds metadata of another volume group", device.name);
        return Err(Refusal::new(RefusalCode::WrongDevice, object(pv.uuid), why));
    }
    // LVM empties the pointers when a PV leaves its VG, and leaves the old texts standing.
    let is_member = context.inventory.committed_vgs(device).contains(&base.vg.uuid);
    if is_member && fits_size(pv, device) && !has_rival(context, pv, device) {
        let link =
            "it holds this VG's metadata, and no other PV that the VG has or had could be it";
        return Ok((link.to_owned(), true));
    }
    Ok(("nothing but the plan".to_owned(), false))
}

/// A text names all PVs of its VG: it singles one out only when no other that the VG has, or ever
/// had, could stand there. A disk that was taken out of the VG still holds the VG's old texts.
fn has_rival(context: &Context<'_>, pv: &Pv, device: &Device) -> bool {
    let is_rival = |other: &Pv| {
        other.uuid != pv.uuid
            && fits_size(other, device)
            && context.inventory.devices_of(other.uuid).is_empty()
    };
    let versions = context.vg.timeline.versions().iter();
    versions.filter_map(|version| vg_of(&version.text).ok()).any(|vg| vg.pvs.iter().any(is_rival))
}

/// The size the label tells: the metadata's, which must fit on the device.
fn size_for(pv: &Pv, base: &Base, device: &Device) -> Result<Bytes, Refusal> {
    let data_end = pv.extent_start(pv.pe_count, base.vg.extent_size).and_then(Sectors::bytes);
    let size = pv.dev_size.and_then(Sectors::bytes).unwrap_or(device.size);
    match data_end {
        Some(end) if end <= device.size && size <= device.size => Ok(size),
        _ => {
            let why = format!("{} is {} long, the PV needs {size}", device.name, device.size);
            Err(Refusal::new(RefusalCode::DeviceTooSmall, object(pv.uuid), why))
        }
    }
}

/// Where LVM would put a metadata area: between the first page and what comes next, the boot
/// loader's area or the data, when that is room.
fn default_areas(pv: &Pv) -> Vec<DiskArea> {
    const SIZE_MIN: Bytes = Bytes::new(32 << 10);
    let end = pv.ba_start.map_or(pv.pe_start, |boot| boot.min(pv.pe_start));
    let size = end.bytes().and_then(|end| end.checked_sub(AREA_START));
    let area = size.filter(|size| *size >= SIZE_MIN).map(|size| size.min(AREA_SIZE_MAX));
    area.map(|size| DiskArea { offset: AREA_START, size }).into_iter().collect()
}
