//! Disks in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use crate::host::fake::{SharedSchedule, Turn, struck};
use crate::host::storage::{Storage, WritableStorage};
use crate::units::Bytes;

/// The smallest piece of a disk that is written as a whole or not at all.
const SECTOR: usize = 512;

/// What a disk holds: sectors written over a content that clones share.
#[derive(Clone, Debug)]
pub struct DiskImage {
    base: Rc<Vec<u8>>,
    written: BTreeMap<usize, [u8; SECTOR]>,
}

impl From<Vec<u8>> for DiskImage {
    fn from(base: Vec<u8>) -> Self {
        Self { base: Rc::new(base), written: BTreeMap::new() }
    }
}

impl DiskImage {
    /// How long it is.
    pub fn len(&self) -> usize {
        self.base.len()
    }

    /// Whether there is nothing on it.
    pub fn is_empty(&self) -> bool {
        self.base.is_empty()
    }

    /// All of it.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = self.base.as_ref().clone();
        self.overlay(0, &mut bytes);
        bytes
    }

    /// Copies what was written over this stretch into it.
    fn overlay(&self, start: usize, stretch: &mut [u8]) {
        let first = start / SECTOR;
        let last = start.saturating_add(stretch.len()).div_ceil(SECTOR);
        for (sector, content) in self.written.range(first..last) {
            for (at, byte) in (sector * SECTOR..).zip(content) {
                let place = at.checked_sub(start).and_then(|at| stretch.get_mut(at));
                if let Some(place) = place {
                    *place = *byte;
                }
            }
        }
    }

    /// Reads from there; `None` when it ends before that.
    pub fn read(&self, start: usize, buffer: &mut [u8]) -> Option<()> {
        let found = self.base.get(start..start.checked_add(buffer.len())?)?;
        buffer.copy_from_slice(found);
        self.overlay(start, buffer);
        Some(())
    }

    fn sector(&self, number: usize) -> [u8; SECTOR] {
        let mut sector = [0; SECTOR];
        let start = number * SECTOR;
        let end = start.saturating_add(SECTOR).min(self.base.len());
        for (place, byte) in sector.iter_mut().zip(self.base.get(start..end).unwrap_or(&[])) {
            *place = *byte;
        }
        self.written.get(&number).copied().unwrap_or(sector)
    }

    /// Writes there; `None` when it does not fit.
    pub fn write(&mut self, start: usize, bytes: &[u8]) -> Option<()> {
        if start.checked_add(bytes.len())? > self.base.len() {
            return None;
        }
        for (at, byte) in (start..).zip(bytes) {
            let number = at / SECTOR;
            let before = self.written.get(&number).copied();
            let sector = before.unwrap_or_else(|| self.sector(number));
            let sector = self.written.entry(number).or_insert(sector);
            if let Some(place) = sector.get_mut(at % SECTOR) {
                *place = *byte;
            }
        }
        Some(())
    }
}

impl PartialEq for DiskImage {
    fn eq(&self, other: &Self) -> bool {
        if !Rc::ptr_eq(&self.base, &other.base) {
            return self.to_vec() == other.to_vec();
        }
        let mut touched = self.written.keys().chain(other.written.keys());
        touched.all(|number| self.sector(*number) == other.sector(*number))
    }
}

impl Eq for DiskImage {}

/// A write that was not synced yet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pending {
    offset: usize,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct DiskState {
    name: String,
    /// What survives a power cut for certain.
    durable: DiskImage,
    /// What reads see.
    seen: DiskImage,
    pending: Vec<Pending>,
    /// What cannot be read.
    broken: Vec<Range<usize>>,
}

/// A disk in memory. Clones share it, so that a test can look at it while a host holds it.
#[derive(Clone, Debug)]
pub struct FakeDisk {
    state: Rc<RefCell<DiskState>>,
    schedule: SharedSchedule,
}

impl FakeDisk {
    /// A disk with this content.
    pub fn new(name: &str, content: impl Into<DiskImage>, schedule: &SharedSchedule) -> Self {
        let content = content.into();
        let state = DiskState {
            name: name.to_owned(),
            durable: content.clone(),
            seen: content,
            pending: Vec::new(),
            broken: Vec::new(),
        };
        Self { state: Rc::new(RefCell::new(state)), schedule: Rc::clone(schedule) }
    }

    /// What reads see.
    pub fn content(&self) -> DiskImage {
        self.state.borrow().seen.clone()
    }

    /// How many writes were not synced.
    pub fn pending(&self) -> usize {
        self.state.borrow().pending.len()
    }

    /// Makes these bytes unreadable, as bad sectors are.
    pub fn break_at(&self, bytes: Range<usize>) {
        self.state.borrow_mut().broken.push(bytes);
    }

    /// What may be left after a power cut: what was synced, and those pending writes for whose
    /// number `survives` holds.
    pub fn after_power_cut(&self, survives: impl Fn(usize) -> bool) -> DiskImage {
        let state = self.state.borrow();
        let mut left = state.durable.clone();
        for (index, write) in state.pending.iter().enumerate() {
            if survives(index) {
                // It was written before, so it fits.
                let _ = left.write(write.offset, &write.bytes);
            }
        }
        left
    }
}

impl Storage for FakeDisk {
    fn size(&self) -> Bytes {
        Bytes::of_len(self.state.borrow().seen.len())
    }

    fn read_at(&self, offset: Bytes, buffer: &mut [u8]) -> io::Result<()> {
        let start = offset.to_usize().ok_or(io::ErrorKind::UnexpectedEof)?;
        let state = self.state.borrow();
        let end = start.saturating_add(buffer.len());
        if state.broken.iter().any(|broken| broken.start < end && start < broken.end) {
            return Err(nix::errno::Errno::EIO.into());
        }
        let found = state.seen.read(start, buffer);
        found.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl WritableStorage for FakeDisk {
    fn write_at(&mut self, offset: Bytes, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        let what = format!("write of {} bytes to {} at {}", bytes.len(), state.name, offset.get());
        let turn = self.schedule.borrow_mut().turn(&what)?;
        let offset = offset.to_usize().ok_or(io::ErrorKind::UnexpectedEof)?;
        let part = match turn {
            Turn::FailNow => return Err(struck()),
            Turn::Go | Turn::GoThenFail => bytes,
            Turn::Torn(sectors) => {
                bytes.get(..sectors.saturating_mul(SECTOR).min(bytes.len())).unwrap_or(bytes)
            }
        };
        state.seen.write(offset, part).ok_or(io::ErrorKind::UnexpectedEof)?;
        state.pending.push(Pending { offset, bytes: part.to_vec() });
        match turn {
            Turn::Go => Ok(()),
            Turn::FailNow | Turn::GoThenFail | Turn::Torn(_) => Err(struck()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let state = &mut *self.state.borrow_mut();
        let what = format!("sync of {}", state.name);
        let turn = self.schedule.borrow_mut().turn(&what)?;
        if matches!(turn, Turn::FailNow | Turn::Torn(_)) {
            return Err(struck());
        }
        state.durable.clone_from(&state.seen);
        state.pending.clear();
        match turn {
            Turn::Go => Ok(()),
            Turn::FailNow | Turn::GoThenFail | Turn::Torn(_) => Err(struck()),
        }
    }
}
