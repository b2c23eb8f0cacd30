//! Making a snapshot, mounting it, and running programs over it.

use std::collections::BTreeMap;

use crate::ids::{ForeignText, LvName, LvUuid, VgUuid};
use crate::model::file_system::{options_of, type_by};
use crate::model::inventory::Inventory;
use crate::model::live::{Live, lvm_device_name};
use crate::model::vg::Vg;
use crate::operation::Unfit;
use crate::operation::act::{Act, PlannedProgram};
use crate::operation::command::{CommandLine, devices_of_vg, devices_option, lvm, pinned};
use crate::operation::snapshot_backup::SnapshotBackup;
use crate::plan::document::Journal;

impl SnapshotBackup {
    /// Everything from the command that makes it to the one that removes it.
    pub(super) fn make(&self, now: &Inventory, live: &Live, vg: &Vg) -> Result<Vec<Act>, Unfit> {
        let origin = vg.lv_by_uuid(self.origin).filter(|lv| lv.name == self.origin_name);
        let name = &self.origin_name;
        origin.ok_or_else(|| Unfit::new(format!("LV {name} is not there any more")))?;
        if !live.is_up(self.vg, self.origin) {
            let why =
                format!("LV {name} is not active, or is suspended: it has no content to show");
            return Err(Unfit::new(why));
        }
        let fs_type = self.fs_type(now, live)?;
        let device = self.device();
        let mut acts = vec![
            Act::Run(self.create(now, live, vg)?),
            Act::AwaitDevice { path: device.clone() },
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
        acts.push(Act::RunWhenFree(self.unmount_command(live, &self.mount.at)));
        if !self.keep {
            acts.push(Act::RunWhenFree(self.remove_command(now, live)));
        }
        Ok(acts)
    }

    fn create(&self, now: &Inventory, live: &Live, vg: &Vg) -> Result<CommandLine, Unfit> {
        let place = self.place(now, live, vg);
        let place = place.map_err(|why| Unfit::new(format!("VG {}: {why}", self.name)))?;
        let permission = match self.mount.journal {
            Journal::Skip => "r",
            Journal::Replay => "rw",
        };
        let mut args: Vec<String> =
            ["lvcreate", "--yes", "-s", "-p", permission, "-n"].map(str::to_owned).to_vec();
        args.extend([self.snapshot.to_string(), "--addtag".to_owned(), self.tag.clone()]);
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
