//! The calls to device-mapper that a reload is made of.
//!
//! A resume with udev at work ends for libdm when udev is done, after the last of all resumes. The library
//! that makes these calls waits at each. udev may need a file on what is still suspended, so each resume
//! is made by a thread of its own, and taken for done when the device runs.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use devicemapper::errors::Error;
use devicemapper::{DM, DevId, DmError, DmFlags, DmName, DmOptions, DmUdevFlags, DmUuid};
use nix::errno::Errno;
use nix::unistd::alarm;

use crate::model::live::DevNumber;
use crate::model::table_goal::UdevRules;

const UDEV: &str = "/run/udev/control";
/// How long a suspension may take: what is on the way has to end.
const SUSPEND_LIMIT: u32 = 10;
/// How long udev may take, when everything runs again.
const UDEV_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_micros(200);
/// More resumes than so many wait for udev one by one.
const RESUMERS_MAX: usize = 256;
/// A thread makes one call.
const STACK: usize = 128 << 10;

/// Start, length, target and arguments.
pub type Line = (u64, u64, String, String);

/// How a device is.
#[expect(clippy::struct_excessive_bools, reason = "the kernel has a flag for each")]
pub struct State {
    pub number: DevNumber,
    pub suspended: bool,
    pub is_active: bool,
    pub has_inactive: bool,
    pub read_only: bool,
    pub open_count: u32,
}

type Answer = Result<(), String>;

/// Device-mapper.
pub struct Kernel {
    dm: Arc<DM>,
    resumers: Mutex<Vec<Resumer>>,
}

struct Resumer {
    jobs: Sender<(String, DmOptions)>,
    answers: Receiver<Answer>,
    is_waiting: bool,
}

impl Kernel {
    /// With as many threads as there may be resumes at a time.
    pub fn open(steps: usize) -> Result<Self, String> {
        let dm = Arc::new(DM::new().map_err(|error| shown(&error))?);
        // The way forward and the way back.
        let count =
            if Path::new(UDEV).exists() { steps.saturating_mul(2).min(RESUMERS_MAX) } else { 0 };
        let mut resumers = Vec::with_capacity(count);
        for _ in 0..count {
            resumers.push(Resumer::start(Arc::clone(&dm)).map_err(|error| error.to_string())?);
        }
        // Its only effect is to end a call that does not end by itself.
        signal_hook::flag::register(signal_hook::consts::SIGALRM, Arc::default())
            .map_err(|error| error.to_string())?;
        Ok(Self { dm, resumers: Mutex::new(resumers) })
    }

    /// How a device is; none when there is no such.
    pub fn state(&self, uuid: &str) -> Result<Option<State>, String> {
        let uuid = DmUuid::new(uuid).map_err(|error| shown(&error))?;
        state(&self.dm, uuid)
    }

    /// A live table, or the one that waits.
    pub fn table(&self, uuid: &str, inactive: bool) -> Result<Vec<Line>, String> {
        let slot = if inactive { DmFlags::DM_QUERY_INACTIVE_TABLE } else { DmFlags::empty() };
        let flags = DmFlags::DM_STATUS_TABLE | DmFlags::DM_NOFLUSH | slot;
        self.with(uuid, |id| Ok(self.dm.table_status(id, DmOptions::default().set_flags(flags))?.1))
    }

    /// Drops the table that waits.
    pub fn clear(&self, uuid: &str) -> Result<(), String> {
        self.with(uuid, |id| self.dm.table_clear(id).map(drop))
    }

    /// Makes a device without a table.
    pub fn create(&self, name: &str, uuid: &str) -> Result<DevNumber, String> {
        let made = || {
            let (name, uuid) = (DmName::new(name)?, DmUuid::new(uuid)?);
            self.dm.device_create(name, Some(uuid), DmOptions::default())
        };
        let device = made().map_err(|error| shown(&error))?.device();
        Ok(DevNumber { major: device.major, minor: device.minor })
    }

    /// Loads a table into the inactive slot.
    pub fn load(&self, uuid: &str, table: &[Line], read_only: bool) -> Result<(), String> {
        let flags = if read_only { DmFlags::DM_READONLY } else { DmFlags::empty() };
        let options = DmOptions::default().set_flags(flags);
        self.with(uuid, |id| self.dm.table_load(id, table, options).map(drop))
    }

    /// Suspends a device, as LVM2 does: file systems are not frozen.
    pub fn suspend(&self, uuid: &str, no_flush: bool) -> Result<(), String> {
        let mut flags = DmFlags::DM_SUSPEND | DmFlags::DM_SKIP_LOCKFS;
        if no_flush {
            flags |= DmFlags::DM_NOFLUSH;
        }
        let options = DmOptions::default().set_flags(flags);
        // The signal ends a suspension that does not come to its end, and does nothing else.
        alarm::set(SUSPEND_LIMIT);
        let result = self.with(uuid, |id| self.dm.device_suspend(id, options).map(drop));
        alarm::cancel();
        result.map_err(|why| match why.as_str() {
            text if text == Errno::EINTR.desc() => {
                format!("what is on the way there did not end within {SUSPEND_LIMIT} s")
            }
            text => text.to_owned(),
        })
    }

    /// Resumes a device; udev is waited for later, except where the device runs already: then nothing but
    /// the answer tells that another table is in force.
    pub fn resume(&self, uuid: &str, rules: UdevRules) -> Result<(), String> {
        // Without udev nobody is waited for.
        let mut resumers = self.resumers.lock().map_err(|_| "BUG: a thread died".to_owned())?;
        if resumers.is_empty() {
            return self.with(uuid, |id| self.dm.device_suspend(id, udev(rules)).map(drop));
        }
        let was_running =
            self.state(uuid)?.is_some_and(|state| state.is_active && !state.suspended);
        let free = resumers.iter_mut().find_map(|resumer| resumer.is_free().then_some(resumer));
        let Some(resumer) = free else {
            return self.with(uuid, |id| self.dm.device_suspend(id, udev(rules)).map(drop));
        };
        let gone = || "BUG: a thread died".to_owned();
        resumer.jobs.send((uuid.to_owned(), udev(rules))).map_err(|_| gone())?;
        resumer.is_waiting = true;
        let end = Instant::now() + UDEV_LIMIT;
        loop {
            match resumer.answers.recv_timeout(LOOK_EVERY) {
                Ok(answer) => {
                    resumer.is_waiting = false;
                    return answer;
                }
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) if was_running && Instant::now() < end => {}
                Err(RecvTimeoutError::Timeout) if was_running => {
                    return Err("udev does not get to its end".to_owned());
                }
                Err(RecvTimeoutError::Timeout) => {
                    let runs =
                        |state: State| state.is_active && !state.suspended && !state.has_inactive;
                    if self.state(uuid)?.is_some_and(runs) {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Removes a device that nobody has open.
    pub fn remove(&self, uuid: &str, rules: UdevRules) -> Result<(), String> {
        let removed = self.with(uuid, |id| self.dm.device_remove(id, udev(rules)).map(drop));
        // That udev could not be waited for is no failure.
        if self.state(uuid)?.is_none() { Ok(()) } else { removed }
    }

    /// Waits until udev is done with what was resumed, as long as that may take.
    pub fn wait_for_udev(&self) {
        let Ok(resumers) = self.resumers.lock() else { return };
        let end = Instant::now() + UDEV_LIMIT;
        for resumer in resumers.iter().filter(|resumer| resumer.is_waiting) {
            let left = end.saturating_duration_since(Instant::now());
            let _ = resumer.answers.recv_timeout(left);
        }
    }

    fn with<T>(
        &self,
        uuid: &str,
        call: impl FnOnce(&DevId<'_>) -> Result<T, DmError>,
    ) -> Result<T, String> {
        let called = || call(&DevId::Uuid(DmUuid::new(uuid)?));
        called().map_err(|error| shown(&error))
    }
}

impl Resumer {
    fn start(dm: Arc<DM>) -> std::io::Result<Self> {
        let (jobs, work) = channel::<(String, DmOptions)>();
        let (answer, answers) = channel();
        let resume = move || {
            for (uuid, options) in work {
                let resumed = || dm.device_suspend(&DevId::Uuid(DmUuid::new(&uuid)?), options);
                let result = resumed().map(drop).map_err(|error| shown(&error));
                if answer.send(result).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().stack_size(STACK).spawn(resume)?;
        Ok(Self { jobs, answers, is_waiting: false })
    }

    fn is_free(&mut self) -> bool {
        if self.is_waiting {
            self.is_waiting = matches!(self.answers.try_recv(), Err(TryRecvError::Empty));
        }
        !self.is_waiting
    }
}

fn state(dm: &DM, uuid: &DmUuid) -> Result<Option<State>, String> {
    match dm.device_info(&DevId::Uuid(uuid)) {
        Ok(info) => Ok(Some(State {
            number: DevNumber { major: info.device().major, minor: info.device().minor },
            suspended: info.flags().contains(DmFlags::DM_SUSPEND),
            is_active: info.flags().contains(DmFlags::DM_ACTIVE_PRESENT),
            has_inactive: info.flags().contains(DmFlags::DM_INACTIVE_PRESENT),
            read_only: info.flags().contains(DmFlags::DM_READONLY),
            open_count: u32::try_from(info.open_count()).unwrap_or(0),
        })),
        Err(error) if errno(&error) == Some(Errno::ENXIO) => Ok(None),
        Err(error) => Err(shown(&error)),
    }
}

fn udev(rules: UdevRules) -> DmOptions {
    let others = DmUdevFlags::DM_UDEV_DISABLE_DISK_RULES_FLAG
        | DmUdevFlags::DM_UDEV_DISABLE_OTHER_RULES_FLAG;
    let flags = match rules {
        UdevRules::Volume => DmUdevFlags::empty(),
        UdevRules::Snapshot => DmUdevFlags::DM_UDEV_LOW_PRIORITY_FLAG,
        UdevRules::Pool => others,
        UdevRules::Hidden => others | DmUdevFlags::DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG,
    };
    DmOptions::default().set_udev_flags(flags)
}

fn errno(error: &DmError) -> Option<Errno> {
    if let DmError::Core(Error::Ioctl(_, _, _, errno)) = error { Some(**errno) } else { None }
}

/// What the system said; the library would print the whole header of the call.
fn shown(error: &DmError) -> String {
    errno(error).map_or_else(|| error.to_string(), |errno| errno.desc().to_owned())
}
