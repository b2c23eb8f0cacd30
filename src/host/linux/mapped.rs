//! Device-mapper devices, by the kernel's own interface.
//!
//! Everything asked for here only reads. Status is read without flushing: a thin pool or a cache
//! that is flushed commits its metadata, which is a write.
//!
//! # Source
//! Linux `include/uapi/linux/dm-ioctl.h`; `DM_NOFLUSH_FLAG` with `DM_TABLE_STATUS`.

use std::collections::BTreeMap;

use devicemapper::{DM, DevId, Device, DeviceInfo, DmError, DmFlags, DmNameBuf, DmOptions};

use crate::ids::ForeignText;
use crate::model::live::{DevNumber, LvmLayer, MappedDevice, TargetLine};
use crate::units::Sectors;

/// What device-mapper has, and what could not be read of it, for people.
#[derive(Debug, Default)]
pub struct Mapped {
    /// The devices, sorted by name.
    pub devices: Vec<MappedDevice>,
    /// Targets that are loaded, with their versions.
    pub targets: BTreeMap<String, (u32, u32, u32)>,
    /// What could not be read.
    pub unknown: Vec<String>,
}

/// Looks at every device.
pub fn look() -> Mapped {
    let mut found = Mapped::default();
    let dm = match DM::new() {
        Ok(dm) => dm,
        Err(error) => {
            found.unknown.push(format!("device-mapper cannot be asked: {error}"));
            return found;
        }
    };
    match dm.list_versions() {
        Ok(versions) => {
            found.targets = versions.into_iter().map(|(name, a, b, c)| (name, (a, b, c))).collect();
        }
        Err(error) => found.unknown.push(format!("versions of targets cannot be read: {error}")),
    }
    let names = dm.list_devices().unwrap_or_else(|error| {
        found.unknown.push(format!("device-mapper devices cannot be listed: {error}"));
        Vec::new()
    });
    for (name, _, _) in names {
        match look_at(&dm, &name) {
            Ok(device) => found.devices.push(device),
            // It went away since it was listed.
            Err(_) if dm.device_info(&DevId::Name(&name)).is_err() => {}
            Err(error) => {
                let name = ForeignText::from_bytes(name.as_bytes());
                found.unknown.push(format!("device {name} cannot be read: {error}"));
            }
        }
    }
    found.devices.sort_by(|a, b| a.name.raw().cmp(b.name.raw()));
    found
}

/// Which of the tables and statuses of a device is asked for.
fn options(flags: DmFlags) -> DmOptions {
    DmOptions::default().set_flags(DmFlags::DM_NOFLUSH | flags)
}

fn look_at(dm: &DM, name: &DmNameBuf) -> Result<MappedDevice, DmError> {
    let id = DevId::Name(name);
    let info = dm.device_info(&id)?;
    let table = |flags| dm.table_status(&id, options(DmFlags::DM_STATUS_TABLE | flags));
    let flags = info.flags();
    let has_live = flags.contains(DmFlags::DM_ACTIVE_PRESENT);
    let live = if has_live { lines(table(DmFlags::empty())?) } else { Vec::new() };
    let has_inactive = flags.contains(DmFlags::DM_INACTIVE_PRESENT);
    let inactive =
        if has_inactive { lines(table(DmFlags::DM_QUERY_INACTIVE_TABLE)?) } else { Vec::new() };
    let status = if has_live { status(dm, &id)? } else { Vec::new() };
    let uuid = info.uuid().map(|uuid| String::from_utf8_lossy(uuid.as_bytes()).into_owned());
    let uuid = uuid.unwrap_or_default();
    Ok(MappedDevice {
        name: ForeignText::from_bytes(name.as_bytes()),
        layer: LvmLayer::parse(&uuid),
        uuid: uuid.into(),
        number: number(info.device()),
        open_count: u32::try_from(info.open_count()).unwrap_or(0),
        suspended: flags.contains(DmFlags::DM_SUSPEND),
        read_only: flags.contains(DmFlags::DM_READONLY),
        live,
        inactive,
        has_inactive,
        status,
    })
}

fn status(dm: &DM, id: &DevId<'_>) -> Result<Vec<ForeignText>, DmError> {
    let (_, lines) = dm.table_status(id, options(DmFlags::empty()))?;
    Ok(lines.into_iter().map(|(_, _, _, status)| ForeignText::from(status)).collect())
}

fn lines((_, lines): (DeviceInfo, Vec<(u64, u64, String, String)>)) -> Vec<TargetLine> {
    let line = |(start, len, target, args): (u64, u64, String, String)| TargetLine {
        start: Sectors::new(start),
        len: Sectors::new(len),
        target,
        args: ForeignText::from(args.trim_end().to_owned()),
    };
    lines.into_iter().map(line).collect()
}

fn number(device: Device) -> DevNumber {
    DevNumber { major: device.major, minor: device.minor }
}
