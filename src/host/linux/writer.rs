//! The running machine, to be changed: LVM2's commands, under locks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::copy;
use crate::host::files;
use crate::host::linux::LinuxHost;
use crate::host::linux::child::{self, Kept};
use crate::host::linux::copy_over::copy_over;
use crate::host::linux::lvm_lock::VgLocks;
use crate::host::linux::mapped;
use crate::host::linux::planned_program;
use crate::host::linux::reload;
use crate::host::linux::run_lock::RunLock;
use crate::host::linux::thin_rebuild;
use crate::host::{
    ActError, DeviceInfo, HostError, KeptFile, Machine, Performed, Progress, ReadHost, TargetState,
    WriteHost,
};
use crate::ids::DeviceName;
use crate::model::device::AreaHeader;
use crate::model::inventory::Realm;
use crate::model::live::Live;
use crate::ondisk::area_header::{HEADER_SIZE, parse_area_header};
use crate::ondisk::bytes::sector_at;
use crate::operation::act::{Act, CopyFile, PlannedProgram, RebuildTo};
use crate::operation::command::{CommandLine, DeviceStamp, LockedWrite, Pointers};
use crate::units::Bytes;

/// How often it is tried again to get something free.
const TRY_EVERY: Duration = Duration::from_millis(500);
/// How long a device that was just made may take to have its node.
const NODE_LIMIT: Duration = Duration::from_secs(10);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running machine that one run may change.
#[derive(Debug)]
pub struct LinuxWriter {
    host: LinuxHost,
    lock: RunLock,
    /// How long LVM's locks, and users of LVs, are waited for.
    wait: Duration,
    /// Where copies are made for the time being.
    scratch: String,
    /// What the last act made that is to be kept.
    made: Option<KeptFile>,
    /// How many programs of the plan were run.
    programs: usize,
    /// Whether somebody asked the run to stop.
    stop: Arc<AtomicBool>,
}

impl LinuxWriter {
    /// For as long as this lives no other run can begin on the VG the lock is of.
    pub fn new(host: LinuxHost, lock: RunLock, wait: Duration, scratch: String) -> Self {
        Self { host, lock, wait, scratch, made: None, programs: 0, stop: Arc::default() }
    }

    /// Writes metadata while nobody else can, if nobody did since it was worked out.
    fn write_locked(
        &mut self,
        write: &LockedWrite,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), ActError> {
        let deadline = Instant::now() + self.wait;
        let locks = VgLocks::take(&write.locking_dir, &write.vg, deadline)?;
        for pointers in &write.unchanged {
            self.check_unchanged(pointers)?;
        }
        write.on.as_ref().map_or(Ok(()), |stamp| self.check_device(stamp))?;
        child::make_scratch_dir()?;
        let (path, bytes) = &write.file;
        put_new(path, bytes)?;
        let kept = Kept { run: self.lock.file(), lvm: locks.kept() };
        let result = child::run(&write.command, &kept, progress);
        let _ = fs::remove_file(path);
        let is_same = write.on.as_ref().map_or(Ok(()), |stamp| self.check_device(stamp));
        drop(locks);
        result.and(is_same)
    }

    /// Runs a command again as long as somebody keeps open what it needs free.
    fn run_when_free(
        &self,
        command: &CommandLine,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), ActError> {
        let end = Instant::now() + self.wait;
        let kept = Kept { run: self.lock.file(), lvm: Vec::new() };
        loop {
            match child::run(command, &kept, progress) {
                // Whoever asks to stop wants nothing left behind, either.
                Err(ActError::Command { by_signal: false, .. }) if Instant::now() < end => {
                    thread::sleep(TRY_EVERY);
                }
                other => return other,
            }
        }
    }

    fn is_to_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Runs a program of the plan; what it said last is kept with the run.
    fn run_program(
        &mut self,
        program: &PlannedProgram,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), ActError> {
        let stop = || self.is_to_stop();
        let (said, result) = planned_program::run(program, self.lock.file(), &stop, progress);
        self.programs = self.programs.saturating_add(1);
        let name = format!("output-{}.txt", self.programs);
        let write = || -> io::Result<File> {
            let mut content = child::unnamed_file()?;
            content.write_all(&said.0)?;
            content.rewind()?;
            Ok(content)
        };
        match write() {
            Ok(content) => self.made = Some(KeptFile { name, content }),
            Err(cause) => return result.and(Err(HostError::new("keep", name, cause).into())),
        }
        result
    }

    /// A device that went away and came back may have another's name.
    fn check_device(&self, stamp: &DeviceStamp) -> Result<(), ActError> {
        let devices = self.host.devices();
        let found = devices.iter().find(|info| info.name == stamp.name);
        let is_it =
            found.is_some_and(|info| (info.number, info.size) == (Some(stamp.number), stamp.size));
        if is_it {
            return Ok(());
        }
        let why = format!("it is not the device any more that it was: {}", stamp.number);
        Err(HostError::because("write to", &stamp.name, why).into())
    }

    fn check_unchanged(&self, pointers: &Pointers) -> Result<(), ActError> {
        let Pointers { device, area, slots } = pointers;
        let bytes = self.host.read(device, area.offset, HEADER_SIZE)?;
        let header = sector_at(&bytes, 0).map(|sector| parse_area_header(sector, *area));
        match header {
            Some(AreaHeader::Good(found)) if found == *slots => Ok(()),
            Some(AreaHeader::Good(_) | AreaHeader::Damaged { .. }) | None => {
                Err(ActError::Overtaken(format!("{device} holds other metadata than before")))
            }
        }
    }
}

/// Makes a file for a child to read.
fn put_new(path: &str, bytes: &[u8]) -> Result<(), HostError> {
    let error = |cause| HostError::new("write", path, cause);
    // What stands there is of an earlier try of this very run: the name has its time in it.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)
        .map_err(error)?;
    file.write_all(bytes).map_err(error)
}

impl ReadHost for LinuxWriter {
    fn realm(&self) -> Realm {
        self.host.realm()
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        self.host.devices()
    }

    fn read(&self, device: &DeviceName, offset: Bytes, len: Bytes) -> Result<Vec<u8>, HostError> {
        self.host.read(device, offset, len)
    }

    fn read_file(&self, path: &str, size_max: Bytes) -> Result<Vec<u8>, HostError> {
        self.host.read_file(path, size_max)
    }

    fn list_files(&self, directory: &str) -> Result<Vec<String>, HostError> {
        self.host.list_files(directory)
    }

    fn target_state(&self, path: &str) -> TargetState {
        self.host.target_state(path)
    }

    fn now(&self) -> i64 {
        self.host.now()
    }

    fn machine(&self) -> Machine {
        self.host.machine()
    }

    fn find_program(&self, name: &str) -> Result<String, String> {
        self.host.find_program(name)
    }

    fn mount_point(&self, path: &str) -> Result<(), String> {
        self.host.mount_point(path)
    }

    fn live(&self, known: Option<&Live>) -> Option<Live> {
        self.host.live(known)
    }
}

impl WriteHost for LinuxWriter {
    fn perform(
        &mut self,
        act: &Act,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Performed, ActError> {
        match act {
            Act::Run(command) => {
                let kept = Kept { run: self.lock.file(), lvm: Vec::new() };
                child::run(command, &kept, progress)?;
                Ok(Performed::default())
            }
            Act::WriteLocked(write) => {
                self.write_locked(write, progress)?;
                Ok(Performed::default())
            }
            Act::ReadyToMount { name, at } => {
                await_node(name)?;
                files::mount_point(at).map_err(|why| HostError::because("mount at", at, why))?;
                Ok(Performed::default())
            }
            Act::RunWhenFree(command) => {
                self.run_when_free(command, progress)?;
                Ok(Performed::default())
            }
            Act::RunProgram(program) => {
                self.run_program(program, progress)?;
                Ok(Performed::default())
            }
            Act::ReloadTree(tables) => {
                let is_unchanged = || {
                    tables.unchanged.iter().try_for_each(|of| self.check_unchanged(of))?;
                    tables.disks.iter().try_for_each(|disk| self.check_device(disk))
                };
                reload::reload(tables, self.lock.file(), self.wait, &is_unchanged)?;
                Ok(Performed::default())
            }
            Act::RebuildThin(rebuild) => {
                let RebuildTo::Device(to) = &rebuild.to else {
                    return Err(ActError::Unsupported("a running machine writes to devices"));
                };
                let (kept, what) = (Kept { run: self.lock.file(), lvm: Vec::new() }, (rebuild, to));
                let (performed, dump) =
                    thin_rebuild::rebuild(&self.host, &kept, &self.scratch, what, progress)?;
                self.made = Some(dump);
                Ok(performed)
            }
            Act::CopyToFile { content, to } => {
                copy::copy_to_file(self, content, to, &self.stop, progress)
            }
            Act::CopyToDevice { content, to, begun } => {
                let way = (self.scratch.as_str(), *begun, self.stop.as_ref());
                let (performed, map) = copy_over(self, content, to, way, progress)?;
                self.made = map;
                Ok(performed)
            }
            Act::CompareContent { content, expected } => {
                copy::compare(self, content, *expected, progress)
            }
            Act::Save(_) => Err(ActError::Unsupported("evidence is saved by the run itself")),
            Act::Write(_) | Act::Sync(_) => {
                Err(ActError::Unsupported("on a running machine LVM2 writes, and nobody else"))
            }
        }
    }

    fn clean_up(&mut self, copy: &CopyFile) -> Result<(), HostError> {
        copy::clean_up(copy)
    }

    fn settle(&mut self, copy: &CopyFile) -> Result<(), HostError> {
        copy::settle(copy)
    }

    fn heed(&mut self, stop: &Arc<AtomicBool>) {
        self.stop = Arc::clone(stop);
    }

    fn take_kept(&mut self) -> Option<KeptFile> {
        self.made.take()
    }

    fn patience(&self) -> Duration {
        self.wait
    }

    fn pause(&mut self, time: Duration) {
        thread::sleep(time);
    }
}

/// Waits for the node of a device: udev makes it, or LVM2 where no udev runs. One that leads to another
/// device, left from an LV that had this name, is not it.
fn await_node(name: &str) -> Result<(), ActError> {
    let end = Instant::now() + NODE_LIMIT;
    loop {
        if mapped::is_at_its_node(name) {
            return Ok(());
        }
        if Instant::now() >= end {
            let why = format!("it did not appear within {} s", NODE_LIMIT.as_secs());
            return Err(HostError::because("wait for", format!("/dev/mapper/{name}"), why).into());
        }
        thread::sleep(LOOK_EVERY);
    }
}
