//! Takes away what a scenario left, so that the next one finds the machine as it was.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use nix::mount::{MntFlags, umount2};

use super::root::{furnish, plain_mount};
use crate::lab::{DeviceMapper, program};

/// Devices that stand on others go first; this many storeys are enough.
const ROUNDS: usize = 12;

/// What was there before the first scenario.
pub struct Before {
    mounts: BTreeSet<String>,
    devices: BTreeSet<String>,
}

impl Before {
    pub fn look() -> Self {
        Self { mounts: mount_points().into_iter().collect(), devices: names_in("/dev") }
    }

    /// Everything as it was, or what stands in the way.
    pub fn restore(&self) -> Result<(), String> {
        // First, for whatever waits for a suspended device waits for ever.
        for device in DeviceMapper::all().iter().filter(|device| device.suspended) {
            run("dmsetup", &["--noudevsync", "resume", &device.name])?;
        }
        // The last mount lies on top.
        for point in mount_points().iter().rev().filter(|point| !self.mounts.contains(*point)) {
            umount2(point.as_str(), MntFlags::empty())
                .map_err(|e| format!("umount {point}: {e}"))?;
        }
        remove_mapped()?;
        if names_in("/sys/block").iter().any(|name| {
            name.starts_with("loop")
                && Path::new(&format!("/sys/block/{name}/loop/backing_file")).exists()
        }) {
            run("losetup", &["-D"])?;
        }
        if Path::new("/sys/module/scsi_debug").exists() {
            run("rmmod", &["scsi_debug"])?;
        }
        self.empty_directories()
    }

    fn empty_directories(&self) -> Result<(), String> {
        // Links that LVM2 or udev made to devices that are gone.
        for name in names_in("/dev").difference(&self.devices) {
            let path = Path::new("/dev").join(name);
            if path.is_dir() {
                fs::remove_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            }
        }
        for directory in ["/run", "/tmp", "/etc/lvm"] {
            umount2(directory, MntFlags::MNT_DETACH).map_err(|e| format!("{directory}: {e}"))?;
            plain_mount("tmpfs", directory);
        }
        furnish();
        Ok(())
    }
}

/// All device-mapper devices, in as many commands as there are storeys.
fn remove_mapped() -> Result<(), String> {
    for _ in 0..ROUNDS {
        let devices = DeviceMapper::all();
        if devices.is_empty() {
            return Ok(());
        }
        let mut arguments = vec!["--noudevsync", "remove", "--retry"];
        arguments.extend(devices.iter().filter(|d| !d.held).map(|d| d.name.as_str()));
        run("dmsetup", &arguments)?;
        sleep(Duration::from_millis(10));
    }
    Err(format!("devices that stay: {:?}", DeviceMapper::all()))
}

fn run(name: &str, arguments: &[&str]) -> Result<(), String> {
    let output = program(name).args(arguments).output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// In the order in which they were mounted.
fn mount_points() -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mounts").unwrap();
    table.lines().filter_map(|line| Some(line.split(' ').nth(1)?.to_owned())).collect()
}

fn names_in(directory: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
