//! What `inspect` shows of a running machine beside its disks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::fault::FaultKind;
use crate::ids::VgUuid;
use crate::model::inventory::Inventory;
use crate::model::live::{BlockNode, Live, LvmVersion, MappedDevice, Mount, Use};
use crate::model::vg::Lv;
use crate::report::inspect::FaultJson;
use crate::report::table::table;

/// A running machine, beside its disks.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LiveJson {
    /// Release of the kernel.
    kernel: String,
    /// Version of LVM2; none when it is not installed.
    lvm: Option<String>,
    /// The system ID of the host, when it has one.
    system_id: Option<String>,
    /// Version of thin-provisioning-tools; none when they are not installed.
    thin_tools: Option<String>,
    /// Device-mapper targets that are loaded, with their versions.
    targets: BTreeMap<String, String>,
    /// Services running here that are known to act on volumes by themselves.
    services: Vec<String>,
    /// Devices with a PV that LVM does not look at.
    left_out: Vec<LeftOutJson>,
    /// Devices that another has taken; what stands on them is seen through that one.
    components: Vec<ComponentJson>,
    /// What could not be found out.
    unknown: Vec<String>,
}

/// A device that LVM does not look at.
#[derive(Debug, Serialize, JsonSchema)]
struct LeftOutJson {
    /// The device.
    device: String,
    /// Why, as LVM says it.
    why: String,
}

/// A path of a multipath device, a leg of an array.
#[derive(Debug, Serialize, JsonSchema)]
struct ComponentJson {
    /// The device.
    device: String,
    /// What has taken it.
    of: String,
}

/// What the kernel has of an LV.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LvLiveJson {
    /// `inactive`, `active` or `suspended`.
    pub(crate) state: &'static str,
    /// Whether a table waits in the inactive slot of one of its devices.
    pub(crate) table_waits: bool,
    /// How often it is open.
    pub(crate) open_count: u32,
    /// Who uses it: mounts, swap, processes, devices upon it.
    pub(crate) used_by: Vec<String>,
}

/// Gathers what is known of the machine.
pub(crate) fn live_json(live: &Live) -> LiveJson {
    let is_known = live.lvm.version > LvmVersion { major: 0, minor: 0, patch: 0 };
    let target = |(name, (major, minor, patch)): (&String, &(u32, u32, u32))| {
        (name.clone(), format!("{major}.{minor}.{patch}"))
    };
    LiveJson {
        kernel: live.kernel.to_string(),
        lvm: is_known.then(|| live.lvm.version.to_string()),
        system_id: live.lvm.system_id.as_ref().map(ToString::to_string),
        thin_tools: live.thin_tools.as_ref().map(ToString::to_string),
        targets: live.targets.iter().map(target).collect(),
        services: live.services.iter().map(ToString::to_string).collect(),
        left_out: live
            .lvm
            .left_out
            .iter()
            .map(|out| LeftOutJson { device: out.device.to_string(), why: out.why.to_string() })
            .collect(),
        components: live.blocks.iter().filter_map(|node| component(live, node)).collect(),
        unknown: live.unknown.clone(),
    }
}

fn component(live: &Live, node: &BlockNode) -> Option<ComponentJson> {
    let of = node.component_of?;
    let name = live.node_by_number(of).map(|node| node.name.to_string());
    Some(ComponentJson {
        device: node.name.to_string(),
        of: name.unwrap_or_else(|| of.to_string()),
    })
}

/// What the kernel has of this LV; none of an image.
pub(crate) fn lv_live_json(inventory: &Inventory, vg: VgUuid, lv: &Lv) -> Option<LvLiveJson> {
    let live = inventory.live.as_deref()?;
    let is_of = |mapped: &&MappedDevice| mapped.layer.as_ref().is_some_and(|l| l.lv == lv.uuid);
    let devices: Vec<&MappedDevice> = live.mapped_of_vg(vg).filter(is_of).collect();
    let state = if devices.iter().any(|mapped| mapped.suspended) {
        "suspended"
    } else if devices.iter().any(|mapped| !mapped.live.is_empty()) {
        "active"
    } else {
        "inactive"
    };
    let uses: BTreeSet<Use> =
        devices.iter().flat_map(|mapped| live.uses_of(mapped.number, vg)).collect();
    Some(LvLiveJson {
        state,
        table_waits: devices.iter().any(|mapped| mapped.has_inactive),
        open_count: open_count(&devices),
        used_by: uses_shown(&uses),
    })
}

/// How often the LV is open, its own layers left aside.
fn open_count(devices: &[&MappedDevice]) -> u32 {
    let with = |suffix: &str| {
        let is_it = |mapped: &&&MappedDevice| {
            mapped.layer.as_ref().is_some_and(|layer| layer.suffix == suffix)
        };
        devices.iter().find(is_it).map(|mapped| mapped.open_count)
    };
    match (with("tpool"), with("pool"), with("")) {
        // A thin pool is open by its thin LVs; the device that stands for the pool is its own.
        (Some(thin), Some(pool), _) => thin.saturating_sub(1).saturating_add(pool),
        (Some(open), None, _) | (None, Some(open), _) | (None, None, Some(open)) => open,
        (None, None, None) => devices.iter().map(|mapped| mapped.open_count).max().unwrap_or(0),
    }
}

/// Uses for people. That a file system is mounted in other namespaces too is told once.
fn uses_shown(uses: &BTreeSet<Use>) -> Vec<String> {
    let ours = |other: &Mount| {
        uses.iter().any(|of| matches!(of, Use::Mount(m) if m.is_ours && m.at == other.at))
    };
    let mut shown = Vec::new();
    let mut elsewhere = Vec::new();
    for one in uses {
        match one {
            Use::Mount(mount) if !mount.is_ours && ours(mount) => elsewhere.extend(mount.seen_by),
            Use::Mount(_) | Use::Swap | Use::Device(_) | Use::Process(_) | Use::Unknown(_) => {
                shown.push(one.to_string());
            }
        }
    }
    elsewhere.sort_unstable();
    elsewhere.dedup();
    if !elsewhere.is_empty() {
        let pids: Vec<String> = elsewhere.iter().map(|pid| format!("pid {pid}")).collect();
        shown.push(format!("also in other mount namespaces ({})", pids.join(", ")));
    }
    shown
}

impl LvLiveJson {
    /// The attributes of an inactive LV with the state and openness of this one.
    pub(crate) fn attr(&self, inactive: &str) -> String {
        let state = match (self.state, self.table_waits) {
            ("suspended", _) => 's',
            ("active", _) => 'a',
            (_, true) => 'i',
            _ => '-',
        };
        let open = if self.open_count > 0 { 'o' } else { '-' };
        let letter = |(at, letter)| match at {
            4 => state,
            5 => open,
            _ => letter,
        };
        inactive.chars().enumerate().map(letter).collect()
    }

    /// The state, for people.
    pub(crate) fn shown(&self) -> String {
        let waits = if self.table_waits { ", a table waits" } else { "" };
        format!("{}{waits}", self.state)
    }
}

/// What must be read before anything else: what a reboot would destroy.
pub(crate) fn warning_text(out: &mut String, faults: &[FaultJson]) {
    let is_stray = |fault: &&FaultJson| {
        fault.kind == FaultKind::StrayDevice.name() && fault.severity == "critical"
    };
    let count = faults.iter().filter(is_stray).count();
    let what = match count {
        0 => return,
        1 => "1 live device leads to data of an LV that the metadata does not know. Its table is"
            .to_owned(),
        n => format!(
            "{n} live devices lead to data of LVs that the metadata does not know. Their tables are"
        ),
    };
    let _ = writeln!(out, "DO NOT REBOOT, DO NOT DEACTIVATE ANYTHING.");
    let _ = writeln!(out, "{what} only in the kernel; see `stray-device` below.\n");
}

/// The machine, for people.
pub(crate) fn live_text(out: &mut String, live: &LiveJson) {
    let lvm = live.lvm.as_ref().map_or("no LVM2".to_owned(), |version| format!("LVM {version}"));
    let _ = write!(out, "This machine\n  Linux {}, {lvm}", live.kernel);
    if let Some(tools) = &live.thin_tools {
        let _ = write!(out, ", thin tools {tools}");
    }
    if let Some(id) = &live.system_id {
        let _ = write!(out, ", system ID {id}");
    }
    out.push('\n');
    if !live.services.is_empty() {
        let _ = writeln!(out, "  acting on volumes by themselves: {}", live.services.join(", "));
    }
    for unknown in &live.unknown {
        let _ = writeln!(out, "  not known: {unknown}");
    }
    if !live.left_out.is_empty() {
        out.push_str("  LVM does not look at\n");
        let row = |left: &LeftOutJson| vec![left.device.clone(), left.why.clone()];
        let rows: Vec<Vec<String>> = live.left_out.iter().map(row).collect();
        out.push_str(&table(4, &rows));
    }
    if !live.components.is_empty() {
        out.push_str("  seen through another device\n");
        let row = |part: &ComponentJson| vec![part.device.clone(), format!("part of {}", part.of)];
        let rows: Vec<Vec<String>> = live.components.iter().map(row).collect();
        out.push_str(&table(4, &rows));
    }
    out.push('\n');
}
