//! Live devices that no LV of the metadata has any more, and that hold nothing of their own: layers that
//! left the tree of an LV, and went on running.

use std::collections::BTreeSet;

use crate::ids::{LvName, LvUuid};
use crate::model::derived_tables::Derived;
use crate::model::live::{DevNumber, LvmLayer, MappedDevice};
use crate::model::parts::{Role, Roles};
use crate::model::table::{TableLine, Word};
use crate::model::table_alike::Numbers;
use crate::model::vg::{Lv, Vg};

/// Why a device is no part of any LV's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OffTree {
    /// The LV is there, and does not have this layer.
    LayerOf(LvName),
    /// All it lies on are parts of these LVs.
    SharesPartsOf(BTreeSet<LvName>),
    /// It leads nowhere.
    Empty,
}

/// Tells whether a device of the VG is a layer that left; none of a device that belongs to an LV, or may
/// be the only map to somebody's data.
pub fn off_tree(
    vg: &Vg,
    derived: &Derived,
    numbers: &Numbers<'_>,
    mapped: &MappedDevice,
) -> Option<OffTree> {
    let layer = mapped.layer.as_ref()?;
    if let Some(lv) = vg.lv_by_uuid(layer.lv) {
        return is_left_layer(vg, derived, layer).then(|| OffTree::LayerOf(lv.name.clone()));
    }
    let live = numbers.live(mapped);
    if live.iter().all(|line| matches!(line.target.as_str(), "error" | "zero")) {
        return Some(OffTree::Empty);
    }
    let owners = owners(vg, derived, &live)?;
    (!owners.is_empty()).then_some(OffTree::SharesPartsOf(owners))
}

/// Whether this is a part of a mirror or RAID LV as LVM 2.03.36 and newer name them: `-real`. What they load
/// otherwise nobody here has seen.
pub fn is_newer_part(vg: &Vg, mapped: &MappedDevice) -> bool {
    let Some(layer) = mapped.layer.as_ref().filter(|layer| layer.suffix == "real") else {
        return false;
    };
    let is_part = |lv: &Lv| {
        Roles::of(vg).users(&lv.name).iter().any(|(_, role)| {
            matches!(
                role,
                Role::MirrorImage
                    | Role::MirrorLog
                    | Role::RaidImage
                    | Role::RaidMeta
                    | Role::IntegrityOrigin
                    | Role::IntegrityMetadata
            )
        })
    };
    vg.lv_by_uuid(layer.lv).is_some_and(is_part)
}

/// A layer of a known LV that its devices do not include.
fn is_left_layer(vg: &Vg, derived: &Derived, layer: &LvmLayer) -> bool {
    if derived.opaque.contains(&layer.lv) || derived.device(layer).is_some() {
        return false;
    }
    let is_part = vg.lv_by_uuid(layer.lv).is_some_and(|lv| Roles::of(vg).is_part(&lv.name));
    // Stand-ins for what is missing; and LVM 2.03.36 says of parts what older versions do not.
    !(layer.suffix.starts_with("missing") || is_part && layer.suffix == "real")
}

/// The LVs whose parts these lines lie on; none when they lie on anything else, or hold content that is
/// reached by no other way.
fn owners(vg: &Vg, derived: &Derived, lines: &[TableLine]) -> Option<BTreeSet<LvName>> {
    let mut owners = BTreeSet::new();
    for line in lines {
        if !matches!(line.target.as_str(), "mirror" | "raid" | "error") {
            return None;
        }
        if line.args.iter().any(is_disk) {
            return None;
        }
        for layer in line.layers() {
            owners.insert(vg.lv_by_uuid(owner(derived, layer)?)?.name.clone());
        }
    }
    Some(owners)
}

/// A PV, or a device of which nothing is known.
fn is_disk(word: &Word) -> bool {
    match word {
        Word::Pv(_) => true,
        Word::Text(text) => DevNumber::parse(text).is_some(),
        Word::Layer(_) | Word::Option(..) => false,
    }
}

/// The LV whose device is to lie on this layer.
fn owner(derived: &Derived, layer: &LvmLayer) -> Option<LvUuid> {
    let names_it =
        |lines: &[TableLine]| lines.iter().flat_map(TableLine::layers).any(|l| l == layer);
    let mut devices = derived.devices.iter();
    let device =
        devices.find(|device| device.table.as_ref().is_some_and(|table| names_it(&table.lines)))?;
    Some(device.layer.lv)
}
