//! Metadata that has to be rebuilt, and what that loses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::diff::pools::Subject;
use crate::diff::pools::room::Room;
use crate::diff::pools::size::{Size, USED_PERCENT};
use crate::diff::{Change, Refusal, RefusalCode};
use crate::ids::{LvName, LvUuid};
use crate::model::thin_pool::{METADATA_BLOCK, PoolTrial, Rebuilt, ThinDevice};
use crate::plan::document::PoolMetadata;
use crate::units::{Bytes, Extents};

/// A pool whose metadata is rebuilt in a new LV, which takes the place of the old one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuiltPool {
    /// The pool.
    pub uuid: LvUuid,
    /// What it is called.
    pub name: LvName,
    /// What the new LV is called; later the old one.
    pub beside: LvName,
    /// How long the new metadata is.
    pub size: Extents,
    /// Whether the old metadata is repaired on the way, as it cannot be read as it stands.
    pub repair: bool,
    /// The devices that the new metadata must have, and how many blocks each maps at least.
    pub devices: Vec<RebuiltDevice>,
    /// How many mapped blocks may be lost, in all.
    pub max_lost_mappings: u64,
    /// Why, line by line.
    #[serde(default)]
    pub why: Vec<String>,
}

/// A device of a pool that is rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RebuiltDevice {
    /// Its number.
    pub device: u32,
    /// The thin LV that has it.
    pub lv: LvName,
    /// How many blocks the old metadata says it maps.
    pub mapped_blocks: u64,
}

impl Subject<'_> {
    /// The metadata in a new LV, as a trial on a copy showed it can be.
    pub(super) fn rebuild(
        &self,
        wanted: &PoolMetadata,
        trial: &PoolTrial,
        mut why: Vec<String>,
        room: &mut Room<'_>,
    ) -> Result<Change, Refusal> {
        let rebuilt = match &trial.rebuilt {
            Some(Ok(rebuilt)) => rebuilt,
            Some(Err(said)) => {
                let why = format!("{}. A rebuild on a copy failed: {said}", why.join("; "));
                return Err(self.refuse(RefusalCode::NotRecoverable, why).with_help(
                    "save the metadata LV as it is, and ask those who make thin-provisioning-tools; do \
                     not activate the pool",
                ));
            }
            None => return Err(self.refuse(RefusalCode::Unfit, "BUG: no rebuild was tried")),
        };
        let devices = self.devices()?;
        self.refuse_loss(wanted, rebuilt, &devices)?;
        let used = rebuilt.superblock.metadata;
        let size = Size {
            min: wanted.min_size,
            percent: Some(wanted.max_used_percent.unwrap_or(USED_PERCENT)),
            used: Some(Bytes::new(used.allocated.saturating_mul(METADATA_BLOCK.get()))),
        };
        let aim = size.aim().unwrap_or(Bytes::ZERO).get().div_ceil(self.extent().get().max(1));
        let size = Extents::new(aim).max(self.pool.metadata.len());
        let shown = size.bytes_shown(self.vg().extent_size);
        why.push(format!(
            "rebuilt on a copy it needs {} of metadata; the new volume is {shown} large",
            Bytes::new(used.allocated.saturating_mul(METADATA_BLOCK.get()))
        ));
        room.take(size);
        Ok(Change::RebuildPool(RebuiltPool {
            uuid: self.pool.lv.uuid,
            name: self.pool.lv.name.clone(),
            beside: self.beside()?,
            size,
            repair: trial.checked.is_err(),
            devices,
            max_lost_mappings: wanted.max_lost_mappings,
            why,
        }))
    }

    /// The devices of LVM's thin LVs, and what the old metadata says they map.
    fn devices(&self) -> Result<Vec<RebuiltDevice>, Refusal> {
        let details = self.pool.on_disk.and_then(|found| found.details.as_ref().ok());
        let Some(details) = details else {
            let why = "its list of devices cannot be read, so what a rebuild loses cannot be told";
            return Err(self.refuse(RefusalCode::UnknownLoss, why).with_help(
                "save the metadata LV as it is. `thin_dump -r` on a copy shows what can still be found",
            ));
        };
        let device = |(device, lv): (u32, &LvName)| {
            let mapped_blocks = details.get(&device).map_or(0, |found| found.mapped_blocks);
            RebuiltDevice { device, lv: lv.clone(), mapped_blocks }
        };
        Ok(self.pool.thin_lvs().into_iter().map(device).collect())
    }

    fn refuse_loss(
        &self,
        wanted: &PoolMetadata,
        rebuilt: &Rebuilt,
        devices: &[RebuiltDevice],
    ) -> Result<(), Refusal> {
        let losses = losses(devices, &rebuilt.details);
        let lost: u64 = losses.iter().fold(0, |sum, loss| sum.saturating_add(loss.lost));
        let is_gone = losses.iter().any(|loss| loss.is_gone);
        if !is_gone && lost <= wanted.max_lost_mappings {
            return Ok(());
        }
        let block = self.pool.chunk_size.bytes().unwrap_or(Bytes::ZERO);
        let shown: Vec<String> = losses.iter().map(|loss| loss.shown(block)).collect();
        let why = format!(
            "a rebuild loses more than the plan allows ({} blocks): {}",
            wanted.max_lost_mappings,
            shown.join("; ")
        );
        Err(self.refuse(RefusalCode::UnknownLoss, why).with_help(format!(
            "`max_lost_mappings: {lost}` allows it, where no LV is lost as a whole; first copy out what \
             can still be read"
        )))
    }

    /// A name for the new LV that nobody has: `POOL_meta0` and so on, as LVM calls old metadata.
    fn beside(&self) -> Result<LvName, Refusal> {
        let names = (0..1000).map(|number| format!("{}_meta{number}", self.pool.lv.name));
        let mut names = names.filter_map(|name| name.parse::<LvName>().ok());
        names
            .find(|name| self.vg().lv(name).is_none())
            .ok_or_else(|| self.refuse(RefusalCode::NameTaken, "no name is free for new metadata"))
    }
}

/// What a rebuild loses of a device.
pub struct Loss {
    /// The thin LV.
    pub lv: LvName,
    /// How many mapped blocks.
    pub lost: u64,
    /// Whether the device is not there at all.
    pub is_gone: bool,
}

impl Loss {
    /// For people.
    pub fn shown(&self, block: Bytes) -> String {
        let Self { lv, lost, is_gone } = self;
        let bytes = Bytes::new(lost.saturating_mul(block.get()));
        let whole = if *is_gone { ", the whole device" } else { "" };
        format!("LV {lv}: {lost} blocks ({bytes}){whole}")
    }
}

/// What new metadata lacks of these devices.
pub fn losses(devices: &[RebuiltDevice], found: &BTreeMap<u32, ThinDevice>) -> Vec<Loss> {
    let loss = |device: &RebuiltDevice| {
        let there = found.get(&device.device);
        let mapped = there.map_or(0, |there| there.mapped_blocks);
        let (lost, is_gone) = (device.mapped_blocks.saturating_sub(mapped), there.is_none());
        let lv = device.lv.clone();
        (lost > 0 || is_gone).then_some(Loss { lv, lost, is_gone })
    };
    devices.iter().filter_map(loss).collect()
}
