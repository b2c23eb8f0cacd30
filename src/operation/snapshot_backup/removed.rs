//! Removing a snapshot, and what keeps it from going.

use crate::diff::{half_done_stacks, refuse_removal};
use crate::ids::{LvName, VgName, VgUuid};
use crate::model::inventory::Inventory;
use crate::model::live::Live;
use crate::model::parts::snapshot_link;
use crate::model::segment::SegmentKind;
use crate::model::vg::{Lv, Vg};
use crate::operation::act::Act;
use crate::operation::activation::current;
use crate::operation::command::{CommandLine, devices_of_vg, devices_option, live_of, lvm};
use crate::operation::snapshot_backup::SnapshotBackup;
use crate::operation::{Contract, ReloadTree, Signature, Unfit};

/// `umount` of one place.
pub fn unmount_command(live: &Live, at: &str) -> CommandLine {
    let args = vec!["--".to_owned(), at.to_owned()];
    CommandLine { program: live.program("umount"), args }
}

/// `lvremove` of a snapshot.
pub fn remove_command(
    now: &Inventory,
    live: &Live,
    (vg, name): (VgUuid, &VgName),
    lv: &LvName,
) -> CommandLine {
    let mut args = ["lvremove", "--yes"].map(str::to_owned).to_vec();
    args.extend(devices_option(&live.lvm, &devices_of_vg(now, vg)));
    args.push(format!("{name}/{lv}"));
    lvm(&live.lvm, args)
}

/// Unmounts a snapshot where that may be, and removes it.
///
/// # Errors
/// [`Unfit`], when somebody else uses it, or another LV would go with it.
pub fn remove(
    now: &Inventory,
    live: &Live,
    vg: &Vg,
    lv: &Lv,
    unmount: &[String],
) -> Result<Vec<Act>, Unfit> {
    if let Some(refusal) = refuse_removal(live, vg, lv, unmount) {
        let why = format!("{}: {}", refusal.object, refusal.why);
        return Err(if refusal.may_pass() { Unfit::in_use(why) } else { Unfit::new(why) });
    }
    let mut places: Vec<&str> = live
        .mounts
        .iter()
        .filter(|mount| live.lv_of_mount(vg.uuid, mount) == Some(lv.uuid))
        .map(|mount| mount.at.raw())
        .collect();
    places.sort_unstable();
    // What is mounted within another mount goes first.
    let unmount = |at: &str| Act::RunWhenFree(unmount_command(live, at));
    let mut acts: Vec<Act> = places.into_iter().rev().map(unmount).collect();
    let command = remove_command(now, live, (vg.uuid, &vg.name), &lv.name);
    acts.push(Act::RunWhenFree(command));
    Ok(acts)
}

impl SnapshotBackup {
    /// Takes away what an earlier run of the plan left under the name.
    pub(super) fn clear_the_way(
        &self,
        now: &Inventory,
        live: &Live,
        vg: &Vg,
    ) -> Result<Vec<Act>, Unfit> {
        let standing = self.standing(vg);
        let of_snapshot = standing.map(|lv| lv.uuid);
        let in_the_way = live.mounts.iter().find(|mount| {
            let is_here = mount.is_ours && mount.at.raw() == self.mount.at;
            let is_its = of_snapshot.is_some() && live.lv_of_mount(self.vg, mount) == of_snapshot;
            is_here && !is_its
        });
        if let Some(mount) = in_the_way {
            let (at, source) = (&mount.at, &mount.source);
            return Err(Unfit::in_use(format!("{source} is mounted at {at}")));
        }
        let Some(lv) = standing else { return Ok(Vec::new()) };
        if !self.is_ours(lv) || !is_snapshot_of(vg, lv, &self.origin_name) {
            let why = format!("somebody made an LV {} meanwhile: it is not removed", lv.name);
            return Err(Unfit::new(why));
        }
        remove(now, live, vg, lv, &self.unmount)
    }

    /// What has to be done for nothing to be left of this run's: nothing stays suspended, mounted or
    /// made.
    pub(super) fn undo_acts(
        &self,
        now: &Inventory,
        signature: &Signature,
    ) -> Result<Vec<Act>, Unfit> {
        let (live, vg) = (live_of(now)?, current(now, self.vg)?);
        // A command of LVM2 that was killed may have left the origin suspended.
        if let Some(stack) = half_done_stacks(now, self.vg, self.origin).first() {
            let reload = ReloadTree::of(self.vg, self.name.clone(), stack);
            return Ok(reload.lower(now, signature)?.acts);
        }
        let run = run_tag(signature);
        let is_of_run = |lv: &&Lv| self.is_ours(lv) && lv.tags.iter().any(|tag| tag.raw() == run);
        match self.standing(vg).filter(is_of_run) {
            Some(lv) => remove(now, live, vg, lv, &self.may_unmount()),
            None => Ok(Vec::new()),
        }
    }
}

/// What tells the snapshot of one run from those of others.
pub(super) fn run_tag(signature: &Signature) -> String {
    format!("lvmend.run={}", signature.time)
}

/// Whether an LV is a snapshot of this origin, classic or thin.
pub fn is_snapshot_of(vg: &Vg, lv: &Lv, origin: &LvName) -> bool {
    let is_link = |other: &Lv| {
        snapshot_link(other).is_some_and(|link| *link.store == lv.name && *link.origin == *origin)
    };
    let is_thin = |kind: &SegmentKind| matches!(kind, SegmentKind::Thin { origin: Some(of), .. } if of == origin);
    vg.lvs.iter().any(is_link) || lv.segments.iter().any(|segment| is_thin(&segment.kind))
}
