//! Who keeps an LV from being free, and what the plan lets be done about it.

use serde::{Deserialize, Serialize};

use crate::diff::live::{in_the_way, refuse_users, users};
use crate::diff::{Context, Diff, Refusal, RefusalCode};
use crate::ids::{ForeignText, LvName, LvUuid, VgUuid};
use crate::model::live::{Live, Mount, Opener, Use};
use crate::model::parts::{leaning_on, snapshot_link};
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
    let mounts = mounts_of(live, vg.uuid, lv.uuid, unmount);
    let object = format!("LV {}/{}", vg.name, lv.name);
    refusal
        .or_else(|| {
            let why = mounts.iter().find_map(|mount| not_to_be_mounted_again(live, mount))?;
            Some(
                Refusal::new(RefusalCode::VolumeInUse, &object, why)
                    .with_help("unmount it yourself, and plan again after that"),
            )
        })
        .or_else(|| mounts.iter().find_map(|mount| refuse_file_users(live, mount, &object)))
}

/// Why an LV cannot be removed: what goes with it, and the uses that the plan does not let end. A mount
/// that other namespaces got from ours goes with ours.
pub fn refuse_removal(live: &Live, vg: &Vg, lv: &Lv, unmount: &[String]) -> Option<Refusal> {
    let object = format!("LV {}/{}", vg.name, lv.name);
    let is_of_it = |other: &&Lv| snapshot_link(other).is_some_and(|link| *link.origin == lv.name);
    let leaning = leaning_on(vg, lv).into_iter().map(|other| &other.name);
    let snapshots = vg.lvs.iter().filter(is_of_it).filter_map(snapshot_link).map(|link| link.store);
    if let Some(other) = leaning.chain(snapshots).next() {
        let why = format!("LV {other} stands on it, and LVM would remove that as well");
        let help = "remove that one first, if nobody needs it, or use another name here";
        return Some(Refusal::new(RefusalCode::SnapshotRefused, object, why).with_help(help));
    }
    let may_go = |found: &Use| match found {
        Use::Mount(mount) => live.mounts.iter().any(|ours| {
            let is_allowed = unmount.iter().any(|at| at == ours.at.raw());
            ours.is_ours
                && is_allowed
                && ours.device == mount.device
                && (!mount.is_ours || ours == mount)
        }),
        Use::Swap | Use::Device(_) | Use::Process(_) | Use::Unknown(_) => false,
    };
    let mut uses = users(live, vg.uuid, lv.uuid);
    uses.retain(|found| !may_go(found));
    refuse_users(&object, &uses).or_else(|| {
        let mounts = mounts_of(live, vg.uuid, lv.uuid, unmount);
        mounts.iter().find_map(|mount| refuse_file_users(live, mount, &object))
    })
}

/// Why a file system cannot be unmounted: the processes that use files on it.
pub fn refuse_file_users(live: &Live, mount: &Mount, object: &str) -> Option<Refusal> {
    let here = |user: &&Opener| user.device == mount.device;
    let users: Vec<Use> = live.file_users.iter().filter(here).cloned().map(Use::Process).collect();
    let refusal = refuse_users(object, &users)?;
    let shown: Vec<String> = users.iter().map(ToString::to_string).collect();
    let why = format!("files on it, at {}, are in use: {}", mount.at, shown.join("; "));
    Some(Refusal { why, ..refusal })
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
    if mount.fs_type.raw().starts_with("fuse") {
        let fs_type = &mount.fs_type;
        return Some(format!(
            "it is mounted at {at} by a program (type {fs_type}), not by the kernel"
        ));
    }
    // The kernel writes blanks and the like so.
    mount.options.raw().contains('\\').then(|| {
        format!(
            "it is mounted at {at} with options that cannot be told from what is shown: {}",
            mount.options
        )
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
