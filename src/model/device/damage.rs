//! What can be wrong with labels, area headers and texts.

use serde::Serialize;

use crate::ids::ForeignText;

/// Why a sector with traces of a label is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelDamage {
    /// The checksum does not match.
    Checksum,
    /// It says it belongs into another sector.
    WrongSector,
    /// It is not of type `LVM2 001`.
    WrongType,
    /// A length or offset points out of the sector.
    Layout,
    /// The PV UUID has bytes no UUID has.
    Uuid,
}

/// What is wrong with a header sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderDamage {
    /// The sector could not be read.
    Unreadable,
    /// The checksum does not match.
    Checksum,
    /// The magic is not there.
    Magic,
    /// A version other than 1.
    Version,
    /// It says it stands elsewhere.
    Start,
    /// Its size differs from the PV header's, or is absurd.
    Size,
    /// The area is larger than any that LVM makes.
    TooLarge,
    /// The area reaches past the end of the device.
    PastEnd,
    /// The area reaches into the sectors where the label is.
    OverLabel,
    /// The area shares bytes with another of the PV.
    OverArea,
    /// The area shares bytes with the PV's data.
    OverData,
}

impl HeaderDamage {
    /// In words, for reports.
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Unreadable => "it cannot be read",
            Self::Checksum => "bad checksum",
            Self::Magic => "no magic",
            Self::Version => "unknown version",
            Self::Start => "it says it stands elsewhere",
            Self::Size => "it says it has another size",
            Self::TooLarge => "the area is larger than any that LVM makes",
            Self::PastEnd => "the area reaches past the end of the device",
            Self::OverLabel => "the area reaches into the sectors of the label",
            Self::OverArea => "the area overlaps another one of the PV",
            Self::OverData => "the area overlaps the PV's data",
        }
    }

    /// Whether it is not the header that is wrong but where the area lies: such an area is never
    /// read as a ring, and never written.
    pub const fn is_of_place(self) -> bool {
        match self {
            Self::TooLarge | Self::PastEnd | Self::OverLabel | Self::OverArea | Self::OverData => {
                true
            }
            Self::Unreadable
            | Self::Checksum
            | Self::Magic
            | Self::Version
            | Self::Start
            | Self::Size => false,
        }
    }
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextDamage {
    /// The pointer leads out of the area.
    #[error("the pointer leads out of the metadata area")]
    OutOfArea,
    /// The bytes could not be read.
    #[error("the text cannot be read: {0}")]
    Unreadable(ForeignText),
    /// LVM's checksum does not match.
    #[error("checksum 0x{found:08x}, expected 0x{expected:08x}")]
    Checksum {
        /// As the header has it.
        expected: u32,
        /// As computed.
        found: u32,
    },
    /// The grammar or the content is broken.
    #[error("the text cannot be understood: {0}")]
    Text(String),
}
