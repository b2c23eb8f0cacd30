//! What operations do that could cut off a file system: whether a run may keep its journal there.

use crate::diff::live::Disturbed;
use crate::operation::{CopyLv, CopyTo, Operation};

impl Operation {
    /// What it unmounts, suspends, deactivates, maps anew, or writes by hand. A new operation says it here,
    /// or the state directory is not kept away from it.
    pub fn disturbs(&self) -> Disturbed {
        let mut disturbed = Disturbed::default();
        match self {
            Self::WritePvLabel(label) => {
                disturbed.pvs.insert(label.lost.pv);
                disturbed.devices.insert(label.lost.device.clone());
            }
            Self::CommitMetadata(commit) => {
                disturbed.pvs.extend(commit.areas.iter().map(|area| area.pv));
            }
            Self::RefreshLvs(refresh) => {
                disturbed.lvs.extend(refresh.lvs.iter().map(|lv| lv.uuid));
            }
            Self::ReloadTree(reload) => disturbed.lvs.extend(reload.lvs()),
            Self::DeactivateLvs(deactivate) => {
                disturbed.lvs.extend(deactivate.lvs.iter().map(|lv| lv.uuid));
            }
            Self::Unmount(unmount) => {
                disturbed.lvs.extend(unmount.mounts.iter().map(|mount| mount.lv));
            }
            // What is written over is no place for a journal, mounted or not.
            Self::CopyLv(CopyLv { to: CopyTo::Lv(over), .. }) => {
                disturbed.lvs.insert(over.over);
            }
            // LVM2 suspends an active pool, and what lies in it, while it grows.
            Self::ExtendPool(extend) => {
                disturbed.lvs.insert(extend.pool.uuid);
            }
            // While its metadata is changed no LV of a pool is there.
            Self::CreatePoolMetadata(_)
            | Self::RebuildPoolMetadata(_)
            | Self::SwapPoolMetadata(_)
            | Self::SetTransactionId(_)
            | Self::DropThinLv(_)
            // Nobody uses the spare.
            | Self::MakePoolSpare(_)
            | Self::ClearNeedsCheck(_)
            // Devices that become PVs are blank: no file system is on them.
            | Self::ExtendVg(_)
            | Self::SaveEvidence(_)
            | Self::RestoreMissingPv(_)
            | Self::SpliceLv(_)
            | Self::ActivateLvs(_)
            | Self::MountAgain(_)
            | Self::CopyLv(CopyLv { to: CopyTo::File { .. }, .. })
            // LVM2 suspends the origin for a moment, and needs no file meanwhile.
            | Self::RemoveSnapshot(_)
            | Self::SnapshotBackup(_)
            | Self::CheckSha256(_) => {}
        }
        disturbed
    }
}
