//! The kernel's device-mapper, as sysfs shows it.

use std::fs;
use std::path::Path;

/// A device-mapper device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceMapper {
    pub name: String,
    pub uuid: String,
    pub suspended: bool,
    /// Whether another block device stands on it.
    pub held: bool,
}

impl DeviceMapper {
    /// All there are, by name.
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir("/sys/block").unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut found: Vec<Self> = paths.filter_map(|path| Self::at(&path)).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// The device of this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|device| device.name == name)
    }

    fn at(block: &Path) -> Option<Self> {
        let read = |what: &str| {
            Some(fs::read_to_string(block.join("dm").join(what)).ok()?.trim().to_owned())
        };
        Some(Self {
            name: read("name")?,
            uuid: read("uuid")?,
            suspended: read("suspended")? == "1",
            held: fs::read_dir(block.join("holders")).ok()?.next().is_some(),
        })
    }
}
