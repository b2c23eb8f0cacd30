//! Block devices, as sysfs tells of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::host::linux::links::Links;
use crate::ids::{DeviceName, ForeignText};
use crate::model::live::{BlockNode, DevNumber};
use crate::units::{Bytes, Sectors};

const CLASS: &str = "/sys/class/block";
/// No attribute of sysfs that is read here is longer.
const ATTRIBUTE_MAX: u64 = 4096;
/// Kinds of devices that hold no PVs, as LVM sees it: memory, floppies, discs.
const NEVER_PVS: [&str; 4] = ["ram", "zram", "fd", "sr"];

/// A block device of the kernel, with what decides whether it is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What the model knows of it.
    pub node: BlockNode,
    /// Its name in sysfs.
    pub kernel_name: String,
    /// Its node in `/dev`.
    pub path: String,
    /// How large it is.
    pub size: Bytes,
    /// Whether it can only be read.
    pub read_only: bool,
    /// The whole disk that it is a partition of.
    pub partition_of: Option<DevNumber>,
    /// The UUID that device-mapper has for it.
    pub dm_uuid: Option<String>,
    /// Whether it is an array of md.
    pub is_md: bool,
    /// Bytes that can only be read as a whole.
    pub block_size: Bytes,
}

/// What sysfs has on one device, before numbers are known for names.
struct Entry {
    block: Block,
    parent: Option<String>,
    holders: Vec<String>,
    slaves: Vec<String>,
}

/// Every block device that has a size, by number.
///
/// # Errors
/// The system's, when sysfs cannot be listed.
pub fn scan() -> io::Result<Vec<Block>> {
    let mut entries = Vec::new();
    let mut links = Links::scan();
    for name in names_in(Path::new(CLASS))? {
        let directory = Path::new(CLASS).join(&name);
        // A device may go away while it is looked at.
        entries.extend(entry(&directory, name, &mut links));
    }
    let numbers: BTreeMap<String, DevNumber> = entries
        .iter()
        .map(|entry| (entry.block.kernel_name.clone(), entry.block.node.number))
        .collect();
    let resolve = |names: &[String]| {
        let mut found: Vec<DevNumber> =
            names.iter().filter_map(|name| numbers.get(name)).copied().collect();
        found.sort_unstable();
        found
    };
    let mut blocks: Vec<Block> = entries
        .into_iter()
        .map(|entry| {
            let mut block = entry.block;
            block.node.holders = resolve(&entry.holders);
            block.node.slaves = resolve(&entry.slaves);
            block.partition_of = entry.parent.and_then(|name| numbers.get(&name)).copied();
            block
        })
        .collect();
    blocks.sort_by_key(|block| block.node.number);
    mark_components(&mut blocks);
    Ok(blocks)
}

fn entry(directory: &Path, name: String, links: &mut Links) -> Option<Entry> {
    let number = DevNumber::parse(&attribute(directory, "dev")?)?;
    let size = attribute(directory, "size")?.parse().map(Sectors::new).ok()?.bytes()?;
    let is_hidden = attribute(directory, "hidden").is_some_and(|hidden| hidden == "1");
    if is_hidden || (size.is_zero() && !name.starts_with("dm-")) {
        return None;
    }
    let real = fs::canonicalize(directory).ok()?;
    let is_partition = directory.join("partition").exists();
    let parent = real.parent().filter(|_| is_partition);
    let disk = parent.unwrap_or(&real);
    let path = format!("/dev/{}", name.replace('!', "/"));
    let (shown, links) = links.take(number, &path);
    let block_size = attribute(disk, "queue/logical_block_size")
        .and_then(|size| size.parse().ok())
        .filter(|size| (512..=1 << 20).contains(size));
    let node = BlockNode {
        number,
        name: DeviceName::whole(shown),
        links,
        identity: identity(directory, disk),
        holders: Vec::new(),
        slaves: Vec::new(),
        component_of: None,
    };
    let block = Block {
        node,
        path,
        size,
        read_only: attribute(directory, "ro").is_some_and(|ro| ro == "1"),
        partition_of: None,
        dm_uuid: attribute(directory, "dm/uuid"),
        is_md: directory.join("md").is_dir(),
        block_size: block_size.map_or(Bytes::new(512), Bytes::new),
        kernel_name: name,
    };
    let parent = parent.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    Some(Entry {
        block,
        parent,
        holders: names_in(&directory.join("holders")).unwrap_or_default(),
        slaves: names_in(&directory.join("slaves")).unwrap_or_default(),
    })
}

/// What tells this device from all others: the name the world knows it by, its serial number, the
/// UUID of device-mapper, the file behind a loop device.
fn identity(directory: &Path, disk: &Path) -> Option<ForeignText> {
    const ATTRIBUTES: [&str; 7] = [
        "wwid",
        "device/wwid",
        "serial",
        "device/serial",
        "md/uuid",
        "dm/uuid",
        "loop/backing_file",
    ];
    let text =
        ATTRIBUTES.iter().find_map(|name| attribute(disk, name).filter(|t| !t.is_empty()))?;
    let partition = attribute(directory, "partition");
    Some(partition.map_or(text.clone(), |number| format!("{text}-part{number}")).into())
}

/// One attribute, without the newline and blanks around it; none when it cannot be read.
pub fn attribute(directory: &Path, name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(directory.join(name)).ok()?.take(ATTRIBUTE_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The names in a directory, sorted.
pub fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let mut names: Vec<String> = fs::read_dir(directory)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Finds the paths and legs that multipath or md has taken, whole disks with their partitions:
/// what stands on them is seen through the device above.
fn mark_components(blocks: &mut [Block]) {
    let takers: Vec<DevNumber> =
        blocks.iter().filter(|block| takes_components(block)).map(|b| b.node.number).collect();
    for block in blocks.iter_mut() {
        block.node.component_of =
            block.node.holders.iter().find(|holder| takers.contains(holder)).copied();
    }
    let taken: BTreeMap<DevNumber, DevNumber> = blocks
        .iter()
        .filter_map(|block| Some((block.node.number, block.node.component_of?)))
        .collect();
    for block in blocks.iter_mut().filter(|block| block.node.component_of.is_none()) {
        block.node.component_of = block.partition_of.and_then(|disk| taken.get(&disk)).copied();
    }
}

fn takes_components(block: &Block) -> bool {
    block.is_md || block.dm_uuid.as_ref().is_some_and(|uuid| uuid.starts_with("mpath-"))
}

impl Block {
    /// Whether a PV may stand on it, as LVM sees it before any filter.
    pub fn may_hold_pv(&self) -> bool {
        let is_lvms = self.dm_uuid.as_ref().is_some_and(|uuid| uuid.starts_with("LVM-"));
        !self.size.is_zero()
            && !is_lvms
            && self.node.component_of.is_none()
            && !NEVER_PVS.iter().any(|kind| is_numbered(&self.kernel_name, kind))
    }

    /// Whether it has partitions that the kernel, or `kpartx` for a device of device-mapper, made
    /// devices of.
    pub fn has_partitions(&self, all: &[Self]) -> bool {
        all.iter().any(|other| {
            other.partition_of == Some(self.node.number) || other.is_mapped_partition_of(self)
        })
    }

    fn is_mapped_partition_of(&self, whole: &Self) -> bool {
        let (Some(part), Some(whole)) = (&self.dm_uuid, &whole.dm_uuid) else {
            return false;
        };
        let of = part.strip_prefix("part").and_then(|rest| rest.split_once('-'));
        of.is_some_and(|(number, of)| {
            !whole.is_empty() && of == whole && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    }

    /// Where sysfs has it.
    pub fn sysfs(&self) -> PathBuf {
        Path::new(CLASS).join(&self.kernel_name)
    }
}

/// Whether this is `kind` with a number behind.
fn is_numbered(name: &str, kind: &str) -> bool {
    name.strip_prefix(kind)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Major and minor number of a node.
pub fn number_of(rdev: u64) -> Option<DevNumber> {
    use nix::sys::stat::{major, minor};
    let part = |part: u64| u32::try_from(part).ok();
    Some(DevNumber { major: part(major(rdev))?, minor: part(minor(rdev))? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str, minor: u32) -> Block {
        Block {
            node: BlockNode {
                number: DevNumber { major: 8, minor },
                name: DeviceName::whole(format!("/dev/{name}")),
                links: Vec::new(),
                identity: None,
                holders: Vec::new(),
                slaves: Vec::new(),
                component_of: None,
            },
            kernel_name: name.to_owned(),
            path: format!("/dev/{name}"),
            size: Bytes::new(1 << 20),
            read_only: false,
            partition_of: None,
            dm_uuid: None,
            is_md: false,
            block_size: Bytes::new(512),
        }
    }

    fn held(mut block: Block, by: &Block) -> Block {
        block.node.holders.push(by.node.number);
        block
    }

    fn mapped(name: &str, minor: u32, uuid: &str) -> Block {
        Block { dm_uuid: Some(uuid.to_owned()), ..block(name, minor) }
    }

    #[test]
    fn paths_of_multipath_are_seen_through_it_partitions_included() {
        let mpath = mapped("dm-0", 100, "mpath-3600");
        let part = mapped("dm-1", 101, "part1-mpath-3600");
        let crypt = mapped("dm-2", 102, "CRYPT-LUKS2-x");
        let lv = mapped("dm-3", 103, "LVM-abc");
        let sda = held(block("sda", 0), &mpath);
        let sda1 = Block { partition_of: Some(sda.node.number), ..block("sda1", 1) };
        let sdb = held(block("sdb", 16), &crypt);
        let mut blocks = vec![sda, sda1, sdb, mpath, part, crypt, lv];
        mark_components(&mut blocks);
        let may: Vec<&str> =
            blocks.iter().filter(|b| b.may_hold_pv()).map(|b| b.kernel_name.as_str()).collect();
        assert_eq!(may, ["sdb", "dm-0", "dm-1", "dm-2"]);
        let with: Vec<&str> = blocks
            .iter()
            .filter(|b| b.has_partitions(&blocks))
            .map(|b| b.kernel_name.as_str())
            .collect();
        assert_eq!(with, ["sda", "dm-0"]);
    }

    #[test]
    fn legs_of_md_are_seen_through_it() {
        let md = Block { is_md: true, ..block("md127", 200) };
        let mut blocks = vec![held(block("sda1", 1), &md), held(block("sdb", 16), &md), md];
        mark_components(&mut blocks);
        let may: Vec<bool> = blocks.iter().map(Block::may_hold_pv).collect();
        assert_eq!(may, [false, false, true]);
    }

    #[test]
    fn what_never_holds_a_pv() {
        for (name, may) in [
            ("ram0", false),
            ("zram1", false),
            ("sr0", false),
            ("fd0", false),
            ("sra", true),
            ("rampage0", true),
            ("nvme0n1p2", true),
            ("loop3", true),
        ] {
            assert_eq!(block(name, 0).may_hold_pv(), may, "{name}");
        }
        assert!(!Block { size: Bytes::ZERO, ..block("loop0", 0) }.may_hold_pv());
    }

    #[test]
    fn numbers_of_nodes() {
        assert_eq!(number_of(0x0810), Some(DevNumber { major: 8, minor: 16 }));
        assert_eq!(number_of(0x0010_0301), Some(DevNumber { major: 3, minor: 0x101 }));
    }
}
