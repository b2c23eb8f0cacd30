//! Tables given to a stack of devices, in one suspension.
//!
//! Everything that could touch a file system happens before the first device is suspended or behind the
//! last resume: memory is locked and in place, the control node is open, threads run, and a guard process
//! stands by that needs nothing else either. In between there are system calls for device-mapper alone.

pub mod guard;
mod kernel;
mod memory;
mod order;

use std::fs::File;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use crate::host::linux::lvm_lock::VgLocks;
use crate::host::linux::reload::guard::Guard;
use crate::host::linux::reload::kernel::Kernel;
use crate::host::linux::reload::memory::Locked;
use crate::host::{ActError, HostError};
use crate::operation::reload::Reload;

/// Does it, while no command of LVM2 can do anything to the VG; `is_unchanged` is asked under its lock
/// whether what the tables were made from still stands.
pub fn reload(
    reload: &Reload,
    run: &File,
    wait: Duration,
    is_unchanged: &dyn Fn() -> Result<(), ActError>,
) -> Result<(), ActError> {
    let locks = VgLocks::take(&reload.locking_dir, &reload.vg, Instant::now() + wait)?;
    is_unchanged()?;
    // Threads inherit it: nothing but the alarm gets between the first suspension and the last resume.
    let _quiet = Quiet::begin().map_err(|cause| HostError::new("block", "signals", cause))?;
    let kernel = Kernel::open(reload.steps.len())
        .map_err(|cause| HostError::because("open", "/dev/mapper/control", cause))?;
    if let Some(name) = order::changed(&kernel, reload) {
        return Err(ActError::Overtaken(format!("{name} is not as it was")));
    }
    let memory = Locked::take().map_err(|cause| HostError::new("lock", "memory", cause))?;
    let start = || -> std::io::Result<Guard> {
        let mut guard = Guard::start(reload, run, &locks.kept())?;
        guard.begin()?;
        Ok(guard)
    };
    let guard = start()
        .map_err(|cause| HostError::new("start", "the guard of suspended devices", cause))?;
    let done = order::forward(&kernel, reload, &|| guard.first_resume());
    let back = match &done {
        Err(failed) if !failed.is_resuming => Some(order::back(&kernel, reload)),
        Ok(()) | Err(_) => None,
    };
    drop(memory);
    drop(guard);
    if done.is_ok() {
        order::remove_emptied(&kernel, reload);
    }
    kernel.wait_for_udev();
    drop(locks);
    let Err(failed) = done else { return Ok(()) };
    let why = match back {
        Some(Err(errors)) => format!("{}; going back failed too: {errors}", failed.why),
        Some(Ok(())) => format!("{}; the old tables are in force, as before", failed.why),
        None => failed.why,
    };
    Err(HostError::because("reload", "the tables", why).into())
}

/// Signals wait, but for the one that ends a suspension which does not come to its end. What they ask for is
/// done behind this step.
struct Quiet {
    before: SigSet,
}

impl Quiet {
    fn begin() -> std::io::Result<Self> {
        let mut waiting = SigSet::all();
        waiting.remove(Signal::SIGALRM);
        let before = waiting.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        Ok(Self { before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}
