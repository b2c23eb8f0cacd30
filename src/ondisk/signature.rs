//! Signatures of what is not LVM's: read to say what a new label would be written over.
//!
//! They stand in the first 68 KiB or the last 128 KiB of a device:
//!
//! | format | where the magic stands |
//! |---|---|
//! | LUKS 1, LUKS 2 | 0, version behind it; the second header of LUKS 2 at 16, 32 or 64 KiB |
//! | `BitLocker`, NTFS, exFAT | 3 |
//! | FAT | 54 or 82, in a boot sector |
//! | ext2, ext3, ext4 | 1080; features tell which |
//! | XFS | 0 |
//! | F2FS | 1024 |
//! | bcache, bcachefs | 4120 |
//! | ZFS | the list of names at 16 KiB, in the first of four labels |
//! | ISO 9660 | 32769 |
//! | btrfs | 65600 |
//! | swap space | the last ten bytes of the first page, whatever the size of pages |
//! | md 1.1, 1.2 | 0, 4096 |
//! | md 1.0 | at least 8 KiB before the end, at a multiple of 4 KiB |
//! | md 0.90 | the last whole 64 KiB before the last whole 64 KiB |
//! | GPT | the second block, and the last |
//! | MBR | entries at 446 |
//!
//! # Source
//! util-linux `libblkid/src/superblocks`, `libblkid/src/partitions`; cryptsetup
//! `lib/luks1/luks.h`, `lib/luks2/luks2.h`; Linux `fs/ext4/ext4.h`,
//! `include/uapi/linux/raid/md_p.h`, `include/uapi/linux/bcache.h`, `drivers/md/md.c`
//! `super_90_load`, `super_1_load`; OpenZFS `include/sys/vdev_impl.h`; UEFI specification.

use crate::model::signature::{ForeignSignature, Format};
use crate::ondisk::bytes::{array_at, sector_at, u32_at};
use crate::ondisk::partition_table::{has_gpt_signature, parse_boot_record};
use crate::units::Bytes;

/// How much of the start of a device is looked at.
pub const HEAD_SIZE: Bytes = Bytes::new(68 << 10);
/// How much of its end.
pub const TAIL_SIZE: Bytes = Bytes::new(128 << 10);

const KIB: u64 = 1 << 10;
const MD_MAGIC: u32 = 0xa92b_4efc;
/// `uuid_le` of bcache; its third version is bcachefs.
const BCACHE_MAGIC: &[u8] = &[
    0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81,
];
const BCACHEFS_MAGIC: &[u8] = &[
    0xc6, 0x85, 0x73, 0xf6, 0x66, 0xce, 0x90, 0xa9, 0xd9, 0x6a, 0x60, 0xcf, 0x80, 0x3d, 0xf7, 0xef,
];

/// Formats whose magic alone tells them.
const MAGICS: [(Format, u64, &[u8]); 23] = [
    (Format::Luks1, 0, b"LUKS\xba\xbe\x00\x01"),
    (Format::Luks2, 0, b"LUKS\xba\xbe\x00\x02"),
    (Format::Luks2, 16 * KIB, b"SKUL\xba\xbe\x00\x02"),
    (Format::Luks2, 32 * KIB, b"SKUL\xba\xbe\x00\x02"),
    (Format::Luks2, 64 * KIB, b"SKUL\xba\xbe\x00\x02"),
    (Format::Xfs, 0, b"XFSB"),
    (Format::Bitlocker, 3, b"-FVE-FS-"),
    (Format::Ntfs, 3, b"NTFS    "),
    (Format::Exfat, 3, b"EXFAT   "),
    (Format::F2fs, KIB, b"\x10\x20\xf5\xf2"),
    (Format::Bcache, 4 * KIB + 24, BCACHE_MAGIC),
    (Format::Bcachefs, 4 * KIB + 24, BCACHEFS_MAGIC),
    (Format::Zfs, 16 * KIB + 20, b"\0\0\0\x07version\0"),
    (Format::Iso9660, 32 * KIB + 1, b"CD001"),
    (Format::Btrfs, 64 * KIB + 64, b"_BHRfS_M"),
    (Format::Swap, 4 * KIB - 10, b"SWAPSPACE2"),
    (Format::Swap, 4 * KIB - 10, b"SWAP-SPACE"),
    (Format::Swap, 8 * KIB - 10, b"SWAPSPACE2"),
    (Format::Swap, 16 * KIB - 10, b"SWAPSPACE2"),
    (Format::Swap, 32 * KIB - 10, b"SWAPSPACE2"),
    (Format::Swap, 64 * KIB - 10, b"SWAPSPACE2"),
    // A machine that sleeps on its swap space.
    (Format::Swap, 4 * KIB - 10, b"S1SUSPEND\0"),
    (Format::Swap, 4 * KIB - 10, b"LINHIB0001"),
];

/// The two ends of a device.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    /// How large the device is.
    pub size: Bytes,
    /// Its first bytes.
    pub head: &'a [u8],
    /// Its last bytes; may overlap the first.
    pub tail: &'a [u8],
}

impl Ends<'_> {
    /// What stands from this byte on, as far as it was read.
    fn from(&self, at: u64) -> &[u8] {
        let in_head = usize::try_from(at).ok().and_then(|at| self.head.get(at..));
        let tail_start = self.size.saturating_sub(Bytes::of_len(self.tail.len())).get();
        let in_tail = at
            .checked_sub(tail_start)
            .and_then(|at| usize::try_from(at).ok())
            .and_then(|at| self.tail.get(at..));
        match (in_head.unwrap_or(&[]), in_tail.unwrap_or(&[])) {
            (head, tail) if head.len() >= tail.len() => head,
            (_, tail) => tail,
        }
    }
}

/// Every signature that stands at these ends, by place.
pub fn signatures(ends: &Ends<'_>) -> Vec<ForeignSignature> {
    let found = |format: Format, at: u64| ForeignSignature { at: Bytes::new(at), format };
    let mut all: Vec<ForeignSignature> = MAGICS
        .iter()
        .filter(|(_, at, magic)| ends.from(*at).starts_with(magic))
        .map(|(format, at, _)| found(*format, *at))
        .collect();
    all.extend(fat_at(ends).map(|at| found(Format::Fat, at)));
    all.extend(ext(ends).map(|format| found(format, EXT_SUPERBLOCK + EXT_MAGIC)));
    all.extend(md_members(ends).into_iter().map(|(format, at)| found(format, at)));
    all.extend(gpt_headers(ends).into_iter().map(|at| found(Format::Gpt, at)));
    let record = sector_at(ends.head, 0).and_then(parse_boot_record);
    let is_file_system = all.iter().any(|signature| signature.at < Bytes::new(512));
    if !is_file_system && record.is_some_and(|entries| !entries.is_empty()) {
        all.push(found(Format::Mbr, 446));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether a boot sector is that of a file system: what looks like entries in it is code.
pub fn is_boot_sector_of_file_system(sector: &[u8]) -> bool {
    let ends = Ends { size: Bytes::of_len(sector.len()), head: sector, tail: &[] };
    let at_start =
        |(_, at, magic): &(Format, u64, &[u8])| *at < 512 && ends.from(*at).starts_with(magic);
    MAGICS.iter().any(at_start) || fat_at(&ends).is_some()
}

/// Where a boot sector of FAT says which one it is.
fn fat_at(ends: &Ends<'_>) -> Option<u64> {
    let names: [(u64, &[u8]); 3] = [(54, b"FAT12   "), (54, b"FAT16   "), (82, b"FAT32   ")];
    let is_boot_sector = array_at(ends.head, 510) == Some([0x55, 0xaa]);
    let name = names.iter().find(|(at, name)| ends.from(*at).starts_with(name));
    name.filter(|_| is_boot_sector).map(|(at, _)| *at)
}

const EXT_SUPERBLOCK: u64 = 1024;
const EXT_MAGIC: u64 = 56;
/// `s_log_block_size`: blocks of 64 KiB are the largest.
const EXT_LOG_BLOCK_SIZE_MAX: u32 = 6;
const EXT_HAS_JOURNAL: u32 = 0x4;
/// Features that ext3 does not have: extents, 64 bits, flexible groups and what came after.
const EXT4_INCOMPATIBLE: u32 = !0x1f;
/// Large files, sparse superblocks and directory trees are all that ext3 knows.
const EXT4_READ_ONLY: u32 = !0x7;

/// Which ext, by its features. Two bytes of magic prove little, so that counts must make sense.
/// Whether a device that begins so holds ext3 or ext4 with its journal on another device.
///
/// # Source
/// Linux `fs/ext4/ext4.h`, `s_feature_compat`, `s_journal_dev`.
pub fn has_journal_elsewhere(head: &[u8]) -> bool {
    let start = usize::try_from(EXT_SUPERBLOCK).unwrap_or(usize::MAX);
    let superblock = head.get(start..).unwrap_or_default();
    let has = |at: usize| u32_at(superblock, at).unwrap_or(0);
    array_at(superblock, 56) == Some([0x53, 0xef])
        && has(92) & EXT_HAS_JOURNAL != 0
        && (has(224) == 0 || has(228) != 0)
}

fn ext(ends: &Ends<'_>) -> Option<Format> {
    let superblock = ends.from(EXT_SUPERBLOCK);
    let is_sane = array_at(superblock, 56) == Some([0x53, 0xef])
        && u32_at(superblock, 0)? > 0
        && u32_at(superblock, 24)? <= EXT_LOG_BLOCK_SIZE_MAX;
    if !is_sane {
        return None;
    }
    let is_ext4 = u32_at(superblock, 96)? & EXT4_INCOMPATIBLE != 0
        || u32_at(superblock, 100)? & EXT4_READ_ONLY != 0;
    let has_journal = u32_at(superblock, 92)? & EXT_HAS_JOURNAL != 0;
    Some(match (is_ext4, has_journal) {
        (true, _) => Format::Ext4,
        (false, true) => Format::Ext3,
        (false, false) => Format::Ext2,
    })
}

/// Superblocks of Linux RAID. One near the end counts only where this very device has its place,
/// which that of an array inside of an LV has not.
fn md_members(ends: &Ends<'_>) -> Vec<(Format, u64)> {
    let size = ends.size.get();
    let mut found = Vec::new();
    let version_1 = |at: u64| {
        let superblock = ends.from(at);
        let own_place: Option<u64> = array_at(superblock, 144).map(u64::from_le_bytes);
        u32_at(superblock, 0) == Some(MD_MAGIC)
            && u32_at(superblock, 4) == Some(1)
            && own_place.and_then(|sector| sector.checked_mul(512)) == Some(at)
    };
    let near_end = size.checked_sub(8 * KIB).map(|at| at / (4 * KIB) * (4 * KIB));
    let places = [(Format::Md11, Some(0)), (Format::Md12, Some(4 * KIB)), (Format::Md10, near_end)];
    found.extend(places.into_iter().filter_map(|(format, at)| {
        let at = at.filter(|at| version_1(*at))?;
        Some((format, at))
    }));
    let old = (size / (64 * KIB)).checked_sub(1).map(|at| at * 64 * KIB);
    let is_old = |at: &u64| {
        // In the byte order of the machine that made it.
        let word = |index: usize| array_at(ends.from(*at), index * 4);
        let words = [word(0), word(1), word(2)];
        [u32::from_le_bytes, u32::from_be_bytes]
            .iter()
            .any(|order| words.map(|word| word.map(order)) == [Some(MD_MAGIC), Some(0), Some(90)])
    };
    found.extend(old.filter(is_old).map(|at| (Format::Md090, at)));
    found
}

/// GPT headers: the first, and the backup where it says that it stands.
fn gpt_headers(ends: &Ends<'_>) -> Vec<u64> {
    let mut found = Vec::new();
    for block in [512, 4 * KIB] {
        let last = (ends.size.get() / block).checked_sub(1);
        for number in [Some(1), last].into_iter().flatten() {
            let at = number * block;
            let header = ends.from(at);
            let own_place: Option<u64> = array_at(header, 24).map(u64::from_le_bytes);
            if has_gpt_signature(header) && own_place == Some(number) {
                found.push(at);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ondisk::bytes::put;

    const SIZE: usize = 1 << 20;

    fn found_in(device: &[u8]) -> Vec<(Format, u64)> {
        let head = &device[..(68 << 10).min(device.len())];
        let tail = &device[device.len().saturating_sub(128 << 10)..];
        let ends = Ends { size: Bytes::of_len(device.len()), head, tail };
        signatures(&ends).iter().map(|found| (found.format, found.at.get())).collect()
    }

    fn with(pieces: &[(usize, &[u8])]) -> Vec<u8> {
        let mut device = vec![0; SIZE];
        for (at, bytes) in pieces {
            put(&mut device, *at, bytes);
        }
        device
    }

    #[test]
    fn every_magic_is_found_where_it_belongs_and_nowhere_else() {
        assert_eq!(found_in(&with(&[])), []);
        for (format, at, magic) in MAGICS {
            let place = usize::try_from(at).unwrap();
            assert_eq!(found_in(&with(&[(place, magic)])), [(format, at)], "{format:?}");
            assert_eq!(found_in(&with(&[(place + 512, magic)])), [], "{format:?}");
        }
    }

    #[test]
    fn features_tell_which_ext_it_is() {
        let ext = |compatible: u8, incompatible: u32, read_only: u32| {
            let device = with(&[
                (1024, &[1]),
                (1080, &[0x53, 0xef]),
                (1024 + 92, &[compatible]),
                (1024 + 96, &incompatible.to_le_bytes()),
                (1024 + 100, &read_only.to_le_bytes()),
            ]);
            found_in(&device)
        };
        assert_eq!(ext(0, 0x2, 0x3), [(Format::Ext2, 1080)]);
        assert_eq!(ext(4, 0x6, 0x3), [(Format::Ext3, 1080)]);
        assert_eq!(ext(4, 0x2c2, 0x46b), [(Format::Ext4, 1080)]);
        assert_eq!(found_in(&with(&[(1080, &[0x53, 0xef])])), [], "two bytes prove nothing");
    }

    #[test]
    fn raid_members_count_only_where_their_superblock_says_it_stands() {
        let superblock = |at: usize| {
            let mut bytes = vec![0; 256];
            put(&mut bytes, 0, &MD_MAGIC.to_le_bytes());
            put(&mut bytes, 4, &1_u32.to_le_bytes());
            put(&mut bytes, 144, &(at as u64 / 512).to_le_bytes());
            bytes
        };
        for (format, at) in [(Format::Md11, 0), (Format::Md12, 4096), (Format::Md10, SIZE - 8192)] {
            let device = with(&[(at, &superblock(at))]);
            assert_eq!(found_in(&device), [(format, at as u64)]);
            assert_eq!(found_in(&with(&[(at, &superblock(at + 4096))])), []);
        }
        let at = SIZE - 65536;
        let old = |order: fn(u32) -> [u8; 4]| [MD_MAGIC, 0, 90].map(order).concat();
        for bytes in [old(u32::to_le_bytes), old(u32::to_be_bytes)] {
            assert_eq!(found_in(&with(&[(at, &bytes)])), [(Format::Md090, at as u64)]);
        }
    }

    #[test]
    fn partition_tables_and_boot_sectors_are_told_apart() {
        let entry: &[u8] = &[0, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0];
        let boot: &[u8] = &[0x55, 0xaa];
        assert_eq!(found_in(&with(&[(510, boot)])), [], "a table without entries");
        assert_eq!(found_in(&with(&[(446, entry), (510, boot)])), [(Format::Mbr, 446)]);
        let fat = with(&[(54, b"FAT16   "), (446, entry), (510, boot)]);
        assert_eq!(found_in(&fat), [(Format::Fat, 54)]);
        assert!(is_boot_sector_of_file_system(&fat[..512]));
        assert!(!is_boot_sector_of_file_system(&with(&[(446, entry), (510, boot)])[..512]));
        let header = |block: u64| [&b"EFI PART"[..], &[0; 16], &block.to_le_bytes()].concat();
        let last = SIZE as u64 / 512 - 1;
        let gpt = with(&[(512, &header(1)), (SIZE - 512, &header(last))]);
        assert_eq!(found_in(&gpt), [(Format::Gpt, 512), (Format::Gpt, last * 512)]);
        // The backup of a disk that is an LV and ends where the device does.
        assert_eq!(found_in(&with(&[(SIZE - 512, &header(7))])), []);
    }

    #[test]
    fn devices_of_any_size_are_read_without_reaching_past_their_end() {
        for size in [0, 1, 511, 512, 1024, 4096, 8191, 65536, 69632, 131_072] {
            assert_eq!(found_in(&vec![0; size]), []);
            found_in(&vec![0xff; size]);
        }
    }
}
