//! Metadata that has to be rebuilt, and what that loses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::diff::pools::Subject;
use crate::diff::pools::room::Room;
use crate::diff::pools::size::{Size, USED_PERCENT};
use crate::diff::{Change, Claim, Refusal, RefusalCode};
use crate::ids::{LvName, LvUuid};
use crate::model::extent_map::taken_by;
use crate::model::parts::parts_of;
use crate::model::pools::Transactions;
use crate::model::segment::SegmentKind;
use crate::model::thin_pool::{
    METADATA_BLOCK, METADATA_MAX, PoolMetadata, PoolTrial, Rebuilt, ThinDevice, ThinSuperblock,
};
use crate::model::vg::{Lv, Vg};
use crate::plan::document;
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
    /// The extents of the old metadata. LVM versions differ in whether names, UUIDs or tags change
    /// places in a swap; extents never do.
    pub old: Vec<Claim>,
    /// What the old metadata says of itself. The kernel writes other roots at every commit: as
    /// long as these stand nobody used the pool.
    pub seen: SeenMetadata,
    /// How long the new metadata is.
    pub size: Extents,
    /// Whether the old metadata is repaired on the way, as it cannot be read as it stands.
    pub repair: bool,
    /// The devices that the new metadata must have, and how many blocks each maps at least.
    pub devices: Vec<RebuiltDevice>,
    /// Why, line by line.
    #[serde(default)]
    pub why: Vec<String>,
}

/// What tells one state of a pool's metadata from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenMetadata {
    /// The transaction id.
    pub transaction_id: u64,
    /// The snapshot clock.
    pub time: u32,
    /// Block of the mapping tree's root.
    pub mapping_root: u64,
    /// Block of the device details tree's root.
    pub details_root: u64,
}

impl SeenMetadata {
    /// Of this superblock.
    pub fn of(superblock: &ThinSuperblock) -> Self {
        let ThinSuperblock { transaction_id, time, mapping_root, details_root, .. } = *superblock;
        Self { transaction_id, time, mapping_root, details_root }
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

impl Subject<'_> {
    /// The metadata in a new LV, as a trial on a copy showed it can be.
    pub(super) fn rebuild(
        &self,
        wanted: &document::PoolMetadata,
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
        self.refuse_unlike()?;
        let mut devices = self.devices()?;
        self.refuse_other_trees(rebuilt)?;
        self.refuse_loss(wanted, rebuilt, &devices)?;
        let block = self.pool.chunk_size.bytes().unwrap_or(Bytes::ZERO);
        for loss in losses(&devices, &rebuilt.details) {
            why.push(format!("loses {}, as the plan allows", loss.shown(block)));
            let lossy = devices.iter_mut().find(|device| device.device == loss.device);
            if let Some(device) = lossy {
                device.lost = loss.lost;
            }
        }
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
        if shown > METADATA_MAX.saturating_add(self.extent()) {
            let why =
                format!("its new metadata would be {shown} large: the kernel uses {METADATA_MAX}");
            return Err(self
                .refuse(RefusalCode::NoRoom, why)
                .with_help("a larger `max_used_percent`"));
        }
        room.take(size);
        Ok(Change::RebuildPool(RebuiltPool {
            uuid: self.pool.lv.uuid,
            name: self.pool.lv.name.clone(),
            beside: self.beside()?,
            seen: self.seen()?,
            old: extents_of(self.vg(), self.pool.metadata),
            size,
            repair: rebuilt.repaired,
            devices,
            why,
        }))
    }

    /// What a rebuild is not made for: metadata with redundancy, which the new would not have, and a
    /// pool at another transaction than LVM's text.
    fn refuse_unlike(&self) -> Result<(), Refusal> {
        let segments = &self.pool.metadata.segments;
        if !segments.iter().all(|s| matches!(s.kind, SegmentKind::Striped { .. })) {
            let why = "its metadata is on a mirror or RAID, and what is rebuilt would not be";
            return Err(self.refuse(RefusalCode::Unfit, why).with_help(
                "by hand: `lvcreate --type raid1`, `thin_dump`, `thin_restore`, `lvconvert --thinpool \
                 POOL --poolmetadata LV`",
            ));
        }
        if let Some(Transactions::Differ { pool, text }) = self.pool.transactions() {
            let why = format!(
                "the pool is at transaction {pool}, LVM's text at {text}, and its metadata is to be \
                 rebuilt: one of them went back in time"
            );
            return Err(self.refuse(RefusalCode::PoolContradiction, why).with_help(
                "find out which: `lvmend history list`, and older copies such as POOL_meta0",
            ));
        }
        Ok(())
    }

    /// A repair must have taken the trees that counted.
    fn refuse_other_trees(&self, rebuilt: &Rebuilt) -> Result<(), Refusal> {
        let old = self
            .pool
            .on_disk
            .and_then(|found| Some((found.superblock()?, found.details.as_ref().ok()?)));
        let other = old.and_then(|(superblock, details)| rebuilt.other_than(superblock, details));
        let Some(why) = other.filter(|_| rebuilt.repaired) else { return Ok(()) };
        let why = format!("what a repair finds is not what counted: {why}");
        Err(self.refuse(RefusalCode::UnknownLoss, why).with_help(
            "save the metadata LV as it is: the tools took older trees, and data written since would be \
             lost without a word",
        ))
    }

    /// Every device that the old metadata has, and LVM's name for it.
    fn devices(&self) -> Result<Vec<RebuiltDevice>, Refusal> {
        let details = self.pool.on_disk.and_then(|found| found.details.as_ref().ok());
        let Some(details) = details else {
            let why = "its list of devices cannot be read, so what a rebuild loses cannot be told";
            return Err(self.refuse(RefusalCode::UnknownLoss, why).with_help(
                "save the metadata LV as it is. `thin_dump -r` on a copy shows what can still be found",
            ));
        };
        self.refuse_lvs_without_device()?;
        let lvs = self.pool.thin_lvs();
        let device = |(device, found): (&u32, &ThinDevice)| RebuiltDevice {
            device: *device,
            lv: lvs.get(device).map(|lv| (*lv).clone()),
            mapped_blocks: found.mapped_blocks,
            lost: 0,
        };
        Ok(details.iter().map(device).collect())
    }

    fn seen(&self) -> Result<SeenMetadata, Refusal> {
        let superblock = self.pool.on_disk.and_then(PoolMetadata::superblock);
        superblock
            .map(SeenMetadata::of)
            .ok_or_else(|| self.refuse(RefusalCode::UnknownLoss, "its superblock cannot be read"))
    }

    fn refuse_loss(
        &self,
        wanted: &document::PoolMetadata,
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

/// The extents of an LV and of its parts.
pub fn extents_of(vg: &Vg, lv: &Lv) -> Vec<Claim> {
    let taken = taken_by(vg, std::iter::once(lv).chain(parts_of(vg, lv)));
    taken.iter().map(|(pv, ranges)| Claim::new(*pv, ranges)).collect()
}
