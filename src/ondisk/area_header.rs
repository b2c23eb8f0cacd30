//! The header sector of a metadata area.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | checksum of bytes 4 to 511 |
//! | 4 | 16 | magic ` LVM2 x[5A%r0N*>` |
//! | 20 | 4 | version 1 |
//! | 24 | 8 | where this header stands on the device |
//! | 32 | 8 | size of the area, header included |
//! | 40 | 24 | committed slot |
//! | 64 | 24 | precommitted slot |
//! | 88 | 24 | zeros |
//!
//! A slot is {offset from the area's start: 8, size with NUL: 8, checksum: 4, flags: 4}; flag bit
//! 0 marks the area as ignored.
//!
//! # Source
//! LVM2 `lib/format_text/layout.h`, `struct mda_header`, `struct raw_locn`.

use crate::model::device::{AreaHeader, DiskArea, HeaderDamage, Slot, Slots};
use crate::ondisk::bytes::{Sector, array_at, put, u32_at, u64_at};
use crate::ondisk::checksum::lvm_crc;
use crate::units::Bytes;

/// Size of the header; the ring begins behind it.
pub const HEADER_SIZE: Bytes = Bytes::new(512);
/// Where LVM puts the first area on machines with pages of 4, 8, 16 and 64 KiB.
pub const AREA_STARTS: [u64; 4] = [4096, 8192, 16384, 65536];

const MAGIC: &[u8; 16] = b" LVM2 x[5A%r0N*>";
const OFFSET_MAGIC: usize = 4;
const OFFSET_VERSION: usize = OFFSET_MAGIC + MAGIC.len();
const OFFSET_START: usize = OFFSET_VERSION + 4;
const OFFSET_SIZE: usize = OFFSET_START + 8;
const OFFSET_COMMITTED: usize = OFFSET_SIZE + 8;
const OFFSET_PRECOMMITTED: usize = OFFSET_COMMITTED + 24;
const VERSION: u32 = 1;
const FLAG_IGNORED: u32 = 1;

/// Reads the header of the area that the PV header places here.
///
/// The size in the header may be smaller than the PV header's only for old LVM versions; larger
/// is damage.
pub fn parse_area_header(sector: &Sector, area: DiskArea) -> AreaHeader {
    let mut damage = Vec::new();
    if u32_at(sector, 0) != sector.get(4..).map(lvm_crc) {
        damage.push(HeaderDamage::Checksum);
    }
    if !has_magic(sector) {
        damage.push(HeaderDamage::Magic);
    }
    if u32_at(sector, OFFSET_VERSION) != Some(VERSION) {
        damage.push(HeaderDamage::Version);
    }
    if u64_at(sector, OFFSET_START) != Some(area.offset.get()) {
        damage.push(HeaderDamage::Start);
    }
    if size_of(sector) != Some(area.size) || area.size <= HEADER_SIZE {
        damage.push(HeaderDamage::Size);
    }
    let slots = Slots {
        committed: slot_at(sector, OFFSET_COMMITTED),
        precommitted: slot_at(sector, OFFSET_PRECOMMITTED),
    };
    if damage.is_empty() { AreaHeader::Good(slots) } else { AreaHeader::Damaged { damage, slots } }
}

/// Whether the sector looks like a header at all.
pub fn has_magic(sector: &Sector) -> bool {
    array_at(sector, OFFSET_MAGIC) == Some(*MAGIC)
}

/// The size of the area as the header has it.
pub fn size_of(sector: &Sector) -> Option<Bytes> {
    u64_at(sector, OFFSET_SIZE).map(Bytes::new)
}

fn slot_at(sector: &Sector, at: usize) -> Slot {
    let raw_flags = u32_at(sector, at + 20).unwrap_or(0);
    Slot {
        offset: Bytes::new(u64_at(sector, at).unwrap_or(0)),
        size: Bytes::new(u64_at(sector, at + 8).unwrap_or(0)),
        checksum: u32_at(sector, at + 16).unwrap_or(0),
        ignored: raw_flags & FLAG_IGNORED != 0,
        raw_flags,
    }
}

/// The header sector of this area with these slots, as LVM would write it.
pub fn encode_area_header(area: DiskArea, slots: &Slots) -> Sector {
    let mut sector = [0_u8; 512];
    put(&mut sector, OFFSET_MAGIC, MAGIC);
    put(&mut sector, OFFSET_VERSION, &VERSION.to_le_bytes());
    put(&mut sector, OFFSET_START, &area.offset.get().to_le_bytes());
    put(&mut sector, OFFSET_SIZE, &area.size.get().to_le_bytes());
    for (at, slot) in
        [(OFFSET_COMMITTED, &slots.committed), (OFFSET_PRECOMMITTED, &slots.precommitted)]
    {
        put(&mut sector, at, &slot.offset.get().to_le_bytes());
        put(&mut sector, at + 8, &slot.size.get().to_le_bytes());
        put(&mut sector, at + 16, &slot.checksum.to_le_bytes());
        put(&mut sector, at + 20, &slot.raw_flags.to_le_bytes());
    }
    let crc = sector.get(4..).map_or(0, lvm_crc);
    put(&mut sector, 0, &crc.to_le_bytes());
    sector
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: DiskArea = DiskArea { offset: Bytes::new(4096), size: Bytes::new(1_044_480) };

    /// The header of a 64 MiB PV written by LVM 2.03.16.
    fn sample() -> Sector {
        let mut sector = [0_u8; 512];
        put(&mut sector, 0, b"\xa8\x91\x28\xfa LVM2 x[5A%r0N*>\x01\0\0\0");
        put(&mut sector, 24, &4096_u64.to_le_bytes());
        put(&mut sector, 32, &1_044_480_u64.to_le_bytes());
        put(&mut sector, 40, &24576_u64.to_le_bytes());
        put(&mut sector, 48, &1501_u64.to_le_bytes());
        put(&mut sector, 56, &0xf714_5115_u32.to_le_bytes());
        sector
    }

    #[test]
    fn real_header_reads_and_writes_back() {
        let header = parse_area_header(&sample(), AREA);
        let slots = header.good().unwrap();
        assert_eq!(slots.committed.offset, Bytes::new(24576));
        assert_eq!(slots.committed.size, Bytes::new(1501));
        assert_eq!(slots.precommitted, Slot::default());
        assert_eq!(encode_area_header(AREA, slots), sample());
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        for index in 0..512 {
            let mut sector = sample();
            sector[index] ^= 1;
            assert_eq!(parse_area_header(&sector, AREA).good(), None, "byte {index}");
        }
    }

    #[test]
    fn a_header_that_stands_elsewhere_is_damaged() {
        let moved = DiskArea { offset: Bytes::new(8192), ..AREA };
        let AreaHeader::Damaged { damage, .. } = parse_area_header(&sample(), moved) else {
            panic!("read as good");
        };
        assert_eq!(damage, [HeaderDamage::Start]);
    }
}
