//! Opening the world that the flags name.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cli::PROGRAM;
use crate::cli::args::Args;
use crate::cli::exit::Exit;
use crate::cli::output::{Output, talk};
use crate::discover::{self, Depth, JudgedPools, Needs, Scope};
use crate::host::image::{self, ImageFile};
use crate::host::linux::lvm_lock::VgLocks;
use crate::host::linux::run_lock::{RunLock, RunLockError};
use crate::host::linux::{LinuxHost, LinuxWriter};
use crate::host::state::{Missing, StateDirectory, Volatile};
use crate::host::{ReadHost, WriteHost};
use crate::ids::{ForeignText, LvName, VgName, VgUuid};
use crate::model::inventory::{Inventory, VgOnDisk};
use crate::operation::Signature;
use crate::plan::Plan;
use crate::plan::document::{CopyTarget, CopyTask, PoolMethod, Task};
use crate::plan::resolve::files_named;
use crate::report::time;

/// The images the flags name; none means this machine.
///
/// # Errors
/// The exit code, after saying why.
pub fn images(args: &Args, output: &mut Output) -> Result<Vec<ImageFile>, Exit> {
    args.image.iter().map(|path| image_file(path, output)).collect()
}

fn image_file(path: &str, output: &mut Output) -> Result<ImageFile, Exit> {
    ImageFile::named(path).ok_or_else(|| {
        let path = ForeignText::from(path);
        output.error(Exit::Usage, &format!("{path} has no absolute path"), None)
    })
}

/// Opens the images for looking.
///
/// # Errors
/// The exit code, after saying why.
pub fn open(args: &Args, output: &mut Output) -> Result<Box<dyn ReadHost>, Exit> {
    if args.image.is_empty() {
        return Ok(Box::new(machine(output)?));
    }
    let images = images(args, output)?;
    let host = image::open_for_reading(&images)
        .map_err(|error| output.error(Exit::of_images(&error), &error.to_string(), None))?;
    Ok(Box::new(host))
}

/// Opens the world that a run is to change: the images the flags name, or else this machine, with
/// the run lock of the VG.
///
/// # Errors
/// The exit code, after saying why.
pub fn open_for_writing(
    args: &Args,
    vg: VgUuid,
    wait: Duration,
    output: &mut Output,
) -> Result<Box<dyn WriteHost>, Exit> {
    if args.image.is_empty() {
        return Ok(Box::new(this_machine(args, vg, wait, output)?));
    }
    let images = images(args, output)?;
    open_images(&images, args, output)
}

/// Opens these images for writing.
///
/// # Errors
/// The exit code, after saying why.
pub fn open_images(
    images: &[ImageFile],
    args: &Args,
    output: &mut Output,
) -> Result<Box<dyn WriteHost>, Exit> {
    let host = image::open_for_writing(images, &args.scratch_dir)
        .map_err(|error| output.error(Exit::of_images(&error), &error.to_string(), None))?;
    Ok(Box::new(host))
}

/// This machine, with the run lock of a VG.
///
/// # Errors
/// The exit code, after saying why.
pub fn this_machine(
    args: &Args,
    vg: VgUuid,
    wait: Duration,
    output: &mut Output,
) -> Result<LinuxWriter, Exit> {
    let lock = RunLock::take(vg, wait, &mut |seconds| {
        talk(&format!("waiting for a command that an earlier run began, {seconds} s by now"));
    });
    let lock = lock.map_err(|error| {
        let exit = match error {
            RunLockError::Held(_) => Exit::Locked,
            RunLockError::Host(_) => Exit::Failed,
        };
        output.error(exit, &error.to_string(), None)
    })?;
    Ok(LinuxWriter::new(machine(output)?, lock, wait, args.scratch_dir.clone()))
}

/// On a running machine: LVM's own locks must be to be had before anything begins.
///
/// # Errors
/// The exit code, after saying why.
pub fn refuse_locked(
    inventory: &Inventory,
    vg: &VgName,
    wait: Duration,
    output: &mut Output,
) -> Result<(), Exit> {
    let Some(live) = inventory.live.as_deref() else { return Ok(()) };
    let deadline = Instant::now() + wait;
    VgLocks::take(&live.lvm.locking_dir, vg, deadline).map(drop).map_err(|error| {
        let help = "nothing was written; who holds it shows `fuser -v` on that file. Wait for it, \
                    or give it longer with `policy: {busy: {wait: …}}`";
        output.error(Exit::Locked, &error.to_string(), Some(help))
    })
}

fn machine(output: &mut Output) -> Result<LinuxHost, Exit> {
    LinuxHost::open().map_err(|error| output.error(Exit::of_host(&error), &error.to_string(), None))
}

/// What discovery looks at.
pub fn scope(args: &Args, depth: Depth) -> Scope {
    Scope {
        backup_dir: args.backup_dir.clone(),
        archive_dir: args.archive_dir.clone(),
        ..Scope::disks(depth)
    }
}

/// What discovery looks at for this plan.
pub fn scope_for(args: &Args, plan: &Plan) -> Scope {
    let (mut targets, mut needs) = (Vec::new(), Needs::default());
    for task in &plan.document.tasks {
        match task {
            Task::Copy(CopyTask { to: CopyTarget::File(path), .. }) => targets.push(path.clone()),
            Task::Copy(CopyTask { to: CopyTarget::LogicalVolume(_), .. }) => {}
            Task::SnapshotBackup(backup) => {
                let programs = backup.run.iter().filter_map(|run| run.argv.first().cloned());
                needs.programs.extend(programs);
                needs.mount_points.push(backup.mount.at.clone());
                needs.lvs.push(backup.origin.clone());
            }
        }
    }
    let pools = plan.document.thin_pools.iter().filter_map(|(name, wanted)| {
        let rebuild = wanted.metadata.as_ref()?.method == PoolMethod::Rebuild;
        Some((name.clone(), rebuild))
    });
    let names: BTreeMap<LvName, bool> = pools.collect();
    let scratch = args.scratch_dir.clone();
    let pools = (!names.is_empty()).then_some(JudgedPools { names, scratch });
    let document = &plan.document;
    let contents = !document.tasks.is_empty()
        || !document.checks.is_empty()
        || !document.thin_pools.is_empty();
    Scope {
        pools,
        files: files_named(plan),
        targets,
        contents,
        needs,
        ..scope(args, Depth::History)
    }
}

/// What a run of this plan looks at between its steps. What was judged when planning is not judged
/// again: each step holds what it made to that.
pub fn scope_of_run(args: &Args, plan: &Plan) -> Scope {
    Scope { pools: None, ..scope_for(args, plan) }
}

/// The inventory of the images, or of this machine.
///
/// # Errors
/// The exit code, after saying why.
pub fn look(args: &Args, output: &mut Output, depth: Depth) -> Result<Inventory, Exit> {
    let host = open(args, output)?;
    Ok(discover::take(host.as_ref(), &scope(args, depth)))
}

/// The VG that a person named, by name or UUID.
///
/// # Errors
/// The exit code, after saying why.
pub fn find_vg<'i>(
    inventory: &'i Inventory,
    named: &str,
    output: &mut Output,
) -> Result<&'i VgOnDisk, Exit> {
    use crate::model::choice::Standing;
    let by_uuid = named.parse::<VgUuid>().ok().and_then(|uuid| inventory.vgs.get(&uuid));
    if let Some(vg) = by_uuid {
        return Ok(vg);
    }
    let shown = ForeignText::from(named);
    let all = named.parse::<VgName>().map(|name| inventory.vgs_named(&name)).unwrap_or_default();
    let living: Vec<&VgOnDisk> =
        all.iter().copied().filter(|vg| vg.standing != Standing::None).collect();
    match (living.as_slice(), all.as_slice()) {
        ([only], _) | ([], [only]) => Ok(only),
        ([], []) => {
            let known: Vec<String> = inventory
                .vgs
                .values()
                .filter_map(|vg| Some(format!("{} ({})", vg.name()?, vg.uuid)))
                .collect();
            let help = if known.is_empty() {
                "no volume group was found on these devices".to_owned()
            } else {
                format!("found: {}", known.join(", "))
            };
            let why = format!("no volume group `{shown}` was found");
            Err(output.error(Exit::Usage, &why, Some(&help)))
        }
        (several, _) => {
            let several = if several.is_empty() { all.as_slice() } else { several };
            let uuids: Vec<String> = several.iter().map(|vg| vg.uuid.to_string()).collect();
            let why = format!("{} volume groups are called `{shown}`", uuids.len());
            let help = format!("name one by UUID: {}", uuids.join(", "));
            Err(output.error(Exit::Usage, &why, Some(&help)))
        }
    }
}

/// Who writes, and when.
pub fn signature(host: &dyn ReadHost) -> Signature {
    let machine = host.machine();
    let now = host.now();
    Signature {
        program: PROGRAM.replace(' ', " version "),
        node: machine.node,
        machine: machine.description,
        time: now,
        time_shown: time::ctime(now),
    }
}

/// Opens the state directory.
///
/// # Errors
/// The exit code, after saying why.
pub fn state(args: &Args, missing: Missing, output: &mut Output) -> Result<StateDirectory, Exit> {
    let volatile = if args.volatile_state { Volatile::Accept } else { Volatile::Refuse };
    StateDirectory::open(&args.state_dir, missing, volatile)
        .map_err(|error| output.error(Exit::Refused, &error.in_full(), None))
}
