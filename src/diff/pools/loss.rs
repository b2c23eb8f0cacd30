//! What a rebuild of a pool's metadata loses, and whether that can be known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::LvName;
use crate::model::thin_pool::{Compared, Coverage, Mend, Rebuilt, ThinDevice, ThinSuperblock};
use crate::units::{Bytes, Sectors};

/// What new metadata must tell, beside its devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The transaction id.
    pub transaction_id: u64,
    /// The snapshot clock.
    pub time: u32,
    /// How long a data block is.
    pub data_block: Sectors,
    /// How many data blocks there are.
    pub data_blocks: u64,
    /// Whether it maps what was in use; none where nobody can tell, and the plan accepts that.
    pub coverage: Option<Coverage>,
}

impl Expected {
    /// As this superblock has it.
    pub fn of(superblock: &ThinSuperblock, coverage: Option<Coverage>) -> Self {
        let ThinSuperblock { transaction_id, time, data_block, data, .. } = *superblock;
        Self { transaction_id, time, data_block, data_blocks: data.blocks, coverage }
    }
}

/// A device of a pool that is rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RebuiltDevice {
    /// Its number.
    pub device: u32,
    /// The thin LV that has it, when LVM knows one.
    pub lv: Option<LvName>,
    /// How many blocks the old metadata says it maps.
    pub mapped_blocks: u64,
    /// The transaction in which it was made.
    pub transaction_id: u64,
    /// The snapshot clock when it was made.
    pub creation_time: u32,
    /// The snapshot clock when it was last snapshotted.
    pub snapshot_time: u32,
    /// How many of them the rebuild loses, as the trial showed and the plan allows.
    pub lost: u64,
}

impl RebuiltDevice {
    /// For people.
    pub fn shown(&self) -> String {
        match &self.lv {
            Some(lv) => format!("LV {lv}"),
            None => format!("device {}, which no LV has", self.device),
        }
    }
}

/// What a rebuild loses of a device.
pub struct Loss {
    /// The device.
    pub device: u32,
    /// What it is, for people.
    pub what: String,
    /// How many mapped blocks.
    pub lost: u64,
    /// How many of them were foreseen.
    pub foreseen: u64,
    /// Whether the device is not there at all.
    pub is_gone: bool,
}

impl Loss {
    /// For people.
    pub fn shown(&self, block: Bytes) -> String {
        let Self { what, lost, is_gone, .. } = self;
        let bytes = Bytes::new(lost.saturating_mul(block.get()));
        let whole = if *is_gone { ", the whole device" } else { "" };
        format!("{what}: {lost} blocks ({bytes}){whole}")
    }
}

/// What new metadata lacks of these devices.
pub fn losses(devices: &[RebuiltDevice], found: &BTreeMap<u32, ThinDevice>) -> Vec<Loss> {
    let loss = |device: &RebuiltDevice| {
        let there = found.get(&device.device);
        let mapped = there.map_or(0, |there| there.mapped_blocks);
        let (lost, is_gone) = (device.mapped_blocks.saturating_sub(mapped), there.is_none());
        let (what, foreseen) = (device.shown(), device.lost);
        let device = device.device;
        (lost > 0 || is_gone).then_some(Loss { device, what, lost, foreseen, is_gone })
    };
    devices.iter().filter_map(loss).collect()
}

/// What speaks against ever giving this to the pool, whatever the plan accepts.
pub fn unusable(rebuilt: &Rebuilt) -> Option<String> {
    let Compared { differing, twice, .. } = &rebuilt.compared;
    match twice {
        Err(why) => return Some(format!("whether it maps a block twice cannot be told: {why}")),
        Ok(0) => {}
        Ok(count) => {
            return Some(format!(
                "{count} data blocks of it stand for two places: to write one volume would write over \
                 another"
            ));
        }
    }
    match (rebuilt.mend, differing) {
        (Some(Mend::Repair), _) => None,
        (_, Ok(differing)) if differing.is_empty() => None,
        (_, Ok(differing)) => {
            let ids: Vec<String> = differing.iter().map(u32::to_string).collect();
            Some(format!("its devices {} do not map what the old ones do", ids.join(", ")))
        }
        (_, Err(why)) => Some(format!("what the old metadata maps cannot be told: {why}")),
    }
}

/// What shows that a repair took other trees than those that counted: a tool may take older ones
/// that are whole, and says nothing.
pub fn other_trees(
    expected: Expected,
    devices: &[RebuiltDevice],
    rebuilt: &Rebuilt,
) -> Option<String> {
    let new = Expected::of(&rebuilt.new.superblock, None);
    let settings = |of: Expected| (of.data_block, of.data_blocks);
    if settings(new) != settings(expected) {
        return Some("it is for data of another size".to_owned());
    }
    if (new.transaction_id, new.time) != (expected.transaction_id, expected.time) {
        return Some(format!(
            "it is of transaction {} and snapshot {}, the old metadata of {} and {}",
            new.transaction_id, new.time, expected.transaction_id, expected.time
        ));
    }
    let against = |(id, found): (&u32, &ThinDevice)| {
        let Some(device) = devices.iter().find(|device| device.device == *id) else {
            return Some(format!("it has a device {id}, which the old metadata has not"));
        };
        let times = (device.transaction_id, device.creation_time, device.snapshot_time);
        if times != (found.transaction_id, found.creation_time, found.snapshot_time) {
            return Some(format!("its device {id} was made or snapshotted at another time"));
        }
        let (now, then) = (found.mapped_blocks, device.mapped_blocks);
        (now > then).then(|| format!("its device {id} maps {now} blocks, and mapped {then}"))
    };
    rebuilt.new.devices.iter().find_map(against)
}

/// Whether the run comes to what the trial came to.
pub fn other_coverage(expected: Expected, rebuilt: &Rebuilt) -> Option<String> {
    match (expected.coverage, &rebuilt.compared.coverage) {
        (None, _) => None,
        (Some(expected), Ok(found)) if expected == *found => None,
        (Some(_), Ok(_)) => Some("it maps other blocks".to_owned()),
        (Some(_), Err(why)) => Some(format!("which blocks were in use cannot be read: {why}")),
    }
}

/// What shows that repaired metadata is of another time than the space map, which tells of the blocks
/// that counted; `lost` are the blocks that its devices are known to lack.
pub fn uncovered(coverage: &Result<Coverage, String>, lost: u64) -> Option<String> {
    match coverage {
        Err(why) => Some(format!("which blocks were in use cannot be read: {why}")),
        Ok(Coverage { stray, .. }) if *stray > 0 => {
            Some(format!("it maps {stray} blocks that were not in use any more"))
        }
        Ok(Coverage { unmapped, .. }) if *unmapped > lost => {
            Some(format!("it does not map {unmapped} blocks that were in use"))
        }
        Ok(Coverage { .. }) => None,
    }
}
