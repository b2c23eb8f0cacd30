//! `lvmend inspect`: what is there and what is wrong.

mod live;
mod pools;
mod text;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::fault::Fault;
use crate::ids::{ForeignText, PvUuid, VgUuid};
use crate::model::attr::{lv_attr, pv_attr, vg_attr};
use crate::model::choice::Standing;
use crate::model::compare::segment_type;
use crate::model::device::{AreaHeader, Content, Device, SlotText};
use crate::model::extent_map::ExtentMap;
use crate::model::inventory::{Inventory, VgOnDisk};
use crate::model::parts::{Roles, parts_of};
use crate::model::segment::Area;
use crate::model::timeline::Version;
use crate::model::vg::{Lv, Pv, Vg};
use crate::report::Head;
use crate::report::inspect::live::{LiveJson, LvLiveJson, live_json, lv_live_json};
use crate::report::inspect::pools::{PoolSpareJson, ThinPoolJson};

pub use text::{Show, text};

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InspectJson {
    #[serde(flatten)]
    head: Head,
    /// Volume groups, by name.
    volume_groups: Vec<VgJson>,
    /// Devices that are no PV of any of them.
    other_devices: Vec<DeviceJson>,
    /// What is wrong, the worst first.
    faults: Vec<FaultJson>,
    /// Files that were to hold metadata and do not.
    bad_files: Vec<BadFileJson>,
    /// The running machine; none of images.
    live: Option<LiveJson>,
}

/// A volume group.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VgJson {
    /// Its name.
    name: String,
    /// Its UUID.
    uuid: String,
    /// The version that counts; none when no text does.
    seqno: Option<u32>,
    /// Attributes as `vgs` shows them.
    attr: Option<String>,
    /// Bytes per extent.
    extent_size: Option<u64>,
    /// All extents, in bytes.
    size: Option<u64>,
    /// Extents that no LV has, in bytes.
    free: Option<u64>,
    /// How many versions of its metadata stand, and which.
    versions: usize,
    oldest_seqno: Option<u32>,
    newest_seqno: Option<u32>,
    /// Its PVs.
    physical_volumes: Vec<PvJson>,
    /// Its LVs, hidden ones included.
    logical_volumes: Vec<LvJson>,
    /// Its thin pools.
    thin_pools: Vec<ThinPoolJson>,
    /// Its spare for pool metadata.
    pool_metadata_spare: Option<PoolSpareJson>,
}

/// A physical volume.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PvJson {
    /// Its UUID.
    uuid: String,
    /// The devices that carry it: one, none, or duplicates.
    devices: Vec<String>,
    /// Attributes as `pvs` shows them.
    attr: String,
    /// All extents, in bytes.
    size: u64,
    /// Extents that no LV has, in bytes.
    free: u64,
    /// Whether it is flagged MISSING.
    missing: bool,
    /// Its metadata areas.
    metadata_areas: Vec<AreaJson>,
}

/// A metadata area.
#[derive(Debug, Serialize, JsonSchema)]
struct AreaJson {
    /// Where it begins on the device, in bytes.
    offset: u64,
    /// How long it is, in bytes.
    size: u64,
    /// `good`, `empty`, `ignored` or `damaged`.
    state: &'static str,
    /// The version it holds.
    seqno: Option<u32>,
}

/// A logical volume.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LvJson {
    /// Its name.
    name: String,
    /// Its UUID.
    uuid: String,
    /// Whether `lvs` shows it only with `-a`.
    hidden: bool,
    /// Attributes as `lvs` shows them while it is inactive; of a running machine with state and
    /// openness.
    attr: String,
    /// In bytes.
    size: u64,
    /// Segment types.
    segment_type: String,
    /// PVs it lies on, by UUID.
    on: Vec<String>,
    /// Tags.
    tags: Vec<String>,
    /// What the kernel has of it; none of images.
    live: Option<LvLiveJson>,
}

/// A device that is no PV of a VG that counts.
#[derive(Debug, Serialize, JsonSchema)]
struct DeviceJson {
    /// What it is called.
    name: String,
    /// In bytes.
    size: u64,
    /// What was found on it.
    content: String,
}

/// A fault.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FaultJson {
    /// How bad: `critical`, `warning` or `note`.
    severity: String,
    /// What kind.
    kind: String,
    /// The UUID of the VG.
    vg: Option<String>,
    /// About what.
    object: String,
    /// On which device.
    device: Option<String>,
    /// From which byte on.
    offset: Option<u64>,
    /// What was found.
    found: String,
    /// Why it matters.
    matters: String,
    /// The ready plan that mends it.
    plan: Option<String>,
    /// What to do.
    advice: String,
}

/// A file that was to hold metadata and does not.
#[derive(Debug, Serialize, JsonSchema)]
struct BadFileJson {
    path: String,
    why: String,
}

/// Gathers everything about these VGs; about all when none is named.
pub fn gather(inventory: &Inventory, only: Option<VgUuid>, faults: &[Fault]) -> InspectJson {
    let mut vgs: Vec<&VgOnDisk> = inventory
        .vgs
        .values()
        .filter(|vg| only.is_none_or(|uuid| uuid == vg.uuid))
        .filter(|vg| {
            only.is_some() || vg.standing != Standing::None || is_worth_showing(vg, faults)
        })
        .collect();
    vgs.sort_by_key(|vg| (vg.name().cloned(), vg.uuid));
    let is_wanted = |fault: &&Fault| only.is_none() || fault.vg.is_none() || fault.vg == only;
    InspectJson {
        head: Head::unchanged("inspect"),
        volume_groups: vgs.iter().map(|vg| vg_json(inventory, vg)).collect(),
        other_devices: other_devices(inventory),
        faults: faults.iter().filter(is_wanted).map(fault_json).collect(),
        bad_files: inventory
            .bad_files
            .iter()
            .map(|bad| BadFileJson { path: bad.path.to_string(), why: bad.why.clone() })
            .collect(),
        live: inventory.live.as_deref().map(live_json),
    }
}

impl InspectJson {
    /// How many faults are worse than notes.
    pub fn fault_count(&self) -> usize {
        self.faults.len()
    }
}

/// A VG without a text that counts is shown when a fault tells of it.
fn is_worth_showing(vg: &VgOnDisk, faults: &[Fault]) -> bool {
    faults.iter().any(|fault| fault.vg == Some(vg.uuid))
}

fn vg_json(inventory: &Inventory, on_disk: &VgOnDisk) -> VgJson {
    let versions = on_disk.timeline.versions();
    let mut json = VgJson {
        name: on_disk.name().map(ToString::to_string).unwrap_or_default(),
        uuid: on_disk.uuid.to_string(),
        seqno: None,
        attr: None,
        extent_size: None,
        size: None,
        free: None,
        versions: versions.len(),
        oldest_seqno: versions.first().map(Version::seqno),
        newest_seqno: versions.last().map(Version::seqno),
        physical_volumes: Vec::new(),
        logical_volumes: Vec::new(),
        thin_pools: Vec::new(),
        pool_metadata_spare: None,
    };
    let Some(vg) = &on_disk.current else {
        return json;
    };
    let is_absent =
        |pv: PvUuid| vg.pv(pv).is_some_and(Pv::is_missing) || inventory.devices_of(pv).is_empty();
    let map = ExtentMap::of(vg);
    let roles = Roles::of(vg);
    let size = vg.extent_count().bytes_shown(vg.extent_size);
    json.seqno = Some(vg.seqno);
    json.attr = Some(vg_attr(vg, &is_absent));
    json.extent_size = vg.extent_size.bytes().map(crate::units::Bytes::get);
    json.size = Some(size.get());
    let used = map.allocated().bytes_shown(vg.extent_size);
    json.free = Some(size.saturating_sub(used).get());
    json.physical_volumes =
        vg.pvs.iter().map(|pv| pv_json(inventory, vg, &map, pv, &is_absent)).collect();
    let lvs = vg.lvs.iter().filter(|lv| !crate::model::parts::is_snapshot_link(lv));
    json.thin_pools = pools::pools_json(inventory, vg);
    json.pool_metadata_spare = pools::spare_json(vg);
    json.logical_volumes = lvs.map(|lv| lv_json(inventory, vg, &roles, lv, &is_absent)).collect();
    json
}

fn pv_json(
    inventory: &Inventory,
    vg: &Vg,
    map: &ExtentMap<'_>,
    pv: &Pv,
    is_absent: &dyn Fn(PvUuid) -> bool,
) -> PvJson {
    let devices = inventory.devices_of(pv.uuid);
    let size = pv.pe_count.bytes_shown(vg.extent_size);
    let used = map.allocated_on(pv.uuid).bytes_shown(vg.extent_size);
    let areas = devices.first().map_or(&[][..], |device| device.areas());
    PvJson {
        uuid: pv.uuid.to_string(),
        devices: devices.iter().map(|device| device.name.to_string()).collect(),
        attr: pv_attr(pv, devices.len() > 1, is_absent),
        size: size.get(),
        free: size.saturating_sub(used).get(),
        missing: pv.is_missing(),
        metadata_areas: areas.iter().map(|area| area_json(inventory, area)).collect(),
    }
}

fn area_json(inventory: &Inventory, area: &crate::model::device::MetadataArea) -> AreaJson {
    let key = area.committed.good();
    let state = match (&area.header, &area.committed) {
        (AreaHeader::Damaged { .. }, _) | (_, SlotText::Damaged(_)) => "damaged",
        (AreaHeader::Good(slots), _) if slots.committed.ignored => "ignored",
        (AreaHeader::Good(_), SlotText::Good(_)) => "good",
        (AreaHeader::Good(_), SlotText::Empty | SlotText::Ignored) => "empty",
    };
    AreaJson {
        offset: area.offset.get(),
        size: area.size.get(),
        state,
        seqno: key.and_then(|key| inventory.texts.get(&key)).map(|text| text.seqno),
    }
}

fn lv_json(
    inventory: &Inventory,
    vg: &Vg,
    roles: &Roles<'_>,
    lv: &Lv,
    is_absent: &dyn Fn(PvUuid) -> bool,
) -> LvJson {
    let parts = parts_of(vg, lv);
    let mut on: BTreeMap<usize, PvUuid> = BTreeMap::new();
    for segment in std::iter::once(lv).chain(parts.iter().copied()).flat_map(|lv| &lv.segments) {
        for area in segment.kind.areas() {
            if let Area::Pv { pv, .. } = area {
                on.extend(vg.pvs.get(*pv).map(|p| (*pv, p.uuid)));
            }
        }
    }
    let live = lv_live_json(inventory, vg.uuid, lv);
    let inactive = lv_attr(vg, roles, lv, is_absent);
    LvJson {
        name: lv.name.to_string(),
        uuid: lv.uuid.to_string(),
        hidden: !roles.is_shown(lv),
        attr: live.as_ref().map_or(inactive.clone(), |live| live.attr(&inactive)),
        size: lv.len().bytes_shown(vg.extent_size).get(),
        segment_type: segment_type(lv),
        on: on.values().map(ToString::to_string).collect(),
        tags: lv.tags.iter().map(ToString::to_string).collect(),
        live,
    }
}

fn other_devices(inventory: &Inventory) -> Vec<DeviceJson> {
    let in_vg = |pv: PvUuid| {
        inventory.vgs.values().any(|vg| vg.current.as_ref().is_some_and(|vg| vg.pv(pv).is_some()))
    };
    let content = |device: &Device| match &device.content {
        Content::Pv(pv) if in_vg(pv.uuid) => None,
        Content::Pv(pv) => Some(format!("PV {} of no VG that counts", pv.uuid)),
        Content::PartitionTable => Some("partition table".to_owned()),
        Content::LostLabel(_) => Some("a PV that has lost its label".to_owned()),
        Content::Foreign => {
            let found: Vec<String> = device.signatures.iter().map(ToString::to_string).collect();
            let found = found.join(", ");
            Some(if found.is_empty() { "nothing of LVM".to_owned() } else { found })
        }
        Content::Unreadable(why) => Some(format!("cannot be read: {why}")),
    };
    let devices = inventory.devices.iter().filter_map(|device| {
        let (name, size) = (device.name.to_string(), device.size.get());
        content(device).map(|content| DeviceJson { name, size, content })
    });
    devices.collect()
}

fn fault_json(fault: &Fault) -> FaultJson {
    let severity = match fault.severity {
        crate::fault::Severity::Critical => "critical",
        crate::fault::Severity::Warning => "warning",
        crate::fault::Severity::Note => "note",
    };
    FaultJson {
        severity: severity.to_owned(),
        kind: fault.kind.name().to_owned(),
        vg: fault.vg.map(|vg| vg.to_string()),
        object: ForeignText::from(fault.object.as_str()).to_string(),
        device: fault.device.as_ref().map(ToString::to_string),
        offset: fault.offset.map(crate::units::Bytes::get),
        found: fault.found.clone(),
        matters: fault.matters.to_owned(),
        plan: fault.plan.map(str::to_owned),
        advice: fault.advice.clone(),
    }
}
