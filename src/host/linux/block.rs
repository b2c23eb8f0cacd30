//! Block devices, as sysfs shows them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::host::linux::read::number_of;
use crate::ids::{DeviceName, ForeignText};
use crate::model::live::{BlockNode, DevNumber};
use crate::units::{Bytes, SECTOR_BYTES};

const SYSFS: &str = "/sys/class/block";
/// Directories with links by which people name devices.
const LINK_DIRS: [&str; 7] = [
    "/dev/disk/by-id",
    "/dev/disk/by-path",
    "/dev/disk/by-partuuid",
    "/dev/disk/by-partlabel",
    "/dev/disk/by-uuid",
    "/dev/disk/by-label",
    "/dev/mapper",
];

/// A block device with what the model does not need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What the model has of it.
    pub node: BlockNode,
    /// The kernel's name for it: `sda1`.
    pub kernel_name: String,
    /// How large it is.
    pub size: Bytes,
    /// Whether it can only be read.
    pub read_only: bool,
    /// Whether it has partitions.
    pub has_partitions: bool,
    /// The UUID of a device-mapper device; empty for others.
    pub dm_uuid: String,
    /// Whether a loop device has a file behind it; true for others.
    pub is_backed: bool,
}

/// Every block device, sorted by number.
pub fn all() -> Vec<Block> {
    let links = links();
    let entries = fs::read_dir(SYSFS).into_iter().flatten().flatten();
    let mut blocks: Vec<Block> =
        entries.filter_map(|entry| look_at(&entry.path(), &links)).collect();
    blocks.sort_by_key(|block| block.node.number);
    blocks
}

/// Whether a PV may be on it, as far as its kind tells: LVM2 does not look at its own LVs, and a
/// component of a multipath device or of an md array only looks like a PV.
pub fn may_hold_pv(block: &Block, all: &[Block]) -> bool {
    const NEVER: [&str; 4] = ["ram", "zram", "fd", "sr"];
    let name = block.kernel_name.as_str();
    let is_kind = |kind: &&str| {
        name.strip_prefix(*kind).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let is_lv = block.dm_uuid.starts_with("LVM-");
    !block.size.is_zero()
        && block.is_backed
        && !is_lv
        && !NEVER.iter().any(is_kind)
        && !is_component(block, all)
}

/// Whether a multipath device or an md array lies upon it.
pub fn is_component(block: &Block, all: &[Block]) -> bool {
    let holders = all.iter().filter(|other| block.node.holders.contains(&other.node.number));
    holders.into_iter().any(|holder| {
        let is_md = holder
            .kernel_name
            .strip_prefix("md")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '_'));
        is_md || holder.dm_uuid.starts_with("mpath-")
    })
}

fn look_at(path: &Path, links: &BTreeMap<DevNumber, Vec<String>>) -> Option<Block> {
    let kernel_name = path.file_name()?.to_str()?.to_owned();
    let number = DevNumber::parse(&line(&path.join("dev"))?)?;
    let sectors: u64 = line(&path.join("size"))?.parse().ok()?;
    // The kernel writes a slash in a name as an exclamation mark.
    let name = format!("/dev/{}", kernel_name.replace('!', "/"));
    let node = BlockNode {
        number,
        name: DeviceName::whole(name),
        links: links.get(&number).cloned().unwrap_or_default(),
        identity: identity(path).map(ForeignText::from),
        holders: numbers_in(&path.join("holders")),
        slaves: numbers_in(&path.join("slaves")),
    };
    let is_loop = kernel_name.starts_with("loop") && !path.join("partition").exists();
    Some(Block {
        node,
        size: Bytes::new(sectors.saturating_mul(SECTOR_BYTES)),
        read_only: line(&path.join("ro")).as_deref() == Some("1"),
        has_partitions: has_partitions(path),
        dm_uuid: line(&path.join("dm/uuid")).unwrap_or_default(),
        is_backed: !is_loop || path.join("loop/backing_file").exists(),
        kernel_name,
    })
}

/// The first line of a small file.
fn line(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

fn has_partitions(path: &Path) -> bool {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.path().join("partition").exists())
}

/// What tells the disk from all others: its world wide identifier, else its serial number.
fn identity(path: &Path) -> Option<String> {
    let files = ["wwid", "device/wwid", "device/serial", "serial"];
    let found = files.iter().filter_map(|file| line(&path.join(file)));
    found.into_iter().find(|text| !text.is_empty())
}

fn numbers_in(directory: &Path) -> Vec<DevNumber> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let number = |path: PathBuf| DevNumber::parse(&line(&path.join("dev"))?);
    let mut numbers: Vec<DevNumber> = entries.filter_map(|entry| number(entry.path())).collect();
    numbers.sort_unstable();
    numbers
}

/// Symbolic links to block devices, by the number of what they lead to.
fn links() -> BTreeMap<DevNumber, Vec<String>> {
    let mut found: BTreeMap<DevNumber, Vec<String>> = BTreeMap::new();
    for directory in LINK_DIRS {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let Some(number) = block_number(&path) else { continue };
            if let Some(shown) = path.to_str() {
                found.entry(number).or_default().push(shown.to_owned());
            }
        }
    }
    for links in found.values_mut() {
        links.sort();
    }
    found
}

/// How large the device with this number is.
pub fn size_of(number: DevNumber) -> Option<Bytes> {
    let sectors: u64 =
        line(&Path::new("/sys/dev/block").join(number.to_string()).join("size"))?.parse().ok()?;
    sectors.checked_mul(SECTOR_BYTES).map(Bytes::new)
}

/// The number of the block device that a path leads to.
pub fn block_number(path: &Path) -> Option<DevNumber> {
    let found = fs::metadata(path).ok()?;
    found.file_type().is_block_device().then(|| number_of(found.rdev()))
}
