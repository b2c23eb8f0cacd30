//! Plan against inventory: what has to change, what speaks against it, what is worth knowing.
//!
//! Pure. Nothing is decided here about order or about how a change is made.

mod activation;
mod attach;
mod base;
mod bring;
mod busy;
mod claims;
mod extend;
mod label;
pub mod live;
mod pools;
mod pvs;
mod recover;
mod refresh;
mod refusal;
mod sound;
mod tables;

use serde::{Deserialize, Serialize};

use crate::ids::{DeviceName, Digest, ForeignText, LvName, LvUuid, PvUuid};
use crate::model::device::DiskArea;
use crate::model::inventory::{Inventory, Realm, VgOnDisk};
use crate::plan::document::Task;
use crate::plan::hazard::Hazard;
use crate::plan::resolve::Goals;
use crate::units::{Bytes, Sectors};

pub use activation::{ActiveLv, lacking_pv};
pub use base::{Base, BaseVersion};
pub use busy::{MountedLv, refuse_file_users, refuse_in_use, refuse_removal, to_unmount};
pub use claims::Claim;

pub use extend::{BlankDevice, NewDevices, not_blank};
pub use label::identity_of;
pub use live::{in_the_way, refuse_users, users};
pub use pools::{
    Expected, FlaggedPool, LargerPool, Loss, LostThinLv, NewSpare, NumberedPool, RebuiltDevice,
    RebuiltPool, extents_of, losses, other_coverage, other_trees, unusable,
};
pub use refresh::RefreshedLv;
pub use refusal::{Refusal, RefusalCode};
pub use tables::{WrongStack, half_done_stacks};

/// What a plan comes to in the face of an inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// What has to change; empty when every state holds.
    pub changes: Vec<Change>,
    /// What speaks against it; the plan is not applied while there is any.
    pub refusals: Vec<Refusal>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

impl Diff {
    /// LVs that are deactivated.
    pub fn deactivated(&self) -> impl Iterator<Item = &ActiveLv> {
        let lvs = self.changes.iter().filter_map(|change| {
            let Change::Deactivate(lvs) = change else { return None };
            Some(lvs)
        });
        lvs.flatten()
    }
}

/// One difference between plan and inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A PV has lost its label, and the device it is on was found.
    WriteLabel(LostPv),
    /// Metadata areas are damaged, empty, or do not agree.
    WriteAreas(UnsoundAreas),
    /// A PV is flagged MISSING and is there.
    RestorePv(ReturnedPv),
    /// An LV is gone and can be brought back.
    RecoverLv(Box<LostLv>),
    /// Devices are to become PVs of the VG.
    Extend(NewDevices),
    /// LVs are active that should not be.
    Deactivate(Vec<ActiveLv>),
    /// LVs are not active that should be.
    Activate(Vec<ActiveLv>),
    /// Active LVs map a device that is gone; its PV came back as another one.
    Refresh(Vec<RefreshedLv>),
    /// A thin pool is too small.
    ExtendPool(LargerPool),
    /// A thin pool is flagged, and its metadata sound.
    ClearNeedsCheck(FlaggedPool),
    /// The metadata of a thin pool is damaged.
    RebuildPool(RebuiltPool),
    /// A thin pool has another transaction id than LVM's text, and the same devices.
    SetTransactionId(NumberedPool),
    /// The device of a thin LV is in no metadata of its pool.
    DropThinLv(LostThinLv),
    /// The spare for pool metadata is not there, or too short.
    MakeSpare(NewSpare),
    /// Devices in the kernel are not as the metadata says.
    ReloadStack(Box<WrongStack>),
}

impl Change {
    /// The LV that it brings back.
    pub fn recovered(&self) -> Option<&LostLv> {
        let Self::RecoverLv(lost) = self else { return None };
        Some(lost)
    }

    /// Whether it writes to PVs of the VG, rather than only to the kernel's tables.
    pub const fn writes_metadata(&self) -> bool {
        match self {
            Self::WriteLabel(_)
            | Self::WriteAreas(_)
            | Self::RestorePv(_)
            | Self::RecoverLv(_)
            | Self::Extend(_)
            | Self::ExtendPool(_)
            | Self::RebuildPool(_)
            | Self::SetTransactionId(_)
            | Self::DropThinLv(_)
            | Self::MakeSpare(_) => true,
            Self::Deactivate(_)
            | Self::Activate(_)
            | Self::Refresh(_)
            | Self::ClearNeedsCheck(_)
            | Self::ReloadStack(_) => false,
        }
    }
}

/// A PV without a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostPv {
    /// The PV.
    pub pv: PvUuid,
    /// The device it is on.
    pub device: DeviceName,
    /// What tells that disk from all others, where the kernel knows something: a name may belong to
    /// another disk by the time the plan is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<ForeignText>,
    /// What the new label will say the device's size is.
    pub device_size: Bytes,
    /// Where data begins, from the VG's metadata.
    pub data_start: Sectors,
    /// The bootloader area, from the VG's metadata.
    pub bootloader: Option<DiskArea>,
    /// The metadata areas: those found, or where LVM puts one when none was found.
    pub areas: Vec<DiskArea>,
    /// Whether those areas still stand.
    pub areas_found: bool,
    /// What links the device to the PV.
    pub link: String,
    /// What is risked: that nothing links them, and what the label is written over.
    pub hazards: Vec<Hazard>,
}

/// Areas that have to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsoundAreas {
    /// The version that is written.
    pub base: BaseVersion,
    /// The areas, and what is wrong with each.
    pub areas: Vec<UnsoundArea>,
    /// What is lost by going back to an older version.
    pub hazard: Option<Hazard>,
}

/// An area that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnsoundArea {
    /// Whose area.
    pub pv: PvUuid,
    /// Which one, counted from 0.
    pub area: usize,
    /// What is wrong with it.
    pub what: String,
}

/// A PV that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnedPv {
    /// The PV.
    pub pv: PvUuid,
    /// The version it saw last, when its areas tell.
    pub saw: Option<u32>,
    /// LVs with a piece on it, by the name people know them by.
    pub lvs: Vec<LvName>,
    /// What happened meanwhile to pieces on this PV, and what follows for legs.
    pub meanwhile: Vec<String>,
    /// What is risked: legs that missed writes and that nothing will bring up to date.
    pub hazards: Vec<Hazard>,
    /// Digest of the pieces that lie on this PV.
    pub pieces: Digest,
}

/// An LV that comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostLv {
    /// What it was called.
    pub name: LvName,
    /// What it will be called.
    pub as_name: LvName,
    /// Its UUID.
    pub uuid: LvUuid,
    /// How large it is.
    pub size: Bytes,
    /// The version that describes it.
    pub seqno: u32,
    /// That version's content digest.
    pub content: Digest,
    /// It and its parts: what each was called and will be called.
    pub names: Vec<(LvName, LvName)>,
    /// The extents it needs, all free.
    pub claims: Vec<Claim>,
    /// What is risked: extents that others used in between.
    pub hazard: Option<Hazard>,
    /// What follows.
    pub notes: Vec<String>,
    /// Whether the kernel has it still: its live table describes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_active: bool,
}

/// What every part of the comparison works with.
struct Context<'a> {
    inventory: &'a Inventory,
    vg: &'a VgOnDisk,
    goals: &'a Goals,
}

impl Context<'_> {
    /// Advice that fits where the inventory was taken.
    fn advice(&self, on_images: &'static str, on_live: &'static str) -> &'static str {
        match self.inventory.realm {
            Realm::Images => on_images,
            Realm::Live => on_live,
        }
    }
}

/// Whether the plan changes the VG's metadata, rather than only looking and copying.
fn writes_metadata(goals: &Goals, diff: &Diff) -> bool {
    diff.changes.iter().any(Change::writes_metadata)
        || goals.tasks.iter().any(Task::writes_metadata)
}

/// Compares goals with an inventory.
pub fn diff(goals: &Goals, inventory: &Inventory) -> Diff {
    let mut diff = Diff { notes: goals.notes.clone(), ..Diff::default() };
    let Some(vg) = inventory.vgs.get(&goals.vg) else {
        let gone = "nothing of this volume group was found";
        diff.refusals.push(Refusal::new(RefusalCode::NoMetadata, goals.vg, gone));
        return diff;
    };
    let context = Context { inventory, vg, goals };
    let base = match base::choose(&context) {
        Ok(base) => base,
        Err(refusal) => {
            diff.refusals.push(refusal);
            return diff;
        }
    };
    pvs::refuse_duplicates(&context, &base, &mut diff);
    label::lost_labels(&context, &base, &mut diff);
    sound::unsound_areas(&context, &base, &mut diff);
    attach::returned_pvs(&context, &base, &mut diff);
    extend::new_devices(&context, &base, &mut diff);
    recover::lost_lvs(&context, &base, &mut diff);
    pools::wrong_pools(&context, &base, &mut diff);
    activation::wrong_activation(&context, &base, &mut diff);
    refresh::stale_lvs(&context, &base, &mut diff);
    tables::wrong_stacks(&context, &base, &mut diff);
    busy::idle_mount_points(&context, &mut diff);
    if writes_metadata(goals, &diff) {
        pvs::refuse_read_only(&context, &base, &mut diff);
        pvs::refuse_absent(&context, &base, &mut diff);
    }
    let has_work = !diff.changes.is_empty() || !goals.tasks.is_empty() || !goals.checks.is_empty();
    if has_work {
        pvs::refuse_disputed(&context, &base, &mut diff);
    }
    live::check(&context, &base, has_work, &mut diff);
    diff
}
