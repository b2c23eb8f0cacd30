//! The running machine. [`LinuxHost`] looks at it, and nothing of that writes: devices are opened
//! for reading only, device-mapper is only asked, and of LVM2 only commands are run that read. A
//! [`LinuxWriter`], which is had with the run lock of a VG, can change it.

mod block;
pub mod child;
mod copy_over;
mod left_out;
pub mod lies_on;
mod links;
pub mod lvm_lock;
mod lvm_setup;
mod mapped;
mod mounts;
mod planned_program;
mod processes;
pub mod program;
pub mod program_guard;
mod read;
pub mod reload;
pub mod run_lock;
mod thin_rebuild;
mod versions;
mod writer;

use std::cell::RefCell;
use std::rc::Rc;

use crate::host::linux::block::Block;
use crate::host::linux::lvm_setup::Lvm;
use crate::host::linux::processes::Processes;
use crate::host::linux::program::Program;
use crate::host::linux::versions::Steady;
use crate::host::{DeviceInfo, HostError, Machine, ReadHost, TargetState, files};
use crate::ids::DeviceName;
use crate::model::inventory::Realm;
use crate::model::live::{Live, LvmSetup};
use crate::units::Bytes;

pub use writer::LinuxWriter;

/// Why the machine cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum OpenHostError {
    /// Only root may read disks.
    #[error("reading block devices takes root")]
    NotRoot,
    /// The system refused.
    #[error("{}", .0.in_full())]
    Host(#[from] HostError),
}

/// The running machine, to be looked at.
#[derive(Debug)]
pub struct LinuxHost {
    /// LVM2 and its configuration, as they were when this was opened.
    lvm: Lvm,
    /// The devices as they were when they were listed last.
    blocks: RefCell<Rc<Vec<Block>>>,
}

impl LinuxHost {
    /// Opens the machine.
    ///
    /// # Errors
    /// [`OpenHostError`]: not root, or no sysfs.
    pub fn open() -> Result<Self, OpenHostError> {
        if !nix::unistd::geteuid().is_root() {
            return Err(OpenHostError::NotRoot);
        }
        let blocks = scan()?;
        Ok(Self { lvm: lvm_setup::find(), blocks: RefCell::new(Rc::new(blocks)) })
    }

    /// How LVM2 is set up here; which devices it leaves out is not known yet.
    pub fn lvm(&self) -> &LvmSetup {
        &self.lvm.setup
    }

    /// The devices as they are now; what was known when they cannot be listed.
    fn scan_again(&self, unknown: &mut Vec<String>) -> Rc<Vec<Block>> {
        match scan() {
            Ok(blocks) => {
                self.blocks.replace(Rc::new(blocks));
            }
            Err(error) => unknown.push(error.in_full()),
        }
        self.known()
    }

    fn known(&self) -> Rc<Vec<Block>> {
        Rc::clone(&self.blocks.borrow())
    }
}

fn scan() -> Result<Vec<Block>, HostError> {
    block::scan().map_err(|cause| HostError::new("list", "the block devices of sysfs", cause))
}

impl ReadHost for LinuxHost {
    fn realm(&self) -> Realm {
        Realm::Live
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        // What fails here fails in `live` too, which tells of it.
        let blocks = self.scan_again(&mut Vec::new());
        let mut devices: Vec<DeviceInfo> = blocks
            .iter()
            .filter(|block| block.may_hold_pv())
            .map(|block| DeviceInfo {
                name: block.node.name.clone(),
                number: Some(block.node.number),
                links: block.node.links.clone(),
                place: block.path.clone(),
                size: block.size,
                read_only: block.read_only,
                has_partitions: block.has_partitions(&blocks),
                cut_off: Vec::new(),
            })
            .collect();
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        devices
    }

    fn read(&self, device: &DeviceName, offset: Bytes, len: Bytes) -> Result<Vec<u8>, HostError> {
        let blocks = self.known();
        let is_it = |block: &&Block| {
            block.node.name == *device || block.node.links.iter().any(|link| link == device.path())
        };
        let block = blocks.iter().find(is_it);
        let block =
            block.ok_or_else(|| HostError::because("read", device, "there is no such device"))?;
        read::read(block, &blocks, offset, len)
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

    fn find_program(&self, name: &str) -> Result<String, String> {
        Program::named(name).map(|program| program.path().to_owned())
    }

    fn mount_point(&self, path: &str) -> Result<(), String> {
        files::mount_point(path)
    }

    fn live(&self, known: Option<&Live>) -> Option<Live> {
        let mut unknown = Vec::new();
        let blocks = self.scan_again(&mut unknown);
        let mapped = mapped::devices();
        unknown.extend(mapped.unknown);
        let processes = Processes::scan();
        let mounts = mounts::mounts(&processes);
        let swaps = mounts::swaps();
        let opened = processes.opened(&mounts.remote);
        let nodes = blocks.iter().map(|block| block.node.clone()).collect();
        let steady = known.map_or_else(|| Steady::find(&self.lvm, &processes, &blocks), Steady::of);
        unknown.extend(steady.unknown);
        unknown.sort();
        unknown.dedup();
        Some(Live {
            lvm: steady.lvm,
            mapped: mapped.devices,
            mapped_is_complete: !mapped.is_incomplete,
            blocks: nodes,
            mounts: mounts.on_devices,
            swaps,
            openers: opened.devices,
            file_users: opened.files,
            kernel: steady.kernel,
            targets: steady.targets,
            thin_tools: steady.thin_tools,
            programs: steady.programs,
            services: steady.services,
            unknown,
        })
    }
}
