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

use crate::host::linux::lvm_lock::VgLocks;
use crate::host::linux::reload::guard::Guard;
use crate::host::linux::reload::kernel::Kernel;
use crate::host::linux::reload::memory::Locked;
use crate::host::{ActError, HostError};
use crate::operation::reload::Reload;

/// Does it, while no command of LVM2 can do anything to the VG.
pub fn reload(reload: &Reload, run: &File, wait: Duration) -> Result<(), ActError> {
    let locks = VgLocks::take(&reload.locking_dir, &reload.vg, Instant::now() + wait)?;
    let kernel = Kernel::open(reload.steps.len())
        .map_err(|cause| HostError::because("open", "/dev/mapper/control", cause))?;
    if let Some(name) = order::changed(&kernel, reload) {
        return Err(ActError::Overtaken(format!("{name} is not as it was")));
    }
    let guard = Guard::start(reload, run, &locks.kept())
        .map_err(|cause| HostError::new("start", "the guard of suspended devices", cause))?;
    let memory = Locked::take().map_err(|cause| HostError::new("lock", "memory", cause))?;
    let done = order::forward(&kernel, reload, &|| guard.first_resume());
    let back = done.as_ref().err().map(|_| order::back(&kernel, reload));
    drop(memory);
    guard.end();
    kernel.wait_for_udev();
    drop(locks);
    let Err(why) = done else { return Ok(()) };
    let then = match back {
        Some(Err(errors)) => format!("going back to the old tables failed too: {errors}"),
        Some(Ok(())) | None => "the old tables are in force again".to_owned(),
    };
    Err(HostError::because("reload", "the tables", format!("{why}; {then}")).into())
}
