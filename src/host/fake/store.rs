//! Runs in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::host::fake::{SharedSchedule, Turn, struck};
use crate::host::{HostError, RunStore};
use crate::units::Bytes;

/// The files of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct FakeRun {
    journal: Vec<u8>,
    files: BTreeMap<String, Vec<u8>>,
}

/// Runs in memory, on the same schedule as the disks.
#[derive(Clone, Debug)]
pub struct FakeStore {
    runs: Rc<RefCell<BTreeMap<String, FakeRun>>>,
    schedule: SharedSchedule,
    latched: bool,
}

impl FakeStore {
    /// A store without runs.
    pub fn new(schedule: &SharedSchedule) -> Self {
        Self { runs: Rc::default(), schedule: Rc::clone(schedule), latched: false }
    }

    /// The same runs, as they are found after a power cut, on another schedule.
    #[must_use]
    pub fn after_power_cut(&self, schedule: &SharedSchedule) -> Self {
        let runs = self.runs.borrow().clone();
        Self { runs: Rc::new(RefCell::new(runs)), schedule: Rc::clone(schedule), latched: false }
    }

    /// Replaces a journal: for tests of damaged ones.
    pub fn set_journal(&mut self, run: &str, journal: Vec<u8>) {
        if let Some(run) = self.runs.borrow_mut().get_mut(run) {
            run.journal = journal;
        }
    }

    fn take_turn(&self, doing: &'static str, object: &str) -> Result<Turn, HostError> {
        let turn = self.schedule.borrow_mut().turn(&format!("{doing} {object}"));
        turn.map_err(|cause| HostError::new(doing, object, cause))
    }

    fn change(
        &self,
        doing: &'static str,
        run: &str,
        object: &str,
        change: impl FnOnce(&mut FakeRun, Option<usize>),
    ) -> Result<(), HostError> {
        let turn = self.take_turn(doing, object)?;
        let failed = || HostError::new(doing, object, struck());
        let cut_at = match turn {
            Turn::FailNow => return Err(failed()),
            Turn::Torn(sectors) => Some(sectors),
            Turn::Go | Turn::GoThenFail => None,
        };
        let mut runs = self.runs.borrow_mut();
        let found =
            runs.get_mut(run).ok_or_else(|| HostError::because(doing, run, "no such run"))?;
        change(found, cut_at);
        match turn {
            Turn::Go => Ok(()),
            Turn::FailNow | Turn::GoThenFail | Turn::Torn(_) => Err(failed()),
        }
    }
}

impl RunStore for FakeStore {
    fn create(&mut self, run: &str) -> Result<(), HostError> {
        let turn = self.take_turn("make run", run)?;
        if matches!(turn, Turn::Go | Turn::GoThenFail) {
            self.runs.borrow_mut().insert(run.to_owned(), FakeRun::default());
        }
        match turn {
            Turn::Go => Ok(()),
            Turn::GoThenFail | Turn::FailNow | Turn::Torn(_) => {
                Err(HostError::new("make run", run, struck()))
            }
        }
    }

    fn runs(&self) -> Result<Vec<String>, HostError> {
        Ok(self.runs.borrow().keys().cloned().collect())
    }

    fn journal(&self, run: &str) -> Result<Vec<u8>, HostError> {
        let runs = self.runs.borrow();
        let found = runs.get(run).map(|run| run.journal.clone());
        found.ok_or_else(|| HostError::because("read the journal of", run, "no such run"))
    }

    fn append(&mut self, run: &str, line: &[u8]) -> Result<(), HostError> {
        if self.latched {
            return Err(HostError::because("write the journal of", run, "an earlier write failed"));
        }
        let result = self.change("write the journal of", run, run, |run, torn| {
            // A torn line ends anywhere, not only at sectors: half of it will do.
            let len = if torn.is_some() { line.len() / 2 } else { line.len() };
            run.journal.extend_from_slice(line.get(..len).unwrap_or(line));
        });
        self.latched = result.is_err();
        result
    }

    fn cut_journal(&mut self, run: &str, len: Bytes) -> Result<(), HostError> {
        self.change("cut the journal of", run, run, |run, torn| {
            if torn.is_none() {
                run.journal.truncate(len.to_usize().unwrap_or(usize::MAX));
            }
        })
    }

    fn put(&mut self, run: &str, name: &str, bytes: &[u8]) -> Result<(), HostError> {
        // Files are moved into place: they are there as a whole or not at all.
        self.change("write", run, name, |run, torn| {
            if torn.is_none() {
                run.files.insert(name.to_owned(), bytes.to_vec());
            }
        })
    }

    fn put_from(
        &mut self,
        run: &str,
        name: &str,
        content: &mut dyn std::io::Read,
    ) -> Result<(), HostError> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|cause| HostError::new("write", name, cause))?;
        self.put(run, name, &bytes)
    }

    fn get(&self, run: &str, name: &str) -> Result<Vec<u8>, HostError> {
        let runs = self.runs.borrow();
        let found = runs.get(run).and_then(|run| run.files.get(name).cloned());
        found.ok_or_else(|| HostError::because("read", name, "no such file"))
    }

    fn remove(&mut self, run: &str) -> Result<(), HostError> {
        self.runs.borrow_mut().remove(run);
        Ok(())
    }

    fn place(&self, run: &str) -> String {
        format!("memory/{run}")
    }
}
