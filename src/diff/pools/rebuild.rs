//! Metadata that has to be rebuilt, and what that loses.

use serde::{Deserialize, Serialize};

use crate::diff::pools::Subject;
use crate::diff::pools::loss::{Expected, RebuiltDevice};
use crate::diff::pools::room::Room;
use crate::diff::pools::size::USED_PERCENT;
use crate::diff::{Change, Claim, Refusal, RefusalCode};
use crate::ids::{Digest, LvName, LvUuid};
use crate::model::extent_map::taken_by;
use crate::model::parts::parts_of;
use crate::model::pools::Transactions;
use crate::model::segment::{RaidLevel, Segment, SegmentKind};
use crate::model::thin_pool::{METADATA_BLOCK, Mend, PoolTrial, Rebuilt, metadata_for};
use crate::model::vg::{Lv, Vg};
use crate::plan::document;
use crate::plan::hazard::Hazard;
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
    /// The digest of the old metadata's first block. The kernel writes another one at every commit:
    /// as long as it stands nobody used the pool.
    pub seen: Digest,
    /// What the new metadata must tell.
    pub expected: Expected,
    /// How long the new metadata is.
    pub size: Extents,
    /// The extents of the new metadata, in its order; none where LVM has to choose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub place: Vec<Claim>,
    /// The VG's spare for pool metadata, where that becomes it for lack of other room.
    pub spare: Option<LvName>,
    /// How many further copies of it there are, each on a PV of its own, as of the old.
    pub mirrors: u32,
    /// What has to be set right of the old metadata on the way.
    pub mend: Option<Mend>,
    /// What may be lost, to be accepted LV by LV.
    pub hazards: Vec<Hazard>,
    /// The devices that the new metadata must have, and how many blocks each maps at least.
    pub devices: Vec<RebuiltDevice>,
    /// Why, line by line.
    #[serde(default)]
    pub why: Vec<String>,
}

impl Subject<'_> {
    /// The metadata in a new LV, as a trial on a copy showed it can be.
    pub(super) fn rebuild(
        &self,
        wanted: &document::PoolMetadata,
        trial: &PoolTrial,
        mut why: Vec<String>,
        room: &mut Room<'_>,
    ) -> Result<Vec<Change>, Refusal> {
        let rebuilt = match &trial.rebuilt {
            Some(Ok(rebuilt)) => rebuilt,
            Some(Err(said)) => {
                let why = format!("{}. A rebuild on a copy failed: {said}", why.join("; "));
                return Err(self.refuse(RefusalCode::NotRecoverable, why).with_help(
                    "save the metadata LV as it is, and do not activate the pool. Another version of \
                     thin-provisioning-tools may do better: 1.0.13 or newer, or 0.9",
                ));
            }
            None => return Err(self.refuse(RefusalCode::Unfit, "BUG: no rebuild was tried")),
        };
        let Some(seen) = self.pool.on_disk.map(|found| found.digest) else {
            return Err(self.refuse(RefusalCode::Unfit, "BUG: its metadata was not read"));
        };
        self.refuse_unlike(rebuilt)?;
        let mut salvaged = self.salvaged(wanted, rebuilt)?;
        why.append(&mut salvaged.why);
        let wanted_size = self.rebuilt_size(wanted, rebuilt)?;
        let mirrors = self.mirrors().unwrap_or(0);
        let spare = match mirrors {
            0 => room.spare_for(wanted_size),
            _ => None,
        };
        let size = spare.map_or(wanted_size.max(self.pool.metadata.len()), Lv::len);
        let place = match (spare, mirrors) {
            (Some(spare), _) => {
                why.push(format!(
                    "the VG has no room for it: the spare {} becomes it (another one is made by \
                     `spare: present`, when there is room)",
                    spare.name
                ));
                extents_of(self.vg(), spare)
            }
            (None, 0) => room.place(size),
            // Each copy has one more extent for what RAID notes.
            (None, more) => {
                room.take_mirrored(more.saturating_add(1), size.saturating_add(Extents::new(1)));
                Vec::new()
            }
        };
        why.push(format!(
            "rebuilt on a copy it needs {} of metadata; the new volume is {} large",
            rebuilt.new.superblock.metadata.bytes(METADATA_BLOCK),
            size.bytes_shown(self.vg().extent_size)
        ));
        let rebuilt = Change::RebuildPool(RebuiltPool {
            uuid: self.pool.lv.uuid,
            name: self.pool.lv.name.clone(),
            beside: self.beside()?,
            old: extents_of(self.vg(), self.pool.metadata),
            seen,
            expected: salvaged.expected,
            size,
            place,
            spare: spare.map(|spare| spare.name.clone()),
            mirrors,
            mend: rebuilt.mend,
            hazards: salvaged.hazards,
            devices: salvaged.devices,
            why,
        });
        Ok(std::iter::once(rebuilt).chain(salvaged.lost_lvs).collect())
    }

    fn rebuilt_size(
        &self,
        wanted: &document::PoolMetadata,
        rebuilt: &Rebuilt,
    ) -> Result<Extents, Refusal> {
        let percent = wanted.max_used_percent.unwrap_or(USED_PERCENT);
        let by_percent = metadata_for(rebuilt.new.superblock.metadata.allocated, percent);
        let size = wanted.min_size.unwrap_or(Bytes::ZERO).max(by_percent);
        let extents = size.in_extents(self.vg().extent_size);
        self.refuse_beyond_max(extents)?;
        Ok(extents)
    }

    /// What a rebuild is not made for: metadata with redundancy that the new would not have, and a
    /// pool at another transaction than LVM's text.
    fn refuse_unlike(&self, rebuilt: &Rebuilt) -> Result<(), Refusal> {
        if self.mirrors().is_none() {
            let why =
                "its metadata is neither plain nor RAID1, and what is rebuilt would not be like it";
            return Err(self.refuse(RefusalCode::Unfit, why).with_help(
                "by hand: `lvcreate` of that type, `thin_dump`, `thin_restore`, `lvconvert --thinpool \
                 POOL --poolmetadata LV`",
            ));
        }
        let own = rebuilt.new.superblock.transaction_id;
        if let Transactions::Differ { pool, text } = self.pool.transactions_of(own) {
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

    /// How many copies of its metadata there are beside the first; none where it is of another type.
    fn mirrors(&self) -> Option<u32> {
        let segments = &self.pool.metadata.segments;
        match segments.as_slice() {
            [Segment { kind: SegmentKind::Raid { level: RaidLevel::Raid1, legs, .. }, .. }] => {
                u32::try_from(legs.len().saturating_sub(1)).ok()
            }
            _ => self.pool.metadata.is_striped().then_some(0),
        }
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

/// The extents of an LV and of its parts.
pub fn extents_of(vg: &Vg, lv: &Lv) -> Vec<Claim> {
    let taken = taken_by(vg, std::iter::once(lv).chain(parts_of(vg, lv)));
    taken.iter().map(|(pv, ranges)| Claim::new(*pv, ranges)).collect()
}
