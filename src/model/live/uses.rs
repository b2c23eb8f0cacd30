//! Who uses a block device.

use std::fmt;

use crate::ids::ForeignText;
use crate::model::live::DevNumber;

/// A file system that is mounted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    /// The device.
    pub device: DevNumber,
    /// Where, as that namespace sees it.
    pub at: ForeignText,
    /// Which directory of the file system; `/` unless only a part of it is mounted.
    pub root: ForeignText,
    /// Its type.
    pub fs_type: ForeignText,
    /// Mount options, those of the file system included, as `mount -o` takes them.
    pub options: ForeignText,
    /// The source as the kernel shows it.
    pub source: ForeignText,
    /// Whether it is mounted in the mount namespace of this process.
    pub is_ours: bool,
    /// A process in the namespace, when it is another one.
    pub seen_by: Option<u32>,
}

/// A process that has a block device open, or files on its file system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opener {
    /// The device; for files that which `st_dev` tells.
    pub device: DevNumber,
    /// The process.
    pub pid: u32,
    /// What it is called.
    pub name: ForeignText,
    /// Whose it is.
    pub owner: ForeignText,
}

/// A use of a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// A file system is mounted.
    Mount(Mount),
    /// The system swaps to it.
    Swap,
    /// Another device lies upon it.
    Device(ForeignText),
    /// A process has it open.
    Process(Opener),
    /// The kernel counts more users than could be found.
    Unknown(u32),
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount(Mount { at, is_ours: true, .. }) => write!(f, "mounted at {at}"),
            Self::Mount(Mount { at, seen_by: Some(pid), .. }) => {
                write!(f, "mounted at {at} in the mount namespace of pid {pid}")
            }
            Self::Mount(Mount { at, .. }) => write!(f, "mounted at {at} in another namespace"),
            Self::Swap => f.write_str("used as swap"),
            Self::Device(name) => write!(f, "under device {name}"),
            Self::Process(Opener { pid, name, owner, .. }) => {
                write!(f, "{name} (pid {pid}, {owner})")
            }
            Self::Unknown(count) => write!(f, "open {count} times, by whom could not be found"),
        }
    }
}
