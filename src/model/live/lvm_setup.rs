//! How LVM2 is set up on a machine.

use std::fmt;

use crate::ids::{DeviceName, ForeignText};

/// LVM2 and its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LvmSetup {
    /// Absolute path of the `lvm` program.
    pub program: String,
    /// Its version.
    pub version: LvmVersion,
    /// `LVM_SYSTEM_DIR`, else `/etc/lvm`.
    pub system_dir: String,
    /// `global/locking_dir`.
    pub locking_dir: String,
    /// `backup/backup_dir`.
    pub backup_dir: String,
    /// `backup/archive_dir`.
    pub archive_dir: String,
    /// The host's system ID, when it has one.
    pub system_id: Option<ForeignText>,
    /// `global/system_id_extra`: further system IDs that are this host's.
    pub extra_system_ids: Vec<ForeignText>,
    /// Whether devices that left a VG's metadata area are discarded (`devices/issue_discards`).
    pub issue_discards: bool,
    /// Whether `activation/udev_sync` is on.
    pub udev_sync: bool,
    /// Devices that LVM does not look at, and why, sorted by name.
    pub left_out: Vec<LeftOut>,
}

impl LvmSetup {
    /// What is taken for it when LVM2 cannot be asked: nothing is to be done with it then.
    pub fn unknown() -> Self {
        Self {
            program: String::new(),
            version: LvmVersion { major: 0, minor: 0, patch: 0 },
            system_dir: "/etc/lvm".to_owned(),
            locking_dir: "/run/lock/lvm".to_owned(),
            backup_dir: "/etc/lvm/backup".to_owned(),
            archive_dir: "/etc/lvm/archive".to_owned(),
            system_id: None,
            extra_system_ids: Vec::new(),
            issue_discards: false,
            udev_sync: true,
            left_out: Vec::new(),
        }
    }
}

/// A version of LVM2, such as 2.03.16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LvmVersion {
    /// 2
    pub major: u32,
    /// 3
    pub minor: u32,
    /// 16
    pub patch: u32,
}

impl LvmVersion {
    /// The first with `--devices`.
    pub const WITH_DEVICES: Self = Self { major: 2, minor: 3, patch: 12 };
    /// The oldest that this program works with.
    pub const OLDEST: Self = Self { major: 2, minor: 3, patch: 7 };

    /// Reads `2.03.16(2) (2022-05-18)`.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.trim().split(|c: char| c != '.' && !c.is_ascii_digit()).next()?;
        let mut parts = number.split('.').map(|part| part.parse().ok());
        let (major, minor) = (parts.next()??, parts.next()??);
        Some(Self { major, minor, patch: parts.next().flatten().unwrap_or(0) })
    }
}

impl fmt::Display for LvmVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}.{:02}", self.major, self.minor, self.patch)
    }
}

/// A device that LVM does not look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// The device.
    pub device: DeviceName,
    /// Why, as LVM says it or as its configuration tells.
    pub why: ForeignText,
}

impl LeftOut {
    /// Whether LVM does look at it, and uses another device that carries the same PV.
    pub fn is_duplicate(&self) -> bool {
        self.why.raw().starts_with("device is a duplicate")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        let version = LvmVersion::parse("2.03.16(2) (2022-05-18)").unwrap();
        assert_eq!(version, LvmVersion { major: 2, minor: 3, patch: 16 });
        assert_eq!(version.to_string(), "2.03.16");
        assert!(version > LvmVersion::WITH_DEVICES);
        assert_eq!(LvmVersion::parse("2.03.40-git (2026-04-16)").unwrap().patch, 40);
        assert_eq!(LvmVersion::parse(""), None);
    }
}
