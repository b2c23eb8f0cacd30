//! Which devices a file system lies on.
//!
//! # Source
//! stat(2), `st_dev`; proc(5), `/proc/self/mountinfo`; Linux `drivers/block/loop.c`, `backing_file`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::host::HostError;
use crate::host::linux::block::number_of;
use crate::host::linux::links::leads_to;
use crate::model::live::DevNumber;

/// The kernel's number for loop devices.
const LOOP_MAJOR: u32 = 7;
/// How often a file on a file system in a file is followed.
const DEPTH_MAX: usize = 8;
/// File systems without any device of this machine: in memory, of another machine, or of the host of
/// a virtual one.
const WITHOUT_DEVICE: [&str; 12] = [
    "tmpfs", "ramfs", "nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "virtiofs", "hostfs", "afs",
    "vboxsf",
];

/// What a path's file system lies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiesOn {
    /// On nothing of this machine.
    NoDevice,
    /// On these; empty when that cannot be told.
    Devices(Vec<DevNumber>),
}

/// Finds out what this path, which must exist, lies on.
///
/// # Errors
/// [`HostError`], when it cannot be looked at.
pub fn lies_on(path: &str) -> Result<LiesOn, HostError> {
    let error = |cause| HostError::new("look at", path, cause);
    let device = fs::metadata(path).map_err(error)?.dev();
    let mut found = Vec::new();
    let mut waiting = match named(device) {
        Some(number) => vec![number],
        None => match of_mount(device) {
            LiesOn::NoDevice => return Ok(LiesOn::NoDevice),
            LiesOn::Devices(devices) => devices,
        },
    };
    for _ in 0..DEPTH_MAX {
        let Some(number) = waiting.pop() else { break };
        found.push(number);
        waiting.extend(behind_loop(number));
    }
    Ok(LiesOn::Devices(found))
}

/// The block device that `st_dev` names; file systems with several devices have a number of their
/// own, which names none.
fn named(device: u64) -> Option<DevNumber> {
    number_of(device).filter(|number| number.major != 0)
}

/// By the mounts of this process.
fn of_mount(device: u64) -> LiesOn {
    let Some(number) = number_of(device) else { return LiesOn::Devices(Vec::new()) };
    let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mounts = text.lines().filter_map(|line| line.split_once(" - "));
    let is_it = |mount: &str| mount.split(' ').nth(2).and_then(DevNumber::parse) == Some(number);
    let mut mounts = mounts.filter(|(mount, _)| is_it(mount)).map(|(_, behind)| behind);
    let Some((fs_type, rest)) = mounts.next().and_then(|behind| behind.split_once(' ')) else {
        return LiesOn::Devices(Vec::new());
    };
    if WITHOUT_DEVICE.contains(&fs_type) {
        return LiesOn::NoDevice;
    }
    let source = rest.split(' ').next().unwrap_or_default();
    LiesOn::Devices(leads_to(Path::new(source)).into_iter().collect())
}

/// The device below the file that a loop device shows.
fn behind_loop(number: DevNumber) -> Option<DevNumber> {
    if number.major != LOOP_MAJOR {
        return None;
    }
    let sysfs = PathBuf::from(format!("/sys/dev/block/{number}/loop/backing_file"));
    let file = fs::read_to_string(sysfs).ok()?;
    named(fs::metadata(file.trim()).ok()?.dev())
}
