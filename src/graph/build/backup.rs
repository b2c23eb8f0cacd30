//! Backups through snapshots: what speaks against one.

use crate::diff::{Refusal, RefusalCode, refuse_removal};
use crate::graph::build::Builder;
use crate::ids::ForeignText;
use crate::model::flags::LvStatus;
use crate::model::live::Live;
use crate::model::parts::{Role, Roles};
use crate::model::segment::SegmentKind;
use crate::model::vg::Vg;
use crate::operation::command::CommandLine;
use crate::operation::snapshot_backup::{file_system, is_shared_btrfs, is_snapshot_of};
use crate::operation::{MountedSnapshot, Operation, RemoveSnapshot, RunProgram, SnapshotBackup};
use crate::plan::document::SnapshotBackupTask;

/// What tells a snapshot of a plan from others; the name of the plan follows.
const TAG: &str = "lvmend.snapshot";

impl Builder<'_> {
    /// The backup, or all that speaks against it.
    pub(super) fn back_up(
        &self,
        task: &SnapshotBackupTask,
    ) -> Result<Vec<Operation>, Vec<Refusal>> {
        let Some(live) = self.inventory.live.as_deref() else {
            let why = "a snapshot is only made and mounted on a running machine";
            return Err(vec![refusal(RefusalCode::NeedsKernel, task, why.to_owned())]);
        };
        let Some((origin, _)) = self.lv(&task.origin) else { return Ok(Vec::new()) };
        let (Some(vg), Some(name)) = (self.current(), self.vg_name()) else {
            let why = "no metadata of its VG counts".to_owned();
            return Err(vec![refusal(RefusalCode::SnapshotRefused, task, why)]);
        };
        let (run, mut refusals) = self.programs(task);
        let mount = &task.mount;
        let fs_type = Some(mount.fs_type.clone()).filter(|fs_type| fs_type != "auto");
        let backup = SnapshotBackup {
            vg: vg.uuid,
            name,
            origin,
            origin_name: task.origin.clone(),
            snapshot: task.snapshot.clone(),
            tag: format!("{TAG}={}", self.goals.plan),
            size: task.size,
            attempts: task.attempts,
            retry_delay: task.retry_delay,
            mount: MountedSnapshot {
                at: mount.at.clone(),
                fs_type,
                journal: mount.journal,
                options: mount.options.clone(),
            },
            run,
            keep: task.keep,
            unmount: self.goals.unmount.clone(),
        };
        let unfit = |why: String| refusal(RefusalCode::SnapshotRefused, task, why);
        refusals.extend(unfit_origin(vg, task).map(unfit));
        refusals.extend(self.unfit_place(live, &backup, vg).map(unfit));
        let mut operations = Vec::new();
        match self.standing(live, vg, &backup) {
            Ok(removed) => operations.extend(removed.map(Operation::RemoveSnapshot)),
            Err(standing) => refusals.push(standing),
        }
        if let Err(why) = backup.place(self.inventory, live, vg) {
            let why = format!("for snapshot {}: {why}", task.snapshot);
            let refusal = Refusal::new(RefusalCode::NoRoom, format!("VG {}", vg.name), why);
            refusals
                .push(refusal.with_help("a smaller `size`, or `volume_group: {extend_with: …}`"));
        }
        if refusals.is_empty() {
            operations.push(Operation::SnapshotBackup(Box::new(backup)));
            Ok(operations)
        } else {
            Err(refusals)
        }
    }

    /// The programs, each where it is.
    fn programs(&self, task: &SnapshotBackupTask) -> (Vec<RunProgram>, Vec<Refusal>) {
        let (mut run, mut refusals) = (Vec::new(), Vec::new());
        for wanted in &task.run {
            let Some((name, args)) = wanted.argv.split_first() else { continue };
            let found = self.inventory.surroundings.programs.get(name);
            match found.cloned().unwrap_or_else(|| Err("it was not looked for".to_owned())) {
                Ok(program) => run.push(RunProgram {
                    command: CommandLine { program, args: args.to_vec() },
                    timeout: wanted.timeout,
                }),
                Err(why) => {
                    let object = ForeignText::from(name.as_str());
                    let refusal = Refusal::new(RefusalCode::ProgramRefused, object, why);
                    refusals.push(refusal.with_help(
                        "it is run as root: name one that only root can write, by its absolute \
                         path or as it is found in /usr/sbin, /usr/bin, /sbin, /bin",
                    ));
                }
            }
        }
        (run, refusals)
    }

    /// Why nothing can be mounted there.
    fn unfit_place(&self, live: &Live, backup: &SnapshotBackup, vg: &Vg) -> Option<String> {
        let at = &backup.mount.at;
        let standing = vg.lv(&backup.snapshot).map(|lv| lv.uuid);
        let mut here = live.mounts.iter().filter(|m| m.is_ours && m.at.raw() == at);
        // What is mounted there hides whether the place below is one.
        if let Some(mount) = here.next() {
            let is_standing = standing.is_some() && live.lv_of_mount(vg.uuid, mount) == standing;
            return (!is_standing).then(|| format!("{} is mounted at {at}", mount.source));
        }
        if let Some(Err(why)) = self.inventory.surroundings.mount_points.get(at) {
            return Some(format!("it cannot be mounted at {at}: {why}"));
        }
        let origin = (backup.origin, &backup.origin_name);
        let fs_type = match &backup.mount.fs_type {
            Some(fs_type) => fs_type.clone(),
            // Of an LV that comes back with this plan the run will tell.
            None if vg.lv_by_uuid(backup.origin).is_none() => return None,
            None => match file_system(self.inventory, live, vg.uuid, origin) {
                Ok(fs_type) => fs_type,
                Err(why) => return Some(why),
            },
        };
        is_shared_btrfs(self.inventory, live, vg.uuid, (backup.origin, &fs_type))
    }

    /// What has the name already, where an earlier run of this plan did not make it: it goes only when the
    /// plan accepts that.
    fn standing(
        &self,
        live: &Live,
        vg: &Vg,
        backup: &SnapshotBackup,
    ) -> Result<Option<RemoveSnapshot>, Refusal> {
        let (name, origin) = (&backup.snapshot, &backup.origin_name);
        let Some(lv) = vg.lv(name) else { return Ok(None) };
        let object = format!("LV {}/{}", vg.name, lv.name);
        if !is_snapshot_of(vg, lv, origin) {
            let why = format!("LV {name} is no snapshot of LV {origin}");
            return Err(Refusal::new(RefusalCode::NameTaken, object, why).with_help(
                "give the snapshot another name, or remove that LV if nobody needs it",
            ));
        }
        if let Some(refusal) = refuse_removal(live, vg, lv, &self.goals.unmount) {
            return Err(refusal);
        }
        let removed = RemoveSnapshot {
            vg: vg.uuid,
            name: vg.name.clone(),
            lv: lv.uuid,
            lv_name: lv.name.clone(),
            origin: origin.clone(),
            unmount: self.goals.unmount.clone(),
        };
        Ok((!backup.is_ours(lv)).then_some(removed))
    }
}

fn refusal(code: RefusalCode, task: &SnapshotBackupTask, why: String) -> Refusal {
    Refusal::new(code, format!("snapshot {} of LV {}", task.snapshot, task.origin), why)
}

/// Why no snapshot is made of this LV.
fn unfit_origin(vg: &Vg, task: &SnapshotBackupTask) -> Option<String> {
    // One that comes back with this plan is looked at when it is there.
    let lv = vg.lv(&task.origin)?;
    let roles = Roles::of(vg);
    if !roles.is_shown(lv) || roles.is_part(&lv.name) {
        return Some(format!("it is a hidden part of LV {}", roles.top_of(lv).name));
    }
    if roles.is(&lv.name, Role::SnapshotStore) {
        return Some("it is a snapshot itself".to_owned());
    }
    if !vg.is_writable() {
        return Some("its VG may not be written, the metadata says".to_owned());
    }
    if lv.status.has(LvStatus::Locked) {
        return Some("a pvmove works on it".to_owned());
    }
    let is_thin =
        matches!(lv.segments.as_slice(), [only] if matches!(only.kind, SegmentKind::Thin { .. }));
    if !is_thin && task.size.is_none() {
        return Some(
            "LV is not thin, so its snapshot needs room of its own: say how much may be written to \
             it meanwhile, with `size`"
                .to_owned(),
        );
    }
    let unfit = lv.segments.iter().find(|segment| {
        matches!(
            segment.kind,
            SegmentKind::ThinPool { .. }
                | SegmentKind::CachePool { .. }
                | SegmentKind::VdoPool { .. }
                | SegmentKind::Snapshot { .. }
                | SegmentKind::Error
                | SegmentKind::Zero
                | SegmentKind::Unknown { .. }
        )
    })?;
    Some(format!("it is of type {}, of which no snapshot is mounted", unfit.kind.type_name()))
}
