//! The names in `/dev` that lead to a block device.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::host::linux::block::number_of;
use crate::model::live::DevNumber;

const MAPPER: &str = "/dev/mapper";
/// Directories of `/dev` in which no VG has its links, and what they are full of.
const NO_VGS: [&str; 14] = [
    "block",
    "bsg",
    "bus",
    "char",
    "cpu",
    "disk",
    "dri",
    "fd",
    "hugepages",
    "input",
    "mapper",
    "mqueue",
    "pts",
    "shm",
];

/// The names that lead to each device, beside its own.
#[derive(Debug, Default)]
pub struct Links {
    by_number: BTreeMap<DevNumber, Vec<String>>,
}

impl Links {
    /// Looks into `/dev/mapper`, `/dev/disk/by-*` and the directories of VGs. What cannot be read
    /// leads nowhere.
    pub fn scan() -> Self {
        let mut links = Self::default();
        // Without udev these are nodes, not links.
        links.add_all(Path::new(MAPPER), true);
        for directory in directories_in(Path::new("/dev/disk"), &[]) {
            links.add_all(&directory, false);
        }
        for directory in directories_in(Path::new("/dev"), &NO_VGS) {
            links.add_all(&directory, false);
        }
        links
    }

    fn add_all(&mut self, directory: &Path, nodes_too: bool) {
        let Ok(entries) = fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            let is_wanted = entry.file_type().is_ok_and(|kind| nodes_too || kind.is_symlink());
            let path = entry.path();
            let (true, Some(text)) = (is_wanted, path.to_str()) else { continue };
            if let Some(number) = leads_to(&path) {
                self.by_number.entry(number).or_default().push(text.to_owned());
            }
        }
    }

    /// What people call this device, and its other names, sorted. That is its node, except for
    /// devices of device-mapper: their numbers change with every boot, their names do not.
    pub fn take(&mut self, number: DevNumber, node: &str) -> (String, Vec<String>) {
        let mut links = self.by_number.remove(&number).unwrap_or_default();
        links.sort();
        let is_mapped = node.strip_prefix("/dev/").is_some_and(|name| name.starts_with("dm-"));
        let mapper = links.iter().position(|link| Path::new(link).starts_with(MAPPER));
        match mapper.filter(|_| is_mapped) {
            Some(at) => {
                let name = links.remove(at);
                links.push(node.to_owned());
                links.sort();
                (name, links)
            }
            None => (node.to_owned(), links),
        }
    }
}

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// To a block device.
    ToDevice(DevNumber),
    /// To anything else, on the file system of this device. File systems without a device, or with
    /// several, have numbers of their own, of major 0.
    ToFileOn(DevNumber),
}

/// Where a path leads, when it does.
pub fn leads(path: &Path) -> Option<Leads> {
    let found = fs::metadata(path).ok()?;
    if found.file_type().is_block_device() {
        number_of(found.rdev()).map(Leads::ToDevice)
    } else {
        number_of(found.dev()).map(Leads::ToFileOn)
    }
}

/// The block device that a path leads to.
pub fn leads_to(path: &Path) -> Option<DevNumber> {
    match leads(path)? {
        Leads::ToDevice(device) => Some(device),
        Leads::ToFileOn(_) => None,
    }
}

fn directories_in(directory: &Path, without: &[&str]) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let is_wanted = |entry: &fs::DirEntry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir())
            && entry.file_name().to_str().is_some_and(|name| !without.contains(&name))
    };
    entries.flatten().filter(is_wanted).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_devices_are_called_by_their_names() {
        let number = DevNumber { major: 253, minor: 3 };
        let names = ["/dev/vg/lv", "/dev/mapper/vg-lv"].map(str::to_owned).to_vec();
        let mut links = Links { by_number: BTreeMap::from([(number, names.clone())]) };
        let (name, others) = links.take(number, "/dev/dm-3");
        assert_eq!(name, "/dev/mapper/vg-lv");
        assert_eq!(others, ["/dev/dm-3", "/dev/vg/lv"]);
        assert_eq!(links.take(number, "/dev/dm-3"), ("/dev/dm-3".to_owned(), Vec::new()));
        let mut links = Links { by_number: BTreeMap::from([(number, names)]) };
        assert_eq!(links.take(number, "/dev/sda").0, "/dev/sda");
    }
}
