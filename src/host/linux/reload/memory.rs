//! Memory that needs no disk: locked, and in place before it is needed.
//!
//! # Source
//! LVM2 `lib/mm/memlock.c`.

use std::io;

use nix::sys::mman::{MlockAllFlags, mlockall, munlockall};

/// How much the steps may need; they take a few pages each, one after another.
const RESERVE: usize = 4 << 20;
const PAGE: usize = 4096;

/// Every page of this program stays in memory for as long as this lives.
pub struct Locked {
    /// Lies behind what was set aside, so that it is not given back to the kernel.
    _pin: Vec<u8>,
}

impl Locked {
    /// Locks what is there and what comes, and sets memory aside.
    pub fn take() -> io::Result<Self> {
        mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)?;
        let reserve: Vec<Vec<u8>> = (0..RESERVE / PAGE).map(|_| vec![1; PAGE]).collect();
        let pin = vec![1; PAGE];
        drop(reserve);
        Ok(Self { _pin: pin })
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = munlockall();
    }
}
