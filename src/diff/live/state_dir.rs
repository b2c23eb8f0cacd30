//! Whether a run can go on writing its journal while it works on the VG.

use std::collections::BTreeSet;

use crate::diff::live::bottom_up;
use crate::diff::{Refusal, RefusalCode};
use crate::ids::{DeviceName, LvUuid, PvUuid, VgUuid};
use crate::model::device::Device;
use crate::model::inventory::Inventory;
use crate::model::live::{DevNumber, Live, MappedDevice, Mount};

/// What a run does that could cut off a file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disturbed {
    /// LVs whose devices it suspends, deactivates or gives other tables, that it unmounts, or whose
    /// content it writes over.
    pub lvs: BTreeSet<LvUuid>,
    /// PVs whose label or metadata areas it writes by hand.
    pub pvs: BTreeSet<PvUuid>,
    /// Devices without a label that get one.
    pub devices: BTreeSet<DeviceName>,
}

impl Disturbed {
    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        self.lvs.is_empty() && self.pvs.is_empty() && self.devices.is_empty()
    }

    /// Takes in what else is disturbed.
    pub fn extend(&mut self, other: Self) {
        self.lvs.extend(other.lvs);
        self.pvs.extend(other.pvs);
        self.devices.extend(other.devices);
    }
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateDirVerdict {
    /// The state directory has nothing to do with the VG.
    Apart,
    /// It depends on the VG, but on nothing that the run disturbs: a warning, for people.
    Warned(String),
    /// The run would cut off its own journal.
    Refused(Refusal),
}

/// Judges a state directory by the devices that its file system is on: that of its `st_dev`, all
/// devices of a file system that has several, and for a loop device those of the file under it.
pub fn state_dir_verdict(
    live: &Live,
    inventory: &Inventory,
    vg: VgUuid,
    devices: &[DevNumber],
    disturbed: &Disturbed,
) -> StateDirVerdict {
    let place = Place { live, inventory, vg, below: live.below(devices) };
    let other = || place.other_directory();
    if let Some(met) = place.met(disturbed) {
        return StateDirVerdict::Refused(refusal(&met, other()));
    }
    if devices.is_empty() || !devices.iter().all(|number| is_known(live, *number)) {
        let unknown = "which devices its file system is on could not be found out";
        if !disturbed.is_empty() {
            return StateDirVerdict::Refused(refusal(unknown, other()));
        }
        return StateDirVerdict::Warned(format!("the state directory: {unknown}"));
    }
    match place.of_vg() {
        None => StateDirVerdict::Apart,
        Some(name) => StateDirVerdict::Warned(format!(
            "the state directory lies on {name}, in the VG that is worked on: should the VG fail in \
             the middle of the run, the journal cannot be reached either{}",
            other()
                .map(|dir| format!(". `--state-dir {dir}` is apart from it"))
                .unwrap_or_default()
        )),
    }
}

fn refusal(why: &str, other: Option<String>) -> Refusal {
    let help = other.map_or_else(
        || "name a directory on a disk apart from this VG: `--state-dir DIR`".to_owned(),
        |dir| format!("name a directory apart from this VG: `--state-dir {dir}`"),
    );
    Refusal::new(RefusalCode::StateDirectory, "state directory", why).with_help(help)
}

fn is_known(live: &Live, number: DevNumber) -> bool {
    live.mapped_by_number(number).is_some() || live.node_by_number(number).is_some()
}

/// Where a file system lies.
struct Place<'a> {
    live: &'a Live,
    inventory: &'a Inventory,
    vg: VgUuid,
    below: BTreeSet<DevNumber>,
}

impl Place<'_> {
    fn mapped(&self) -> impl Iterator<Item = &MappedDevice> {
        let of_vg = self.live.mapped_of_vg(self.vg);
        of_vg.filter(|mapped| self.below.contains(&mapped.number))
    }

    fn is_below(&self, device: &Device) -> bool {
        device.number.is_some_and(|number| self.below.contains(&number))
    }

    /// What it lies on of what the run disturbs.
    fn met(&self, disturbed: &Disturbed) -> Option<String> {
        let is_disturbed = |mapped: &&MappedDevice| {
            mapped.layer.as_ref().is_some_and(|layer| disturbed.lvs.contains(&layer.lv))
        };
        if let Some(mapped) = self.mapped().find(is_disturbed) {
            return Some(format!(
                "it lies on {} ({}), which this run unmounts, suspends, deactivates, writes over or \
                 gives another table: a journal there would be cut off",
                mapped.name, mapped.number
            ));
        }
        for pv in &disturbed.pvs {
            let devices = self.inventory.devices_of(*pv);
            if let Some(device) = devices.into_iter().find(|device| self.is_below(device)) {
                return Some(format!(
                    "it lies on PV {pv} ({}), whose label or metadata areas this run writes by hand",
                    device.name
                ));
            }
        }
        let named = disturbed.devices.iter().filter_map(|name| self.inventory.device(name));
        let mut named = named.filter(|device| self.is_below(device));
        named
            .next()
            .map(|device| format!("it lies on {}, where this run writes a label", device.name))
    }

    /// What of the VG it lies on; the top of it.
    fn of_vg(&self) -> Option<String> {
        let is_it = |mapped: &&MappedDevice| {
            let is_of_vg = mapped.layer.as_ref().is_some_and(|layer| layer.vg == self.vg);
            is_of_vg && self.below.contains(&mapped.number)
        };
        let top = bottom_up(self.live).into_iter().rev().find(is_it);
        top.map(|mapped| mapped.name.to_string()).or_else(|| {
            let of_vg = |device: &&Device| device.pv().is_some_and(|on| self.has_pv(on.uuid));
            let device = self.inventory.devices.iter().filter(of_vg).find(|d| self.is_below(d));
            device.map(|device| device.name.to_string())
        })
    }

    fn has_pv(&self, pv: PvUuid) -> bool {
        let vg = self.inventory.vgs.get(&self.vg).and_then(|on_disk| on_disk.current.as_ref());
        vg.is_some_and(|vg| vg.pv(pv).is_some())
    }

    /// A directory on a file system that keeps what is written, can be written, and is apart from
    /// the VG. `/boot` is small, and comes last.
    fn other_directory(&self) -> Option<String> {
        let mut mounts: Vec<&Mount> =
            self.live.mounts.iter().filter(|mount| self.can_hold(mount)).collect();
        mounts.sort_by_key(|mount| (mount.at.raw().starts_with("/boot"), &mount.at));
        mounts.first().map(|mount| match mount.at.raw() {
            "/" => "/var/lib/lvmend".to_owned(),
            at => crate::ids::ForeignText::from(format!("{at}/lvmend")).typed(),
        })
    }

    fn can_hold(&self, mount: &Mount) -> bool {
        // Those that a reboot empties, and those that know no owner and no mode.
        const UNFIT: [&str; 12] = [
            "tmpfs", "ramfs", "overlay", "squashfs", "iso9660", "udf", "erofs", "cramfs", "vfat",
            "msdos", "exfat", "ntfs3",
        ];
        let is_writable = mount.options.raw().split(',').any(|option| option == "rw");
        let there = Self { below: self.live.below(&[mount.device]), ..*self };
        mount.is_ours
            && is_writable
            && !UNFIT.contains(&mount.fs_type.raw())
            && is_known(self.live, mount.device)
            && there.of_vg().is_none()
    }
}
