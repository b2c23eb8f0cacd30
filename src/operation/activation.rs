//! Activating and deactivating LVs by LVM2, many with one command.
//!
//! LVM2 takes care of what lies below an LV. What it does not: a snapshot is only activated with
//! its origin, which must be named; an LV flagged to be skipped needs `-K`; and it deactivates in
//! the order of the metadata, so what leans on another LV goes by a command before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diff::{ActiveLv, refuse_in_use};
use crate::ids::{LvName, LvUuid, VgName, VgUuid};
use crate::model::flags::LvFlag;
use crate::model::inventory::Inventory;
use crate::model::live::{DevNumber, Live, LvmLayer, MappedDevice};
use crate::model::parts::{activated_together, leaning_on, parts_of};
use crate::model::segment::SegmentKind;
use crate::model::vg::{Lv, Vg};
use crate::operation::act::Act;
use crate::operation::command::{devices_of_vg, devices_option, live_of, lvm, lvm_of};
use crate::operation::{Lowered, Probe, Unfit};
use crate::units::Sectors;

/// Names of LVs, for a title.
pub fn names(lvs: &[ActiveLv]) -> String {
    let names: Vec<&str> = lvs.iter().map(|lv| lv.name.as_str()).collect();
    names.join(", ")
}

/// What is special about each.
pub fn whys(lvs: &[ActiveLv]) -> Vec<String> {
    lvs.iter().filter_map(|lv| Some(format!("LV {}: {}", lv.name, lv.why.as_ref()?))).collect()
}

/// The VG as it counts now.
pub fn current(now: &Inventory, vg: VgUuid) -> Result<&Vg, Unfit> {
    let on_disk = now.vgs.get(&vg).and_then(|on_disk| on_disk.current.as_deref());
    on_disk.ok_or_else(|| Unfit::new("no text of the VG counts, so LVM knows none of its LVs"))
}

fn found<'vg>(vg: &'vg Vg, wanted: &ActiveLv) -> Result<&'vg Lv, Unfit> {
    match vg.lv_by_uuid(wanted.uuid) {
        Some(lv) if lv.name == wanted.name => Ok(lv),
        Some(lv) => Err(Unfit::new(format!("LV {} was renamed to {} since", wanted.name, lv.name))),
        None => Err(Unfit::new(format!("LV {} is not there any more", wanted.name))),
    }
}

/// `lvchange -ay` for those that are not up yet.
pub fn activate(now: &Inventory, vg: VgUuid, lvs: &[ActiveLv]) -> Result<Lowered, Unfit> {
    let (live, current) = (live_of(now)?, current(now, vg)?);
    // By what the command line needs: whether the flag to skip it counts, and read-only or not.
    // Or whether it is a part of a pool, which LVM asks about.
    let mut commands: BTreeMap<(bool, bool, bool), BTreeSet<&LvName>> = BTreeMap::new();
    let mut predicted = live.clone();
    for wanted in lvs.iter().filter(|lv| !live.is_up(vg, lv.uuid)) {
        let lv = found(current, wanted)?;
        let head = activated_together(current, lv).first().copied().unwrap_or(lv);
        let is_skipped = head.flags.has(LvFlag::ActivationSkip);
        let key = (is_skipped, wanted.read_only, !head.has_visible());
        commands.entry(key).or_default().insert(&head.name);
        predict_active(&mut predicted, current, lv, wanted.read_only);
    }
    let mut acts = Vec::new();
    for ((skipped, read_only, is_part), names) in commands {
        let mut args = vec!["lvchange".to_owned(), "-ay".to_owned()];
        args.extend(skipped.then(|| "-K".to_owned()));
        args.extend(is_part.then(|| "--yes".to_owned()));
        if read_only {
            args.extend(read_only_option(&current.name, &names));
        }
        acts.push(command(now, current, args, &names)?);
    }
    Ok(Lowered { acts, predicted: with_live(now, predicted) })
}

/// `lvchange -an` for those of which any device is there, while nobody uses them.
pub fn deactivate(now: &Inventory, vg: VgUuid, lvs: &[ActiveLv]) -> Result<Lowered, Unfit> {
    let (live, current) = (live_of(now)?, current(now, vg)?);
    let mut going: Vec<&Lv> = Vec::new();
    for wanted in lvs.iter().filter(|lv| live.is_active(vg, lv.uuid)) {
        let lv = found(current, wanted)?;
        if let Some(refusal) = refuse_in_use(live, current, lv, &[]) {
            return Err(Unfit::in_use(format!("{}: {}", refusal.object, refusal.why)));
        }
        going.push(lv);
    }
    let is_going = |lv: &Lv| going.iter().any(|other| other.uuid == lv.uuid);
    for lv in &going {
        let together = activated_together(current, lv).into_iter();
        let mut others = together.chain(leaning_on(current, lv));
        let stays = |other: &&Lv| !is_going(other) && live.is_active(vg, other.uuid);
        if let Some(other) = others.find(stays) {
            let why = format!("LV {} cannot go while LV {} is active", lv.name, other.name);
            return Err(Unfit::new(why));
        }
    }
    let mut acts = Vec::new();
    for names in in_order(current, &going) {
        let args = vec!["lvchange".to_owned(), "-an".to_owned()];
        acts.push(command(now, current, args, &names)?);
    }
    let mut predicted = live.clone();
    predict_inactive(&mut predicted, current, &going);
    Ok(Lowered { acts, predicted: with_live(now, predicted) })
}

/// What a command must name for this LV.
fn named<'vg>(vg: &'vg Vg, lv: &'vg Lv) -> &'vg LvName {
    activated_together(vg, lv).first().map_or(&lv.name, |head| &head.name)
}

/// The names that commands must give, command by command: nothing goes before what leans on it.
fn in_order<'vg>(vg: &'vg Vg, going: &[&'vg Lv]) -> Vec<BTreeSet<&'vg LvName>> {
    let mut left: Vec<&Lv> = going.to_vec();
    let mut commands = Vec::new();
    while !left.is_empty() {
        let is_left = |lv: &&Lv| left.iter().any(|other| other.uuid == lv.uuid);
        let is_free = |lv: &&Lv| !leaning_on(vg, lv).iter().any(is_left);
        let (mut free, rest): (Vec<&Lv>, Vec<&Lv>) = left.iter().copied().partition(is_free);
        left = rest;
        if free.is_empty() {
            // A text in which LVs lean on each other in a circle: LVM will say so.
            free = std::mem::take(&mut left);
        }
        commands.push(free.into_iter().map(|lv| named(vg, lv)).collect());
    }
    commands
}

/// Lets LVM2 take these LVs for read-only, whatever the metadata says, without writing any.
fn read_only_option(vg: &VgName, names: &BTreeSet<&LvName>) -> Vec<String> {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{vg}/{name}\"")).collect();
    let list = format!("activation/read_only_volume_list=[{}]", quoted.join(","));
    vec!["--config".to_owned(), list]
}

pub(super) fn command(
    now: &Inventory,
    vg: &Vg,
    mut args: Vec<String>,
    names: &BTreeSet<&LvName>,
) -> Result<Act, Unfit> {
    let setup = lvm_of(now)?;
    args.extend(devices_option(setup, &devices_of_vg(now, vg.uuid)));
    args.extend(names.iter().map(|name| format!("{}/{name}", vg.name)));
    Ok(Act::Run(lvm(setup, args)))
}

/// The same inventory with another state of the kernel.
pub fn with_live(now: &Inventory, live: Live) -> Inventory {
    Inventory { live: Some(Arc::new(live)), ..now.clone() }
}

/// The LV's own device comes; what LVM puts below it is left open.
pub(super) fn predict_active(live: &mut Live, vg: &Vg, lv: &Lv, read_only: bool) {
    let is_pool = lv.segments.iter().any(|s| matches!(s.kind, SegmentKind::ThinPool { .. }));
    let suffix = if is_pool { "pool" } else { "" };
    let layer = LvmLayer { vg: vg.uuid, lv: lv.uuid, suffix: suffix.to_owned() };
    live.mapped.retain(|mapped| mapped.layer.as_ref() != Some(&layer));
    let index = live.mapped.iter().filter(|mapped| mapped.number.is_predicted()).count();
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    let size = lv.len().sectors(vg.extent_size).unwrap_or(Sectors::ZERO);
    let mut device = MappedDevice::predicted(&vg.name, &lv.name, layer, size, index);
    device.read_only = read_only || is_pool || !lv.is_writable();
    let at = live.mapped.partition_point(|mapped| mapped.name <= device.name);
    live.mapped.insert(at, device);
}

/// The devices of these LVs and of their parts go, and what only they kept.
fn predict_inactive(live: &mut Live, vg: &Vg, going: &[&Lv]) {
    let parts = going.iter().flat_map(|lv| parts_of(vg, lv));
    let gone: BTreeSet<LvUuid> = going.iter().copied().chain(parts).map(|lv| lv.uuid).collect();
    let is_gone = |mapped: &MappedDevice| {
        mapped.layer.as_ref().is_some_and(|l| l.vg == vg.uuid && gone.contains(&l.lv))
    };
    let (removed, mut left): (Vec<_>, Vec<_>) =
        std::mem::take(&mut live.mapped).into_iter().partition(is_gone);
    let mut below: BTreeSet<DevNumber> = removed.iter().flat_map(MappedDevice::lies_on).collect();
    loop {
        let held: BTreeSet<DevNumber> = left.iter().flat_map(MappedDevice::lies_on).collect();
        // A layer that nothing lies on any more, such as that of a pool under its last thin LV.
        let is_idle = |mapped: &MappedDevice| {
            let is_layer = mapped
                .layer
                .as_ref()
                .is_some_and(|l| l.vg == vg.uuid && !l.suffix.is_empty() && l.suffix != "pool");
            is_layer && below.contains(&mapped.number) && !held.contains(&mapped.number)
        };
        let (idle, kept): (Vec<_>, Vec<_>) = left.into_iter().partition(is_idle);
        left = kept;
        if idle.is_empty() {
            break;
        }
        below.extend(idle.iter().flat_map(MappedDevice::lies_on));
    }
    live.mapped = left;
}

/// Whether all are up. What is not can simply be done again: only those are activated.
pub fn probe_active(now: &Inventory, vg: VgUuid, lvs: &[ActiveLv]) -> Probe {
    probe(now, vg, lvs, |live, lv| live.is_up(vg, lv.uuid))
}

/// Whether none has a device. What has can simply be done again: only those are deactivated.
pub fn probe_inactive(now: &Inventory, vg: VgUuid, lvs: &[ActiveLv]) -> Probe {
    probe(now, vg, lvs, |live, lv| !live.is_active(vg, lv.uuid))
}

fn probe(
    now: &Inventory,
    vg: VgUuid,
    lvs: &[ActiveLv],
    holds: impl Fn(&Live, &ActiveLv) -> bool,
) -> Probe {
    let (Ok(live), Ok(current)) = (live_of(now), current(now, vg)) else { return Probe::Neither };
    if lvs.iter().any(|lv| found(current, lv).is_err()) {
        Probe::Neither
    } else if lvs.iter().all(|lv| holds(live, lv)) {
        Probe::After
    } else {
        Probe::Before
    }
}
