//! Removing a snapshot, and what keeps it from going.

use crate::diff::{half_done_stacks, refuse_in_use};
use crate::model::inventory::Inventory;
use crate::model::live::Live;
use crate::model::vg::{Lv, Vg};
use crate::operation::act::Act;
use crate::operation::activation::current;
use crate::operation::command::{CommandLine, devices_of_vg, devices_option, live_of, lvm};
use crate::operation::snapshot_backup::SnapshotBackup;
use crate::operation::{Contract, ReloadTree, Signature, Unfit};

impl SnapshotBackup {
    pub(super) fn unmount_command(&self, live: &Live, at: &str) -> CommandLine {
        let args = vec!["--".to_owned(), at.to_owned()];
        CommandLine { program: live.program("umount"), args }
    }

    pub(super) fn remove_command(&self, now: &Inventory, live: &Live) -> CommandLine {
        let mut args = ["lvremove", "--yes"].map(str::to_owned).to_vec();
        args.extend(devices_option(&live.lvm, &devices_of_vg(now, self.vg)));
        args.push(format!("{}/{}", self.name, self.snapshot));
        lvm(&live.lvm, args)
    }

    /// Takes away what has the name of the snapshot, where that may go.
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
        if !self.is_ours(lv) && self.recreates != Some(lv.uuid) {
            let why = format!("somebody made an LV {} meanwhile: it is not removed", lv.name);
            return Err(Unfit::new(why));
        }
        self.remove(now, live, vg, lv)
    }

    fn remove(&self, now: &Inventory, live: &Live, vg: &Vg, lv: &Lv) -> Result<Vec<Act>, Unfit> {
        if let Some(refusal) = refuse_in_use(live, vg, lv, &self.may_unmount()) {
            return Err(Unfit::in_use(format!("{}: {}", refusal.object, refusal.why)));
        }
        let mut places: Vec<&str> = live
            .mounts
            .iter()
            .filter(|mount| live.lv_of_mount(self.vg, mount) == Some(lv.uuid))
            .map(|mount| mount.at.raw())
            .collect();
        places.sort_unstable();
        // What is mounted within another mount goes first.
        let unmount = |at: &str| Act::RunWhenFree(self.unmount_command(live, at));
        let mut acts: Vec<Act> = places.into_iter().rev().map(unmount).collect();
        acts.push(Act::RunWhenFree(self.remove_command(now, live)));
        Ok(acts)
    }

    /// What has to be done for nothing to be left of it: nothing stays suspended, mounted or made.
    pub(super) fn undo_acts(
        &self,
        now: &Inventory,
        signature: &Signature,
    ) -> Result<Vec<Act>, Unfit> {
        let (live, vg) = (live_of(now)?, current(now, self.vg)?);
        // A command of LVM2 that was killed may have left the origin suspended.
        let stacks = half_done_stacks(now, self.vg, self.origin)
            .map_err(|why| Unfit::new(format!("LV {}: {why}", self.origin_name)))?;
        if let Some(stack) = stacks.first() {
            let reload = ReloadTree::of(self.vg, self.name.clone(), stack);
            return Ok(reload.lower(now, signature)?.acts);
        }
        match self.standing(vg).filter(|lv| self.is_ours(lv)) {
            Some(lv) => self.remove(now, live, vg, lv),
            None => Ok(Vec::new()),
        }
    }
}
