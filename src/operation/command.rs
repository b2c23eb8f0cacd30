//! Command lines: what a running machine is asked to do, exactly as it is run.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{DeviceName, ForeignText, PvUuid, VgName, VgUuid};
use crate::model::device::{DiskArea, Slots};
use crate::model::extent_map::ExtentRange;
use crate::model::inventory::Inventory;
use crate::model::live::{DevNumber, Live, LvmSetup, LvmVersion};
use crate::operation::Unfit;
use crate::units::Bytes;

/// Where this program keeps what its children read, on a file system that a reboot empties.
pub const SCRATCH_DIR: &str = "/run/lvmend";
/// The lock directory of children that are run under LVM's own locks, held by this program.
const LOCKING_DIR: &str = "/run/lvmend/locks";

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLine {
    /// Absolute path.
    pub program: String,
    /// Arguments, without the program's name.
    pub args: Vec<String>,
}

impl fmt::Display for CommandLine {
    /// As a person would type it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.program))?;
        for arg in &self.args {
            write!(f, " {}", quoted(arg))?;
        }
        Ok(())
    }
}

/// A word as a POSIX shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_./,:=+@%-".contains(&b);
    let shown = ForeignText::from(word).to_string();
    if !word.is_empty() && word.bytes().all(is_plain) {
        shown
    } else {
        format!("'{}'", shown.replace('\'', "'\\''"))
    }
}

/// A device as it was when a command was made for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceStamp {
    /// What it is called.
    pub name: DeviceName,
    /// Its number.
    pub number: DevNumber,
    /// How large it is.
    pub size: Bytes,
}

impl DeviceStamp {
    /// The device as it is now.
    pub fn of(now: &Inventory, name: &DeviceName) -> Result<Self, Unfit> {
        let device = now.device(name);
        let stamp = device.and_then(|device| {
            Some(Self { name: name.clone(), number: device.number?, size: device.size })
        });
        stamp.ok_or_else(|| Unfit::new(format!("{name} is not there any more")))
    }
}

/// An area and what its header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointers {
    /// The device.
    pub device: DeviceName,
    /// The area on it.
    pub area: DiskArea,
    /// Where its header points to.
    pub slots: Slots,
}

/// A command of LVM2 that writes metadata while this program holds LVM's locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedWrite {
    /// The VG whose lock is held, beside the global one.
    pub vg: VgName,
    /// LVM's lock directory.
    pub locking_dir: String,
    /// What the headers of the VG's areas must still say: while they do, nobody wrote since.
    pub unchanged: Vec<Pointers>,
    /// The device that the command names, where it names one: checked right before and after, since
    /// a name is only a hint.
    pub on: Option<DeviceStamp>,
    /// A file that the command reads: where it is made, and what stands in it.
    pub file: (String, Arc<[u8]>),
    /// The command; LVM's locks are not its to take.
    pub command: CommandLine,
}

/// LVM2 as it is set up here.
pub fn lvm_of(now: &Inventory) -> Result<&LvmSetup, Unfit> {
    Ok(&live_of(now)?.lvm)
}

/// What only a running machine has.
pub fn live_of(now: &Inventory) -> Result<&Live, Unfit> {
    now.live.as_deref().ok_or_else(|| Unfit::new("BUG: this is not a running machine"))
}

/// A command of LVM2.
pub fn lvm(setup: &LvmSetup, args: impl IntoIterator<Item = String>) -> CommandLine {
    CommandLine { program: setup.program.clone(), args: args.into_iter().collect() }
}

/// The option that gives LVM2 exactly these devices, where it has one.
pub fn devices_option(setup: &LvmSetup, devices: &[DeviceName]) -> Vec<String> {
    if setup.version < LvmVersion::WITH_DEVICES || devices.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = devices.iter().map(DeviceName::path).collect();
    vec!["--devices".to_owned(), names.join(",")]
}

/// The option that lets a command pass the locks this program holds.
pub fn private_locks() -> Vec<String> {
    vec!["--config".to_owned(), format!("global/locking_dir=\"{LOCKING_DIR}\"")]
}

/// The devices of all PVs of this VG that are there, sorted.
pub fn devices_of_vg(now: &Inventory, vg: VgUuid) -> Vec<DeviceName> {
    let current = now.vgs.get(&vg).and_then(|on_disk| on_disk.current.as_ref());
    let pvs = current.iter().flat_map(|vg| &vg.pvs);
    let mut names: Vec<DeviceName> =
        pvs.flat_map(|pv| now.devices_of(pv.uuid)).map(|device| device.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Extents as LVM2 takes them behind the name of a VG or LV: `DEVICE:FIRST-LAST`.
pub fn pinned(now: &Inventory, place: &[(PvUuid, ExtentRange)]) -> Result<Vec<String>, Unfit> {
    let named = |(pv, range): &(PvUuid, ExtentRange)| {
        let devices = now.devices_of(*pv);
        let gone = || Unfit::new(format!("PV {pv} is not there any more"));
        let device = devices.first().ok_or_else(gone)?.name.path();
        // As LVM2 reads it: `lib/metadata/metadata.c`, `unescape_colons_and_at_signs`.
        let device = device.replace(':', "\\:").replace('@', "\\@");
        Ok(format!("{device}:{range}"))
    };
    place.iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_typed() {
        let line = CommandLine {
            program: "/usr/sbin/lvm".to_owned(),
            args: ["lvchange", "--config", "a=\"b c\"", "", "it's"].map(str::to_owned).to_vec(),
        };
        assert_eq!(line.to_string(), r#"/usr/sbin/lvm lvchange --config 'a="b c"' '' 'it'\''s'"#);
    }
}
