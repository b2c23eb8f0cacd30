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
mod contract;
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
mod remove_snapshot;
mod restore_missing_pv;
mod risk;
mod save_evidence;
mod set_transaction_id;
pub mod snapshot_backup;
mod splice_lv;
mod swap_pool_metadata;
mod touches;
mod unmount;
mod write_pv_label;

use serde::{Deserialize, Serialize};

use crate::ids::OperationId;

pub use activate_lvs::ActivateLvs;
pub use check_sha256::CheckSha256;
pub use clear_needs_check::ClearNeedsCheck;
pub use commit_metadata::CommitMetadata;
pub use contract::{Attempts, Contract, Lowered, Probe, Signature, Unfit};
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
pub use remove_snapshot::RemoveSnapshot;
pub use restore_missing_pv::RestoreMissingPv;
pub use risk::{Risk, Stage};
pub use save_evidence::{SaveEvidence, regions_of_extents};
pub use set_transaction_id::SetTransactionId;
pub use snapshot_backup::{MountedSnapshot, RunProgram, SnapshotBackup};
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
    /// Removes a snapshot that stands where a plan is to make its own.
    RemoveSnapshot(RemoveSnapshot),
    /// Backs an LV up through a snapshot.
    SnapshotBackup(Box<SnapshotBackup>),
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
            Self::RemoveSnapshot(operation) => operation,
            Self::SnapshotBackup(operation) => operation.as_ref(),
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
            Self::RemoveSnapshot(_) => "remove_snapshot",
            Self::SnapshotBackup(_) => "snapshot_backup",
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
            | Self::RemoveSnapshot(_)
            | Self::SnapshotBackup(_)
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
            Self::CopyLv(_) | Self::RemoveSnapshot(_) | Self::SnapshotBackup(_) => {
                return Stage::Task;
            }
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
                | Self::SnapshotBackup(_)
                | Self::CheckSha256(_)
                | Self::RebuildPoolMetadata(_)
        )
    }
}
