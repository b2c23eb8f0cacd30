//! What a running machine has beside its disks: a kernel with device-mapper tables, LVM2 with its
//! configuration, and people and programs that use volumes.

mod lvm_setup;
mod mapped;
mod pool_status;
mod uses;

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{DeviceName, ForeignText, LvUuid, VgUuid};
use crate::model::device::Device;

pub use lvm_setup::{LeftOut, LvmSetup, LvmVersion};
pub use mapped::{
    DevNumber, LvmLayer, MappedDevice, TargetLine, device_of_option, lvm_device_name,
};
pub use pool_status::{PoolCounts, PoolMode, PoolStatus};
pub use uses::{Mount, Opener, Use};

/// What only a running machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// How LVM2 is set up here.
    pub lvm: LvmSetup,
    /// Every device-mapper device, sorted by name.
    pub mapped: Vec<MappedDevice>,
    /// Whether those are all there are. If not, none may be taken for inactive because it is not
    /// among them; [`Live::unknown`] says what failed.
    pub mapped_is_complete: bool,
    /// The kernel's block devices that can hold PVs or use others, sorted by number.
    pub blocks: Vec<BlockNode>,
    /// File systems mounted in any mount namespace, sorted by device and place.
    pub mounts: Vec<Mount>,
    /// Devices that are swapped to.
    pub swaps: Vec<DevNumber>,
    /// Processes that have a block device open, sorted by device and process.
    pub openers: Vec<Opener>,
    /// Processes that keep a mounted file system busy: with files open on it, their working
    /// directory, root or program. Sorted by device and process.
    pub file_users: Vec<Opener>,
    /// Release of the kernel, as `uname -r` prints it.
    pub kernel: ForeignText,
    /// Device-mapper targets that are loaded, with their versions.
    pub targets: BTreeMap<String, (u32, u32, u32)>,
    /// Version of thin-provisioning-tools, as `thin_check -V` prints it; none when not installed.
    pub thin_tools: Option<ForeignText>,
    /// Programs that lvmend may run, by name, and where they are: absolute paths.
    pub programs: BTreeMap<String, String>,
    /// Services running here that are known to act on volumes by themselves.
    pub services: Vec<ForeignText>,
    /// What could not be found out, for people.
    pub unknown: Vec<String>,
}

/// A block device of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockNode {
    /// Its number.
    pub number: DevNumber,
    /// Its name in `/dev`.
    pub name: DeviceName,
    /// Symbolic links that lead to it (`/dev/disk/by-id/…`, `/dev/mapper/…`), sorted.
    pub links: Vec<String>,
    /// World wide identifier or serial number, when the kernel knows one.
    pub identity: Option<ForeignText>,
    /// Devices that lie upon it.
    pub holders: Vec<DevNumber>,
    /// Devices it lies upon.
    pub slaves: Vec<DevNumber>,
    /// The multipath device or md array that has taken it, or the disk it is a partition of: what
    /// stands on it is seen through that one, and LVM does not look at this.
    pub component_of: Option<DevNumber>,
}

impl Live {
    /// The device-mapper device with this number.
    pub fn mapped_by_number(&self, number: DevNumber) -> Option<&MappedDevice> {
        self.mapped.iter().find(|mapped| mapped.number == number)
    }

    /// The device of this layer.
    pub fn mapped_of_layer(&self, layer: &LvmLayer) -> Option<&MappedDevice> {
        self.mapped.iter().find(|mapped| mapped.layer.as_ref() == Some(layer))
    }

    /// All device-mapper devices of this VG, hidden layers included.
    pub fn mapped_of_vg(&self, vg: VgUuid) -> impl Iterator<Item = &MappedDevice> {
        self.mapped.iter().filter(move |mapped| mapped.layer.as_ref().is_some_and(|l| l.vg == vg))
    }

    /// The device-mapper device that people know as this LV, when it is active.
    pub fn top_of(&self, vg: VgUuid, lv: LvUuid) -> Option<&MappedDevice> {
        let is_top =
            |l: &LvmLayer| l.vg == vg && l.lv == lv && (l.suffix.is_empty() || l.suffix == "pool");
        self.mapped.iter().find(|mapped| mapped.layer.as_ref().is_some_and(is_top))
    }

    /// Whether any device of this LV is there, layers included.
    pub fn is_active(&self, vg: VgUuid, lv: LvUuid) -> bool {
        let is_of = |layer: &LvmLayer| layer.vg == vg && layer.lv == lv;
        self.mapped.iter().any(|mapped| mapped.layer.as_ref().is_some_and(is_of))
    }

    /// Whether this LV can be used: its own device is there, with a table, and not suspended.
    pub fn is_up(&self, vg: VgUuid, lv: LvUuid) -> bool {
        self.top_of(vg, lv).is_some_and(|top| !top.suspended && !top.live.is_empty())
    }

    /// Where a program is; where Debian has it, when nothing else was found.
    pub fn program(&self, name: &str) -> String {
        self.programs.get(name).cloned().unwrap_or_else(|| format!("/usr/bin/{name}"))
    }

    /// The LV whose device is mounted there, when it is one of this VG, in this mount namespace.
    pub fn lv_of_mount(&self, vg: VgUuid, mount: &Mount) -> Option<LvUuid> {
        let layer = self.mapped_by_number(mount.device)?.layer.as_ref()?;
        (layer.vg == vg && mount.is_ours).then_some(layer.lv)
    }

    /// The kernel's node of a device, by any of its names.
    pub fn node(&self, written: &str) -> Option<&BlockNode> {
        let is_it = |node: &&BlockNode| {
            node.name.is_written(written) || node.links.iter().any(|link| link == written)
        };
        self.blocks.iter().find(is_it)
    }

    /// What tells the disk with this number from all others, where the kernel knows something.
    pub fn identity_of(&self, number: DevNumber) -> Option<&ForeignText> {
        self.node_by_number(number).and_then(|node| node.identity.as_ref())
    }

    /// The kernel's node with this number.
    pub fn node_by_number(&self, number: DevNumber) -> Option<&BlockNode> {
        self.blocks.iter().find(|node| node.number == number)
    }

    /// Why LVM does not look at this device, when it does not.
    pub fn left_out(&self, device: &Device) -> Option<&LeftOut> {
        let is_it = |name: &DeviceName| {
            *name == device.name || device.links.iter().any(|link| link == name.path())
        };
        self.lvm.left_out.iter().find(|left| is_it(&left.device))
    }

    /// These devices and everything they lie on, by live tables and by what the kernel says.
    ///
    /// A loop device lies on a file, which is not followed: whoever asks adds the device under it.
    pub fn below(&self, numbers: &[DevNumber]) -> BTreeSet<DevNumber> {
        let mut found = BTreeSet::new();
        let mut next = numbers.to_vec();
        while let Some(number) = next.pop() {
            if !found.insert(number) {
                continue;
            }
            next.extend(
                self.mapped_by_number(number).map(MappedDevice::lies_on).into_iter().flatten(),
            );
            next.extend(self.node_by_number(number).into_iter().flat_map(|node| &node.slaves));
        }
        found
    }

    /// Everybody who uses this device directly: mounts, swap, devices upon it that are not of
    /// `vg`, and processes that have it open.
    pub fn uses_of(&self, number: DevNumber, vg: VgUuid) -> Vec<Use> {
        let mounts = self.mounts.iter().filter(|mount| mount.device == number);
        let mut uses: Vec<Use> = mounts.cloned().map(Use::Mount).collect();
        if self.swaps.contains(&number) {
            uses.push(Use::Swap);
        }
        let holders = self.node_by_number(number).map_or(&[][..], |node| &node.holders);
        for holder in holders {
            let mapped = self.mapped_by_number(*holder);
            let is_ours = mapped.and_then(|m| m.layer.as_ref()).is_some_and(|l| l.vg == vg);
            if !is_ours {
                let name = mapped.map(|mapped| mapped.name.clone());
                let node = || self.node_by_number(*holder).map(|n| n.name.to_string().into());
                uses.push(Use::Device(name.or_else(node).unwrap_or_else(|| holder.shown())));
            }
        }
        let openers = self.openers.iter().filter(|opener| opener.device == number);
        uses.extend(openers.cloned().map(Use::Process));
        // Devices upon it explain that it is open; nothing else does.
        let open_count = self.mapped_by_number(number).map_or(0, |mapped| mapped.open_count);
        let hidden = open_count.saturating_sub(self.opened_by_devices(number));
        if uses.is_empty() && hidden > 0 {
            uses.push(Use::Unknown(hidden));
        }
        uses
    }

    /// How many devices of device-mapper keep this one open, by their live or their waiting table.
    fn opened_by_devices(&self, number: DevNumber) -> u32 {
        let names_it = |mapped: &&MappedDevice| {
            let lines = mapped.live.iter().chain(&mapped.inactive);
            lines.flat_map(TargetLine::devices).any(|below| below == number)
        };
        u32::try_from(self.mapped.iter().filter(names_it).count()).unwrap_or(u32::MAX)
    }

    /// These devices, each after all that it lies upon with its live or its waiting table, as they
    /// are to be resumed. Among equals by name.
    pub fn bottom_up<'m>(
        &self,
        devices: impl IntoIterator<Item = &'m MappedDevice>,
    ) -> Vec<&'m MappedDevice> {
        let mut heights = BTreeMap::new();
        for mapped in &self.mapped {
            self.height(mapped.number, &mut heights);
        }
        let height = |mapped: &MappedDevice| heights.get(&mapped.number).copied();
        let mut devices: Vec<&MappedDevice> = devices.into_iter().collect();
        devices.sort_by_key(|mapped| (height(mapped), &mapped.name, mapped.number));
        devices
    }

    /// How many devices of device-mapper lie below this one, at most, in one line.
    fn height(&self, number: DevNumber, known: &mut BTreeMap<DevNumber, u32>) -> u32 {
        if let Some(height) = known.get(&number) {
            return *height;
        }
        let Some(mapped) = self.mapped_by_number(number) else { return 0 };
        // The kernel allows no circles; should one be told, it ends here.
        known.insert(number, 0);
        let lines = mapped.live.iter().chain(&mapped.inactive);
        let below: Vec<DevNumber> = lines.flat_map(TargetLine::devices).collect();
        let highest = below.into_iter().map(|below| self.height(below, known)).max();
        let height = highest.map_or(0, |highest| highest.saturating_add(1));
        known.insert(number, height);
        height
    }
}
