//! Worlds for tests: disks and run stores in memory that fail, crash and forget on schedule.
//!
//! What a real disk may do in a power cut is modelled here: writes that were not synced may be
//! there or not, in any combination; the write under way may be there up to any sector; what was
//! synced is there. Reads see every write until the power is cut.

mod disk;
mod store;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

pub use disk::{DiskImage, FakeDisk};
pub use store::FakeStore;

/// What happens to the operation whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and nothing of it happens; everything after works again.
    Fail,
    /// It happens, and then it fails; everything after works again.
    FailAfter,
    /// The power is cut before it.
    Crash,
    /// The power is cut during it: its first sectors happen.
    CrashTorn {
        /// How many sectors of 512 bytes.
        sectors: usize,
    },
}

/// Counts every write and sync of every disk and store of a world, and strikes once.
#[derive(Debug, Default)]
pub struct Schedule {
    count: u64,
    strike: Option<(u64, Fault)>,
    log: Vec<String>,
    struck: Option<String>,
    is_dark: bool,
}

/// A schedule that all disks and stores of a world share.
pub type SharedSchedule = Rc<RefCell<Schedule>>;

/// What an operation does about its turn.
enum Turn {
    Go,
    FailNow,
    GoThenFail,
    Torn(usize),
}

impl Schedule {
    /// A schedule that never strikes.
    pub fn quiet() -> SharedSchedule {
        Rc::default()
    }

    /// A schedule that strikes at operation `at`, counted from 0.
    pub fn striking(at: u64, fault: Fault) -> SharedSchedule {
        Rc::new(RefCell::new(Self { strike: Some((at, fault)), ..Self::default() }))
    }

    /// How many operations there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Every operation there was, in order.
    pub fn log(&self) -> &[String] {
        &self.log
    }

    /// Which operation was struck; a test whose fault never fired proves nothing.
    pub fn struck(&self) -> Option<&str> {
        self.struck.as_deref()
    }

    /// Whether the power is cut.
    pub fn is_dark(&self) -> bool {
        self.is_dark
    }

    fn turn(&mut self, what: &str) -> io::Result<Turn> {
        if self.is_dark {
            return Err(io::Error::other("the power is cut"));
        }
        let now = self.count;
        self.count += 1;
        self.log.push(what.to_owned());
        let Some((_, fault)) = self.strike.filter(|(at, _)| *at == now) else {
            return Ok(Turn::Go);
        };
        self.struck = Some(what.to_owned());
        match fault {
            Fault::Fail => Ok(Turn::FailNow),
            Fault::FailAfter => Ok(Turn::GoThenFail),
            Fault::Crash => {
                self.is_dark = true;
                Err(io::Error::other("the power is cut"))
            }
            Fault::CrashTorn { sectors } => {
                self.is_dark = true;
                Ok(Turn::Torn(sectors))
            }
        }
    }
}

fn struck() -> io::Error {
    io::Error::other("the fault of the schedule")
}
