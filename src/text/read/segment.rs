//! Reading segments, type by type.

use std::collections::BTreeMap;

use crate::ids::{ForeignText, LvName};
use crate::model::segment::{Area, RaidLeg, RaidLevel, Segment, SegmentKind, ThinMessage};
use crate::text::read::ReadVgError;
use crate::text::read::fields::Fields;
use crate::text::read::settings;
use crate::text::tree::Value;
use crate::units::{Extents, Sectors};

/// Words LVM glues to a segment type with `+`. Any other makes the type unknown.
///
/// # Source
/// LVM2 `lib/format_text/flags.c`, `_lv_flags` with `SEGTYPE_FLAG`.
const TYPE_FLAGS: [&[u8]; 8] = [
    b"RESHAPE",
    b"RESHAPE_DATA_OFFSET",
    b"RESHAPE_DELTA_DISKS_PLUS",
    b"RESHAPE_DELTA_DISKS_MINUS",
    b"REMOVE_AFTER_RESHAPE",
    b"METADATA_FORMAT",
    b"CROP_METADATA",
    b"CACHE_USES_CACHEVOL",
];

type Pvs<'p> = BTreeMap<&'p [u8], usize>;
type Read<T> = Result<T, ReadVgError>;

/// Reads one segment.
pub fn read_segment(fields: &Fields<'_, '_>, pvs: &Pvs<'_>) -> Read<Segment> {
    let len = fields.extents("extent_count")?;
    if len.is_zero() {
        return Err(fields.invalid("extent_count", "must not be zero"));
    }
    let written = fields.required_text("type")?;
    let mut words = written.split(|b| *b == b'+');
    let name = words.next().unwrap_or(written);
    let flags: Vec<&[u8]> = words.collect();
    let known_flags = flags.iter().all(|flag| TYPE_FLAGS.contains(flag));
    let kind = if known_flags { read_kind(fields, name, len, pvs)? } else { None };
    let unknown = || SegmentKind::Unknown { type_name: ForeignText::from_bytes(written) };
    let is_known = kind.is_some();
    Ok(Segment {
        start: fields.extents("start_extent")?,
        len,
        kind: kind.unwrap_or_else(unknown),
        type_flags: if is_known {
            flags.iter().map(|flag| ForeignText::from_bytes(flag)).collect()
        } else {
            Vec::new()
        },
    })
}

fn read_kind(
    fields: &Fields<'_, '_>,
    name: &[u8],
    len: Extents,
    pvs: &Pvs<'_>,
) -> Read<Option<SegmentKind>> {
    if let Some(level) = RaidLevel::from_text(name) {
        return read_raid(fields, level).map(Some);
    }
    let kind = match name {
        b"striped" | b"linear" => read_striped(fields, len, pvs)?,
        b"mirror" => SegmentKind::Mirror {
            log: lv_name(fields, "mirror_log")?,
            region_size: Sectors::new(fields.number_or("region_size", 0)?),
            images: areas(fields, "mirrors", pvs)?,
        },
        b"snapshot" => read_snapshot(fields)?,
        b"thin-pool" => read_thin_pool(fields)?,
        b"thin" => read_thin(fields)?,
        b"cache-pool" => SegmentKind::CachePool {
            data: required_lv(fields, "data")?,
            metadata: required_lv(fields, "metadata")?,
            settings: settings::cache(fields),
        },
        b"cache" => SegmentKind::Cache {
            pool: required_lv(fields, "cache_pool")?,
            origin: required_lv(fields, "origin")?,
            halves: settings::halves(fields),
        },
        b"writecache" => SegmentKind::Writecache {
            fast: required_lv(fields, "writecache")?,
            origin: required_lv(fields, "origin")?,
            settings: settings::writecache(fields),
        },
        b"integrity" => SegmentKind::Integrity {
            origin: required_lv(fields, "origin")?,
            metadata: lv_name(fields, "meta_dev")?,
            settings: settings::integrity(fields),
        },
        b"vdo" => SegmentKind::Vdo { pool: required_lv(fields, "vdo_pool")? },
        b"vdo-pool" => SegmentKind::VdoPool { data: required_lv(fields, "data")? },
        b"error" => SegmentKind::Error,
        b"zero" => SegmentKind::Zero,
        _ => return Ok(None),
    };
    Ok(Some(kind))
}

fn read_striped(fields: &Fields<'_, '_>, len: Extents, pvs: &Pvs<'_>) -> Read<SegmentKind> {
    let stripes = areas(fields, "stripes", pvs)?;
    let count = fields.number("stripe_count")?;
    if u64::try_from(stripes.len()) != Ok(count) || count == 0 {
        return Err(fields.invalid("stripes", format!("expected {count} areas")));
    }
    if !len.get().is_multiple_of(count) {
        return Err(fields.invalid("extent_count", format!("cannot be shared by {count} stripes")));
    }
    let stripe_size = fields.optional_number("stripe_size")?.map(Sectors::new);
    if count > 1 && stripe_size.is_none_or(Sectors::is_zero) {
        return Err(fields.missing("stripe_size"));
    }
    Ok(SegmentKind::Striped { stripe_size, stripes })
}

fn read_raid(fields: &Fields<'_, '_>, level: RaidLevel) -> Read<SegmentKind> {
    let names = |key: &'static str| -> Read<Vec<LvName>> {
        let value = fields.value(key).ok_or_else(|| fields.missing(key))?;
        value.items().iter().map(|item| item_name(fields, key, item)).collect()
    };
    let legs = match level {
        RaidLevel::Raid0 => {
            names("raid0_lvs")?.into_iter().map(|image| RaidLeg { meta: None, image }).collect()
        }
        RaidLevel::Raid0Meta
        | RaidLevel::Raid1
        | RaidLevel::Raid4
        | RaidLevel::Raid5(_)
        | RaidLevel::Raid6(_)
        | RaidLevel::Raid10(_) => {
            let mut names = names("raids")?.into_iter();
            let mut legs = Vec::new();
            while let (Some(meta), Some(image)) = (names.next(), names.next()) {
                legs.push(RaidLeg { meta: Some(meta), image });
            }
            legs
        }
    };
    if legs.is_empty() {
        return Err(fields.invalid("raids", "expected at least one leg"));
    }
    Ok(SegmentKind::Raid {
        level,
        stripe_size: Sectors::new(fields.number_or("stripe_size", 0)?),
        legs,
        data_copies: fields.optional_number("data_copies")?,
        settings: settings::raid(fields),
    })
}

fn read_snapshot(fields: &Fields<'_, '_>) -> Read<SegmentKind> {
    let merging = lv_name(fields, "merging_store")?;
    Ok(SegmentKind::Snapshot {
        origin: required_lv(fields, "origin")?,
        merging: merging.is_some(),
        cow_store: match merging {
            Some(store) => store,
            None => required_lv(fields, "cow_store")?,
        },
        chunk_size: Sectors::new(fields.number("chunk_size")?),
    })
}

fn read_thin_pool(fields: &Fields<'_, '_>) -> Read<SegmentKind> {
    let messages = fields.sections().map(|message| {
        if let Some(created) = lv_name(&message, "create")? {
            return Ok(ThinMessage::Create(created));
        }
        message.small_number("delete").map(ThinMessage::Delete)
    });
    Ok(SegmentKind::ThinPool {
        metadata: required_lv(fields, "metadata")?,
        data: required_lv(fields, "pool")?,
        transaction_id: fields.number_or("transaction_id", 0)?,
        chunk_size: Sectors::new(fields.number("chunk_size")?),
        zero_new_blocks: fields.number_or("zero_new_blocks", 0)? != 0,
        discards: settings::discards(fields),
        messages: messages.collect::<Read<_>>()?,
    })
}

fn read_thin(fields: &Fields<'_, '_>) -> Read<SegmentKind> {
    Ok(SegmentKind::Thin {
        pool: required_lv(fields, "thin_pool")?,
        transaction_id: fields.number_or("transaction_id", 0)?,
        device_id: fields.small_number("device_id")?,
        external_origin: lv_name(fields, "external_origin")?,
        origin: lv_name(fields, "origin")?,
        merge: lv_name(fields, "merge")?,
    })
}

fn lv_name(fields: &Fields<'_, '_>, key: &'static str) -> Read<Option<LvName>> {
    match fields.value(key) {
        Some(value) => item_name(fields, key, value).map(Some),
        None => Ok(None),
    }
}

fn required_lv(fields: &Fields<'_, '_>, key: &'static str) -> Read<LvName> {
    lv_name(fields, key)?.ok_or_else(|| fields.missing(key))
}

fn item_name(fields: &Fields<'_, '_>, key: &'static str, item: &Value<'_>) -> Read<LvName> {
    let text = item.as_text().ok_or_else(|| fields.invalid(key, "expected the name of an LV"))?;
    LvName::from_bytes(text).map_err(|e| fields.invalid(key, e))
}

/// Reads `[ "pv0", 0, "lv", 4, … ]`: names with the extent each area begins at.
fn areas(fields: &Fields<'_, '_>, key: &'static str, pvs: &Pvs<'_>) -> Read<Vec<Area>> {
    let value = fields.value(key).ok_or_else(|| fields.missing(key))?;
    let mut areas = Vec::new();
    for pair in value.items().chunks(2) {
        let [name, first] = pair else {
            return Err(fields.invalid(key, "expected pairs of a name and an extent"));
        };
        let first = first
            .as_integer()
            .and_then(|first| u32::try_from(first).ok())
            .map(|first| Extents::new(first.into()))
            .ok_or_else(|| fields.invalid(key, "expected the number of an extent"))?;
        let name_text = name.as_text().unwrap_or(b"");
        areas.push(match pvs.get(name_text) {
            Some(pv) => Area::Pv { pv: *pv, first },
            None => Area::Lv { lv: item_name(fields, key, name)?, first },
        });
    }
    Ok(areas)
}
