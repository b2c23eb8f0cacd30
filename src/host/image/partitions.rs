//! Finding the partitions of an image.

use std::io;

use crate::host::image::Partition;
use crate::host::storage::Storage;
use crate::model::device::CutOff;
use crate::ondisk::bytes::Sector;
use crate::ondisk::partition_table::{
    GptHeader, MbrEntry, parse_boot_record, parse_gpt_entries, parse_gpt_header,
};
use crate::ondisk::signature::is_boot_sector_of_file_system;
use crate::units::{Bytes, SECTOR_BYTES, Sectors};

/// Logical partitions hang in a chain; a longer one is a circle.
const LOGICAL_MAX: u32 = 128;
/// Sizes of a logical block that disks have.
const BLOCK_SIZES: [u64; 2] = [512, 4096];

/// What a partition table comes to.
#[derive(Debug, Default)]
pub struct Table {
    /// Partitions that lie within the image.
    pub partitions: Vec<Partition>,
    /// Partitions that were cut off with the image: they cannot be read as a whole.
    pub cut_off: Vec<CutOff>,
}

/// The partitions of this image; none when it has no table.
pub fn find(storage: &dyn Storage) -> io::Result<Table> {
    let Some(first) = sector(storage, Bytes::ZERO)? else {
        return Ok(Table::default());
    };
    let Some(entries) = parse_boot_record(&first) else {
        return Ok(Table::default());
    };
    let found = if entries.iter().any(MbrEntry::is_protective) {
        find_gpt(storage)?
    } else {
        find_mbr(storage, &entries)?
    };
    let (partitions, past): (Vec<_>, Vec<_>) = found.into_iter().partition(|p| fits(storage, p));
    // The code in the boot sector of a file system may look like entries, but hardly like ones
    // that fit.
    let is_table = !partitions.is_empty() || !is_boot_sector_of_file_system(&first);
    let cut_off = past.iter().filter(|_| is_table).map(|p| {
        let end = p.start.saturating_add(p.size);
        CutOff { number: p.number, start: p.start, end }
    });
    Ok(Table { cut_off: cut_off.collect(), partitions })
}

fn fits(storage: &dyn Storage, partition: &Partition) -> bool {
    partition.start.checked_add(partition.size).is_some_and(|end| end <= storage.size())
}

fn sector(storage: &dyn Storage, at: Bytes) -> io::Result<Option<Sector>> {
    let end = at.checked_add(Bytes::new(SECTOR_BYTES));
    if end.is_none_or(|end| end > storage.size()) {
        return Ok(None);
    }
    let mut sector = [0; 512];
    storage.read_at(at, &mut sector)?;
    Ok(Some(sector))
}

fn partition(number: u32, start: u64, len: u64) -> Option<Partition> {
    let start = Sectors::new(start).bytes()?;
    Some(Partition { number, start, size: Sectors::new(len).bytes()? })
}

fn find_mbr(storage: &dyn Storage, entries: &[MbrEntry]) -> io::Result<Vec<Partition>> {
    let mut found = Vec::new();
    for entry in entries {
        let whole = partition(entry.number, entry.start.into(), entry.len.into());
        if entry.is_extended() {
            find_logical(storage, entry.start.into(), &mut found)?;
            // Only a frame for others, some of which are lost when it is cut off.
            found.extend(whole.filter(|frame| !fits(storage, frame)));
        } else {
            found.extend(whole);
        }
    }
    Ok(found)
}

/// Follows the chain of extended boot records: the first entry of each is a logical partition,
/// relative to it; the second leads to the next, relative to the extended partition.
fn find_logical(
    storage: &dyn Storage,
    extended: u64,
    found: &mut Vec<Partition>,
) -> io::Result<()> {
    let mut record_at = extended;
    for number in 5..5 + LOGICAL_MAX {
        let Some(at) = Sectors::new(record_at).bytes() else {
            return Ok(());
        };
        let Some(entries) = sector(storage, at)?.as_ref().and_then(parse_boot_record) else {
            return Ok(());
        };
        let Some(logical) = entries.iter().find(|e| !e.is_extended()) else {
            return Ok(());
        };
        let start = record_at.saturating_add(logical.start.into());
        found.extend(partition(number, start, logical.len.into()));
        match entries.iter().find(|e| e.is_extended()) {
            Some(next) => record_at = extended.saturating_add(next.start.into()),
            None => return Ok(()),
        }
    }
    Ok(())
}

fn find_gpt(storage: &dyn Storage) -> io::Result<Vec<Partition>> {
    for block in BLOCK_SIZES {
        let backup = (storage.size().get() / block).saturating_sub(1).saturating_mul(block);
        for at in [block, backup] {
            let header = sector(storage, Bytes::new(at))?.as_ref().and_then(parse_gpt_header);
            if let Some(header) = header
                && let Some(partitions) = gpt_partitions(storage, &header, block)?
            {
                return Ok(partitions);
            }
        }
    }
    Ok(Vec::new())
}

fn gpt_partitions(
    storage: &dyn Storage,
    header: &GptHeader,
    block: u64,
) -> io::Result<Option<Vec<Partition>>> {
    let size = header.table_size();
    let at = header.entries_at.checked_mul(block).map(Bytes::new);
    let fits = |at: &Bytes| at.checked_add(size).is_some_and(|end| end <= storage.size());
    let (Some(at), Some(len)) = (at.filter(fits), size.to_usize()) else {
        return Ok(None);
    };
    let mut table = vec![0; len];
    storage.read_at(at, &mut table)?;
    let Some(entries) = parse_gpt_entries(header, &table) else {
        return Ok(None);
    };
    let partitions = entries.into_iter().filter_map(|entry| {
        Some(Partition {
            number: entry.number,
            start: Bytes::new(entry.start.checked_mul(block)?),
            size: Bytes::new((entry.end - entry.start).checked_mul(block)?),
        })
    });
    Ok(Some(partitions.collect()))
}
