//! Partition tables, read only to find where PVs may begin: MBR with logical partitions, and GPT.
//!
//! # Source
//! UEFI specification, "GUID Partition Table (GPT) Disk Layout" and "Legacy Master Boot Record".

use crate::ondisk::bytes::{Sector, array_at, u32_at, u64_at};
use crate::units::Bytes;

const MBR_ENTRIES: usize = 446;
const MBR_ENTRY: usize = 16;
const TYPE_PROTECTIVE: u8 = 0xee;
const TYPES_EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
const GPT_SIGNATURE: &[u8; 8] = b"EFI PART";
/// More entries than this, or larger ones, are no table that any tool writes.
const GPT_ENTRIES_MAX: u32 = 1024;
const GPT_ENTRY_SIZE_MAX: u32 = 4096;

/// An entry of an MBR or of an extended boot record, in sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MbrEntry {
    /// Its place in the table, from 1.
    pub number: u32,
    /// The type byte.
    pub kind: u8,
    /// First sector; in an extended boot record, relative.
    pub start: u32,
    /// How many sectors.
    pub len: u32,
}

impl MbrEntry {
    /// Whether it holds logical partitions.
    pub fn is_extended(&self) -> bool {
        TYPES_EXTENDED.contains(&self.kind)
    }

    /// Whether it says that a GPT is what counts.
    pub fn is_protective(&self) -> bool {
        self.kind == TYPE_PROTECTIVE
    }
}

/// Reads the used entries of a boot record; `None` without its signature.
///
/// File systems without a table carry the signature too; their "entries" are code or text, which
/// the boot flag of every entry (0x00 or 0x80) gives away.
pub fn parse_boot_record(sector: &Sector) -> Option<Vec<MbrEntry>> {
    if array_at(sector, 510) != Some([0x55, 0xaa]) {
        return None;
    }
    let mut entries = Vec::new();
    for number in 1..=4_u32 {
        let at = MBR_ENTRIES + MBR_ENTRY * usize::try_from(number - 1).ok()?;
        let [flag] = array_at(sector, at)?;
        if flag & 0x7f != 0 {
            return None;
        }
        let [kind] = array_at(sector, at + 4)?;
        let (start, len) = (u32_at(sector, at + 8)?, u32_at(sector, at + 12)?);
        if kind != 0 && len != 0 {
            entries.push(MbrEntry { number, kind, start, len });
        }
    }
    Some(entries)
}

/// A GPT header that checks out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GptHeader {
    /// Where the entries are, in logical blocks.
    pub entries_at: u64,
    /// How many.
    pub count: u32,
    /// How large each is, in bytes.
    pub entry_size: u32,
    entries_crc: u32,
}

impl GptHeader {
    /// Bytes of the whole table; at most 4 MiB.
    pub fn table_size(&self) -> Bytes {
        Bytes::new(u64::from(self.count) * u64::from(self.entry_size))
    }
}

/// Whether a GPT header may begin here, sound or not.
pub fn has_gpt_signature(bytes: &[u8]) -> bool {
    bytes.starts_with(GPT_SIGNATURE)
}

/// Reads a GPT header; `None` unless signature, checksum and limits hold.
pub fn parse_gpt_header(sector: &Sector) -> Option<GptHeader> {
    if !has_gpt_signature(sector) {
        return None;
    }
    let size = usize::try_from(u32_at(sector, 12)?).ok()?;
    let mut header = sector.get(..size).filter(|h| h.len() >= 92)?.to_vec();
    let expected = u32_at(&header, 16)?;
    header.get_mut(16..20)?.fill(0);
    if crc32fast::hash(&header) != expected {
        return None;
    }
    let parsed = GptHeader {
        entries_at: u64_at(sector, 72)?,
        count: u32_at(sector, 80)?,
        entry_size: u32_at(sector, 84)?,
        entries_crc: u32_at(sector, 88)?,
    };
    let sane =
        parsed.count <= GPT_ENTRIES_MAX && (128..=GPT_ENTRY_SIZE_MAX).contains(&parsed.entry_size);
    sane.then_some(parsed)
}

/// A partition: number from 1, first logical block and the one behind its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GptPartition {
    /// Its place in the table, from 1.
    pub number: u32,
    /// First block.
    pub start: u64,
    /// The block behind its last.
    pub end: u64,
}

/// Reads the used entries; `None` when their checksum does not match.
pub fn parse_gpt_entries(header: &GptHeader, table: &[u8]) -> Option<Vec<GptPartition>> {
    if crc32fast::hash(table) != header.entries_crc {
        return None;
    }
    let size = usize::try_from(header.entry_size).ok()?;
    let used = table.chunks_exact(size).zip(1_u32..).filter_map(|(entry, number)| {
        let kind: [u8; 16] = array_at(entry, 0)?;
        let (start, last) = (u64_at(entry, 32)?, u64_at(entry, 40)?);
        let end = last.checked_add(1)?;
        (kind != [0; 16] && start < end).then_some(GptPartition { number, start, end })
    });
    Some(used.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ondisk::bytes::put;

    #[test]
    fn boot_records() {
        let mut sector = [0_u8; 512];
        assert_eq!(parse_boot_record(&sector), None);
        put(&mut sector, 510, &[0x55, 0xaa]);
        assert_eq!(parse_boot_record(&sector), Some(Vec::new()));
        put(&mut sector, 446 + 16 + 4, &[0x8e]);
        put(&mut sector, 446 + 16 + 8, &2048_u32.to_le_bytes());
        put(&mut sector, 446 + 16 + 12, &4096_u32.to_le_bytes());
        let entry = MbrEntry { number: 2, kind: 0x8e, start: 2048, len: 4096 };
        assert_eq!(parse_boot_record(&sector), Some(vec![entry]));
        sector[446] = b'x';
        assert_eq!(parse_boot_record(&sector), None);
    }

    #[test]
    fn gpt_with_absurd_counts_is_no_gpt() {
        let mut sector = [0_u8; 512];
        put(&mut sector, 0, GPT_SIGNATURE);
        put(&mut sector, 12, &92_u32.to_le_bytes());
        put(&mut sector, 80, &u32::MAX.to_le_bytes());
        put(&mut sector, 84, &128_u32.to_le_bytes());
        let crc = crc32fast::hash(&sector[..92]);
        put(&mut sector, 16, &crc.to_le_bytes());
        assert_eq!(parse_gpt_header(&sector), None);
    }
}
