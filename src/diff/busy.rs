//! Who keeps an LV from being free, and what the plan lets be done about it.

use serde::{Deserialize, Serialize};

use crate::diff::live::{in_the_way, refuse_users, users};
use crate::diff::{Context, Diff, Refusal, RefusalCode};
use crate::ids::{ForeignText, LvName, LvUuid, VgUuid};
use crate::model::live::{Live, Mount};
use crate::model::vg::{Lv, Vg};

/// A file system of an LV, and how it is mounted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MountedLv {
    /// Where; an absolute path.
    pub at: ForeignText,
    /// The LV.
    pub lv: LvUuid,
    /// What it is called.
    pub name: LvName,
    /// The type of the file system.
    pub fs_type: ForeignText,
    /// The mount options.
    pub options: ForeignText,
}

/// Why an LV cannot be freed, when it cannot: the uses that the plan does not let end.
pub fn refuse_in_use(live: &Live, vg: &Vg, lv: &Lv, unmount: &[String]) -> Option<Refusal> {
    let uses = users(live, vg.uuid, lv.uuid);
    let refusal = refuse_users(format!("LV {}/{}", vg.name, lv.name), &in_the_way(&uses, unmount));
    refusal.or_else(|| {
        let mounts = mounts_of(live, vg.uuid, lv.uuid, unmount);
        let why = mounts.into_iter().find_map(|mount| not_to_be_mounted_again(live, mount))?;
        let object = format!("LV {}/{}", vg.name, lv.name);
        Some(
            Refusal::new(RefusalCode::VolumeInUse, object, why)
                .with_help("unmount it yourself, and plan again after that"),
        )
    })
}

/// Where the LV is mounted and the plan lets it be unmounted.
fn mounts_of<'a>(live: &'a Live, vg: VgUuid, lv: LvUuid, unmount: &[String]) -> Vec<&'a Mount> {
    let may_go = |mount: &&Mount| unmount.iter().any(|at| at == mount.at.raw());
    live.mounts.iter().filter(|m| live.lv_of_mount(vg, m) == Some(lv)).filter(may_go).collect()
}

/// Only what can be mounted again exactly as it is, is unmounted.
fn not_to_be_mounted_again(live: &Live, mount: &Mount) -> Option<String> {
    let at = &mount.at;
    let here = live.mounts.iter().filter(|other| other.is_ours && other.at == *at).count();
    if mount.root.raw() != "/" {
        return Some(format!(
            "only {} of it is mounted at {at}: lvmend does not mount a part of a file system again",
            mount.root
        ));
    }
    if here > 1 {
        return Some(format!("several file systems are mounted at {at}, one over the other"));
    }
    mount.fs_type.raw().starts_with("fuse").then(|| {
        format!("it is mounted at {at} by a program (type {}), not by the kernel", mount.fs_type)
    })
}

/// What has to be unmounted for these LVs to be free, what is mounted within another mount first.
pub fn to_unmount(
    live: &Live,
    vg: VgUuid,
    lvs: &[(LvName, LvUuid)],
    unmount: &[String],
) -> Vec<MountedLv> {
    let mounted = lvs.iter().flat_map(|(name, lv)| {
        mounts_of(live, vg, *lv, unmount).into_iter().map(|mount| MountedLv {
            at: mount.at.clone(),
            lv: *lv,
            name: name.clone(),
            fs_type: mount.fs_type.clone(),
            options: mount.options.clone(),
        })
    });
    let mut mounted: Vec<MountedLv> = mounted.collect();
    // `/mnt/a/b` sorts behind `/mnt/a`.
    mounted.sort_by(|a, b| b.cmp(a));
    mounted.dedup();
    mounted
}

/// Tells which mount points of the plan have no effect.
pub fn idle_mount_points(context: &Context<'_>, diff: &mut Diff) {
    let Some(live) = context.inventory.live.as_deref() else { return };
    let of_vg = |at: &str| {
        let mut here = live.mounts.iter().filter(|mount| mount.at.raw() == at);
        here.any(|mount| live.lv_of_mount(context.goals.vg, mount).is_some())
    };
    for at in context.goals.unmount.iter().filter(|at| !of_vg(at)) {
        diff.notes.push(format!(
            "no LV of this VG is mounted at {}: nothing is unmounted there",
            ForeignText::from(at.as_str())
        ));
    }
}
