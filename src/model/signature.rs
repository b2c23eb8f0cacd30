//! What stands on a device that is not LVM's: file systems, encrypted volumes, RAID members,
//! partition tables.

use std::fmt;

use crate::units::Bytes;

/// A format that is known by its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// LUKS version 1.
    Luks1,
    /// LUKS version 2.
    Luks2,
    /// `BitLocker`.
    Bitlocker,
    /// ext2.
    Ext2,
    /// ext3.
    Ext3,
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// F2FS.
    F2fs,
    /// bcachefs.
    Bcachefs,
    /// A member of a ZFS pool.
    Zfs,
    /// NTFS.
    Ntfs,
    /// FAT12, FAT16 or FAT32.
    Fat,
    /// exFAT.
    Exfat,
    /// ISO 9660.
    Iso9660,
    /// Swap space.
    Swap,
    /// A member of a Linux RAID, superblock 0.90 near the end.
    Md090,
    /// The same, 1.0 near the end.
    Md10,
    /// The same, 1.1 at the start.
    Md11,
    /// The same, 1.2 behind the first page.
    Md12,
    /// bcache, backing or caching device.
    Bcache,
    /// A GUID partition table.
    Gpt,
    /// A DOS partition table with entries.
    Mbr,
}

impl Format {
    /// In words, for people.
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Luks1 => "LUKS 1",
            Self::Luks2 => "LUKS 2",
            Self::Bitlocker => "BitLocker",
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Xfs => "XFS",
            Self::Btrfs => "btrfs",
            Self::F2fs => "F2FS",
            Self::Bcachefs => "bcachefs",
            Self::Zfs => "a ZFS pool member",
            Self::Ntfs => "NTFS",
            Self::Fat => "FAT",
            Self::Exfat => "exFAT",
            Self::Iso9660 => "ISO 9660",
            Self::Swap => "swap space",
            Self::Md090 => "a RAID member (md 0.90)",
            Self::Md10 => "a RAID member (md 1.0)",
            Self::Md11 => "a RAID member (md 1.1)",
            Self::Md12 => "a RAID member (md 1.2)",
            Self::Bcache => "bcache",
            Self::Gpt => "a GPT",
            Self::Mbr => "an MBR partition table",
        }
    }
}

/// A signature that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignSignature {
    /// Where its magic stands on the device: the byte that `wipefs` names.
    pub at: Bytes,
    /// Of what.
    pub format: Format,
}

impl fmt::Display for ForeignSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.format.shown(), self.at.get())
    }
}
