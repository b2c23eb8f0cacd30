//! The PV label and the PV header in it.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | id `LABELONE` |
//! | 8 | 8 | sector the label is in |
//! | 16 | 4 | checksum of bytes 20 to 511 |
//! | 20 | 4 | offset of the PV header in the sector; always 32 |
//! | 24 | 8 | type `LVM2 001` |
//! | 32 | 32 | PV UUID without hyphens |
//! | 64 | 8 | device size in bytes |
//! | 72 | 16 each | data areas {offset, size}, ended by a zero entry |
//! | … | 16 each | metadata areas {offset, size}, ended by a zero entry |
//! | … | 4 + 4 | extension version and flags |
//! | … | 16 each | bootloader areas {offset, size}, ended by a zero entry |
//!
//! # Source
//! LVM2 `lib/label/label.h` `struct label_header`, `lib/format_text/layout.h` `struct pv_header`,
//! `struct pv_header_extension`.

use crate::ids::{LvmUuid, PvUuid};
use crate::model::device::{DiskArea, LabelDamage};
use crate::ondisk::bytes::{Sector, array_at, put, u32_at, u64_at};
use crate::ondisk::checksum::lvm_crc;
use crate::units::Bytes;

/// How many sectors from the start of a device may hold the label.
pub const LABEL_SECTORS: u64 = 4;
/// The sector LVM writes the label into.
pub const LABEL_SECTOR_DEFAULT: u64 = 1;

const LABEL_ID: &[u8; 8] = b"LABELONE";
const LABEL_TYPE: &[u8; 8] = b"LVM2 001";
const OFFSET_SECTOR: usize = 8;
const OFFSET_CRC: usize = OFFSET_SECTOR + 8;
const OFFSET_HEADER_OFFSET: usize = OFFSET_CRC + 4;
const OFFSET_TYPE: usize = OFFSET_HEADER_OFFSET + 4;
const HEADER_START: usize = OFFSET_TYPE + 8;
const HEADER_DEVICE_SIZE: usize = 32;
const HEADER_AREAS: usize = HEADER_DEVICE_SIZE + 8;
const ENTRY: usize = 16;
/// Flag bit 0 of the extension, `PV_EXT_USED`: the PV belongs to a VG.
const EXTENSION_USED: u32 = 1;
/// The version of the extension that this program writes; flags count from 2 on.
const EXTENSION_VERSION: u32 = 2;

/// Whether a sector begins like a label, sound or not.
pub fn has_label_id(sector: &[u8]) -> bool {
    sector.starts_with(LABEL_ID)
}

/// A sound label with the PV header in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The sector it is in.
    pub sector: u64,
    /// The PV.
    pub uuid: PvUuid,
    /// The size it tells.
    pub device_size: Bytes,
    /// Where data begins.
    pub data_areas: Vec<DiskArea>,
    /// Where the metadata areas are.
    pub metadata_areas: Vec<DiskArea>,
    /// Version of the header extension; 0 when there is none.
    pub extension_version: u32,
    /// Flags of the header extension.
    pub extension_flags: u32,
    /// Areas left to boot loaders.
    pub bootloader_areas: Vec<DiskArea>,
}

/// What one of the first four sectors holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelSector {
    /// Nothing like a label.
    Other,
    /// A sound label.
    Sound(Label),
    /// Traces of one.
    Damaged {
        /// The UUID that stands there, unproven.
        uuid: Option<PvUuid>,
        /// What is wrong first.
        damage: LabelDamage,
    },
}

/// Reads the sector with this number.
pub fn parse_label(bytes: &Sector, sector: u64) -> LabelSector {
    let has_id = has_label_id(bytes);
    let has_type = array_at(bytes, OFFSET_TYPE) == Some(*LABEL_TYPE);
    if !has_id && !has_type {
        return LabelSector::Other;
    }
    let uuid = uuid_at(bytes, HEADER_START);
    match check_label(bytes, sector, has_id, has_type) {
        Ok(label) => LabelSector::Sound(label),
        Err(damage) => LabelSector::Damaged { uuid, damage },
    }
}

fn uuid_at(bytes: &[u8], offset: usize) -> Option<PvUuid> {
    array_at(bytes, offset).and_then(|raw| LvmUuid::from_raw(&raw).ok()).map(PvUuid)
}

fn check_label(
    bytes: &Sector,
    sector: u64,
    has_id: bool,
    has_type: bool,
) -> Result<Label, LabelDamage> {
    if u32_at(bytes, OFFSET_CRC) != bytes.get(OFFSET_HEADER_OFFSET..).map(lvm_crc) {
        return Err(LabelDamage::Checksum);
    }
    if u64_at(bytes, OFFSET_SECTOR) != Some(sector) {
        return Err(LabelDamage::WrongSector);
    }
    if !has_id || !has_type {
        return Err(LabelDamage::WrongType);
    }
    let header = u32_at(bytes, OFFSET_HEADER_OFFSET)
        .and_then(|offset| usize::try_from(offset).ok())
        .and_then(|offset| bytes.get(offset..))
        .ok_or(LabelDamage::Layout)?;
    parse_pv_header(header, sector)
}

fn parse_pv_header(header: &[u8], sector: u64) -> Result<Label, LabelDamage> {
    let raw = array_at(header, 0).ok_or(LabelDamage::Layout)?;
    let uuid = LvmUuid::from_raw(&raw).map(PvUuid).map_err(|_| LabelDamage::Uuid)?;
    let device_size = u64_at(header, HEADER_DEVICE_SIZE).ok_or(LabelDamage::Layout)?;
    let (data_areas, next) = area_list(header, HEADER_AREAS)?;
    let (metadata_areas, next) = area_list(header, next)?;
    // Labels older than the extension may end here, at the end of the sector.
    let extension_version = u32_at(header, next).unwrap_or(0);
    let (extension_flags, bootloader_areas) = if extension_version == 0 {
        (0, Vec::new())
    } else {
        let flags = u32_at(header, next + 4).ok_or(LabelDamage::Layout)?;
        (flags, area_list(header, next + 8)?.0)
    };
    Ok(Label {
        sector,
        uuid,
        device_size: Bytes::new(device_size),
        data_areas,
        metadata_areas,
        extension_version,
        extension_flags,
        bootloader_areas,
    })
}

/// Reads entries up to the first whose offset is zero; returns them and what comes behind.
fn area_list(header: &[u8], mut at: usize) -> Result<(Vec<DiskArea>, usize), LabelDamage> {
    let mut areas = Vec::new();
    loop {
        let offset = u64_at(header, at).ok_or(LabelDamage::Layout)?;
        let size = u64_at(header, at + 8).ok_or(LabelDamage::Layout)?;
        at += ENTRY;
        if offset == 0 {
            return Ok((areas, at));
        }
        areas.push(DiskArea { offset: Bytes::new(offset), size: Bytes::new(size) });
    }
}

impl Label {
    /// Whether the header says that the PV belongs to a VG; `None` where it cannot tell.
    pub fn in_use(&self) -> Option<bool> {
        (self.extension_version >= EXTENSION_VERSION)
            .then_some(self.extension_flags & EXTENSION_USED != 0)
    }

    /// The label of a PV that belongs to a VG, in the sector LVM uses.
    pub fn of_member(
        uuid: PvUuid,
        device_size: Bytes,
        data_start: Bytes,
        metadata_areas: Vec<DiskArea>,
        bootloader_areas: Vec<DiskArea>,
    ) -> Self {
        Self {
            sector: LABEL_SECTOR_DEFAULT,
            uuid,
            device_size,
            data_areas: vec![DiskArea { offset: data_start, size: Bytes::ZERO }],
            metadata_areas,
            extension_version: EXTENSION_VERSION,
            extension_flags: EXTENSION_USED,
            bootloader_areas,
        }
    }

    /// The sector as LVM would write it; `None` when the areas do not fit into it.
    pub fn encode(&self) -> Option<Sector> {
        let mut sector = [0_u8; 512];
        let lists = [&self.data_areas, &self.metadata_areas];
        let mut at = HEADER_START + HEADER_AREAS;
        put(&mut sector, 0, LABEL_ID);
        put(&mut sector, OFFSET_SECTOR, &self.sector.to_le_bytes());
        put(&mut sector, OFFSET_HEADER_OFFSET, &u32::try_from(HEADER_START).ok()?.to_le_bytes());
        put(&mut sector, OFFSET_TYPE, LABEL_TYPE);
        put(&mut sector, HEADER_START, self.uuid.0.raw());
        let size_at = HEADER_START + HEADER_DEVICE_SIZE;
        put(&mut sector, size_at, &self.device_size.get().to_le_bytes());
        for list in lists {
            at = put_area_list(&mut sector, at, list)?;
        }
        put(&mut sector, at, &self.extension_version.to_le_bytes());
        put(&mut sector, at + 4, &self.extension_flags.to_le_bytes());
        at = put_area_list(&mut sector, at + 8, &self.bootloader_areas)?;
        if at > sector.len() {
            return None;
        }
        let crc = sector.get(OFFSET_HEADER_OFFSET..).map(lvm_crc)?;
        put(&mut sector, OFFSET_CRC, &crc.to_le_bytes());
        Some(sector)
    }
}

/// Writes a list with its terminator; returns what comes behind, `None` past the sector.
fn put_area_list(sector: &mut Sector, mut at: usize, areas: &[DiskArea]) -> Option<usize> {
    for area in areas {
        put(sector, at, &area.offset.get().to_le_bytes());
        put(sector, at + 8, &area.size.get().to_le_bytes());
        at += ENTRY;
    }
    let behind = at + ENTRY;
    (behind <= sector.len()).then_some(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The label of a 64 MiB PV written by LVM 2.03.16.
    fn sample() -> Sector {
        let mut sector = [0_u8; 512];
        put(&mut sector, 0, b"LABELONE\x01\0\0\0\0\0\0\0\x96\x6c\x65\x26\x20\0\0\0LVM2 001");
        put(&mut sector, 32, b"lkIdabhJsbZ83pR0FR8tToRtSK5fZfq0");
        put(&mut sector, 64, &(64_u64 << 20).to_le_bytes());
        put(&mut sector, 72, &0x10_0000_u64.to_le_bytes());
        put(&mut sector, 104, &4096_u64.to_le_bytes());
        put(&mut sector, 112, &1_044_480_u64.to_le_bytes());
        put(&mut sector, 136, &2_u32.to_le_bytes());
        put(&mut sector, 140, &1_u32.to_le_bytes());
        sector
    }

    #[test]
    fn real_label_reads_and_writes_back() {
        let LabelSector::Sound(label) = parse_label(&sample(), 1) else { panic!("not sound") };
        assert_eq!(label.uuid.to_string(), "lkIdab-hJsb-Z83p-R0FR-8tTo-RtSK-5fZfq0");
        assert_eq!(label.device_size, Bytes::new(64 << 20));
        assert_eq!(label.metadata_areas.len(), 1);
        assert_eq!(label.in_use(), Some(true));
        assert_eq!(label.encode(), Some(sample()));
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        for index in 0..512 {
            let mut sector = sample();
            sector[index] ^= 0x40;
            let read = parse_label(&sector, 1);
            assert!(!matches!(read, LabelSector::Sound(_)), "byte {index}: {read:?}");
        }
    }

    #[test]
    fn wrong_place_and_endless_lists() {
        let read = parse_label(&sample(), 2);
        assert!(matches!(
            read,
            LabelSector::Damaged { damage: LabelDamage::WrongSector, uuid: Some(_) }
        ));
        let mut endless = sample();
        endless[72..].fill(0xff);
        let crc = lvm_crc(&endless[20..]);
        put(&mut endless, 16, &crc.to_le_bytes());
        let read = parse_label(&endless, 1);
        assert!(matches!(read, LabelSector::Damaged { damage: LabelDamage::Layout, .. }));
        assert_eq!(parse_label(&[0; 512], 1), LabelSector::Other);
    }
}
