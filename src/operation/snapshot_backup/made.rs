//! Making a snapshot, mounting it, and running programs over it.

use std::collections::BTreeMap;

use crate::ids::{ForeignText, LvName, LvUuid, VgUuid};
use crate::model::file_system::{options_of, type_by};
use crate::model::inventory::Inventory;
use crate::model::live::{Live, lvm_device_name};
use crate::model::signature::Format;
use crate::model::vg::Vg;
use crate::operation::act::{Act, PlannedProgram};
use crate::operation::command::{CommandLine, devices_of_vg, devices_option, lvm, pinned};
use crate::operation::snapshot_backup::SnapshotBackup;
use crate::operation::snapshot_backup::removed::{remove_command, run_tag, unmount_command};
use crate::operation::{Signature, Unfit};
use crate::plan::document::Journal;

impl SnapshotBackup {
    /// Everything from the command that makes it to the one that removes it.
    pub(super) fn make(
        &self,
        now: &Inventory,
        live: &Live,
        vg: &Vg,
        signature: &Signature,
    ) -> Result<Vec<Act>, Unfit> {
        let origin = vg.lv_by_uuid(self.origin).filter(|lv| lv.name == self.origin_name);
        let name = &self.origin_name;
        origin.ok_or_else(|| Unfit::new(format!("LV {name} is not there any more")))?;
        if !live.is_up(self.vg, self.origin) {
            let why =
                format!("LV {name} is not active, or is suspended: it has no content to show");
            return Err(Unfit::new(why));
        }
        let fs_type = self.fs_type(now, live)?;
        let unfit = |why: String| Unfit::new(format!("LV {name}: {why}"));
        is_shared_btrfs(now, live, self.vg, (self.origin, &fs_type))
            .map_or(Ok(()), |why| Err(unfit(why)))?;
        self.refuse_replay(now, &fs_type).map_err(unfit)?;
        let device = self.device();
        let mut acts = vec![
            Act::Run(self.create(now, live, vg, signature)?),
            Act::ReadyToMount {
                name: lvm_device_name(&self.name, &self.snapshot),
                at: self.mount.at.clone(),
            },
            Act::Run(self.mount_command(live, &fs_type)),
        ];
        let variables = [
            ("LVMEND_MOUNT", self.mount.at.clone()),
            ("LVMEND_DEVICE", device),
            ("LVMEND_VG", self.name.to_string()),
            ("LVMEND_ORIGIN", self.origin_name.to_string()),
            ("LVMEND_SNAPSHOT", self.snapshot.to_string()),
        ];
        let environment: BTreeMap<String, String> =
            variables.map(|(name, value)| (name.to_owned(), value)).into();
        acts.extend(self.run.iter().map(|program| {
            Act::RunProgram(PlannedProgram {
                command: program.command.clone(),
                environment: environment.clone(),
                timeout: program.timeout,
                snapshot: Some(lvm_device_name(&self.name, &self.snapshot)),
            })
        }));
        acts.push(Act::RunWhenFree(unmount_command(live, &self.mount.at)));
        if !self.keep {
            let command = remove_command(now, live, (self.vg, &self.name), &self.snapshot);
            acts.push(Act::RunWhenFree(command));
        }
        Ok(acts)
    }

    fn create(
        &self,
        now: &Inventory,
        live: &Live,
        vg: &Vg,
        signature: &Signature,
    ) -> Result<CommandLine, Unfit> {
        let place = self.place(now, live, vg);
        let place = place.map_err(|why| Unfit::new(format!("VG {}: {why}", self.name)))?;
        let permission = match self.mount.journal {
            Journal::Skip => "r",
            Journal::Replay => "rw",
        };
        let mut args: Vec<String> =
            ["lvcreate", "--yes", "-s", "-p", permission, "-n"].map(str::to_owned).to_vec();
        args.push(self.snapshot.to_string());
        for tag in [self.tag.clone(), run_tag(signature)] {
            args.extend(["--addtag".to_owned(), tag]);
        }
        if self.size.is_some() {
            let extents: u64 = place.iter().map(|(_, range)| range.len().get()).sum();
            args.extend(["-l".to_owned(), extents.to_string()]);
        } else {
            // A thin snapshot is flagged to be skipped at activation otherwise.
            args.extend(["-kn", "-ay"].map(str::to_owned));
        }
        args.extend(devices_option(&live.lvm, &devices_of_vg(now, self.vg)));
        args.push(format!("{}/{}", self.name, self.origin_name));
        args.extend(pinned(now, &place)?);
        Ok(lvm(&live.lvm, args))
    }

    /// What writes its journal elsewhere as well would have it replayed there.
    fn refuse_replay(&self, now: &Inventory, fs_type: &str) -> Result<(), String> {
        if self.mount.journal == Journal::Skip {
            return Ok(());
        }
        let is_elsewhere = now.surroundings.journals_elsewhere.contains(&(self.vg, self.origin));
        let named = ["journal_dev", "journal_path", "logdev", "rtdev", "device"];
        let is_named =
            |option: &String| named.contains(&option.split('=').next().unwrap_or(option));
        if fs_type == "btrfs" || is_elsewhere || self.mount.options.iter().any(is_named) {
            let why = "its journal is, or may be, on another device, which no snapshot is of: replaying it \
                       would take it from the origin. Write `journal: skip`";
            return Err(why.to_owned());
        }
        Ok(())
    }

    fn fs_type(&self, now: &Inventory, live: &Live) -> Result<String, Unfit> {
        if let Some(fs_type) = &self.mount.fs_type {
            return Ok(fs_type.clone());
        }
        let unfit = |why: String| Unfit::new(format!("LV {}: {why}", self.origin_name));
        file_system(now, live, self.vg, (self.origin, &self.origin_name)).map_err(unfit)
    }

    fn mount_command(&self, live: &Live, fs_type: &str) -> CommandLine {
        let replays = self.mount.journal == Journal::Replay;
        let own = options_of(fs_type, replays).into_iter().map(str::to_owned);
        let options: Vec<String> = own.chain(self.mount.options.iter().cloned()).collect();
        let (device, options) = (self.device(), options.join(","));
        let words =
            ["--source", &device, "--target", &self.mount.at, "-t", fs_type, "-o", &options];
        CommandLine { program: live.program("mount"), args: words.map(str::to_owned).to_vec() }
    }
}

/// Why no snapshot of this origin is mounted, where it is btrfs and mounted itself.
pub fn is_shared_btrfs(
    now: &Inventory,
    live: &Live,
    vg: VgUuid,
    (lv, fs_type): (LvUuid, &str),
) -> Option<String> {
    let number = live.top_of(vg, lv).map(|top| top.number);
    let mut mounts = live.mounts.iter().filter(|mount| Some(mount.device) == number).peekable();
    let stands = now.surroundings.signatures.get(&(vg, lv)).and_then(|found| found.as_ref().ok());
    let is_btrfs = fs_type == "btrfs"
        || stands.is_some_and(|found| found.iter().any(|of| of.format == Format::Btrfs));
    let is_mounted = mounts.peek().is_some();
    (is_mounted && (is_btrfs || mounts.any(|mount| mount.fs_type.raw() == "btrfs"))).then(|| {
        "it is btrfs and mounted: the kernel tells file systems of that type apart by their UUID, which a \
         snapshot shares, and could write to the wrong one. Use its own snapshots"
            .to_owned()
    })
}

/// The type of the file system on an LV: as it is mounted, or else as what stands there tells.
///
/// # Errors
/// Why it cannot be told, for people.
pub fn file_system(
    now: &Inventory,
    live: &Live,
    vg: VgUuid,
    (lv, name): (LvUuid, &LvName),
) -> Result<String, String> {
    let number = live.top_of(vg, lv).map(|top| top.number);
    let mounted = live.mounts.iter().find(|mount| Some(mount.device) == number);
    if let Some(fs_type) = mounted.map(|mount| mount.fs_type.raw()) {
        // What a program makes a file system of, only that program mounts.
        let fs_type = if fs_type.starts_with("fuse") { "auto" } else { fs_type };
        return Ok(fs_type.to_owned());
    }
    match now.surroundings.signatures.get(&(vg, lv)) {
        Some(Ok(signatures)) => type_by(signatures).map(str::to_owned),
        Some(Err(why)) => Err(format!("what stands there cannot be read: {why}")),
        None => {
            let name = ForeignText::from(name.as_str());
            Err(format!("what stands on {name} is not known before it is there"))
        }
    }
}
