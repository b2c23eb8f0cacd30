//! What changed between two versions of a VG, as a person would tell it.
//!
//! LVs and PVs are matched by UUID, never by name or section. Hidden parts that come or go with
//! their LV are counted there and not listed one by one.

mod lv;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::ids::{ForeignText, LvName, LvUuid, PvUuid, VgName};
use crate::model::flags::{PvStatus, Word, Words};
use crate::model::parts::{Roles, parts_of};
use crate::model::vg::{Lv, Pv, Vg};
use crate::units::{Bytes, Extents};

pub use lv::differences_of_lv;

/// One thing that differs. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields say what they are; each variant is documented")]
pub enum Difference {
    /// The VG has another name.
    VgRenamed { from: VgName, to: VgName },
    /// A plain setting of the VG.
    VgSetting { setting: &'static str, from: String, to: String },
    /// A PV joined.
    PvAdded { pv: PvUuid, device: Option<ForeignText>, size: Bytes },
    /// A PV left.
    PvRemoved { pv: PvUuid, device: Option<ForeignText>, size: Bytes },
    /// A PV was absent when the VG was written.
    PvMissing { pv: PvUuid },
    /// The mark that it was absent is gone.
    PvReturned { pv: PvUuid },
    /// A PV has another size.
    PvResized { pv: PvUuid, from: Bytes, to: Bytes },
    /// A plain setting of a PV.
    PvSetting { pv: PvUuid, setting: &'static str, from: String, to: String },
    /// An LV is new.
    LvAdded {
        lv: LvName,
        uuid: LvUuid,
        size: Bytes,
        segment_type: String,
        hidden: bool,
        parts: usize,
    },
    /// An LV is gone.
    LvRemoved {
        lv: LvName,
        uuid: LvUuid,
        size: Bytes,
        segment_type: String,
        hidden: bool,
        parts: usize,
    },
    /// An LV has another name.
    LvRenamed { uuid: LvUuid, from: LvName, to: LvName },
    /// An LV is larger.
    LvGrown { lv: LvName, by: Bytes, to: Bytes },
    /// An LV is smaller.
    LvShrunk { lv: LvName, by: Bytes, to: Bytes },
    /// An LV is of another type.
    LvConverted { lv: LvName, from: String, to: String },
    /// An LV of the same size lies on other extents.
    LvMoved { lv: LvName, from: String, to: String },
    /// A plain setting of an LV.
    LvSetting { lv: LvName, setting: &'static str, from: String, to: String },
}

/// Everything that differs between two versions: VG, then PVs, then LVs, in the order of `to`
/// with what vanished last.
pub fn differences(from: &Vg, to: &Vg) -> Vec<Difference> {
    let mut found = vg_differences(from, to);
    pv_differences(from, to, &mut found);
    lv_differences(from, to, &mut found);
    found
}

/// Words of a set, for showing.
fn words_shown<W: Word>(words: Words<W>) -> String {
    let words: Vec<_> = words.iter().map(Word::text).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(" ") }
}

/// Tags and other lists, for showing.
fn list_shown(items: &[ForeignText]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(" ") }
}

/// An optional text, for showing.
fn option_shown<T: fmt::Display>(item: Option<&T>) -> String {
    item.map_or_else(|| "none".to_owned(), ToString::to_string)
}

fn vg_differences(from: &Vg, to: &Vg) -> Vec<Difference> {
    let mut found = Vec::new();
    if from.name != to.name {
        found.push(Difference::VgRenamed { from: from.name.clone(), to: to.name.clone() });
    }
    let mut setting = |setting, from: String, to: String| {
        if from != to {
            found.push(Difference::VgSetting { setting, from, to });
        }
    };
    setting("status", words_shown(from.status), words_shown(to.status));
    setting("flags", words_shown(from.flags), words_shown(to.flags));
    setting("tags", list_shown(&from.tags), list_shown(&to.tags));
    setting(
        "system ID",
        option_shown(from.system_id.as_ref()),
        option_shown(to.system_id.as_ref()),
    );
    setting(
        "lock type",
        option_shown(from.lock_type.as_ref()),
        option_shown(to.lock_type.as_ref()),
    );
    setting("extent size", from.extent_size.to_string(), to.extent_size.to_string());
    setting("metadata copies", from.metadata_copies.to_string(), to.metadata_copies.to_string());
    setting(
        "allocation policy",
        option_shown(from.allocation.as_ref()),
        option_shown(to.allocation.as_ref()),
    );
    found
}

fn pv_size(vg: &Vg, pv: &Pv) -> Bytes {
    pv.pe_count.bytes_shown(vg.extent_size)
}

fn pv_differences(from: &Vg, to: &Vg, found: &mut Vec<Difference>) {
    for new in &to.pvs {
        let pv = new.uuid;
        let Some(old) = from.pv(pv) else {
            let device = new.device_hint.clone();
            found.push(Difference::PvAdded { pv, device, size: pv_size(to, new) });
            continue;
        };
        match (old.is_missing(), new.is_missing()) {
            (false, true) => found.push(Difference::PvMissing { pv }),
            (true, false) => found.push(Difference::PvReturned { pv }),
            (true, true) | (false, false) => {}
        }
        if old.pe_count != new.pe_count {
            let (from, to) = (pv_size(from, old), pv_size(to, new));
            found.push(Difference::PvResized { pv, from, to });
        }
        let mut setting = |setting, from: String, to: String| {
            if from != to {
                found.push(Difference::PvSetting { pv, setting, from, to });
            }
        };
        let allocatable = |pv: &Pv| pv.status.has(PvStatus::Allocatable).to_string();
        setting("allocatable", allocatable(old), allocatable(new));
        setting("tags", list_shown(&old.tags), list_shown(&new.tags));
        setting("data start", old.pe_start.to_string(), new.pe_start.to_string());
    }
    for old in from.pvs.iter().filter(|old| to.pv(old.uuid).is_none()) {
        let (pv, device) = (old.uuid, old.device_hint.clone());
        found.push(Difference::PvRemoved { pv, device, size: pv_size(from, old) });
    }
}

/// LVs by UUID: large VGs must not be searched LV by LV.
fn by_uuid(vg: &Vg) -> BTreeMap<LvUuid, &Lv> {
    vg.lvs.iter().map(|lv| (lv.uuid, lv)).collect()
}

fn lv_differences(from: &Vg, to: &Vg, found: &mut Vec<Difference>) {
    let (old, new) = (by_uuid(from), by_uuid(to));
    for lv in &to.lvs {
        if let Some(before) = old.get(&lv.uuid) {
            found.extend(differences_of_lv((from, before), (to, lv)));
        }
    }
    for (lv, parts, hidden) in tops_not_in(to, &old) {
        found.push(Difference::LvAdded {
            lv: lv.name.clone(),
            uuid: lv.uuid,
            size: lv.len().bytes_shown(to.extent_size),
            segment_type: segment_type(lv),
            hidden,
            parts,
        });
    }
    for (lv, parts, hidden) in tops_not_in(from, &new) {
        found.push(Difference::LvRemoved {
            lv: lv.name.clone(),
            uuid: lv.uuid,
            size: lv.len().bytes_shown(from.extent_size),
            segment_type: segment_type(lv),
            hidden,
            parts,
        });
    }
}

/// LVs of this VG that the other does not have, each with the number of its parts that it does
/// not have either, and without those parts themselves.
fn tops_not_in<'vg>(vg: &'vg Vg, other: &BTreeMap<LvUuid, &Lv>) -> Vec<(&'vg Lv, usize, bool)> {
    let is_new = |lv: &Lv| !other.contains_key(&lv.uuid);
    if !vg.lvs.iter().any(is_new) {
        return Vec::new();
    }
    let roles = Roles::of(vg);
    let mut tops = Vec::new();
    for lv in vg.lvs.iter().filter(|lv| is_new(lv)) {
        let top = roles.top_of(lv);
        if top.uuid != lv.uuid && is_new(top) {
            continue;
        }
        let parts = parts_of(vg, lv).into_iter().filter(|part| is_new(part)).count();
        tops.push((lv, parts, !roles.is_shown(lv)));
    }
    tops
}

/// The segment types of an LV, each once, in order.
pub(crate) fn segment_type(lv: &Lv) -> String {
    let mut names: Vec<String> = lv.segments.iter().map(|s| s.kind.type_name()).collect();
    names.dedup();
    names.join("+")
}

fn extents_shown(vg: &Vg, extents: Extents) -> Bytes {
    extents.bytes_shown(vg.extent_size)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = |device: &Option<ForeignText>| {
            device.as_ref().map(|d| format!(", last at {d}")).unwrap_or_default()
        };
        let lv_kind = |hidden: bool| if hidden { "hidden LV" } else { "LV" };
        let with_parts = |parts: usize| match parts {
            0 => String::new(),
            1 => ", with 1 hidden part".to_owned(),
            n => format!(", with {n} hidden parts"),
        };
        match self {
            Self::VgRenamed { from, to } => write!(f, "VG {from} renamed to {to}"),
            Self::VgSetting { setting, from, to } => write!(f, "VG {setting}: {from} -> {to}"),
            Self::PvAdded { pv, device: at, size } => {
                write!(f, "PV {pv} added ({size}{})", device(at))
            }
            Self::PvRemoved { pv, device: at, size } => {
                write!(f, "PV {pv} removed ({size}{})", device(at))
            }
            Self::PvMissing { pv } => write!(f, "PV {pv} flagged MISSING"),
            Self::PvReturned { pv } => write!(f, "PV {pv} no longer flagged MISSING"),
            Self::PvResized { pv, from, to } => write!(f, "PV {pv} resized from {from} to {to}"),
            Self::PvSetting { pv, setting, from, to } => {
                write!(f, "PV {pv} {setting}: {from} -> {to}")
            }
            Self::LvAdded { lv, size, segment_type, hidden, parts, .. } => {
                let (kind, parts) = (lv_kind(*hidden), with_parts(*parts));
                write!(f, "{kind} {lv} added ({size}, {segment_type}{parts})")
            }
            Self::LvRemoved { lv, size, segment_type, hidden, parts, .. } => {
                let (kind, parts) = (lv_kind(*hidden), with_parts(*parts));
                write!(f, "{kind} {lv} removed ({size}, {segment_type}{parts})")
            }
            Self::LvRenamed { from, to, .. } => write!(f, "LV {from} renamed to {to}"),
            Self::LvGrown { lv, by, to } => write!(f, "LV {lv} grown by {by} to {to}"),
            Self::LvShrunk { lv, by, to } => write!(f, "LV {lv} shrunk by {by} to {to}"),
            Self::LvConverted { lv, from, to } => {
                write!(f, "LV {lv} converted from {from} to {to}")
            }
            Self::LvMoved { lv, from, to } => write!(f, "LV {lv} moved from {from} to {to}"),
            Self::LvSetting { lv, setting, from, to } => {
                write!(f, "LV {lv} {setting}: {from} -> {to}")
            }
        }
    }
}
