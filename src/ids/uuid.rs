//! LVM's UUIDs: 32 characters, shown as 6-4-4-4-4-4-6.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::Digest;

/// Characters in a UUID without its hyphens.
const LEN: usize = 32;
/// After how many characters LVM shows a hyphen.
const GROUPS: [usize; 7] = [6, 4, 4, 4, 4, 4, 6];

/// An LVM UUID: 32 characters of `[0-9A-Za-z!#]`, case sensitive, without hyphens.
///
/// # Source
/// LVM2 `lib/uuid/uuid.c`; PV headers and device-mapper UUIDs use the form without hyphens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LvmUuid([u8; LEN]);

/// Why some text is not an LVM UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseUuidError {
    /// Not 32 characters once the hyphens are out.
    #[error("an LVM UUID has 32 characters besides its hyphens, this has {0}")]
    Length(usize),
    /// A byte LVM never uses.
    #[error("an LVM UUID holds letters and digits only, this has byte 0x{0:02x}")]
    Character(u8),
}

impl LvmUuid {
    /// Reads the 32 bytes of a PV header.
    ///
    /// # Errors
    /// [`ParseUuidError::Character`] for the first byte that no UUID can hold.
    pub fn from_raw(raw: &[u8; LEN]) -> Result<Self, ParseUuidError> {
        match raw.iter().find(|b| !(b.is_ascii_alphanumeric() || **b == b'!' || **b == b'#')) {
            Some(bad) => Err(ParseUuidError::Character(*bad)),
            None => Ok(Self(*raw)),
        }
    }

    /// Reads a UUID in text, hyphens wherever they are.
    ///
    /// # Errors
    /// [`ParseUuidError`], when length or characters are wrong.
    pub fn from_text(text: &[u8]) -> Result<Self, ParseUuidError> {
        let mut raw = [0_u8; LEN];
        let mut count = 0;
        for byte in text.iter().filter(|b| **b != b'-') {
            if let Some(slot) = raw.get_mut(count) {
                *slot = *byte;
            }
            count += 1;
        }
        if count != LEN {
            return Err(ParseUuidError::Length(count));
        }
        Self::from_raw(&raw)
    }

    /// One made of a digest: the same for the same, and nobody else's.
    pub fn of_digest(digest: &Digest) -> Self {
        const LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        Self(
            digest.raw().map(|byte| {
                LETTERS.get(usize::from(byte) % LETTERS.len()).copied().unwrap_or(b'0')
            }),
        )
    }

    /// The 32 bytes as a PV header holds them.
    pub const fn raw(&self) -> &[u8; LEN] {
        &self.0
    }

    /// Without hyphens, as device-mapper UUIDs are written.
    pub fn compact(&self) -> String {
        self.0.iter().map(|b| char::from(*b)).collect()
    }
}

impl fmt::Display for LvmUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0.iter();
        for (index, len) in GROUPS.iter().enumerate() {
            if index > 0 {
                f.write_str("-")?;
            }
            for byte in bytes.by_ref().take(*len) {
                write!(f, "{}", char::from(*byte))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for LvmUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LvmUuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_text(text.as_bytes())
    }
}

impl Serialize for LvmUuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LvmUuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! uuid_of {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub LvmUuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseUuidError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_of! {
    /// The UUID of a physical volume.
    PvUuid
}
uuid_of! {
    /// The UUID of a volume group.
    VgUuid
}
uuid_of! {
    /// The UUID of a logical volume within its VG; device-mapper knows it as VG UUID + LV UUID.
    LvUuid
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "MugB02-kCDl-Smrp-s1gP-YPgi-hLe5-7KmJPI";

    #[test]
    fn both_forms_read_and_print() {
        let uuid: LvmUuid = TEXT.parse().unwrap();
        assert_eq!(uuid.to_string(), TEXT);
        assert_eq!(uuid.compact(), TEXT.replace('-', ""));
        assert_eq!(uuid.compact().parse(), Ok(uuid));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!("".parse::<LvmUuid>(), Err(ParseUuidError::Length(0)));
        assert_eq!(format!("{TEXT}x").parse::<LvmUuid>(), Err(ParseUuidError::Length(33)));
        let escape = TEXT.replace('M', "\u{1b}");
        assert_eq!(escape.parse::<LvmUuid>(), Err(ParseUuidError::Character(0x1b)));
    }
}
