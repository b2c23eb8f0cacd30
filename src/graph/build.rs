//! Changes, tasks and checks to operations.

mod backup;
mod over;
mod pools;

use std::collections::BTreeMap;

use crate::diff::{Change, Diff, Refusal, RefusalCode, to_unmount};
use crate::graph::Graph;
use crate::graph::order::{self, Turns};
use crate::ids::{DeviceName, Digest, LvName, LvUuid, PvUuid, VgName, VgUuid};
use crate::model::device::{DiskArea, MetadataArea, RingContent, SlotText};
use crate::model::inventory::{CopyManifest, Inventory, Realm, Space, TargetFile};
use crate::model::vg::Vg;
use crate::operation::{
    ActivateLvs, CheckSha256, CommitMetadata, CopyLv, CopyTo, DeactivateLvs, ExtendVg, Operation,
    RefreshLvs, ReloadTree, RestoreMissingPv, SaveEvidence, SpliceLv, Unmount, WritePvLabel,
};
use crate::plan::document::{Check, CopyTarget, CopyTask, Task};
use crate::plan::resolve::Goals;
use crate::units::Bytes;

/// Where LVM writes on a device that becomes a PV.
const BEGIN_OF_DEVICE: Bytes = Bytes::new(1 << 20);

/// Builds the graph; refusals are those of tasks, which only show here.
pub fn build(goals: &Goals, diff: &Diff, inventory: &Inventory) -> (Graph, Vec<Refusal>) {
    let builder = Builder { goals, diff, inventory };
    let (mut operations, turns, refusals) = builder.tasks();
    operations.extend(builder.states());
    operations.extend(builder.unmounts());
    operations.extend(builder.checks());
    let needs_evidence = !diff.changes.is_empty() || goals.tasks.iter().any(Task::writes_metadata);
    if needs_evidence {
        let evidence = builder.evidence(&operations);
        operations.push(evidence);
    }
    (order::ordered(operations, &turns, inventory.realm), refusals)
}

struct Builder<'a> {
    goals: &'a Goals,
    diff: &'a Diff,
    inventory: &'a Inventory,
}

impl Builder<'_> {
    fn current(&self) -> Option<&Vg> {
        self.inventory.vgs.get(&self.goals.vg).and_then(|vg| vg.current.as_deref())
    }

    fn vg_name(&self) -> Option<VgName> {
        self.inventory.vgs.get(&self.goals.vg).and_then(|vg| vg.name().cloned())
    }

    fn states(&self) -> Vec<Operation> {
        let vg = self.goals.vg;
        let Some(name) = self.vg_name() else {
            return Vec::new();
        };
        let operations = |change: &Change| {
            vec![match change {
                Change::RebuildPool(_)
                | Change::ExtendPool(_)
                | Change::SetTransactionId(_)
                | Change::DropThinLv(_)
                | Change::MakeSpare(_)
                | Change::ClearNeedsCheck(_) => return self.of_pool(&name, change),
                Change::WriteLabel(lost) => {
                    Operation::WritePvLabel(WritePvLabel { vg, lost: lost.clone() })
                }
                Change::WriteAreas(unsound) => Operation::CommitMetadata(CommitMetadata {
                    vg,
                    name: name.clone(),
                    base: unsound.base.clone(),
                    areas: unsound.areas.clone(),
                    hazard: unsound.hazard.clone(),
                }),
                Change::RestorePv(returned) => Operation::RestoreMissingPv(RestoreMissingPv {
                    vg,
                    name: name.clone(),
                    pv: returned.pv,
                    lvs: returned.lvs.clone(),
                    pieces: returned.pieces,
                    meanwhile: returned.meanwhile.clone(),
                    hazards: returned.hazards.clone(),
                }),
                Change::Extend(new) => {
                    let devices = new.devices.clone();
                    Operation::ExtendVg(ExtendVg { vg, name: name.clone(), devices })
                }
                Change::Deactivate(lvs) => {
                    let (name, lvs) = (name.clone(), lvs.clone());
                    Operation::DeactivateLvs(DeactivateLvs { vg, name, lvs, task_of: None })
                }
                Change::Refresh(lvs) => {
                    Operation::RefreshLvs(RefreshLvs { vg, name: name.clone(), lvs: lvs.clone() })
                }
                Change::ReloadStack(stack) => {
                    Operation::ReloadTree(Box::new(ReloadTree::of(vg, name.clone(), stack)))
                }
                Change::Activate(lvs) => {
                    let (name, lvs) = (name.clone(), lvs.clone());
                    let new_metadata_of = self.new_metadata_of(&lvs);
                    let task_of = None;
                    Operation::ActivateLvs(ActivateLvs { vg, name, lvs, task_of, new_metadata_of })
                }
                Change::RecoverLv(lost) => Operation::SpliceLv(Box::new(SpliceLv {
                    vg,
                    vg_name: name.clone(),
                    lost: lost.as_ref().clone(),
                })),
            }]
        };
        self.diff.changes.iter().flat_map(operations).collect()
    }

    /// What is mounted from LVs that are deactivated.
    fn unmounts(&self) -> Option<Operation> {
        let live = self.inventory.live.as_deref()?;
        let lvs: Vec<(LvName, LvUuid)> =
            self.diff.deactivated().map(|lv| (lv.name.clone(), lv.uuid)).collect();
        let vg = self.goals.vg;
        let mounts = to_unmount(live, vg, &lvs, &self.goals.unmount);
        (!mounts.is_empty()).then_some(Operation::Unmount(Unmount { vg, mounts, task_of: None }))
    }

    /// Everything that any operation writes: all PVs of the VG that are there, since a commit
    /// goes to each, and devices that get a label.
    fn evidence(&self, operations: &[Operation]) -> Operation {
        let mut pvs: Vec<PvUuid> =
            self.inventory.devices.iter().filter_map(|d| d.pv()).map(|pv| pv.uuid).collect();
        let known = |pv: &PvUuid| {
            self.inventory.vgs.get(&self.goals.vg).is_some_and(|on_disk| {
                let in_current = on_disk.current.as_ref().is_some_and(|vg| vg.pv(*pv).is_some());
                in_current || holds_text_of(self.inventory, *pv, self.goals)
            })
        };
        pvs.retain(known);
        pvs.sort_unstable();
        pvs.dedup();
        let mut unlabelled: Vec<(DeviceName, Vec<DiskArea>)> = Vec::new();
        for change in &self.diff.changes {
            if let Change::WriteLabel(lost) = change {
                unlabelled.push((lost.device.clone(), lost.areas.clone()));
            }
            if let Change::Extend(new) = change {
                let begin = || vec![DiskArea { offset: Bytes::ZERO, size: BEGIN_OF_DEVICE }];
                unlabelled.extend(new.names.iter().map(|name| (name.clone(), begin())));
            }
        }
        unlabelled.sort();
        let thin_metadata = self.thin_metadata();
        let extents = operations.iter().flat_map(|of| of.contract().writes_over().to_vec());
        let (vg, extents) = (self.goals.vg, extents.collect());
        Operation::SaveEvidence(SaveEvidence { vg, pvs, unlabelled, thin_metadata, extents })
    }

    /// The LV of this name and its size: as it is, or as it will be once it is recovered.
    fn lv(&self, name: &LvName) -> Option<(LvUuid, Bytes)> {
        let mut recovered = self.diff.changes.iter().filter_map(Change::recovered);
        let recovered = recovered.find(|lost| lost.as_name == *name);
        recovered.map(|lost| (lost.uuid, lost.size)).or_else(|| {
            let vg = self.current()?;
            vg.lv(name).map(|lv| (lv.uuid, lv.len().bytes_shown(vg.extent_size)))
        })
    }

    /// What the tasks come to, which task each is for, and what speaks against it.
    fn tasks(&self) -> (Vec<Operation>, Turns, Vec<Refusal>) {
        let (mut operations, mut refusals) = (Vec::new(), Vec::new());
        let mut turns = Turns::new();
        // What the copies before it take, by file system.
        let mut taken: BTreeMap<u64, Bytes> = BTreeMap::new();
        for (turn, task) in self.goals.tasks.iter().enumerate() {
            let asked = match task {
                Task::Copy(copy) => self.copy(copy, &mut taken).map_err(|refusal| vec![refusal]),
                Task::SnapshotBackup(backup) => self.back_up(backup),
            };
            match asked {
                Ok(asked) => {
                    turns.extend(asked.iter().map(|operation| (operation.id(), turn)));
                    operations.extend(asked);
                }
                Err(refused) => refusals.extend(refused),
            }
        }
        (operations, turns, refusals)
    }

    fn copy(
        &self,
        copy: &CopyTask,
        taken: &mut BTreeMap<u64, Bytes>,
    ) -> Result<Vec<Operation>, Refusal> {
        let Some((lv, size)) = self.lv(&copy.from) else {
            return Ok(Vec::new());
        };
        let what = (&copy.from, lv, size);
        match &copy.to {
            CopyTarget::File(path) => {
                Ok(self.copy_to_file(what, path, taken)?.into_iter().collect())
            }
            CopyTarget::LogicalVolume(over) => self.copy_over(what, over),
        }
    }

    /// The copy to a file; none when it is there already.
    fn copy_to_file(
        &self,
        (name, lv, size): (&LvName, LvUuid, Bytes),
        path: &str,
        taken: &mut BTreeMap<u64, Bytes>,
    ) -> Result<Option<Operation>, Refusal> {
        match self.inventory.targets.get(path) {
            Some(TargetFile::Done(made)) if (made.vg, made.lv) == (self.goals.vg, lv) => {
                return Ok(None);
            }
            Some(TargetFile::Done(made)) => {
                return Err(copy_refusal(path, other_copy(made, self.goals.vg)));
            }
            Some(TargetFile::Taken(why)) => return Err(copy_refusal(path, why.clone())),
            Some(TargetFile::NoDirectory(why)) => {
                return Err(copy_refusal(path, format!("it cannot be made: {why}")));
            }
            Some(TargetFile::Free(space)) => {
                let before = taken.entry(space.file_system).or_default();
                let is_too_large = size > space.available.saturating_sub(*before);
                let refusal = is_too_large.then(|| no_space(path, name, size, *space, *before));
                *before = before.saturating_add(size);
                if let Some(refusal) = refusal {
                    return Err(refusal);
                }
            }
            None => {}
        }
        let to = CopyTo::File { path: path.to_owned() };
        let copy = CopyLv { vg: self.goals.vg, lv, name: name.clone(), to };
        Ok(Some(Operation::CopyLv(copy)))
    }

    fn checks(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for Check::Sha256(check) in &self.goals.checks {
            let Some((lv, _)) = self.lv(&check.logical_volume) else {
                continue;
            };
            let (vg, name) = (self.goals.vg, check.logical_volume.clone());
            let digest = check.digest;
            operations.push(Operation::CheckSha256(CheckSha256 { vg, lv, name, digest }));
        }
        operations
    }
}

fn copy_refusal(path: &str, why: String) -> Refusal {
    let path = crate::ids::ForeignText::from(path);
    Refusal::new(RefusalCode::CopyRefused, path, why).with_help(
        "a copy never overwrites anything: name another file, or move away what is there",
    )
}

fn other_copy(made: &CopyManifest, vg: VgUuid) -> String {
    let CopyManifest { vg: of, lv, name, .. } = made;
    if *of == vg {
        format!("it is a finished copy of another LV, {name} ({lv})")
    } else {
        format!("it is a finished copy of LV {name} of another VG ({of})")
    }
}

/// A copy may be sparse and take less, but how much shows only when the LV was read.
fn no_space(path: &str, lv: &LvName, size: Bytes, space: Space, before: Bytes) -> Refusal {
    let available = space.available;
    let lacking = size.saturating_add(before).saturating_sub(available);
    let others = if before.is_zero() {
        String::new()
    } else {
        format!(", copies of this plan before it take up to {before}")
    };
    let why = format!(
        "LV {lv} is {size} large{others}, but only {available} are free on that file system: \
         {lacking} too little"
    );
    Refusal::new(RefusalCode::CopyRefused, crate::ids::ForeignText::from(path), why)
        .with_help("name a file on a larger file system, or make room on this one")
}

/// Whether a text of the VG stands on this PV, whatever the current metadata says of it.
///
/// On a running machine also one that nothing points to any more, and one that cannot be read: LVM
/// wipes a PV that left the VG, and judges by itself which that is.
fn holds_text_of(inventory: &Inventory, pv: PvUuid, goals: &Goals) -> bool {
    let is_of_vg = |key: Digest| inventory.texts.get(&key).is_some_and(|t| t.vg_uuid == goals.vg);
    let is_live = inventory.realm == Realm::Live;
    inventory.devices_of(pv).iter().flat_map(|device| device.areas()).any(|area| {
        let pointed = area.committed.good().is_some_and(is_of_vg) || area.header.good().is_none();
        pointed || (is_live && may_be_wiped(area, is_of_vg))
    })
}

fn may_be_wiped(area: &MetadataArea, is_of_vg: impl Fn(Digest) -> bool) -> bool {
    let stands = area.ring.iter().any(|text| match &text.text {
        RingContent::Whole(key) => is_of_vg(*key),
        RingContent::Cut { .. } => false,
    });
    stands
        || matches!(area.committed, SlotText::Damaged(_))
        || area.precommitted.good().is_some_and(is_of_vg)
}
