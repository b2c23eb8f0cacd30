//! Live devices of the VG whose LV the metadata does not know. LVM does not see them, and takes
//! the extents they map for free; they may be the only map to somebody's data, and are never
//! touched.

use std::collections::{BTreeMap, BTreeSet};

use crate::diff::live::Subject;
use crate::diff::tables::is_removed;
use crate::diff::{BaseVersion, Change, Diff, LostLv, Refusal, RefusalCode};
use crate::ids::{LvUuid, PvUuid, VgName};
use crate::model::extent_map::{ExtentMap, ExtentRange, joined, taken_by};
use crate::model::inventory::Inventory;
use crate::model::live::{DevNumber, Live, MappedDevice, TargetLine};
use crate::model::vg::{Lv, Pv, Vg};
use crate::text::vg_of;
use crate::units::{Extents, Sectors};

/// A live device of the VG whose LV the metadata does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray<'a> {
    /// The device.
    pub device: &'a MappedDevice,
    /// The LV that its UUID names.
    pub lv: LvUuid,
    /// The extents it maps.
    pub held: Held,
}

/// Extents that tables map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// By PV, sorted and joined.
    pub extents: BTreeMap<PvUuid, Vec<ExtentRange>>,
    /// Devices that are named and could be a PV by another number: they are not there, as when a
    /// PV went away and came back, or a PV lies on them. What is mapped there cannot be told.
    pub unknown: BTreeSet<DevNumber>,
}

/// Every stray device of this VG, by name.
pub fn strays<'a>(inventory: &Inventory, live: &'a Live, vg: &Vg) -> Vec<Stray<'a>> {
    let known: BTreeSet<LvUuid> = vg.lvs.iter().map(|lv| lv.uuid).collect();
    let mut found = Vec::new();
    for device in live.mapped_of_vg(vg.uuid) {
        let Some(lv) = device.layer.as_ref().map(|layer| layer.lv) else {
            continue;
        };
        if !known.contains(&lv) {
            found.push(Stray { device, lv, held: held_by(inventory, live, vg, device) });
        }
    }
    found
}

/// The extents of this VG that a device's tables map, the live and the waiting one.
fn held_by(inventory: &Inventory, live: &Live, vg: &Vg, device: &MappedDevice) -> Held {
    let mut held = Held::default();
    let pvs = vg.pvs.iter().flat_map(|pv| inventory.devices_of(pv.uuid));
    let pvs: Vec<DevNumber> = pvs.filter_map(|device| device.number).collect();
    let under_pvs = live.below(&pvs);
    let is_of_vg = |mapped: &MappedDevice| mapped.layer.as_ref().is_some_and(|l| l.vg == vg.uuid);
    let could_be_pv = |number: DevNumber| {
        let mapped = live.mapped_by_number(number);
        let is_there = mapped.is_some() || live.node_by_number(number).is_some();
        let is_over_pv = || live.below(&[number]).iter().any(|below| pvs.contains(below));
        !mapped.is_some_and(is_of_vg) && (!is_there || under_pvs.contains(&number) || is_over_pv())
    };
    for (number, place) in device.live.iter().chain(&device.inactive).flat_map(places) {
        let on = inventory.devices.iter().find(|d| d.number == Some(number));
        let pv = on.and_then(|d| d.pv()).and_then(|on| vg.pv(on.uuid));
        if let Some(pv) = pv {
            held.extents.entry(pv.uuid).or_default().extend(extents(vg, pv, place));
        } else if could_be_pv(number) {
            held.unknown.insert(number);
        }
    }
    for ranges in held.extents.values_mut() {
        *ranges = joined(std::mem::take(ranges));
    }
    held.extents.retain(|_, ranges| !ranges.is_empty());
    held
}

/// The devices of a line, and which of their sectors it maps: first and how many. Where that is
/// not known it is all of them.
fn places(line: &TargetLine) -> Vec<(DevNumber, Option<(Sectors, Sectors)>)> {
    let words: Vec<&str> = line.args.raw().split_whitespace().collect();
    let len = match line.target.as_str() {
        "linear" => Some(line.len),
        "striped" => {
            let stripes = words.first().and_then(|n| n.parse::<u64>().ok()).unwrap_or(1).max(1);
            Some(Sectors::new(line.len.get().div_ceil(stripes)))
        }
        _ => None,
    };
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let Some(number) = DevNumber::parse(word) else {
            continue;
        };
        let start = words.get(index.saturating_add(1)).and_then(|next| next.parse().ok());
        let place = start.map(Sectors::new).and_then(|start| Some((start, len?)));
        found.push((number, place));
    }
    found
}

/// The extents that these sectors of a PV touch.
fn extents(vg: &Vg, pv: &Pv, place: Option<(Sectors, Sectors)>) -> Option<ExtentRange> {
    let all = ExtentRange::new(Extents::ZERO, pv.pe_count);
    let Some((start, len)) = place else {
        return all;
    };
    let size = vg.extent_size.get().max(1);
    let end = start.saturating_add(len).saturating_sub(pv.pe_start).get().div_ceil(size);
    let first = start.saturating_sub(pv.pe_start).get() / size;
    let touched = ExtentRange { first: Extents::new(first), end: Extents::new(end) };
    all?.intersection(&touched)
}

pub(super) fn check(subject: &Subject<'_>, diff: &mut Diff) {
    let vg = subject.vg();
    let found = strays(subject.context.inventory, subject.live, vg);
    if found.is_empty() {
        return;
    }
    let lost: Vec<(&LostLv, Vec<(LvUuid, Held)>)> = diff
        .changes
        .iter()
        .filter_map(Change::recovered)
        .map(|lost| (lost, described(subject, lost)))
        .collect();
    let map = ExtentMap::of(vg);
    let (mut refusals, mut notes) = (Vec::new(), Vec::new());
    for stray in &found {
        match judge(subject, &map, stray, &lost) {
            Ok(note) => notes.extend((!is_removed(diff, stray.device)).then_some(note)),
            Err(refusal) => refusals.push(refusal),
        }
    }
    diff.refusals.extend(refusals);
    diff.notes.extend(notes);
}

/// What the version that an LV comes back from says of the extents of the LV and of its parts.
fn described(subject: &Subject<'_>, lost: &LostLv) -> Vec<(LvUuid, Held)> {
    let versions = subject.context.vg.timeline.versions();
    let version = versions.iter().find(|version| version.content() == lost.content);
    let Some(old) = version.and_then(|version| vg_of(&version.text).ok()) else {
        return Vec::new();
    };
    let parts = lost.names.iter().filter_map(|(name, _)| old.lv(name));
    let extents = |lv: &Lv| Held { extents: taken_by(&old, [lv]), unknown: BTreeSet::new() };
    parts.map(|lv| (lv.uuid, extents(lv))).collect()
}

/// Whether the plan can be done beside this device, and what is worth knowing then.
fn judge(
    subject: &Subject<'_>,
    map: &ExtentMap<'_>,
    stray: &Stray<'_>,
    lost: &[(&LostLv, Vec<(LvUuid, Held)>)],
) -> Result<String, Refusal> {
    let vg = &subject.vg().name;
    let held = &stray.held;
    for (lv, parts) in lost {
        if let Some((_, described)) = parts.iter().find(|(uuid, _)| *uuid == stray.lv) {
            return is_own(stray, lv, described);
        }
    }
    if let Some((lv, _)) = lost.first().filter(|_| !held.unknown.is_empty()) {
        let why =
            format!("whether LV {} of this plan needs what it maps cannot be told", lv.as_name);
        return Err(refusal(vg, stray, &why));
    }
    for (lv, _) in lost {
        for claim in &lv.claims {
            let ranges = claim.extents.iter().filter_map(|(first, len)| {
                ExtentRange::new(Extents::new(*first), Extents::new(*len))
            });
            if let Some(both) = common(held, claim.pv, ranges).first() {
                let name = &lv.as_name;
                let why = format!("LV {name} of this plan needs extents {both} of PV {}", claim.pv);
                return Err(refusal(vg, stray, &why));
            }
        }
    }
    let taken = held.extents.iter().find_map(|(pv, ranges)| {
        let owners = ranges.iter().flat_map(|range| map.owners_in(*pv, *range));
        owners.map(|(range, lv)| (*pv, range, lv)).next()
    });
    let what = shown(stray);
    match taken {
        Some((pv, range, lv)) if subject.base.version != BaseVersion::Current => {
            let why = format!(
                "the version that this plan makes count gives extents {range} of PV {pv} to LV {lv}"
            );
            Err(refusal(vg, stray, &why))
        }
        Some((pv, range, lv)) => Ok(format!(
            "{what} Extents {range} of PV {pv} belong to LV {lv} as well: whoever writes to one \
             destroys the other. It is left alone"
        )),
        None => Ok(format!(
            "{what} It is left alone; do not reboot and do not remove it before its content is saved"
        )),
    }
}

/// A device of the very LV that comes back: good, where it maps what the metadata will say.
fn is_own(stray: &Stray<'_>, lv: &LostLv, described: &Held) -> Result<String, Refusal> {
    let Stray { device, held, .. } = stray;
    let is_described = |(pv, range): (&PvUuid, &ExtentRange)| {
        let there = described.extents.get(pv).into_iter().flatten();
        there.filter_map(|other| other.intersection(range)).any(|both| both == *range)
    };
    let mut ranges = held.extents.iter().flat_map(|(pv, all)| all.iter().map(move |r| (pv, r)));
    if held.unknown.is_empty() && ranges.all(is_described) {
        return Ok(format!(
            "LV {} is still active as {} ({}), and maps nothing but what the metadata will \
             say. Somebody may be using it: it is left alone",
            lv.as_name, device.name, device.number
        ));
    }
    let why = format!(
        "it is LV {} itself, still active, and its table maps other extents than seqno {} describes: \
         the LV was changed since",
        lv.name, lv.seqno
    );
    let help = format!(
        "another version may describe what is mapped: `recover_from: {{seqno: …}}`; see `lvmend \
         history list` and {}. Copy its content out before anything else: it is there to be read",
        table_command(device)
    );
    Err(Refusal::new(RefusalCode::StrayDevice, object(device), why).with_help(help))
}

/// What both have.
fn common(held: &Held, pv: PvUuid, ranges: impl Iterator<Item = ExtentRange>) -> Vec<ExtentRange> {
    let there = held.extents.get(&pv).map_or(&[][..], Vec::as_slice);
    ranges.flat_map(|range| there.iter().filter_map(move |o| o.intersection(&range))).collect()
}

fn object(device: &MappedDevice) -> String {
    format!("device {} ({})", device.name, device.number)
}

fn table_command(device: &MappedDevice) -> String {
    format!("`dmsetup table {}`", device.name.typed())
}

/// What the device is, in a sentence.
fn shown(stray: &Stray<'_>) -> String {
    let Stray { device, lv, held } = stray;
    let mut places: Vec<String> = Vec::new();
    for (pv, ranges) in &held.extents {
        let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        places.push(format!("extents {} of PV {pv}", ranges.join(", ")));
    }
    let unknown = held.unknown.iter().map(|number| format!("device {number}, which is no PV now"));
    places.extend(unknown);
    let maps = if places.is_empty() { "no extent".to_owned() } else { places.join("; ") };
    format!(
        "{} is live although the metadata does not know its LV {lv}; it maps {maps}.",
        object(device)
    )
}

fn refusal(vg: &VgName, stray: &Stray<'_>, because: &str) -> Refusal {
    let device = stray.device;
    let why = format!("{} But {because}", shown(stray));
    let help = format!(
        "it may be the only map to data of VG {vg}: keep what {} prints, and copy its content out, \
         or bring the LV back from it with `recover_from: device_table`. Only when nobody needs it any more: `dmsetup remove {}`, then plan again",
        table_command(device),
        device.name.typed()
    );
    Refusal::new(RefusalCode::StrayDevice, object(device), why).with_help(help)
}

/// For operations in which LVM chooses extents by itself: it takes what stray devices map for
/// free. Refused for each that maps extents nobody owns, or that maps what cannot be told.
pub fn refuse_allocation(inventory: &Inventory, live: &Live, vg: &Vg) -> Vec<Refusal> {
    let map = ExtentMap::of(vg);
    let is_free = |pv: PvUuid, range: &ExtentRange| {
        let owned: u64 = map.owners_in(pv, *range).iter().map(|(both, _)| both.len().get()).sum();
        owned < range.len().get()
    };
    let could_be_given = |stray: &Stray<'_>| {
        let mut ranges =
            stray.held.extents.iter().flat_map(|(pv, all)| all.iter().map(|r| (*pv, r)));
        !stray.held.unknown.is_empty() || ranges.any(|(pv, range)| is_free(pv, range))
    };
    let found = strays(inventory, live, vg).into_iter().filter(could_be_given);
    let why = "LVM takes what it maps for free, and this plan lets LVM choose extents";
    found.map(|stray| refusal(&vg.name, &stray, why)).collect()
}
