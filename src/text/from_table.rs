//! An LV as the kernel's table describes it, written as metadata would describe it.
//!
//! An active LV whose metadata was lost has its table as the only description left. The text made
//! here holds that LV alone, with the VG and the PVs as they are: it is a version to recover from
//! like any other.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::ids::{LvName, LvUuid, PvUuid};
use crate::model::live::{DevNumber, MappedDevice, TargetLine};
use crate::model::vg::Vg;
use crate::text::tree::{Body, Entry, Section, Value};
use crate::units::{Bytes, Extents, Sectors};

/// What is known of an active device that the metadata does not know.
#[derive(Debug)]
pub struct LiveLv<'a> {
    /// The device.
    pub device: &'a MappedDevice,
    /// Its UUID, from the device's.
    pub uuid: LvUuid,
    /// Its name, from the device's.
    pub name: LvName,
}

/// The name of an LV, as a device-mapper name has it: `vg-lv`, hyphens within either doubled.
pub fn lv_name_of(device: &MappedDevice, vg: &Vg) -> Option<LvName> {
    let prefix = format!("{}-", vg.name.as_str().replace('-', "--"));
    let rest = device.name.raw().strip_prefix(&prefix)?;
    let name = rest.replace("--", "\u{0}");
    // A single hyphen begins the name of a layer.
    if name.contains('-') {
        return None;
    }
    name.replace('\u{0}', "-").parse().ok()
}

/// The VG's section with just this LV in it.
///
/// # Errors
/// Why the table is none that metadata could describe, for people.
pub fn section_with(
    vg_section: &Section<'_>,
    vg: &Vg,
    lv: &LiveLv<'_>,
    pvs: &BTreeMap<DevNumber, PvUuid>,
) -> Result<Section<'static>, String> {
    let mut section = vg_section.clone().into_owned();
    section.remove(b"logical_volumes");
    section.remove(b"historical_logical_volumes");
    let mut entries = vec![
        entry("id", Value::text(&lv.uuid.to_string())),
        entry("status", words(&["READ", "WRITE", "VISIBLE"])),
        entry("flags", Value::List(Vec::new())),
        entry("segment_count", Value::integer(lv.device.live.len() as u64)),
    ];
    for (index, line) in lv.device.live.iter().enumerate() {
        let body = Body::Section(segment(vg, line, pvs)?);
        let key = Cow::Owned(format!("segment{}", index + 1).into_bytes());
        entries.push(Entry { key, body });
    }
    let key = Cow::Owned(lv.name.as_str().as_bytes().to_vec());
    let lvs = Section { entries: vec![Entry { key, body: Body::Section(Section { entries }) }] };
    let pvs_at = section.entries.iter().position(|e| *e.key == *b"physical_volumes");
    let at = pvs_at.map_or(section.entries.len(), |at| at + 1);
    let key = Cow::Borrowed(&b"logical_volumes"[..]);
    section.entries.insert(at, Entry { key, body: Body::Section(lvs) });
    Ok(section)
}

fn entry(key: &'static str, value: Value<'static>) -> Entry<'static> {
    Entry { key: Cow::Borrowed(key.as_bytes()), body: Body::Value(value) }
}

fn words(words: &[&str]) -> Value<'static> {
    Value::List(words.iter().map(|word| Value::text(word)).collect())
}

/// One line of the table as a segment.
fn segment(
    vg: &Vg,
    line: &TargetLine,
    pvs: &BTreeMap<DevNumber, PvUuid>,
) -> Result<Section<'static>, String> {
    let words: Vec<&str> = line.args.raw().split_whitespace().collect();
    let (stripe_size, areas) = match (line.target.as_str(), words.as_slice()) {
        ("linear", areas @ [_, _]) => (None, areas),
        ("striped", [count, size, areas @ ..])
            if count.parse() == Ok(areas.len() / 2) && areas.len() % 2 == 0 =>
        {
            (Some(number(size)?), areas)
        }
        (target, _) => return Err(format!("its table has a line of type `{target}`")),
    };
    let mut stripes = Vec::new();
    for area in areas.chunks_exact(2) {
        let [device, offset] = area else { continue };
        let (section, extent) = place(vg, device, offset, pvs)?;
        stripes.extend([Value::text(&section), Value::integer(extent.get())]);
    }
    let mut entries = vec![
        entry("start_extent", Value::integer(extents(vg, line.start)?.get())),
        entry("extent_count", Value::integer(extents(vg, line.len)?.get())),
        entry("type", Value::text("striped")),
        entry("stripe_count", Value::integer(stripes.len() as u64 / 2)),
    ];
    entries.extend(stripe_size.map(|size| entry("stripe_size", Value::integer(size))));
    entries.push(entry("stripes", Value::List(stripes)));
    Ok(Section { entries })
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("its table has `{text}` where a number should be"))
}

/// A whole number of extents.
fn extents(vg: &Vg, sectors: Sectors) -> Result<Extents, String> {
    let size = vg.extent_size.get();
    match (sectors.get().checked_rem(size), sectors.get().checked_div(size)) {
        (Some(0), Some(extents)) => Ok(Extents::new(extents)),
        _ => Err("a line of its table is no whole number of extents".to_owned()),
    }
}

/// The PV and extent where a stretch begins.
fn place(
    vg: &Vg,
    device: &str,
    offset: &str,
    pvs: &BTreeMap<DevNumber, PvUuid>,
) -> Result<(String, Extents), String> {
    let uuid = DevNumber::parse(device).and_then(|number| pvs.get(&number));
    let pv = uuid.and_then(|uuid| vg.pv(*uuid));
    let pv = pv.ok_or_else(|| format!("it lies on device {device}, which is no PV of the VG"))?;
    let offset = Sectors::new(number(offset)?);
    let within = offset.checked_sub(pv.pe_start);
    let within = within.ok_or_else(|| "it begins before the data of its PV".to_owned())?;
    Ok((pv.section.as_str().to_owned(), extents(vg, within)?))
}

/// How large the device is by its table.
pub fn size_of(device: &MappedDevice) -> Bytes {
    let end = device.live.last().and_then(|line| line.start.checked_add(line.len));
    end.and_then(Sectors::bytes).unwrap_or(Bytes::ZERO)
}
