//! The running machine: its block devices, its kernel and its LVM2.
//!
//! [`LinuxHost`] only looks; it has no method that writes, opens devices for reading only, asks
//! device-mapper for nothing that flushes, and LVM2 for nothing that takes locks. A
//! [`LinuxWriter`] is had with the run lock of a VG.

mod block;
pub mod child;
mod copy_over;
pub mod lvm_lock;
mod lvm_setup;
mod mapped;
mod program;
mod read;
pub mod run_lock;
mod uses;
mod writer;

use std::fs;
use std::path::Path;

use crate::host::linux::block::{Block, is_component, may_hold_pv};
use crate::host::{DeviceInfo, HostError, Machine, ReadHost, TargetState, files};
use crate::ids::{DeviceName, ForeignText};
use crate::model::inventory::Realm;
use crate::model::live::{DevNumber, Live, LvmSetup};
use crate::ondisk::label::{LABEL_SECTORS, has_label_id};
use crate::ondisk::placement::AREA_SIZE_MAX;
use crate::units::{Bytes, SECTOR_BYTES};

pub use writer::LinuxWriter;

/// The running machine, to be looked at.
#[derive(Debug)]
pub struct LinuxHost {
    _root: (),
}

impl LinuxHost {
    /// This machine.
    ///
    /// # Errors
    /// [`HostError`], when this user cannot read its disks.
    pub fn open() -> Result<Self, HostError> {
        if nix::unistd::geteuid().is_root() {
            return Ok(Self { _root: () });
        }
        let why = "only root can read block devices; for disk images there is --image";
        Err(HostError::because("look at", "this machine", why))
    }

    /// Devices on which a label seems to stand.
    fn labelled(&self) -> Vec<DeviceName> {
        let has_label = |info: &DeviceInfo| {
            let len = Bytes::new(LABEL_SECTORS * SECTOR_BYTES).min(info.size);
            self.read(&info.name, Bytes::ZERO, len).is_ok_and(|bytes| has_label_id(&bytes))
        };
        let found = self.devices().into_iter().filter(has_label);
        found.map(|info| info.name).collect()
    }

    /// What does not change while a program runs.
    fn setup(&self, live: &mut Live) -> Result<(), HostError> {
        live.lvm = lvm_setup::look()?;
        live.lvm.left_out = lvm_setup::left_out(&live.lvm, &self.labelled())?;
        Ok(())
    }
}

impl ReadHost for LinuxHost {
    fn realm(&self) -> Realm {
        Realm::Live
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        let all = block::all();
        let mut devices: Vec<DeviceInfo> =
            all.iter().filter(|block| may_hold_pv(block, &all)).map(device_info).collect();
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        devices
    }

    fn read(&self, device: &DeviceName, offset: Bytes, len: Bytes) -> Result<Vec<u8>, HostError> {
        let because = |why: &str| HostError::because("read", device, why);
        let error = |cause| HostError::new("read", device, cause);
        let number = block::block_number(Path::new(device.path()));
        let found = number.and_then(|number| Some((number, block::size_of(number)?)));
        let (number, size) = found.ok_or_else(|| because("there is no such device"))?;
        let fits = offset.checked_add(len).is_some_and(|end| end <= size);
        if !fits {
            let at = offset.get();
            return Err(because(&format!("{len} at byte {at} reach past its end")));
        }
        let count = len.to_usize().filter(|_| len <= AREA_SIZE_MAX);
        let count = count.ok_or_else(|| because("too much at once"))?;
        let file = read::open(device.path(), number).map_err(error)?;
        read::read_exact(&file, offset, count, size).map_err(error)
    }

    fn read_file(&self, path: &str, size_max: Bytes) -> Result<Vec<u8>, HostError> {
        files::read_file(path, size_max)
    }

    fn list_files(&self, directory: &str) -> Result<Vec<String>, HostError> {
        files::list_files(directory)
    }

    fn target_state(&self, path: &str) -> TargetState {
        files::target_state(path)
    }

    fn now(&self) -> i64 {
        files::now()
    }

    fn machine(&self) -> Machine {
        files::machine()
    }

    fn live(&self, known: Option<&Live>) -> Option<Live> {
        let all = block::all();
        let (mapped, uses) = (mapped::look(), uses::look());
        let mut live = Live {
            lvm: LvmSetup::unknown(),
            thin_tools: None,
            blocks: all.iter().map(|block| block.node.clone()).collect(),
            mapped: mapped.devices,
            mounts: uses.mounts,
            swaps: uses.swaps,
            openers: uses.openers,
            kernel: kernel_release(),
            targets: mapped.targets,
            services: uses::services(&uses.names),
            unknown: mapped.unknown,
        };
        live.unknown.extend(components(&all));
        if let Some(known) = known {
            live.lvm = known.lvm.clone();
            live.thin_tools.clone_from(&known.thin_tools);
        } else {
            live.thin_tools = thin_tools();
            if let Err(error) = self.setup(&mut live) {
                live.unknown.push(error.in_full());
            }
        }
        Some(live)
    }
}

fn device_info(block: &Block) -> DeviceInfo {
    DeviceInfo {
        name: block.node.name.clone(),
        number: Some(block.node.number),
        links: block.node.links.clone(),
        place: block.node.name.path().to_owned(),
        size: block.size,
        read_only: block.read_only,
        has_partitions: block.has_partitions,
        cut_off: Vec::new(),
    }
}

/// Devices that are not looked at because another device is made of them.
fn components(all: &[Block]) -> Vec<String> {
    let found = all.iter().filter(|block| is_component(block, all));
    let shown = |block: &Block| {
        format!(
            "{} is part of a multipath device or an md array: it is not looked at itself",
            block.node.name
        )
    };
    found.map(shown).collect()
}

fn kernel_release() -> ForeignText {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.trim().into()
}

fn thin_tools() -> Option<ForeignText> {
    const PROGRAMS: [&str; 2] = ["/usr/sbin/thin_check", "/sbin/thin_check"];
    let program = PROGRAMS.iter().find(|path| Path::new(path).exists())?;
    let said = program::read_from(program, &["-V"]).ok()?;
    let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    (!version.is_empty()).then(|| version.into())
}

/// The device that a path's file system lies on.
pub fn device_of_path(path: &Path) -> Option<DevNumber> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|found| read::number_of(found.dev()))
}
