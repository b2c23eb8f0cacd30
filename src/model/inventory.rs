//! Everything observed, with where it came from and what was wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{DeviceName, Digest, ForeignText, LvName, LvUuid, PvUuid, VgName, VgUuid};
use crate::model::choice::{Copy, Standing};
use crate::model::device::Device;
use crate::model::legs::RaidMeta;
use crate::model::live::Live;
use crate::model::surroundings::Surroundings;
use crate::model::thin_pool::{PoolMetadata, PoolTrial};
use crate::model::timeline::{MetadataText, Timeline};
use crate::model::vg::Vg;
use crate::units::{Bytes, Sectors};

/// Where an inventory was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Realm {
    /// Disk images: lvmend reads and writes metadata itself, no kernel is involved.
    Images,
    /// A running machine: what is written goes through LVM2's own commands.
    Live,
}

/// Everything observed in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Where.
    pub realm: Realm,
    /// Every device, sorted by name.
    pub devices: Vec<Device>,
    /// Every sound text found on a device, by the digest of its bytes.
    pub texts: BTreeMap<Digest, MetadataText>,
    /// Every VG of which anything stands, by UUID.
    pub vgs: BTreeMap<VgUuid, VgOnDisk>,
    /// What stands where the metadata of RAID legs begins, when contents are to be read.
    pub raid_metas: BTreeMap<(PvUuid, Sectors), RaidMeta>,
    /// What stands in the metadata of thin pools that are not active, by VG and pool.
    pub pools: BTreeMap<(VgUuid, LvUuid), PoolMetadata>,
    /// What came of judging copies of the metadata of pools that a plan is about, by VG and pool;
    /// or why they could not be judged.
    pub trials: BTreeMap<(VgUuid, LvUuid), Result<PoolTrial, String>>,
    /// What stands where tasks are to write, by path.
    pub targets: BTreeMap<String, TargetFile>,
    /// What tasks and checks need of the machine.
    pub surroundings: Surroundings,
    /// Files named by the plan or found in backup and archive directories that are no metadata.
    pub bad_files: Vec<BadFile>,
    /// Kernel, LVM2 and users, on a running machine.
    pub live: Option<Arc<Live>>,
}

/// What stands at a path that a task is to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetFile {
    /// Nothing; the directory is there.
    Free(Space),
    /// The directory is not there, or cannot be written.
    NoDirectory(String),
    /// A finished copy, as long as its manifest has it: what that says.
    Done(CopyManifest),
    /// Something else: what speaks against it, for people.
    Taken(String),
}

/// What a file system has left. It changes all the time, so the world is not held to it: it stands
/// in no fingerprint, and `simulate` does not compare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// How much this user can still write.
    pub available: Bytes,
    /// Which file system: its device number.
    pub file_system: u64,
}

/// The manifest of a finished copy is called like it, with this behind.
pub const MANIFEST_SUFFIX: &str = ".lvmend.json";
/// No manifest is larger.
pub const MANIFEST_SIZE_MAX: Bytes = Bytes::new(64 << 10);

/// What stands beside a finished copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyManifest {
    /// Version of this format; 1.
    pub format_version: u32,
    /// The VG.
    pub vg: VgUuid,
    /// The LV.
    pub lv: LvUuid,
    /// What it was called.
    pub name: LvName,
    /// How long the copy is.
    pub size: Bytes,
    /// Digest of the content.
    pub sha256: Digest,
    /// What of it could not be read, and is zeros: where it begins, and how many bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<[u64; 2]>,
}

/// A file that was to hold metadata and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFile {
    /// Where.
    pub path: ForeignText,
    /// Why it cannot be used.
    pub why: String,
}

/// One VG, as everything that was read tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VgOnDisk {
    /// Its UUID.
    pub uuid: VgUuid,
    /// All versions that still stand.
    pub timeline: Timeline,
    /// Which version counts, as the committed copies tell.
    pub standing: Standing,
    /// The version that counts, read; `None` when none does.
    pub current: Option<Arc<Vg>>,
}

impl Inventory {
    /// The copies that count, of one VG: what committed pointers of areas in use lead to.
    pub fn committed_copies(&self, vg: VgUuid) -> Vec<Copy> {
        let copies = committed_copies(&self.devices, |key| self.texts.get(&key));
        copies.into_iter().filter(|(of, _)| *of == vg).map(|(_, copy)| copy).collect()
    }

    /// The VGs whose texts the committed pointers of this device lead to.
    pub fn committed_vgs(&self, device: &Device) -> BTreeSet<VgUuid> {
        let keys = device.areas().iter().filter_map(|area| area.committed.good());
        keys.filter_map(|key| self.texts.get(&key)).map(|text| text.vg_uuid).collect()
    }

    /// The VGs that claim this PV: those that list it and do not flag it MISSING, and those whose
    /// text its own areas hold. More than one means that a part of the metadata is out of date.
    pub fn claims_on(&self, pv: PvUuid) -> BTreeSet<VgUuid> {
        let lists = |on_disk: &&VgOnDisk| {
            let listed = on_disk.current.as_ref().and_then(|vg| vg.pv(pv));
            listed.is_some_and(|pv| !pv.is_missing())
        };
        let listing = self.vgs.values().filter(lists).map(|on_disk| on_disk.uuid);
        let held = self.devices_of(pv).into_iter().flat_map(|device| self.committed_vgs(device));
        listing.chain(held).collect()
    }

    /// The device with this name.
    pub fn device(&self, name: &DeviceName) -> Option<&Device> {
        self.devices.iter().find(|d| d.name == *name)
    }

    /// Every device that carries the label of this PV; more than one are duplicates.
    pub fn devices_of(&self, pv: PvUuid) -> Vec<&Device> {
        self.devices.iter().filter(|d| d.pv().is_some_and(|on| on.uuid == pv)).collect()
    }

    /// The VGs that have, or last had, this name.
    pub fn vgs_named(&self, name: &VgName) -> Vec<&VgOnDisk> {
        self.vgs.values().filter(|vg| vg.name().is_some_and(|n| n == name)).collect()
    }
}

/// What committed pointers of areas in use lead to, and of which VG it is.
pub fn committed_copies<'a>(
    devices: &[Device],
    text_of: impl Fn(Digest) -> Option<&'a MetadataText>,
) -> Vec<(VgUuid, Copy)> {
    let mut copies = Vec::new();
    for device in devices.iter().filter(|device| device.pv().is_some()) {
        for (area, at) in device.areas().iter().enumerate() {
            let text = at.committed.good().and_then(|key| Some((key, text_of(key)?)));
            let Some((key, text)) = text else { continue };
            let copy = Copy {
                device: device.name.clone(),
                area,
                seqno: text.seqno,
                content: text.content,
                text: key,
            };
            copies.push((text.vg_uuid, copy));
        }
    }
    copies
}

impl VgOnDisk {
    /// What it is called now; what it was called last, when no version counts.
    pub fn name(&self) -> Option<&VgName> {
        match &self.current {
            Some(vg) => Some(&vg.name),
            None => self.timeline.versions().last().map(|v| &v.text.vg_name),
        }
    }
}
