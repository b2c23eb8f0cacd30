//! From the world to an inventory: reads everything, believes nothing, and never stops at the
//! first bad PV. Damage is recorded where it is found.

mod areas;
mod files;
mod placement;
mod pools;
mod pv;
mod raid;
mod set_aside;
mod surroundings;
mod tables;
mod texts;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::host::{DeviceInfo, HostError, ReadHost};
use crate::ids::{Digest, LvName, VgUuid};
use crate::model::choice::Standing;
use crate::model::device::{Content, Device, MetadataArea, RingContent, SlotText};
use crate::model::inventory::{Inventory, VgOnDisk};
use crate::model::live::Live;
use crate::model::signature::ForeignSignature;
use crate::model::surroundings::Surroundings;
use crate::model::timeline::{MetadataText, Place, Source, Timeline};
use crate::model::vg::Vg;
use crate::units::Bytes;

pub use texts::TextStore;

/// How deep to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Labels, headers and the texts they point to.
    Current,
    /// Whole rings, for everything that ever stood in them.
    History,
}

/// What to look at.
#[derive(Clone, Debug)]
pub struct Scope {
    /// How deep.
    pub depth: Depth,
    /// LVM's backup directory, when it is to be read.
    pub backup_dir: Option<String>,
    /// LVM's archive directory, when it is to be read.
    pub archive_dir: Option<String>,
    /// Further files with metadata, named by a plan.
    pub files: Vec<String>,
    /// Files that tasks are to write.
    pub targets: Vec<String>,
    /// Whether contents of LVs will be read.
    pub contents: bool,
    /// What tasks and checks need of the machine.
    pub needs: Needs,
    /// Thin pools whose metadata is judged on a copy, and where that is made.
    pub pools: Option<JudgedPools>,
}

/// What tasks and checks need of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Programs, as the plan calls them.
    pub programs: Vec<String>,
    /// Directories on which something is mounted.
    pub mount_points: Vec<String>,
    /// LVs of which it has to be known what stands on them.
    pub lvs: Vec<LvName>,
}

/// Thin pools whose metadata is judged on a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JudgedPools {
    /// Their names, and whether a rebuild is tried even of sound metadata.
    pub names: BTreeMap<LvName, bool>,
    /// The directory in which copies are made for the time being.
    pub scratch: String,
}

impl Scope {
    /// The disks alone, without their contents, and no files.
    pub const fn disks(depth: Depth) -> Self {
        Self {
            depth,
            backup_dir: None,
            archive_dir: None,
            files: Vec::new(),
            targets: Vec::new(),
            contents: false,
            needs: Needs { programs: Vec::new(), mount_points: Vec::new(), lvs: Vec::new() },
            pools: None,
        }
    }
}

/// Takes the inventory of this world.
pub fn take(host: &dyn ReadHost, scope: &Scope) -> Inventory {
    take_knowing(host, scope, None)
}

/// Takes the inventory again: every byte is read anew, but a text that stands as it stood in
/// `known` need not be understood again.
pub fn take_again(host: &dyn ReadHost, scope: &Scope, known: &Inventory) -> Inventory {
    take_knowing(host, scope, Some(known))
}

fn take_knowing(host: &dyn ReadHost, scope: &Scope, known: Option<&Inventory>) -> Inventory {
    let live = host.live(known.and_then(|known| known.live.as_deref())).map(Arc::new);
    let scope = &with_lvm_dirs(host, scope, live.as_deref());
    let mut store = TextStore::knowing(known);
    let mut devices: Vec<Device> =
        host.devices().into_iter().map(|info| look_at(host, info, &mut store)).collect();
    // Again, for what changed meanwhile; how LVM2 is set up did not.
    let live = host.live(live.as_deref()).map(Arc::new);
    if let Some(live) = &live {
        set_aside::set_aside(&mut devices, live);
    }
    placement::mark_within_data(&mut devices, &store);
    if scope.depth == Depth::History {
        for device in &mut devices {
            let name = device.name.clone();
            for area in device.areas_mut() {
                areas::read_ring(host, &name, area, &mut store);
            }
        }
    }
    let mut found: BTreeMap<VgUuid, Vec<(MetadataText, Source)>> = BTreeMap::new();
    for (text, source) in sources_on(&devices, &store) {
        found.entry(text.vg_uuid).or_default().push((text, source));
    }
    let mut bad_files = Vec::new();
    for (text, source) in files::read_all(host, scope, &mut bad_files) {
        found.entry(text.vg_uuid).or_default().push((text, source));
    }
    let mut inventory = Inventory {
        realm: host.realm(),
        vgs: BTreeMap::new(),
        devices,
        targets: files::look_at_targets(host, &scope.targets),
        bad_files,
        texts: BTreeMap::new(),
        raid_metas: BTreeMap::new(),
        surroundings: Surroundings::default(),
        pools: BTreeMap::new(),
        trials: BTreeMap::new(),
        live,
    };
    let vgs = store.hand_over_texts(&mut inventory.texts);
    for (uuid, texts) in found {
        let standing = Standing::of(inventory.committed_copies(uuid));
        let current = current_of(&standing, &vgs);
        let timeline = Timeline::merged(texts);
        inventory.vgs.insert(uuid, VgOnDisk { uuid, timeline, standing, current });
    }
    tables::add_live_lvs(&mut inventory);
    if scope.contents {
        inventory.raid_metas = raid::look_at_legs(host, &inventory);
    }
    inventory.surroundings = surroundings::look_at(host, &inventory, &scope.needs);
    inventory.pools = pools::look_at_pools(host, &inventory);
    inventory.trials = pools::judge_pools(host, &inventory, scope.pools.as_ref(), known);
    inventory
}

/// On a running machine LVM2 tells where its files are, unless somebody said otherwise.
fn with_lvm_dirs(host: &dyn ReadHost, scope: &Scope, live: Option<&Live>) -> Scope {
    let mut scope = scope.clone();
    if let Some(live) = live {
        // LVM2 makes them when it first writes there.
        let is_there = |directory: &str| host.list_files(directory).is_ok();
        let or = |said: Option<String>, lvm: &str| {
            said.or_else(|| is_there(lvm).then(|| lvm.to_owned()))
        };
        scope.backup_dir = or(scope.backup_dir, &live.lvm.backup_dir);
        scope.archive_dir = or(scope.archive_dir, &live.lvm.archive_dir);
    }
    scope
}

fn look_at(host: &dyn ReadHost, info: DeviceInfo, store: &mut TextStore) -> Device {
    let mut signatures = Vec::new();
    let content = content_of(host, &info, store, &mut signatures)
        .unwrap_or_else(|error| Content::Unreadable(error.in_full().into()));
    // What looks like entries in front of a sound label is no table: LVM takes no device with one.
    let cut_off = if content == Content::PartitionTable { info.cut_off } else { Vec::new() };
    let DeviceInfo { name, number, links, size, read_only, .. } = info;
    Device { name, number, links, size, read_only, content, signatures, cut_off }
}

fn content_of(
    host: &dyn ReadHost,
    info: &DeviceInfo,
    store: &mut TextStore,
    signatures: &mut Vec<ForeignSignature>,
) -> Result<Content, HostError> {
    if info.has_partitions {
        return Ok(Content::PartitionTable);
    }
    let content = pv::look_for(host, info, store)?;
    if content == Content::Foreign || matches!(content, Content::LostLabel(_)) {
        if !info.cut_off.is_empty() {
            return Ok(Content::PartitionTable);
        }
        *signatures = pv::foreign_on(host, info);
    }
    Ok(content)
}

fn areas_of(devices: &[Device]) -> impl Iterator<Item = (&Device, usize, &MetadataArea)> {
    devices.iter().flat_map(|device| {
        device.areas().iter().enumerate().map(move |(i, area)| (device, i, area))
    })
}

/// Every text that stands on a device, with what points to it.
fn sources_on(devices: &[Device], store: &TextStore) -> Vec<(MetadataText, Source)> {
    let mut found = Vec::new();
    for (device, index, area) in areas_of(devices) {
        let place = |offset: Bytes, wrapped: bool| Place {
            device: device.name.clone(),
            area: index,
            offset: area.offset.saturating_add(offset),
            wrapped,
        };
        let mut pointed = Vec::new();
        let slots = area.header.good().copied().unwrap_or_default();
        let mut add = |key: Digest, source: Source| {
            found.extend(store.text(key).map(|text| (text.clone(), source)));
        };
        for (text, slot, is_committed) in [
            (&area.committed, slots.committed, true),
            (&area.precommitted, slots.precommitted, false),
        ] {
            let SlotText::Good(key) = text else { continue };
            let wraps = slot.offset.saturating_add(slot.size) > area.size;
            let place = place(slot.offset, wraps);
            pointed.push(slot.offset);
            add(
                *key,
                if is_committed { Source::Committed(place) } else { Source::Precommitted(place) },
            );
        }
        for text in &area.ring {
            if let (RingContent::Whole(key), false) = (&text.text, pointed.contains(&text.offset)) {
                add(*key, Source::Ring(place(text.offset, text.wrapped)));
            }
        }
    }
    found
}

fn current_of(standing: &Standing, vgs: &BTreeMap<Digest, Arc<Vg>>) -> Option<Arc<Vg>> {
    match standing {
        Standing::Clear { text, .. } => vgs.get(text).map(Arc::clone),
        Standing::None | Standing::Branches { .. } => None,
    }
}
