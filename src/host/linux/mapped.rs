//! Device-mapper devices, read by ioctl.
//!
//! Nothing here changes a device: no message, no suspend, no table. Every status is asked for with
//! `DM_NOFLUSH`: without it the kernel commits the metadata of a thin pool before it answers.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use devicemapper::errors::Error;
use devicemapper::{DM, DevId, DeviceInfo, DmError, DmFlags, DmName, DmOptions, DmResult};
use nix::errno::Errno;

use crate::ids::ForeignText;
use crate::model::live::{DevNumber, LvmLayer, MappedDevice, TargetLine};
use crate::units::Sectors;

/// What device-mapper has.
#[derive(Debug, Default)]
pub struct Mapped {
    /// Every device, sorted by name.
    pub devices: Vec<MappedDevice>,
    /// Whether a device could not be read.
    pub is_incomplete: bool,
    /// What could not be found out, for people.
    pub unknown: Vec<String>,
}

/// Where the kernel lists the drivers that device-mapper's control node belongs to.
const MISC: &str = "/proc/misc";

/// Reads every device.
pub fn devices() -> Mapped {
    let mut mapped = Mapped::default();
    if !is_loaded() {
        mapped.unknown.push("device-mapper is not loaded: there are no mapped devices".to_owned());
        return mapped;
    }
    let mut failed = |doing: &str, error: &DmError| {
        mapped.is_incomplete = true;
        mapped.unknown.push(format!("cannot {doing}: {}", shown(error)));
    };
    let listed = DM::new().and_then(|dm| Ok((dm.list_devices()?, dm)));
    let (names, dm) = match listed {
        Ok(listed) => listed,
        Err(error) => {
            failed("list device-mapper's devices", &error);
            return mapped;
        }
    };
    for (name, _, _) in &names {
        match device(&dm, name) {
            Ok(device) => mapped.devices.push(device),
            // It went away in between.
            Err(error) if errno(&error) == Some(Errno::ENXIO) => {}
            Err(error) => {
                let name = ForeignText::from(name.to_string());
                failed(&format!("read the tables of {name}"), &error);
            }
        }
    }
    mapped.devices.sort_by(|a, b| (&a.name, a.number).cmp(&(&b.name, b.number)));
    mapped
}

/// Whether the device of this name is there, and its node leads to it.
pub fn is_at_its_node(name: &str) -> bool {
    let found = DM::new().and_then(|dm| {
        let name = DmName::new(name)?;
        Ok(dm.device_info(&DevId::Name(name))?.device())
    });
    let Ok(device) = found else { return false };
    let node = fs::metadata(format!("/dev/mapper/{name}"));
    node.is_ok_and(|node| node.file_type().is_block_device() && node.rdev() == u64::from(device))
}

/// Why what a snapshot showed is lost, when it is: an overflow, a pool that failed, a device that went.
pub fn lost(name: &str) -> Option<String> {
    let asked = DM::new().and_then(|dm| {
        let options = DmOptions::default().set_flags(DmFlags::DM_NOFLUSH);
        Ok(dm.table_status(&DevId::Name(DmName::new(name)?), options)?.1)
    });
    let snapshot = ForeignText::from(name);
    match asked {
        Ok(lines) => lines.iter().find_map(|(_, _, target, status)| {
            let what = lost_by(target, status)?;
            Some(format!("snapshot {snapshot} {what}"))
        }),
        Err(error) if errno(&error) == Some(Errno::ENXIO) => {
            Some(format!("snapshot {snapshot} is not there any more"))
        }
        // A look that fails tells nothing of the snapshot.
        Err(_) => None,
    }
}

/// # Source
/// Linux `drivers/md/dm-snap.c`, `snapshot_status`; `drivers/md/dm-thin.c`, `thin_status`.
fn lost_by(target: &str, status: &str) -> Option<&'static str> {
    match (target, status.trim()) {
        ("snapshot", "Invalid" | "Overflow") => Some(
            "overflowed: more was written to its origin than it has room for; give it more `size`",
        ),
        ("thin", "Fail") => Some("failed: its pool failed"),
        ("error", _) => Some("leads nowhere any more"),
        _ => None,
    }
}

/// The targets that are loaded, with their versions.
pub fn targets() -> BTreeMap<String, (u32, u32, u32)> {
    if !is_loaded() {
        return BTreeMap::new();
    }
    let listed = DM::new().and_then(|dm| dm.list_versions()).unwrap_or_default();
    listed.into_iter().map(|(name, major, minor, patch)| (name, (major, minor, patch))).collect()
}

/// Whether the kernel has device-mapper. Opening its control node would load the module.
fn is_loaded() -> bool {
    fs::read_to_string(MISC).is_ok_and(|misc| lists_device_mapper(&misc))
}

fn lists_device_mapper(misc: &str) -> bool {
    misc.lines().any(|line| line.split_whitespace().nth(1) == Some("device-mapper"))
}

fn device(dm: &DM, name: &DmName) -> DmResult<MappedDevice> {
    let id = DevId::Name(name);
    let ask = |flags: DmFlags| {
        dm.table_status(&id, DmOptions::default().set_flags(flags | DmFlags::DM_NOFLUSH))
    };
    let (info, live) = ask(DmFlags::DM_STATUS_TABLE)?;
    let (_, status) = ask(DmFlags::empty())?;
    let has_inactive = info.flags().contains(DmFlags::DM_INACTIVE_PRESENT);
    let inactive = if has_inactive {
        ask(DmFlags::DM_STATUS_TABLE | DmFlags::DM_QUERY_INACTIVE_TABLE)?.1
    } else {
        Vec::new()
    };
    Ok(assemble(name, &info, live, inactive, has_inactive, status))
}

/// Whether the device is found by its name. A node that cannot be looked at counts as one that is there.
fn has_node(name: &DmName, number: u64) -> bool {
    match fs::metadata(format!("/dev/mapper/{name}")) {
        Ok(node) => node.file_type().is_block_device() && node.rdev() == number,
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// Start, length, target and arguments.
type Line = (u64, u64, String, String);

fn assemble(
    name: &DmName,
    info: &DeviceInfo,
    live: Vec<Line>,
    inactive: Vec<Line>,
    has_inactive: bool,
    status: Vec<Line>,
) -> MappedDevice {
    let uuid = info.uuid().map(ToString::to_string).unwrap_or_default();
    let device = info.device();
    MappedDevice {
        name: name.to_string().into(),
        layer: LvmLayer::parse(&uuid),
        uuid: uuid.into(),
        number: DevNumber { major: device.major, minor: device.minor },
        open_count: u32::try_from(info.open_count()).unwrap_or(0),
        suspended: info.flags().contains(DmFlags::DM_SUSPEND),
        read_only: info.flags().contains(DmFlags::DM_READONLY),
        live: live.into_iter().map(line).collect(),
        inactive: inactive.into_iter().map(line).collect(),
        has_inactive,
        has_node: has_node(name, device.into()),
        status: status.into_iter().map(|(_, _, _, status)| status.trim_end().into()).collect(),
    }
}

fn line((start, len, target, args): Line) -> TargetLine {
    let (start, len) = (Sectors::new(start), Sectors::new(len));
    TargetLine { start, len, target, args: args.trim_end().into() }
}

fn errno(error: &DmError) -> Option<Errno> {
    if let DmError::Core(Error::Ioctl(_, _, _, errno)) = error { Some(**errno) } else { None }
}

/// What the system said; the library would print the whole header of the call.
fn shown(error: &DmError) -> String {
    errno(error).map_or_else(|| error.to_string(), |errno| errno.desc().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_the_kernel_has_device_mapper() {
        assert!(lists_device_mapper("237 loop-control\n236 device-mapper\n 59 udmabuf\n"));
        assert!(!lists_device_mapper("237 loop-control\n229 fuse\n"));
        assert!(!lists_device_mapper(""));
    }

    #[test]
    fn a_snapshot_that_is_lost() {
        assert!(lost_by("snapshot", "Invalid").is_some());
        assert!(lost_by("snapshot", "Overflow ").is_some());
        assert!(lost_by("thin", "Fail").is_some());
        assert_eq!(lost_by("snapshot", "2048/2048 16"), None);
        assert_eq!(lost_by("thin", "8192 16383"), None);
    }
}
