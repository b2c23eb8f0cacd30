//! Reading what the kernel is told of a segment.
//!
//! Nothing here is an error: a text with settings that this program does not know is as good as any
//! other, only the tables that follow from it cannot be told.

use std::collections::BTreeMap;

use crate::ids::ForeignText;
use crate::model::segment::{
    CacheHalves, CacheMode, CacheSettings, Discards, IntegritySettings, RaidSettings,
    WritecacheSettings,
};
use crate::text::read::fields::Fields;
use crate::text::tree::Value;
use crate::units::Sectors;

/// What a writecache may be told with a number.
const WRITECACHE_OPTIONS: [&str; 7] = [
    "high_watermark",
    "low_watermark",
    "writeback_jobs",
    "autocommit_blocks",
    "autocommit_time",
    "max_age",
    "pause_writeback",
];

/// What else stands in the text of a writecache.
const WRITECACHE_KEYS: [&str; 6] =
    ["start_extent", "extent_count", "type", "writecache", "origin", "writecache_block_size"];

fn number(fields: &Fields<'_, '_>, key: &'static str) -> Option<u64> {
    fields.optional_number(key).ok().flatten()
}

fn word(fields: &Fields<'_, '_>, key: &str) -> Option<String> {
    let text = fields.text(key)?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-()".contains(c);
    (!text.raw().is_empty() && text.raw().chars().all(is_word)).then(|| text.raw().to_owned())
}

fn sectors(fields: &Fields<'_, '_>, key: &'static str) -> Option<Sectors> {
    number(fields, key).map(Sectors::new)
}

/// Of a RAID LV.
pub fn raid(fields: &Fields<'_, '_>) -> RaidSettings {
    RaidSettings {
        region_size: sectors(fields, "region_size"),
        min_recovery_rate: number(fields, "min_recovery_rate"),
        max_recovery_rate: number(fields, "max_recovery_rate"),
        write_behind: number(fields, "writebehind"),
        is_reshaping: ["data_offset", "reshape_count"]
            .into_iter()
            .any(|key| number(fields, key).is_some_and(|n| n != 0)),
    }
}

/// Of a thin pool.
pub fn discards(fields: &Fields<'_, '_>) -> Discards {
    match fields.text("discards").as_ref().map(ForeignText::raw) {
        None | Some("passdown") => Discards::Passdown,
        Some("nopassdown") => Discards::NoPassdown,
        Some("ignore") => Discards::Ignore,
        Some(_) => Discards::Unknown,
    }
}

/// Of a cache pool, or of a cache with a cachevol.
pub fn cache(fields: &Fields<'_, '_>) -> Option<CacheSettings> {
    let mode = match fields.text("cache_mode")?.raw() {
        "writethrough" => CacheMode::Writethrough,
        "writeback" => CacheMode::Writeback,
        "passthrough" => CacheMode::Passthrough,
        _ => return None,
    };
    let policy_settings = match fields.section("policy_settings") {
        None => BTreeMap::new(),
        Some(section) => numbers(section.values())?,
    };
    Some(CacheSettings {
        chunk_size: sectors(fields, "chunk_size")?,
        mode,
        policy: word(fields, "policy")?,
        policy_settings,
        metadata_format: fields.number_or("metadata_format", 1).ok()?,
    })
}

fn numbers<'t, 'a: 't>(
    values: impl Iterator<Item = (&'t [u8], &'t Value<'a>)>,
) -> Option<BTreeMap<String, u64>> {
    let number = |(key, value): (&[u8], &Value<'a>)| {
        let key = std::str::from_utf8(key).ok()?;
        Some((key.to_owned(), u64::try_from(value.as_integer()?).ok()?))
    };
    values.map(number).collect()
}

/// Of a cache with a cachevol.
pub fn halves(fields: &Fields<'_, '_>) -> Option<CacheHalves> {
    Some(CacheHalves {
        metadata: (sectors(fields, "metadata_start")?, sectors(fields, "metadata_len")?),
        data: (sectors(fields, "data_start")?, sectors(fields, "data_len")?),
        settings: cache(fields)?,
    })
}

/// Of a writecache.
pub fn writecache(fields: &Fields<'_, '_>) -> Option<WritecacheSettings> {
    let is_option = |key: &[u8]| WRITECACHE_OPTIONS.iter().any(|known| known.as_bytes() == key);
    let is_key = |key: &[u8]| WRITECACHE_KEYS.iter().any(|known| known.as_bytes() == key);
    if fields.sections().next().is_some()
        || fields.values().any(|(key, _)| !is_option(key) && !is_key(key))
    {
        return None;
    }
    Some(WritecacheSettings {
        block_size: number(fields, "writecache_block_size")?,
        options: numbers(fields.values().filter(|(key, _)| is_option(key)))?,
    })
}

/// Of an integrity layer.
pub fn integrity(fields: &Fields<'_, '_>) -> IntegritySettings {
    IntegritySettings {
        mode: word(fields, "mode"),
        tag_size: number(fields, "tag_size"),
        internal_hash: word(fields, "internal_hash"),
    }
}
