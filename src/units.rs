//! Sizes and positions, each in the unit in which LVM counts them.
//!
//! LVM texts count in 512-byte sectors and in extents, labels and metadata areas in bytes. Mixing
//! them is the classic way to write to the wrong place, so every unit is a type of its own,
//! conversion is a named method, and arithmetic that could overflow returns an [`Option`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Bytes in one sector, the unit of LVM texts and of device-mapper tables.
pub const SECTOR_BYTES: u64 = 512;

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// None of it.
            pub const ZERO: Self = Self(0);

            /// Wraps a bare count of this unit.
            pub const fn new(count: u64) -> Self {
                Self(count)
            }

            /// The bare count of this unit.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The sum, or `None` where it does not fit 64 bits.
            pub fn checked_add(self, other: Self) -> Option<Self> {
                self.0.checked_add(other.0).map(Self)
            }

            /// The difference, or `None` where `other` is larger.
            pub fn checked_sub(self, other: Self) -> Option<Self> {
                self.0.checked_sub(other.0).map(Self)
            }

            /// The sum, stopping at the largest value: for totals that are only shown.
            #[must_use]
            pub fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// The difference, stopping at nothing: for remainders that are only shown.
            #[must_use]
            pub fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }

            /// Whether this is none at all.
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }
        }

        impl std::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
                parts.fold(Self::ZERO, Self::saturating_add)
            }
        }
    };
}

quantity! {
    /// A size or position in bytes: labels, metadata areas, image files.
    Bytes
}
quantity! {
    /// A size or position in sectors of 512 bytes: LVM texts and device-mapper tables.
    Sectors
}
quantity! {
    /// A count of extents, or the number of one: placement in LVM texts.
    Extents
}

impl Bytes {
    /// The whole sectors in it, rounded down.
    pub const fn sectors_floor(self) -> Sectors {
        Sectors(self.0 / SECTOR_BYTES)
    }

    /// As an index into memory; `None` where this machine cannot address it.
    pub fn to_usize(self) -> Option<usize> {
        usize::try_from(self.0).ok()
    }

    /// The least of which this is no more than so many percent.
    #[must_use]
    pub fn of_percent(self, percent: u8) -> Self {
        let bytes = (u128::from(self.0) * 100).div_ceil(u128::from(percent.max(1)));
        Self(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// As many extents as hold it.
    pub fn in_extents(self, extent_size: Sectors) -> Extents {
        let extent = Extents::new(1).bytes_shown(extent_size);
        Extents::new(self.0.div_ceil(extent.get().max(1)))
    }

    /// The size of something held in memory.
    pub fn of_len(len: usize) -> Self {
        // usize is at most 64 bits wide on every target of the Rust language.
        Self(len as u64)
    }

    /// As LVM reports print it: two decimals and one letter, such as `4.00g`.
    ///
    /// A `<` in front says that rounding went up, as in `lvs`.
    pub fn lvm(self) -> LvmSize {
        LvmSize(self)
    }
}

impl Sectors {
    /// The same size in bytes, or `None` beyond 64 bits.
    pub fn bytes(self) -> Option<Bytes> {
        self.0.checked_mul(SECTOR_BYTES).map(Bytes)
    }
}

impl Extents {
    /// The same size in sectors, or `None` beyond 64 bits.
    pub fn sectors(self, extent_size: Sectors) -> Option<Sectors> {
        self.0.checked_mul(extent_size.0).map(Sectors)
    }

    /// The same size in bytes, stopping at the largest value: for sizes that are only shown.
    pub fn bytes_shown(self, extent_size: Sectors) -> Bytes {
        Bytes(self.0.saturating_mul(extent_size.0).saturating_mul(SECTOR_BYTES))
    }
}

impl fmt::Display for Sectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sectors", self.0)
    }
}

impl fmt::Display for Extents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} extent{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

const UNITS: [(&str, &str, u32); 7] = [
    ("EiB", "e", 60),
    ("PiB", "p", 50),
    ("TiB", "t", 40),
    ("GiB", "g", 30),
    ("MiB", "m", 20),
    ("KiB", "k", 10),
    ("B", "b", 0),
];

/// Hundredths of the unit, rounded half up, and whether that went up.
fn hundredths(bytes: u64, shift: u32) -> (u128, bool) {
    let scaled = u128::from(bytes) * 100;
    let unit = 1_u128 << shift;
    let rounded = (scaled + unit / 2) / unit;
    (rounded, rounded * unit > scaled)
}

fn unit_for(bytes: u64) -> (&'static str, &'static str, u32) {
    UNITS.iter().copied().find(|(_, _, shift)| bytes >> shift > 0).unwrap_or(("B", "b", 0))
}

impl fmt::Display for Bytes {
    /// Prints the size for people: `4.00 GiB`; whole bytes below 1 KiB.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _, shift) = unit_for(self.0);
        if shift == 0 {
            return write!(f, "{} {name}", self.0);
        }
        let (value, _) = hundredths(self.0, shift);
        write!(f, "{}.{:02} {name}", value / 100, value % 100)
    }
}

/// A size in the notation of `lvs`, `vgs` and `pvs`. Made by [`Bytes::lvm`].
#[derive(Clone, Copy, Debug)]
pub struct LvmSize(Bytes);

impl fmt::Display for LvmSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, letter, shift) = unit_for(self.0.0);
        if self.0.is_zero() {
            return f.pad("0");
        }
        let (value, up) = hundredths(self.0.0, shift);
        let mark = if up { "<" } else { "" };
        f.pad(&format!("{mark}{}.{:02}{letter}", value / 100, value % 100))
    }
}

/// Why a size in a plan could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSizeError {
    /// No number, or something other than digits before the unit.
    #[error("`{0}` is not a size: write a whole number and a binary unit, such as `4GiB`")]
    NotASize(String),
    /// The unit is unknown or missing.
    #[error("`{0}` has no binary unit: use B, KiB, MiB, GiB, TiB, PiB or EiB")]
    Unit(String),
    /// More than 64 bits of bytes.
    #[error("`{0}` is larger than any device")]
    TooLarge(String),
}

impl FromStr for Bytes {
    type Err = ParseSizeError;

    /// Parses a size as plans write it: `100MiB`. No fractions, no decimal units, no signs.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits_end = text.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, unit) = text.split_at_checked(digits_end).unwrap_or((text, ""));
        if digits.is_empty() {
            return Err(ParseSizeError::NotASize(text.to_owned()));
        }
        let shift = UNITS
            .iter()
            .find(|(name, _, _)| *name == unit)
            .map(|(_, _, shift)| *shift)
            .ok_or_else(|| ParseSizeError::Unit(text.to_owned()))?;
        let too_large = || ParseSizeError::TooLarge(text.to_owned());
        let count: u64 = digits.parse().map_err(|_| too_large())?;
        count.checked_mul(1_u64 << shift).map(Self).ok_or_else(too_large)
    }
}

quantity! {
    /// A time that is waited, in seconds.
    Seconds
}

/// Letters of times, and how many seconds each is; the largest first.
const TIMES: [(&str, u64); 3] = [("h", 3600), ("m", 60), ("s", 1)];

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole =
            TIMES.iter().find(|(_, seconds)| self.0 != 0 && self.0.is_multiple_of(*seconds));
        let (letter, seconds) = whole.copied().unwrap_or(("s", 1));
        f.pad(&format!("{}{letter}", self.0 / seconds))
    }
}

/// Why a time in a plan could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: write a whole number and s, m or h, such as `30s`")]
pub struct ParseTimeError(String);

impl FromStr for Seconds {
    type Err = ParseTimeError;

    /// Parses a time as plans write it: `30s`, `2m`, `1h`. No bare numbers, no fractions.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts =
            TIMES.iter().find_map(|(letter, seconds)| Some((text.strip_suffix(letter)?, seconds)));
        let seconds = parts.and_then(|(digits, seconds)| {
            let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            let count: u64 = digits.parse().ok().filter(|_| is_number)?;
            count.checked_mul(*seconds)
        });
        seconds.map(Self).ok_or_else(|| ParseTimeError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_print_for_people_and_as_lvm_does() {
        let check = |bytes: u64, human: &str, lvm: &str| {
            assert_eq!(Bytes::new(bytes).to_string(), human);
            assert_eq!(Bytes::new(bytes).lvm().to_string(), lvm);
        };
        check(0, "0 B", "0");
        check(511, "511 B", "511.00b");
        check(4 << 20, "4.00 MiB", "4.00m");
        check((31 << 30) - 1, "31.00 GiB", "<31.00g");
        check(u64::MAX, "16.00 EiB", "<16.00e");
    }

    #[test]
    fn times() {
        for (text, seconds) in [("30s", 30), ("0s", 0), ("2m", 120), ("1h", 3600)] {
            assert_eq!(text.parse(), Ok(Seconds::new(seconds)), "{text}");
            assert_eq!(Seconds::new(seconds).to_string(), text);
        }
        assert_eq!(Seconds::new(90).to_string(), "90s");
        for bad in ["", "30", "s", "-1s", "+1s", "1.5m", "1d", "30 s", "99999999999999999999s"] {
            assert!(bad.parse::<Seconds>().is_err(), "{bad}");
        }
    }

    #[test]
    fn plan_sizes() {
        assert_eq!("4GiB".parse(), Ok(Bytes::new(4 << 30)));
        assert_eq!("0B".parse(), Ok(Bytes::ZERO));
        for bad in ["", "GiB", "-1GiB", "1.5GiB", " 1GiB"] {
            assert!(
                matches!(
                    bad.parse::<Bytes>(),
                    Err(ParseSizeError::NotASize(_) | ParseSizeError::Unit(_))
                ),
                "{bad}"
            );
        }
        assert!(matches!("4GB".parse::<Bytes>(), Err(ParseSizeError::Unit(_))));
        assert!(matches!("16EiB".parse::<Bytes>(), Err(ParseSizeError::TooLarge(_))));
        assert!(matches!(
            "99999999999999999999B".parse::<Bytes>(),
            Err(ParseSizeError::TooLarge(_))
        ));
    }
}
