//! Operations: the steps a plan comes to, as data, and the contract each of them fulfils.
//!
//! An operation says what it reads and writes, what must hold before, what it does as [`Act`]s,
//! what the world is like afterwards, what it risks and how it is undone. `graph` orders
//! operations by it, `simulate` follows the prediction, `execute` performs the acts and holds the
//! world to the prediction, `report` prints all of it: one story, four readers.

pub mod act;
mod activate_lvs;
pub mod activation;
mod area_place;
mod check_sha256;
mod clear_needs_check;
pub mod command;
mod commit;
mod commit_metadata;
pub mod content;
mod copy_lv;
mod create_pool_metadata;
mod deactivate_lvs;
mod disturbs;
mod drop_thin_lv;
mod edited_text;
mod extend_pool;
mod extend_vg;
mod live_commit;
mod make_pool_spare;
mod mount_again;
mod mounts;
mod pools;
mod rebuild_pool_metadata;
mod refresh_lvs;
pub mod reload;
pub mod reload_tree;
mod restore_missing_pv;
mod risk;
mod save_evidence;
mod set_transaction_id;
mod splice_lv;
mod swap_pool_metadata;
mod touches;
mod unmount;
mod write_pv_label;

use serde::{Deserialize, Serialize};

use crate::diff::Claim;
use crate::ids::{Digest, ForeignText, OperationId};
use crate::model::compare::Difference;
use crate::model::inventory::{Inventory, Realm};
use crate::operation::act::{Act, CopyFile};
use crate::plan::hazard::Hazard;

pub use activate_lvs::ActivateLvs;
pub use check_sha256::CheckSha256;
pub use clear_needs_check::ClearNeedsCheck;
pub use commit_metadata::CommitMetadata;
pub use copy_lv::{CopyLv, CopyTo, OverwrittenLv};
pub use create_pool_metadata::CreatePoolMetadata;
pub use deactivate_lvs::DeactivateLvs;
pub use drop_thin_lv::DropThinLv;
pub use extend_pool::ExtendPool;
pub use extend_vg::ExtendVg;
pub use make_pool_spare::MakePoolSpare;
pub use mount_again::MountAgain;
pub use rebuild_pool_metadata::RebuildPoolMetadata;
pub use refresh_lvs::RefreshLvs;
pub use reload_tree::ReloadTree;
pub use restore_missing_pv::RestoreMissingPv;
pub use risk::{Risk, Stage};
pub use save_evidence::{SaveEvidence, regions_of_extents};
pub use set_transaction_id::SetTransactionId;
pub use splice_lv::SpliceLv;
pub use swap_pool_metadata::SwapPoolMetadata;
pub use touches::{Resource, Touches};
pub use unmount::Unmount;
pub use write_pv_label::WritePvLabel;

/// Every kind of operation. The names are those of the journal, the reports and the book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// Saves everything the plan may touch.
    SaveEvidence(SaveEvidence),
    /// Writes the label of a PV again.
    WritePvLabel(WritePvLabel),
    /// Writes metadata areas that are damaged, empty or do not agree.
    CommitMetadata(CommitMetadata),
    /// Takes the MISSING mark off a PV.
    RestoreMissingPv(RestoreMissingPv),
    /// Puts a lost LV into the current metadata.
    SpliceLv(Box<SpliceLv>),
    /// Makes blank devices PVs of the VG.
    ExtendVg(ExtendVg),
    /// Makes the metadata or the data of a thin pool larger.
    ExtendPool(ExtendPool),
    /// Makes an LV for the new metadata of a thin pool.
    CreatePoolMetadata(CreatePoolMetadata),
    /// Rebuilds the metadata of a thin pool in that LV.
    RebuildPoolMetadata(RebuildPoolMetadata),
    /// Gives a thin pool its new metadata.
    SwapPoolMetadata(SwapPoolMetadata),
    /// Makes LVM's text say the transaction id that a thin pool has.
    SetTransactionId(SetTransactionId),
    /// Takes a thin LV out of LVM's text whose device is in no metadata.
    DropThinLv(DropThinLv),
    /// Makes the spare for pool metadata, or makes it longer.
    MakePoolSpare(MakePoolSpare),
    /// Clears the flag `needs_check` of a thin pool.
    ClearNeedsCheck(ClearNeedsCheck),
    /// Gives active LVs their tables anew.
    RefreshLvs(RefreshLvs),
    /// Gives the devices of a stack the tables that the metadata says.
    ReloadTree(Box<ReloadTree>),
    /// Activates LVs.
    ActivateLvs(ActivateLvs),
    /// Deactivates LVs that nobody uses.
    DeactivateLvs(DeactivateLvs),
    /// Unmounts file systems of LVs that have to be free.
    Unmount(Unmount),
    /// Mounts what was unmounted.
    MountAgain(MountAgain),
    /// Copies the content of an LV.
    CopyLv(CopyLv),
    /// Compares the content of an LV with a digest.
    CheckSha256(CheckSha256),
}

impl Operation {
    /// The contract it fulfils.
    pub fn contract(&self) -> &dyn Contract {
        match self {
            Self::SaveEvidence(operation) => operation,
            Self::WritePvLabel(operation) => operation,
            Self::CommitMetadata(operation) => operation,
            Self::RestoreMissingPv(operation) => operation,
            Self::SpliceLv(operation) => operation.as_ref(),
            Self::ExtendVg(operation) => operation,
            Self::ExtendPool(operation) => operation,
            Self::CreatePoolMetadata(operation) => operation,
            Self::RebuildPoolMetadata(operation) => operation,
            Self::SwapPoolMetadata(operation) => operation,
            Self::SetTransactionId(operation) => operation,
            Self::DropThinLv(operation) => operation,
            Self::MakePoolSpare(operation) => operation,
            Self::ClearNeedsCheck(operation) => operation,
            Self::RefreshLvs(operation) => operation,
            Self::ReloadTree(operation) => operation.as_ref(),
            Self::ActivateLvs(operation) => operation,
            Self::DeactivateLvs(operation) => operation,
            Self::Unmount(operation) => operation,
            Self::MountAgain(operation) => operation,
            Self::CopyLv(operation) => operation,
            Self::CheckSha256(operation) => operation,
        }
    }

    /// The name of its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SaveEvidence(_) => "save_evidence",
            Self::WritePvLabel(_) => "write_pv_label",
            Self::CommitMetadata(_) => "commit_metadata",
            Self::RestoreMissingPv(_) => "restore_missing_pv",
            Self::SpliceLv(_) => "splice_lv",
            Self::ExtendVg(_) => "extend_vg",
            Self::ExtendPool(_) => "extend_pool",
            Self::CreatePoolMetadata(_) => "create_pool_metadata",
            Self::RebuildPoolMetadata(_) => "rebuild_pool_metadata",
            Self::SwapPoolMetadata(_) => "swap_pool_metadata",
            Self::SetTransactionId(_) => "set_transaction_id",
            Self::DropThinLv(_) => "drop_thin_lv",
            Self::MakePoolSpare(_) => "make_pool_spare",
            Self::ClearNeedsCheck(_) => "clear_needs_check",
            Self::RefreshLvs(_) => "refresh_lvs",
            Self::ReloadTree(_) => "reload_tree",
            Self::ActivateLvs(_) => "activate_lvs",
            Self::DeactivateLvs(_) => "deactivate_lvs",
            Self::Unmount(_) => "unmount",
            Self::MountAgain(_) => "mount_again",
            Self::CopyLv(_) => "copy_lv",
            Self::CheckSha256(_) => "check_sha256",
        }
    }

    /// The operation without what is only said about it: two plans are the same if this is.
    #[must_use]
    pub fn without_notes(&self) -> Self {
        let mut bare = self.clone();
        match &mut bare {
            Self::SpliceLv(splice) => splice.lost.notes.clear(),
            Self::ExtendPool(operation) => operation.pool.why.clear(),
            Self::CreatePoolMetadata(operation) => operation.pool.why.clear(),
            Self::RebuildPoolMetadata(operation) => operation.pool.why.clear(),
            Self::SwapPoolMetadata(operation) => operation.pool.why.clear(),
            Self::SaveEvidence(_)
            | Self::WritePvLabel(_)
            | Self::CommitMetadata(_)
            | Self::RestoreMissingPv(_)
            | Self::ExtendVg(_)
            | Self::SetTransactionId(_)
            | Self::DropThinLv(_)
            | Self::MakePoolSpare(_)
            | Self::ClearNeedsCheck(_)
            | Self::RefreshLvs(_)
            | Self::ReloadTree(_)
            | Self::ActivateLvs(_)
            | Self::DeactivateLvs(_)
            | Self::Unmount(_)
            | Self::MountAgain(_)
            | Self::CopyLv(_)
            | Self::CheckSha256(_) => {}
        }
        bare
    }

    /// Its identity: kind and object.
    pub fn id(&self) -> OperationId {
        OperationId::new(self.kind(), self.contract().object())
    }

    /// Whether it belongs to the plan's states, its tasks or its checks.
    pub const fn stage(&self) -> Stage {
        let task_of = match self {
            Self::SaveEvidence(_) => return Stage::Evidence,
            Self::CopyLv(_) => return Stage::Task,
            Self::CheckSha256(_) => return Stage::Check,
            Self::ActivateLvs(operation) => operation.task_of,
            Self::DeactivateLvs(operation) => operation.task_of,
            Self::Unmount(operation) => operation.task_of,
            Self::MountAgain(operation) => operation.task_of,
            Self::WritePvLabel(_)
            | Self::CommitMetadata(_)
            | Self::RestoreMissingPv(_)
            | Self::ExtendVg(_)
            | Self::SpliceLv(_)
            | Self::ExtendPool(_)
            | Self::CreatePoolMetadata(_)
            | Self::RebuildPoolMetadata(_)
            | Self::SwapPoolMetadata(_)
            | Self::SetTransactionId(_)
            | Self::DropThinLv(_)
            | Self::MakePoolSpare(_)
            | Self::ClearNeedsCheck(_)
            | Self::RefreshLvs(_)
            | Self::ReloadTree(_) => None,
        };
        if task_of.is_some() { Stage::Task } else { Stage::State }
    }

    /// Whether a look at the world tells if it was applied: [`Contract::probe`] does, and not only
    /// what its acts said.
    pub const fn leaves_a_trace(&self) -> bool {
        !matches!(
            self,
            Self::SaveEvidence(_)
                | Self::CopyLv(_)
                | Self::CheckSha256(_)
                | Self::RebuildPoolMetadata(_)
        )
    }
}

/// Who writes, when and where: what LVM puts into the frame of every text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Program and version.
    pub program: String,
    /// The node name.
    pub node: ForeignText,
    /// The machine, as `uname` prints it.
    pub machine: ForeignText,
    /// Seconds since 1970: when the run began. The same in every text of the run, so that a
    /// resumed run writes what an undisturbed one would have.
    pub time: i64,
    /// The same for people.
    pub time_shown: String,
}

/// What an operation does in the face of an inventory, and what comes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowered {
    /// What is done, in this order.
    pub acts: Vec<Act>,
    /// The inventory afterwards. What it says must hold; what it says no different from before
    /// must not have changed.
    pub predicted: Inventory,
}

/// What must hold before an operation does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unfit {
    /// Why, for people.
    pub why: String,
    /// Whether it may pass by itself: somebody uses what must be free.
    pub may_pass: bool,
}

impl Unfit {
    /// Says why.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), may_pass: false }
    }

    /// Somebody uses what must be free.
    pub fn in_use(why: impl Into<String>) -> Self {
        Self { why: why.into(), may_pass: true }
    }
}

/// What a read-only look tells about an operation that was started and has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// The world is as before: it was not applied.
    Before,
    /// The world is as predicted: it was applied.
    After,
    /// Neither: it stopped half-way, or somebody else was there.
    Neither,
}

/// What every operation says about itself.
pub trait Contract {
    /// The one thing it works on, as its identity names it: a UUID where there is one.
    fn object(&self) -> String;

    /// What it does, in one line, for people.
    fn title(&self) -> String;

    /// Why the plan needs it, and what follows, line by line.
    fn reasons(&self) -> Vec<String>;

    /// What it reads and writes.
    fn touches(&self) -> Touches;

    /// How much it can cost here.
    fn risk(&self, realm: Realm) -> Risk;

    /// How it is undone here, or why there is no undo, for people.
    fn undo(&self, realm: Realm) -> &'static str;

    /// Losses that the plan must accept.
    fn hazards(&self) -> Vec<Hazard>;

    /// Checks that what must hold before does, and works out what is done and what comes of it.
    ///
    /// # Errors
    /// [`Unfit`], when it must not be done to this inventory.
    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit>;

    /// Tells from the world whether it was applied, where its acts leave no trace of their own.
    fn probe(&self, now: &Inventory) -> Probe;

    /// The content of the version of the metadata it takes something from, where it names one.
    fn builds_on(&self) -> Option<Digest> {
        None
    }

    /// Whether this difference between the metadata as predicted and as found is LVM2's to choose.
    fn allows(&self, _: &Difference) -> bool {
        false
    }

    /// Works out how it is undone on a running machine, from what stands there now: what others
    /// did since stays.
    ///
    /// # Errors
    /// [`Unfit`], when there is no undo, or not any more.
    fn lower_undo(&self, _: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        Err(Unfit::new("it has no undo"))
    }

    /// Extents that it writes as a whole: what stood there is in the evidence, and on images comes from
    /// there when it is undone.
    fn writes_over(&self) -> &[Claim] {
        &[]
    }

    /// What a crash may leave beside the devices: told from the run alone, since the world may by
    /// then be none that this operation could be done to.
    fn unfinished(&self, _: &Signature) -> Option<CopyFile> {
        None
    }
}
