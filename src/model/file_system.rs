//! File systems: what the kernel calls them, and how one is mounted without a write.
//!
//! # Source
//! `mount(8)`, `ext4(5)`, `xfs(5)`, `btrfs(5)`; Linux `fs/ext4/super.c`, `fs/xfs/xfs_super.c`,
//! `fs/btrfs/super.c`, `fs/f2fs/super.c`.

use crate::model::signature::{ForeignSignature, Format};

/// What `mount -t` takes for this format; none for what is no file system.
pub const fn type_of(format: Format) -> Option<&'static str> {
    match format {
        Format::Ext2 => Some("ext2"),
        Format::Ext3 => Some("ext3"),
        Format::Ext4 => Some("ext4"),
        Format::Xfs => Some("xfs"),
        Format::Btrfs => Some("btrfs"),
        Format::F2fs => Some("f2fs"),
        Format::Bcachefs => Some("bcachefs"),
        // Several drivers read it: which there is, `mount` knows.
        Format::Ntfs => Some("auto"),
        Format::Fat => Some("vfat"),
        Format::Exfat => Some("exfat"),
        Format::Iso9660 => Some("iso9660"),
        Format::Luks1
        | Format::Luks2
        | Format::Bitlocker
        | Format::Zfs
        | Format::Swap
        | Format::Md090
        | Format::Md10
        | Format::Md11
        | Format::Md12
        | Format::Bcache
        | Format::Gpt
        | Format::Mbr => None,
    }
}

/// The type of the one file system that these signatures tell of.
///
/// # Errors
/// What stands there instead, for people.
pub fn type_by(signatures: &[ForeignSignature]) -> Result<&'static str, String> {
    let types: Vec<&'static str> =
        signatures.iter().filter_map(|found| type_of(found.format)).collect();
    match (types.as_slice(), signatures) {
        ([only], _) => Ok(only),
        ([], []) => Err("no file system is known by what stands there".to_owned()),
        (_, several) => {
            let shown: Vec<&str> = several.iter().map(|found| found.format.shown()).collect();
            Err(format!("{} stands there", shown.join(", ")))
        }
    }
}

/// The mount options with which a snapshot of this type is looked at, `ro` first.
///
/// A snapshot has the UUID of its origin, which XFS takes only once.
pub fn options_of(fs_type: &str, replays: bool) -> Vec<&'static str> {
    let mut options = vec!["ro"];
    if fs_type == "xfs" {
        options.push("nouuid");
    }
    if !replays {
        options.extend(match fs_type {
            "ext3" | "ext4" => Some("noload"),
            "xfs" | "f2fs" => Some("norecovery"),
            "btrfs" => Some("rescue=nologreplay"),
            _ => None,
        });
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    fn found(formats: &[Format]) -> Vec<ForeignSignature> {
        let one = |format: &Format| ForeignSignature { at: Bytes::ZERO, format: *format };
        formats.iter().map(one).collect()
    }

    #[test]
    fn the_one_file_system_that_stands_there() {
        assert_eq!(type_by(&found(&[Format::Ext4])), Ok("ext4"));
        // A boot sector looks like a partition table.
        assert_eq!(type_by(&found(&[Format::Fat, Format::Mbr])), Ok("vfat"));
        assert!(type_by(&found(&[])).unwrap_err().contains("no file system"));
        assert!(type_by(&found(&[Format::Luks2])).unwrap_err().contains("LUKS 2"));
        assert!(type_by(&found(&[Format::Ext4, Format::Xfs])).unwrap_err().contains("ext4, XFS"));
    }

    #[test]
    fn nothing_is_replayed_unless_asked_for() {
        assert_eq!(options_of("ext4", false), ["ro", "noload"]);
        assert_eq!(options_of("ext4", true), ["ro"]);
        assert_eq!(options_of("ext2", false), ["ro"]);
        assert_eq!(options_of("xfs", false), ["ro", "nouuid", "norecovery"]);
        assert_eq!(options_of("xfs", true), ["ro", "nouuid"]);
        assert_eq!(options_of("btrfs", false), ["ro", "rescue=nologreplay"]);
        assert_eq!(options_of("vfat", false), ["ro"]);
    }
}
