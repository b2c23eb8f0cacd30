//! The superblock of a RAID leg, at the start of its metadata LV.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | magic `DmRd` |
//! | 4 | 4 | compatible features |
//! | 8 | 4 | number of legs |
//! | 12 | 4 | which leg this is |
//! | 16 | 8 | events |
//! | 24 | 8 | legs that failed, one bit each |
//! | 32 | 8 | sectors this leg is recovered to; all ones when it is as a whole |
//!
//! # Source
//! Linux `drivers/md/dm-raid.c`, `struct dm_raid_superblock`.

use crate::model::legs::{RaidMeta, RaidSuperblock};
use crate::ondisk::bytes::{Sector, array_at, u64_at};

const MAGIC: [u8; 4] = *b"DmRd";

/// Reads the first sector of a leg's metadata.
pub fn parse_raid_meta(sector: &Sector) -> RaidMeta {
    if array_at(sector, 0) != Some(MAGIC) {
        let is_empty = sector.iter().all(|byte| *byte == 0);
        return if is_empty { RaidMeta::Empty } else { RaidMeta::Foreign };
    }
    match (u64_at(sector, 16), u64_at(sector, 24), u64_at(sector, 32)) {
        (Some(events), Some(failed), Some(recovered_to)) => {
            let is_recovered = recovered_to == u64::MAX;
            RaidMeta::Superblock(RaidSuperblock { events, failed, is_recovered })
        }
        _ => RaidMeta::Foreign,
    }
}
