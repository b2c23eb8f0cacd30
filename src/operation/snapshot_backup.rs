//! Backs an LV up through a snapshot that is mounted read-only while programs run.
//!
//! Effect: a snapshot is made, mounted, handed to the programs of the plan, unmounted and removed;
//! the origin is only read. One of the same name that an earlier run of the plan left goes first.
//! Half way: a snapshot with the tag of the plan, perhaps mounted; whatever failed, it is unmounted
//! and removed at once, and devices that a killed command left suspended are resumed. Undo: the same.
//! Equivalent: `lvcreate -s`, `mount`, the programs, `umount`, `lvremove`.

mod made;
mod removed;

use serde::{Deserialize, Serialize};

use crate::diff::live::strays;
use crate::ids::{LvName, LvUuid, PvUuid, VgName, VgUuid};
use crate::model::allocation::allocate;
use crate::model::extent_map::ExtentRange;
use crate::model::inventory::{Inventory, Realm};
use crate::model::live::{Live, lvm_device_name};
use crate::model::vg::{Lv, Vg};
use crate::operation::activation::current;
use crate::operation::command::{CommandLine, live_of};
use crate::operation::{
    Attempts, Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit, live_commit,
};
use crate::plan::document::Journal;
use crate::plan::hazard::Hazard;
use crate::units::{Bytes, Extents, Seconds};

pub use made::{file_system, is_shared_btrfs};
pub use removed::{is_snapshot_of, remove};

/// Backs an LV up through a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotBackup {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The LV that is backed up.
    pub origin: LvUuid,
    /// What it is called.
    pub origin_name: LvName,
    /// What the snapshot is called.
    pub snapshot: LvName,
    /// The tag that tells it from others of that name.
    pub tag: String,
    /// How much of the origin may change meanwhile; none for a thin snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Bytes>,
    /// How often it is tried to make and mount it.
    pub attempts: u8,
    /// How long it is waited between attempts.
    pub retry_delay: Seconds,
    /// Where and how it is mounted.
    pub mount: MountedSnapshot,
    /// What is run while it is mounted.
    pub run: Vec<RunProgram>,
    /// Whether it stays.
    pub keep: bool,
    /// Where one that is in the way may be unmounted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmount: Vec<String>,
}

/// Where and how a snapshot is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountedSnapshot {
    /// Where; an absolute path.
    pub at: String,
    /// The type of the file system, where the plan names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs_type: Option<String>,
    /// What is done about a journal.
    pub journal: Journal,
    /// Further options.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// A program that is run while a snapshot is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunProgram {
    /// As it is run.
    pub command: CommandLine,
    /// How long it may take.
    pub timeout: Seconds,
}

impl SnapshotBackup {
    /// The snapshot's device.
    fn device(&self) -> String {
        format!("/dev/mapper/{}", lvm_device_name(&self.name, &self.snapshot))
    }

    /// What has the name of the snapshot.
    fn standing<'v>(&self, vg: &'v Vg) -> Option<&'v Lv> {
        vg.lv(&self.snapshot)
    }

    /// Whether an LV was made by a run of this plan.
    pub fn is_ours(&self, lv: &Lv) -> bool {
        lv.name == self.snapshot && lv.tags.iter().any(|tag| tag.raw() == self.tag)
    }

    /// Where it may be unmounted: its own place, and what the plan says of others.
    fn may_unmount(&self) -> Vec<String> {
        self.unmount.iter().cloned().chain([self.mount.at.clone()]).collect()
    }

    /// The extents that a classic snapshot gets, once the one that stands is gone.
    ///
    /// # Errors
    /// Why there are none, for people.
    pub fn place(
        &self,
        now: &Inventory,
        live: &Live,
        vg: &Vg,
    ) -> Result<Vec<(PvUuid, ExtentRange)>, String> {
        let Some(size) = self.size else { return Ok(Vec::new()) };
        let extent = vg.extent_size.bytes().map_or(1, |bytes| bytes.get().max(1));
        let needed = Extents::new(size.get().div_ceil(extent));
        let mut taken = Vec::new();
        for stray in strays(now, live, vg) {
            if !stray.held.unknown.is_empty() {
                let name = &stray.device.name;
                return Err(format!(
                    "device {name} is live although no metadata describes it, and which extents it \
                     maps cannot be told: a snapshot could be laid over them"
                ));
            }
            let ranges = |(pv, all): (&PvUuid, &Vec<ExtentRange>)| {
                let pv = *pv;
                all.clone().into_iter().map(move |range| (pv, range))
            };
            taken.extend(stray.held.extents.iter().flat_map(ranges));
        }
        allocate(&vg.without(&self.snapshot), needed, &taken)
            .ok_or_else(|| format!("it has no {} free", needed.bytes_shown(vg.extent_size)))
    }
}

impl Contract for SnapshotBackup {
    fn object(&self) -> String {
        format!("{} {}", self.origin, self.snapshot)
    }

    fn title(&self) -> String {
        let (origin, snapshot) = (&self.origin_name, &self.snapshot);
        format!("back up LV {origin} through snapshot {snapshot} at {}", self.mount.at)
    }

    fn reasons(&self) -> Vec<String> {
        let mut reasons = vec!["runs every time".to_owned()];
        if self.attempts > 1 {
            let (attempts, delay) = (self.attempts, self.retry_delay);
            reasons.push(format!(
                "until it is mounted it is tried up to {attempts} times, {delay} apart"
            ));
        }
        reasons.push(match self.mount.journal {
            Journal::Skip => "the snapshot can only be read; its journal is left as it is".into(),
            Journal::Replay => "its journal is replayed, on the snapshot".to_owned(),
        });
        reasons.push(if self.keep {
            "the snapshot stays until the next run".to_owned()
        } else {
            "the snapshot is removed again, whatever comes of the programs".to_owned()
        });
        reasons
    }

    fn touches(&self) -> Touches {
        Touches {
            reads: vec![Resource::Evidence, Resource::Active(self.origin)],
            writes: vec![Resource::Metadata(self.vg)],
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::Reversible,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => "never done: images have no kernel",
            Realm::Live => {
                "the snapshot it made is unmounted and removed; one of an earlier run of this plan \
                 does not come back, and what the programs did stays"
            }
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let (live, vg) = (live_of(now)?, current(now, self.vg)?);
        let mut acts = self.clear_the_way(now, live, vg)?;
        acts.extend(self.make(now, live, vg, signature)?);
        let mut predicted = now.clone();
        live_commit::count_up(&mut predicted, self.vg);
        Ok(Lowered { acts, predicted })
    }

    fn probe(&self, _: &Inventory) -> Probe {
        // It is simply done again.
        Probe::Before
    }

    fn lower_undo(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let acts = self.undo_acts(now, signature)?;
        Ok(Lowered { acts, predicted: now.clone() })
    }

    fn attempts(&self) -> Option<Attempts> {
        Some(Attempts { of: self.attempts, delay: self.retry_delay, keeps: self.keep })
    }
}
