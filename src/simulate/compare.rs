//! Holding the world to a prediction.

use crate::ids::VgUuid;
use crate::model::choice::Standing;
use crate::model::compare::differences;
use crate::model::device::{AreaHeader, Content, Device, MetadataArea, Slots};
use crate::model::inventory::Inventory;

/// Everything about this VG that is not as predicted, for people; empty when all is.
///
/// What the prediction says no different from before must not have changed: both are covered,
/// since a prediction is a whole inventory. Old texts in rings are not compared: which of them a
/// new text overwrites is of no consequence.
pub fn unexpected(predicted: &Inventory, observed: &Inventory, vg: VgUuid) -> Vec<String> {
    let mut found = Vec::new();
    let of = |inventory: &Inventory| inventory.vgs.get(&vg).cloned();
    match (of(predicted), of(observed)) {
        (Some(predicted), Some(observed)) => {
            if predicted.standing.content() != observed.standing.content() {
                found.push("another metadata text counts than the one predicted".to_owned());
            }
            if let (Some(expected), Some(vg)) = (&predicted.current, &observed.current) {
                let what = differences(expected, vg);
                found.extend(what.iter().map(|difference| format!("unexpected: {difference}")));
            }
        }
        // A short look does not read rings: a VG without a text that counts may not show at all.
        (Some(predicted), None) if predicted.standing != Standing::None => {
            found.push("nothing of the VG can be found any more".to_owned());
        }
        (Some(_) | None, _) => {}
    }
    for expected in &predicted.devices {
        let is_it = |device: &&Device| device.name == expected.name;
        match observed.devices.iter().find(is_it) {
            None => found.push(format!("{} is gone", expected.name)),
            Some(device) if !is_same(&expected.content, &device.content) => {
                found.push(format!("{}: label or metadata areas differ", expected.name));
            }
            Some(_) => {}
        }
    }
    found
}

fn is_same(expected: &Content, observed: &Content) -> bool {
    match (expected, observed) {
        (Content::Pv(expected), Content::Pv(observed)) => {
            let (mut one, mut other) = (expected.clone(), observed.clone());
            one.areas = without_rings(&one.areas);
            other.areas = without_rings(&other.areas);
            one == other
        }
        (Content::LostLabel(expected), Content::LostLabel(observed)) => {
            expected.remains == observed.remains
                && without_rings(&expected.areas) == without_rings(&observed.areas)
        }
        (Content::PartitionTable, Content::PartitionTable)
        | (Content::Foreign, Content::Foreign) => true,
        (Content::Unreadable(expected), Content::Unreadable(observed)) => expected == observed,
        (
            Content::Pv(_)
            | Content::LostLabel(_)
            | Content::PartitionTable
            | Content::Foreign
            | Content::Unreadable(_),
            _,
        ) => false,
    }
}

/// Areas without what is of no consequence: old texts, and what exactly is wrong with a header.
fn without_rings(areas: &[MetadataArea]) -> Vec<MetadataArea> {
    let bare = |area: &MetadataArea| {
        let header = match &area.header {
            AreaHeader::Good(slots) => AreaHeader::Good(*slots),
            AreaHeader::Damaged { .. } => {
                AreaHeader::Damaged { damage: Vec::new(), slots: Slots::default() }
            }
        };
        MetadataArea { header, ring: Vec::new(), ..area.clone() }
    };
    areas.iter().map(bare).collect()
}
