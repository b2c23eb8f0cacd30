//! Devices as they were found: labels, PV headers, metadata areas, and what is wrong with them.

mod damage;

use serde::{Deserialize, Serialize};

use crate::ids::{DeviceName, Digest, ForeignText, PvUuid};
use crate::model::live::DevNumber;
use crate::model::signature::ForeignSignature;
use crate::units::Bytes;

pub use damage::{HeaderDamage, LabelDamage, TextDamage};

/// One device that was looked at: a whole disk, an image file, or a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What it is called.
    pub name: DeviceName,
    /// Its number, on a running machine.
    pub number: Option<DevNumber>,
    /// Symbolic links that lead to it, on a running machine.
    pub links: Vec<String>,
    /// How large it is.
    pub size: Bytes,
    /// Whether it can only be read.
    pub read_only: bool,
    /// What was found on it.
    pub content: Content,
    /// What stands on it that is not LVM's; only looked for where no sound label is.
    pub signatures: Vec<ForeignSignature>,
    /// Partitions of its table that reach past its end.
    pub cut_off: Vec<CutOff>,
}

/// A partition that reaches past the end of its device: the image was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// Its number in the partition table.
    pub number: u32,
    /// Where the table says that it begins.
    pub start: Bytes,
    /// Where the table says that it ends.
    pub end: Bytes,
}

/// What was found on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A PV.
    Pv(Box<PvOnDevice>),
    /// A partition table; its partitions are devices of their own.
    PartitionTable,
    /// No label, but metadata areas where LVM puts them: a PV whose label was lost.
    LostLabel(Box<LostLabel>),
    /// Nothing of LVM.
    Foreign,
    /// It could not be read.
    Unreadable(ForeignText),
}

/// A PV: its label sector and everything that points from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PvOnDevice {
    /// The PV's UUID.
    pub uuid: PvUuid,
    /// The sector its label is in, 0 to 3.
    pub label_sector: u64,
    /// The size the label tells.
    pub device_size: Bytes,
    /// Where data begins; LVM writes exactly one.
    pub data_areas: Vec<DiskArea>,
    /// Whether the header extension says that the PV belongs to a VG; `None` without extension.
    pub in_use: Option<bool>,
    /// Version of the header extension; 0 without one.
    pub extension_version: u32,
    /// Areas left alone for boot loaders.
    pub bootloader_areas: Vec<DiskArea>,
    /// Metadata areas, in the order of the header.
    pub areas: Vec<MetadataArea>,
}

/// A device without a label on which metadata areas still stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostLabel {
    /// What is left of a damaged label, sector by sector; empty when the sectors hold none.
    pub remains: Vec<LabelRemains>,
    /// Metadata areas found where LVM puts them.
    pub areas: Vec<MetadataArea>,
}

/// A sector that was a label once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabelRemains {
    /// Its sector number.
    pub sector: u64,
    /// The UUID that still stands in it, when one can be read. Not protected by a checksum.
    pub uuid: Option<PvUuid>,
    /// Why it is no label any more.
    pub damage: LabelDamage,
}

/// A stretch of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DiskArea {
    /// Where it begins.
    pub offset: Bytes,
    /// How long it is; zero means to the end of the device.
    pub size: Bytes,
}

/// A metadata area: header and ring of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataArea {
    /// Where it begins on the device.
    pub offset: Bytes,
    /// How long it is, header included.
    pub size: Bytes,
    /// Its header.
    pub header: AreaHeader,
    /// What the committed pointer leads to.
    pub committed: SlotText,
    /// What the precommitted pointer leads to: a trace of an interrupted command.
    pub precommitted: SlotText,
    /// Every text found in the ring, sorted by position; empty unless the history was read.
    pub ring: Vec<RingText>,
}

/// The header sector of a metadata area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AreaHeader {
    /// All checks hold.
    Good(Slots),
    /// Some do not.
    Damaged {
        /// Which; never empty.
        damage: Vec<HeaderDamage>,
        /// The pointers as they stand there. Only a hint where to look.
        slots: Slots,
    },
}

/// The two pointers of a header: `raw_locn[0]` and `raw_locn[1]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// The text that counts.
    pub committed: Slot,
    /// The text of a command that had not committed yet.
    pub precommitted: Slot,
}

/// One pointer from a header into the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// From the start of the area; zero means none.
    pub offset: Bytes,
    /// Length of the text with its NUL.
    pub size: Bytes,
    /// LVM's checksum of the text.
    pub checksum: u32,
    /// Whether the area is marked as not in use; only meaningful in the committed slot.
    pub ignored: bool,
    /// The flag bits as they stand, for writing them back.
    pub raw_flags: u32,
}

/// What a pointer leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotText {
    /// The pointer is empty.
    Empty,
    /// The area is marked as not in use; its text is stale by design.
    Ignored,
    /// A sound text: the key of it in the inventory.
    Good(Digest),
    /// Something that is no sound text.
    Damaged(TextDamage),
}

/// A text found in a ring, pointed to or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingText {
    /// From the start of the area.
    pub offset: Bytes,
    /// Length with its NUL; for a cut text, what is left of it.
    pub size: Bytes,
    /// Whether it goes on at the start of the ring.
    pub wrapped: bool,
    /// The text, or why it is none.
    pub text: RingContent,
}

/// What became of a text in a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RingContent {
    /// Whole: the key of it in the inventory.
    Whole(Digest),
    /// The beginning stands, the rest was overwritten or damaged.
    Cut {
        /// The VG it was about, when that can be read.
        vg_name: Option<ForeignText>,
        /// The version it was, when that can be read.
        seqno: Option<u32>,
        /// Why it cannot be used.
        why: TextDamage,
    },
}

impl Device {
    /// Whether this is what somebody wrote in a plan: one of its names, or the end of an image's
    /// path.
    pub fn is_written(&self, text: &str) -> bool {
        self.name.is_written(text) || self.links.iter().any(|link| link == text)
    }

    /// The PV on it, when there is one.
    pub fn pv(&self) -> Option<&PvOnDevice> {
        match &self.content {
            Content::Pv(pv) => Some(pv),
            Content::PartitionTable
            | Content::LostLabel(_)
            | Content::Foreign
            | Content::Unreadable(_) => None,
        }
    }

    /// Its metadata areas, with or without a label.
    pub fn areas(&self) -> &[MetadataArea] {
        match &self.content {
            Content::Pv(pv) => &pv.areas,
            Content::LostLabel(lost) => &lost.areas,
            Content::PartitionTable | Content::Foreign | Content::Unreadable(_) => &[],
        }
    }

    /// The same, to be changed.
    pub fn areas_mut(&mut self) -> &mut [MetadataArea] {
        match &mut self.content {
            Content::Pv(pv) => &mut pv.areas,
            Content::LostLabel(lost) => &mut lost.areas,
            Content::PartitionTable | Content::Foreign | Content::Unreadable(_) => &mut [],
        }
    }
}

impl DiskArea {
    /// Where it ends; `None` past the end of all numbers.
    pub fn end(&self) -> Option<Bytes> {
        self.offset.checked_add(self.size)
    }
}

impl AreaHeader {
    /// The pointers, when they can be trusted.
    pub fn good(&self) -> Option<&Slots> {
        match self {
            Self::Good(slots) => Some(slots),
            Self::Damaged { .. } => None,
        }
    }
}

impl MetadataArea {
    /// Where it lies.
    pub const fn place(&self) -> DiskArea {
        DiskArea { offset: self.offset, size: self.size }
    }

    /// Whether it lies where no area may: what stands there is not metadata, whatever it looks
    /// like.
    pub fn is_misplaced(&self) -> bool {
        match &self.header {
            AreaHeader::Good(_) => false,
            AreaHeader::Damaged { damage, .. } => damage.iter().any(|d| d.is_of_place()),
        }
    }

    /// Takes down that it lies where no area may, and forgets what was read there.
    pub fn misplace(&mut self, why: HeaderDamage) {
        let (mut damage, slots) = match &self.header {
            AreaHeader::Good(slots) => (Vec::new(), *slots),
            AreaHeader::Damaged { damage, slots } => (damage.clone(), *slots),
        };
        damage.push(why);
        self.header = AreaHeader::Damaged { damage, slots };
        self.committed = SlotText::Empty;
        self.precommitted = SlotText::Empty;
        self.ring.clear();
    }

    /// Whether LVM would count this area among those in use.
    pub fn is_ignored(&self) -> bool {
        self.header.good().is_some_and(|slots| slots.committed.ignored)
    }
}

impl SlotText {
    /// The key of the text, when it is sound.
    pub fn good(&self) -> Option<Digest> {
        match self {
            Self::Good(key) => Some(*key),
            Self::Empty | Self::Ignored | Self::Damaged(_) => None,
        }
    }
}
