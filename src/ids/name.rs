//! The names LVM allows for VGs, LVs and the PV sections of one text.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ForeignText;

/// The longest VG or LV name in bytes (LVM2 `NAME_LEN` less the terminating NUL).
const NAME_BYTES_MAX: usize = 127;

/// Why some text cannot be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("the name is empty")]
    Empty,
    /// Longer than LVM allows.
    #[error("`{0}` is longer than {NAME_BYTES_MAX} bytes")]
    TooLong(ForeignText),
    /// `.`, `..` or a hyphen in front.
    #[error("`{0}` is not a name: LVM refuses `.`, `..` and names that start with a hyphen")]
    Reserved(ForeignText),
    /// A character outside `[A-Za-z0-9._+-]`.
    #[error("`{0}` is not a name: LVM allows letters, digits and `.` `_` `+` `-`")]
    Character(ForeignText),
}

/// Checks a name by LVM's rules (LVM2 `lib/misc/lvm-string.c`, `validate_name`).
fn check(text: &[u8]) -> Result<Box<str>, NameError> {
    let shown = || ForeignText::from_bytes(text);
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong(shown()));
    }
    let legal = |b: &u8| b.is_ascii_alphanumeric() || matches!(*b, b'.' | b'_' | b'+' | b'-');
    if !text.iter().all(legal) {
        return Err(NameError::Character(shown()));
    }
    if text == b"." || text == b".." || text.starts_with(b"-") {
        return Err(NameError::Reserved(shown()));
    }
    std::str::from_utf8(text).map(Box::from).map_err(|_| NameError::Character(shown()))
}

macro_rules! name_of {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Reads the bytes of a text, by LVM's rules for names.
            ///
            /// # Errors
            /// [`NameError`], saying which rule is broken.
            pub fn from_bytes(text: &[u8]) -> Result<Self, NameError> {
                check(text).map(Self)
            }

            /// The name itself; safe to print.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::from_bytes(text.as_bytes())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name_of! {
    /// The name of a volume group.
    VgName
}
name_of! {
    /// The name of a logical volume, hidden ones included.
    LvName
}
name_of! {
    /// The name of a PV's section in one metadata text (`pv0`). It shifts from text to text and
    /// must never be carried from one to another.
    PvSection
}

name_of! {
    /// The name of a recovery plan; legal as an LVM tag.
    PlanName
}

impl LvName {
    /// Whether LVM keeps such names for itself and refuses them to people.
    ///
    /// # Source
    /// LVM2 `lib/misc/lvm-string.c`, `apply_lvname_restrictions`.
    pub fn is_reserved(&self) -> bool {
        const PREFIXES: [&str; 2] = ["snapshot", "pvmove"];
        const PARTS: [&str; 17] = [
            "_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_wcorig", "_mimage", "_mlog",
            "_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_imeta", "_iorig", "_pmspare",
            "_vorigin",
        ];
        PREFIXES.iter().any(|p| self.0.starts_with(p)) || PARTS.iter().any(|p| self.0.contains(p))
    }

    /// The name with `from` in front replaced by `to`, as when an LV with hidden parts is renamed.
    ///
    /// # Errors
    /// [`NameError`], when the new name is not legal, for example too long.
    pub fn with_prefix_replaced(&self, from: &LvName, to: &LvName) -> Result<LvName, NameError> {
        match self.0.strip_prefix(from.as_str()) {
            Some(rest) => LvName::from_bytes(format!("{to}{rest}").as_bytes()),
            None => Ok(self.clone()),
        }
    }
}

/// The identity of an operation: its kind and its object, the same in every graph made from the
/// same facts (`restore_missing_pv/Pes61U-…`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(String);

impl OperationId {
    /// Names the operation of this kind on this object.
    pub fn new(kind: &str, object: impl fmt::Display) -> Self {
        Self(format!("{kind}/{object}"))
    }

    /// The identity as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_names_are_the_ones_lvm_takes() {
        for good in ["a", "my-lv.1+x", "100", "1.10", "no", "null", "_x", "+", "..."] {
            assert_eq!(good.parse::<LvName>().map(|n| n.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", ".", "..", "-a", "a b", "a/b", "ä", "a\u{1b}[31m", "a\n"] {
            assert!(bad.parse::<LvName>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(127).parse::<LvName>().is_ok());
        assert!("x".repeat(128).parse::<LvName>().is_err());
    }

    #[test]
    fn errors_never_carry_raw_escapes() {
        let error = "a\u{1b}[31m".parse::<LvName>().unwrap_err();
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }

    #[test]
    fn reserved_names() {
        for (name, reserved) in
            [("snapshot0", true), ("a_tmeta", true), ("pvmove0", true), ("snap", false)]
        {
            assert_eq!(name.parse::<LvName>().unwrap().is_reserved(), reserved, "{name}");
        }
    }
}
