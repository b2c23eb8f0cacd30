//! Thin pools that are not as a plan wants them.
//!
//! What ails a pool is decided once, here, by what is observed; the operations do what was decided
//! and hold the world to it.

mod loss;
mod lost_lv;
mod rebuild;
mod room;
mod salvage;
mod size;
mod spare;

use serde::{Deserialize, Serialize};

use crate::diff::live::refuse_allocation;
use crate::diff::pools::room::Room;
use crate::diff::pools::spare::missing_spare;
use crate::diff::{Base, Change, Claim, Context, Diff, Refusal, RefusalCode};
use crate::ids::{Digest, LvName, LvUuid};
use crate::model::inventory::Realm;
use crate::model::live::PoolMode;
use crate::model::pools::{Pool, Transactions, pool};
use crate::model::thin_pool::{PoolMetadata as OnDisk, PoolTrial};
use crate::model::vg::{Lv, Vg};
use crate::plan::document::{PoolMetadata, PoolMethod};
use crate::plan::hazard::Hazard;
use crate::plan::resolve::WantedPool;
use crate::units::{Bytes, Extents};

pub use loss::{Expected, Loss, RebuiltDevice, losses, other_coverage, other_trees, unusable};
pub use lost_lv::LostThinLv;
pub use rebuild::{RebuiltPool, extents_of};
pub use spare::NewSpare;

/// A pool that is made larger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargerPool {
    /// The pool.
    pub uuid: LvUuid,
    /// What it is called.
    pub name: LvName,
    /// How long its metadata is to be, when that is too short.
    pub metadata: Option<Extents>,
    /// How long its data is to be, when that is too short.
    pub data: Option<Extents>,
    /// The extents that its metadata becomes longer by, on images; else LVM chooses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata_place: Vec<Claim>,
    /// Those of its data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_place: Vec<Claim>,
    /// The digest of its metadata's first block, on images: another one once somebody used the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Digest>,
    /// Why, line by line.
    pub why: Vec<String>,
}

/// A pool whose flag is cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlaggedPool {
    /// The pool.
    pub uuid: LvUuid,
    /// What it is called.
    pub name: LvName,
}

/// A pool whose transaction id LVM's text has wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberedPool {
    /// The pool.
    pub uuid: LvUuid,
    /// What it is called.
    pub name: LvName,
    /// The number in LVM's text.
    pub text: u64,
    /// The pool's own.
    pub own: u64,
    /// What may be lost where the pool is behind, to be accepted LV by LV.
    #[serde(default)]
    pub hazards: Vec<Hazard>,
}

/// Compares pools with what the plan wants of them.
pub fn wrong_pools(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    if context.goals.thin_pools.is_empty() {
        return;
    }
    let mut room = Room::of(&base.vg, &diff.changes);
    for wanted in &context.goals.thin_pools {
        let Some(pool) =
            base.vg.lv(&wanted.name).and_then(|lv| pool(context.inventory, &base.vg, lv))
        else {
            continue;
        };
        let subject = Subject { context, pool, wanted };
        match subject.compare(&mut room).and_then(|changes| subject.needs_kernel(changes)) {
            Ok(changes) => diff.changes.extend(changes),
            Err(refusal) => diff.refusals.push(refusal),
        }
    }
    if let Some(spare) = missing_spare(context, base, &diff.changes) {
        room.take(spare.size.saturating_sub(spare.from));
        diff.changes.push(Change::MakeSpare(spare));
    }
    diff.refusals.extend(room.refusal(context));
    if let Some(live) = context.inventory.live.as_deref().filter(|_| !room.needed.is_zero()) {
        diff.refusals.extend(refuse_allocation(context.inventory, live, &base.vg));
    }
}

struct Subject<'a> {
    context: &'a Context<'a>,
    pool: Pool<'a>,
    wanted: &'a WantedPool,
}

impl Subject<'_> {
    fn vg(&self) -> &Vg {
        self.pool.vg
    }

    fn refuse(&self, code: RefusalCode, why: impl Into<String>) -> Refusal {
        Refusal::new(code, format!("pool {}/{}", self.vg().name, self.pool.lv.name), why)
    }

    /// On images redundancy cannot be made, nor made larger.
    fn needs_kernel(&self, changes: Vec<Change>) -> Result<Vec<Change>, Refusal> {
        let (metadata, data) = (self.pool.metadata, self.pool.data);
        let on_odd = |change: &Change| {
            if let Change::ExtendPool(larger) = change {
                return larger.metadata.is_some() && !metadata.is_striped()
                    || larger.data.is_some() && !data.is_striped();
            }
            matches!(change, Change::RebuildPool(_)) && !metadata.is_striped()
        };
        if self.context.inventory.realm == Realm::Live || !changes.iter().any(on_odd) {
            return Ok(changes);
        }
        let why = "a part of it that would have to be made anew, or larger, is neither linear nor \
                   striped: that is only done on a running machine";
        Err(self.refuse(RefusalCode::NeedsKernel, why).with_help(
            "its volumes can be copied out here: `tasks: [copy: {from: LV, to: {file: …}}]`",
        ))
    }

    fn compare(&self, room: &mut Room<'_>) -> Result<Vec<Change>, Refusal> {
        let mut changes = Vec::new();
        let mut larger = self.larger();
        if let Some(wanted) = &self.wanted.wanted.metadata {
            changes.extend(self.metadata(wanted, &mut larger, room)?);
        }
        if let Some(wanted) = &self.wanted.wanted.data {
            self.data(wanted, &mut larger)?;
        }
        let grow = |lv: &Lv, to: Option<Extents>| {
            to.map_or(Extents::ZERO, |to| to.saturating_sub(lv.len()))
        };
        let metadata = grow(self.pool.metadata, larger.metadata);
        let data = grow(self.pool.data, larger.data);
        match self.context.inventory.realm {
            Realm::Images => {
                larger.metadata_place = room.place(metadata);
                larger.data_place = room.place(data);
            }
            // LVM takes extents for the spare from the same ones, if it is told which.
            Realm::Live => room.take(metadata.saturating_add(data)),
        }
        if larger.metadata.is_some() || larger.data.is_some() {
            // Before a flag is cleared, so that the kernel finds the room when it is let in.
            changes.insert(0, Change::ExtendPool(larger));
        }
        Ok(changes)
    }

    fn larger(&self) -> LargerPool {
        let (uuid, name) = (self.pool.lv.uuid, self.pool.lv.name.clone());
        let is_images = self.context.inventory.realm == Realm::Images;
        LargerPool {
            uuid,
            name,
            metadata: None,
            data: None,
            metadata_place: Vec::new(),
            data_place: Vec::new(),
            seen: self.pool.on_disk.filter(|_| is_images).map(|found| found.digest),
            why: Vec::new(),
        }
    }

    fn metadata(
        &self,
        wanted: &PoolMetadata,
        larger: &mut LargerPool,
        room: &mut Room<'_>,
    ) -> Result<Vec<Change>, Refusal> {
        if self.pool.on_disk.is_none() {
            return self.active(wanted, larger).map(|()| Vec::new());
        }
        let trial = self.trial()?;
        let mut why = self.pool.on_disk.map(OnDisk::damage).unwrap_or_default();
        why.extend(trial.checked.as_ref().err().map(|said| format!("thin_check: {said}")));
        let mut changes = Vec::new();
        if why.is_empty() {
            changes.extend(self.contradictions()?);
        }
        let needs_check = self.pool.needs_check();
        let size = self.metadata_size(wanted)?;
        if needs_check && self.context.inventory.realm == Realm::Images && why.is_empty() {
            why.push(self.flagged_on_images(wanted)?);
        }
        match wanted.method {
            PoolMethod::Extend if !why.is_empty() => {
                let why = format!(
                    "its metadata is damaged, and the plan forbids a rebuild: {}",
                    why.join("; ")
                );
                Err(self
                    .refuse(RefusalCode::NotRecoverable, why)
                    .with_help("`method: auto`, or `rebuild`"))
            }
            PoolMethod::Auto if !why.is_empty() => {
                changes.retain(|change| !matches!(change, Change::DropThinLv(_)));
                changes.extend(self.rebuild(wanted, trial, why, room)?);
                Ok(changes)
            }
            PoolMethod::Rebuild if !why.is_empty() || needs_check || size.is_some() => {
                let is_news = needs_check && why.is_empty();
                why.extend(is_news.then(|| "flagged needs_check".to_owned()));
                changes.retain(|change| !matches!(change, Change::DropThinLv(_)));
                changes.extend(self.rebuild(wanted, trial, why, room)?);
                Ok(changes)
            }
            PoolMethod::Auto | PoolMethod::Extend | PoolMethod::Rebuild => {
                if let Some((size, why)) = size {
                    larger.metadata = Some(size);
                    larger.why.push(why);
                }
                let (uuid, name) = (self.pool.lv.uuid, self.pool.lv.name.clone());
                let flagged = FlaggedPool { uuid, name };
                changes.extend(needs_check.then_some(Change::ClearNeedsCheck(flagged)));
                Ok(changes)
            }
        }
    }

    /// On images nobody clears a flag: LVM does that, and metadata that is in use is never written
    /// here. A rebuild leaves it behind.
    fn flagged_on_images(&self, wanted: &PoolMetadata) -> Result<String, Refusal> {
        let why = "it is flagged needs_check, which on images only a rebuild does away with";
        match wanted.method {
            PoolMethod::Auto | PoolMethod::Rebuild => Ok(why.to_owned()),
            PoolMethod::Extend => Err(self
                .refuse(RefusalCode::NeedsKernel, format!("{why}, and the plan forbids it"))
                .with_help("`method: auto`, or `rebuild`")),
        }
    }

    /// What can be done about the metadata of a pool while it is active: it is made larger as long
    /// as the kernel still writes it.
    fn active(&self, wanted: &PoolMetadata, larger: &mut LargerPool) -> Result<(), Refusal> {
        let Some(status) = self.pool.status else {
            let why = "its metadata cannot be reached: a part of the pool is active, or a PV of it is \
                       not there";
            return Err(self.refuse(RefusalCode::Unfit, why).with_help(format!(
                "see the faults that `lvmend inspect {}` tells; a part is deactivated by a plan with \
                 `thin_pools: {{{}: {{activation: inactive}}}}`",
                self.vg().name, self.pool.lv.name
            )));
        };
        let is_sound = matches!(status.mode, PoolMode::ReadWrite | PoolMode::OutOfDataSpace)
            && !status.needs_check;
        if !is_sound || wanted.method == PoolMethod::Rebuild {
            let size = self.metadata_size(wanted)?;
            if is_sound && size.is_none() {
                return self.contradictions().map(drop);
            }
            let flag = if status.needs_check { " and flagged needs_check" } else { "" };
            let why = format!(
                "it is active, {}{flag}: what ails its metadata shows only when it is not",
                status.mode.shown()
            );
            return Err(self.refuse(RefusalCode::PoolActive, why).with_help(format!(
                "first a plan with `thin_pools: {{{}: {{activation: inactive}}}}`; plan again after that",
                self.pool.lv.name
            )));
        }
        self.contradictions()?;
        if let Some((size, why)) = self.metadata_size(wanted)? {
            larger.metadata = Some(size);
            larger.why.push(why);
        }
        Ok(())
    }

    /// What came of judging its metadata on a copy.
    fn trial(&self) -> Result<&PoolTrial, Refusal> {
        let key = (self.vg().uuid, self.pool.lv.uuid);
        match self.context.inventory.trials.get(&key) {
            Some(Ok(trial)) => Ok(trial),
            Some(Err(why)) => {
                let why = format!("its metadata could not be judged: {why}");
                Err(self.refuse(RefusalCode::Unfit, why))
            }
            None => Err(self.refuse(RefusalCode::Unfit, "BUG: its metadata was not judged")),
        }
    }

    /// How long a data block is.
    fn block(&self) -> Bytes {
        self.pool.chunk_size.bytes().unwrap_or(Bytes::ZERO)
    }

    /// LVM's text and the pool must have the same devices. Where they have, a transaction id that
    /// differs is only a number, though a pool that is behind may lack what was written since; where
    /// they have not, which of them is right is for a person.
    fn contradictions(&self) -> Result<Vec<Change>, Refusal> {
        let devices = self.pool.on_disk.and_then(|found| found.details.as_ref().ok());
        devices.map_or(Ok(()), |devices| self.refuse_known_elsewhere(devices, None))?;
        let mut changes = devices.map(|devices| self.lost_lvs(devices)).unwrap_or_default();
        let Some(Transactions::Differ { pool, text }) = self.pool.transactions() else {
            return Ok(changes);
        };
        let against = if self.pool.messages.is_empty() {
            self.other_devices()
        } else {
            Some("LVM has messages for it".to_owned())
        };
        let Some(against) = against else {
            let (uuid, name) = (self.pool.lv.uuid, self.pool.lv.name.clone());
            let hazards = if pool < text { self.went_back() } else { Vec::new() };
            let numbered = NumberedPool { uuid, name, text, own: pool, hazards };
            changes.push(Change::SetTransactionId(numbered));
            return Ok(changes);
        };
        let back = if pool < text { ", so one of them went back in time" } else { "" };
        let why =
            format!("the pool is at transaction {pool}, LVM's text at {text}{back}: {against}");
        Err(self.refuse(RefusalCode::PoolContradiction, why).with_help(
            "where the text went back, `lvmend history list` shows newer ones; where the pool did, an \
             older copy was swapped in or a repair took older trees",
        ))
    }

    /// What shows that the devices of the pool are not those that LVM knows. A number that was used
    /// again stands for another device: the transaction in which it was made tells.
    fn other_devices(&self) -> Option<String> {
        let Some(details) = self.pool.on_disk.and_then(|found| found.details.as_ref().ok()) else {
            return Some("which devices it has shows only when it is not active".to_owned());
        };
        let lost: Vec<String> =
            self.pool.lvs_not_in(details).iter().map(|(_, name)| name.to_string()).collect();
        if !lost.is_empty() {
            return Some(format!("it does not have the devices of {}", lost.join(", ")));
        }
        let left = self.pool.devices_without_lv().unwrap_or_default();
        if !left.is_empty() {
            let ids: Vec<String> = left.iter().map(u32::to_string).collect();
            return Some(format!("it has devices that no LV has: {}", ids.join(", ")));
        }
        let other = self.pool.reused_number(details);
        other.map(|id| format!("its device {id} is another one than LVM knows by that number"))
    }
}
