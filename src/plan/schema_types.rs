//! Scalars of plan documents: how they deserialize, and their schemas.
//!
//! Names are the source text of a scalar: `100`, `1.10` and `no` are good LV names, so their
//! schemas admit the YAML types such text has in an editor.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

use crate::ids::{LvName, PvUuid};
use crate::plan::document::{LogicalVolume, RecoverFrom, ThinPool};
use crate::plan::glob::LvPattern;
use crate::units::{Bytes, Seconds};

/// The number 1: the version of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct One;

impl<'de> Deserialize<'de> for One {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(D::Error::custom(format!("version {other} is not known"))),
        }
    }
}

/// The beginning of a hexadecimal digest, four digits or more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DigestPrefix(pub String);

impl<'de> Deserialize<'de> for DigestPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?.to_ascii_lowercase();
        let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hex && (4..=64).contains(&text.len()) {
            Ok(Self(text))
        } else {
            Err(D::Error::custom("expected 4 to 64 hexadecimal digits"))
        }
    }
}

/// A key of `physical_volumes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PvKey {
    /// Every PV of the current metadata.
    Every,
    /// One PV.
    Uuid(PvUuid),
}

impl fmt::Display for PvKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("*"),
            Self::Uuid(uuid) => write!(f, "{uuid}"),
        }
    }
}

impl<'de> Deserialize<'de> for PvKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        if text == "*" {
            return Ok(Self::Every);
        }
        text.parse().map(Self::Uuid).map_err(D::Error::custom)
    }
}

/// Reads a time.
pub fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Seconds, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

/// Reads a size.
pub fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map(Some).map_err(D::Error::custom)
}

/// Reads the keys of `thin_pools`.
pub fn thin_pools<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<LvName, ThinPool>, D::Error> {
    let by_text = BTreeMap::<String, ThinPool>::deserialize(deserializer)?;
    by_text
        .into_iter()
        .map(|(key, value)| Ok((key.parse().map_err(D::Error::custom)?, value)))
        .collect()
}

/// Writes a value as it is read: for defaults in the schema.
pub fn shown<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Reads the keys of `logical_volumes`.
pub fn lv_patterns<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<LvPattern, LogicalVolume>, D::Error> {
    let by_text = BTreeMap::<String, LogicalVolume>::deserialize(deserializer)?;
    by_text
        .into_iter()
        .map(|(key, value)| Ok((LvPattern::parse(&key).map_err(D::Error::custom)?, value)))
        .collect()
}

impl<'de> Deserialize<'de> for RecoverFrom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RecoverFromVisitor)
    }
}

struct RecoverFromVisitor;

impl<'de> Visitor<'de> for RecoverFromVisitor {
    type Value = RecoverFrom;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`newest`, `device_table`, {seqno: …} or {file: …}")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RecoverFrom, E> {
        match text {
            "newest" => Ok(RecoverFrom::Newest),
            "device_table" => Ok(RecoverFrom::DeviceTable),
            other => Err(E::custom(format!("`{other}` is no source of metadata"))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RecoverFrom, A::Error> {
        let (mut seqno, mut digest, mut file) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "seqno" => seqno = Some(map.next_value()?),
                "digest" => digest = Some(map.next_value()?),
                "file" => file = Some(map.next_value()?),
                other => {
                    map.next_value::<IgnoredAny>()?;
                    return Err(A::Error::custom(format!("unknown key `{other}`")));
                }
            }
        }
        match (seqno, digest, file) {
            (Some(seqno), digest, None) => Ok(RecoverFrom::Version { seqno, digest }),
            (None, None, Some(file)) => Ok(RecoverFrom::File(file)),
            _ => Err(A::Error::custom("expected `seqno`, perhaps with `digest`, or `file`")),
        }
    }
}

macro_rules! schema_of {
    ($(#[$doc:meta])* $name:ident, $schema:tt) => {
        $(#[$doc])*
        pub struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

schema_of! {
    /// A name: any scalar, by its source text.
    NameSchema, { "type": ["string", "number", "boolean"], "pattern": "^[A-Za-z0-9._+][A-Za-z0-9._+-]*$" }
}
schema_of! {
    /// Free text: any scalar, by its source text.
    TextSchema, { "type": ["string", "number", "boolean"] }
}
schema_of! {
    /// An LVM UUID.
    UuidSchema, { "type": "string", "pattern": "^[0-9A-Za-z!#]{6}(-[0-9A-Za-z!#]{4}){5}-[0-9A-Za-z!#]{6}$" }
}
schema_of! {
    /// A time: a whole number and `s`, `m` or `h`.
    TimeSchema, { "type": "string", "pattern": "^[0-9]{1,6}[smh]$" }
}
schema_of! {
    /// A size: a whole number and a binary unit.
    SizeSchema, { "type": "string", "pattern": "^[0-9]{1,19}([KMGTPE]i)?B$" }
}
schema_of! {
    /// A share in percent.
    PercentSchema, { "type": "integer", "minimum": 1, "maximum": 99 }
}
schema_of! {
    /// How often something is tried.
    AttemptsSchema, { "type": "integer", "minimum": 1, "maximum": 100 }
}
schema_of! {
    /// The type of a file system, as the kernel calls it.
    FileSystemTypeSchema, { "type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,31}$" }
}
schema_of! {
    /// A SHA-256 digest.
    DigestSchema, { "type": ["string", "number"], "pattern": "^[0-9a-f]{64}$" }
}
schema_of! {
    /// `*` or an LVM UUID.
    PvKeySchema, { "type": "string", "pattern": "^(\\*|[0-9A-Za-z!#]{6}(-[0-9A-Za-z!#]{4}){5}-[0-9A-Za-z!#]{6})$" }
}
schema_of! {
    /// A name or a glob.
    LvPatternSchema, { "type": "string", "pattern": "^[A-Za-z0-9._+*?][A-Za-z0-9._+*?-]*$" }
}

impl JsonSchema for One {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "One".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": 1 })
    }
}

impl JsonSchema for RecoverFrom {
    fn schema_name() -> Cow<'static, str> {
        "RecoverFrom".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Which metadata to use: `newest`, a version, a file, or the live table of the LV.",
            "oneOf": [
                { "enum": ["newest", "device_table"] },
                {
                    "type": "object",
                    "properties": {
                        "seqno": {
                            "description": "The number of a version that stands somewhere.",
                            "type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32
                        },
                        "digest": {
                            "description": "The beginning of its content digest, where versions share the number.",
                            "type": ["string", "number"], "pattern": "^[0-9a-fA-F]{4,64}$"
                        }
                    },
                    "required": ["seqno"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": {
                        "file": {
                            "description": "A file with metadata; an absolute path.",
                            "type": ["string", "number", "boolean"]
                        }
                    },
                    "required": ["file"],
                    "additionalProperties": false
                }
            ]
        })
    }
}
