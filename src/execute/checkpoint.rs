//! Checkpoints: what a step is about to overwrite, and with what, byte for byte.
//!
//! Saved and synced before the step's intent is written down. With it a half-done step can be
//! finished, or undone, without knowing anything about what the bytes mean.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::host::{HostError, ReadHost, RunStore};
use crate::ids::{DeviceName, Digest};
use crate::operation::Probe;
use crate::operation::act::{Act, Write, WriteOf};
use crate::units::{Bytes, SECTOR_BYTES};

/// One write of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedWrite {
    /// What is written.
    pub write: Write,
    /// What stood there when the step began.
    pub before: Vec<u8>,
    /// Whether everything before it must be synced first.
    pub behind_sync: bool,
}

/// All writes of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// In order.
    pub writes: Vec<SavedWrite>,
}

#[derive(Serialize, Deserialize)]
struct Index {
    format_version: u32,
    writes: Vec<IndexEntry>,
    /// Digests of the two files with the bytes, one write after another.
    before: Digest,
    after: Digest,
}

#[derive(Serialize, Deserialize)]
struct IndexEntry {
    device: DeviceName,
    offset: Bytes,
    len: Bytes,
    of: WriteOf,
    behind_sync: bool,
}

impl Checkpoint {
    /// Reads from the world what these acts will overwrite; `None` when they write nothing.
    ///
    /// # Errors
    /// [`HostError`], when it cannot be read.
    pub fn capture(host: &dyn ReadHost, acts: &[Act]) -> Result<Option<Self>, HostError> {
        let mut writes = Vec::new();
        let mut behind_sync = false;
        for act in acts {
            match act {
                Act::Write(write) => {
                    let len = Bytes::of_len(write.bytes.len());
                    let before = host.read(&write.device, write.offset, len)?;
                    writes.push(SavedWrite { write: write.clone(), before, behind_sync });
                    behind_sync = false;
                }
                Act::Sync(_) => behind_sync = true,
                Act::ReloadTree(_)
                | Act::Save(_)
                | Act::CopyToFile { .. }
                | Act::CompareContent { .. }
                | Act::Run(_)
                | Act::ReadyToMount { .. }
                | Act::RunWhenFree(_)
                | Act::RunProgram(_)
                | Act::WriteLocked(_)
                | Act::RebuildThin(_)
                | Act::CopyToDevice { .. } => {}
            }
        }
        Ok((!writes.is_empty()).then_some(Self { writes }))
    }

    /// Saves it; returns the digest that the journal holds.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn save(
        &self,
        store: &mut dyn RunStore,
        run: &str,
        step: usize,
    ) -> Result<Digest, HostError> {
        let before: Vec<u8> = self.writes.iter().flat_map(|w| w.before.iter().copied()).collect();
        let after: Vec<u8> =
            self.writes.iter().flat_map(|w| w.write.bytes.iter().copied()).collect();
        let entry = |saved: &SavedWrite| IndexEntry {
            device: saved.write.device.clone(),
            offset: saved.write.offset,
            len: Bytes::of_len(saved.write.bytes.len()),
            of: saved.write.of,
            behind_sync: saved.behind_sync,
        };
        let index = Index {
            format_version: 1,
            writes: self.writes.iter().map(entry).collect(),
            before: Digest::of(&before),
            after: Digest::of(&after),
        };
        let name = name(step);
        let json = serde_json::to_vec_pretty(&index)
            .map_err(|e| HostError::because("write", &name, e.to_string()))?;
        store.put(run, &format!("{name}.before"), &before)?;
        store.put(run, &format!("{name}.after"), &after)?;
        store.put(run, &format!("{name}.json"), &json)?;
        Ok(Digest::of(&json))
    }

    /// Loads it, and checks it against the digest the journal holds.
    ///
    /// # Errors
    /// [`HostError`], also when it is not what was saved.
    pub fn load(
        store: &dyn RunStore,
        run: &str,
        step: usize,
        expected: Digest,
    ) -> Result<Self, HostError> {
        let name = name(step);
        let damaged = |why: &str| HostError::because("use checkpoint", &name, why);
        let json = store.get(run, &format!("{name}.json"))?;
        if Digest::of(&json) != expected {
            return Err(damaged("it is not the one the journal names"));
        }
        let index: Index =
            serde_json::from_slice(&json).map_err(|error| damaged(&error.to_string()))?;
        let before = store.get(run, &format!("{name}.before"))?;
        let after = store.get(run, &format!("{name}.after"))?;
        if Digest::of(&before) != index.before || Digest::of(&after) != index.after {
            return Err(damaged("its bytes are not those that were saved"));
        }
        let mut writes = Vec::with_capacity(index.writes.len());
        let mut at = 0_usize;
        for entry in index.writes {
            let len = entry.len.to_usize().ok_or_else(|| damaged("a length is absurd"))?;
            let end = at.checked_add(len).ok_or_else(|| damaged("a length is absurd"))?;
            let piece = |bytes: &[u8]| bytes.get(at..end).map(<[u8]>::to_vec);
            let (Some(before), Some(bytes)) = (piece(&before), piece(&after)) else {
                return Err(damaged("its bytes are fewer than its index says"));
            };
            let write = Write { device: entry.device, offset: entry.offset, bytes, of: entry.of };
            writes.push(SavedWrite { write, before, behind_sync: entry.behind_sync });
            at = end;
        }
        Ok(Self { writes })
    }

    /// The acts of the step once more.
    pub fn acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        let mut touched: Vec<DeviceName> = Vec::new();
        for saved in &self.writes {
            if saved.behind_sync {
                acts.push(Act::Sync(sorted(&touched)));
            }
            touched.push(saved.write.device.clone());
            acts.push(Act::Write(saved.write.clone()));
        }
        acts.push(Act::Sync(sorted(&touched)));
        acts
    }

    /// The acts that put everything back: what was written last goes first, each place once, and
    /// syncs in between as on the way there. So headers point to the old text again before the
    /// new one is overwritten.
    pub fn undo_acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        let mut touched: Vec<DeviceName> = Vec::new();
        let mut done: Vec<(&DeviceName, Bytes)> = Vec::new();
        for saved in self.writes.iter().rev() {
            let place = (&saved.write.device, saved.write.offset);
            if !done.contains(&place) {
                done.push(place);
                touched.push(saved.write.device.clone());
                acts.push(Act::Write(Write {
                    device: saved.write.device.clone(),
                    offset: saved.write.offset,
                    bytes: saved.before.clone(),
                    of: WriteOf::PutBack,
                }));
            }
            if saved.behind_sync && !touched.is_empty() {
                acts.push(Act::Sync(sorted(&touched)));
            }
        }
        acts.push(Act::Sync(sorted(&touched)));
        acts
    }

    /// Every sector that the step touches: what stood there, and everything written there.
    fn sectors(&self) -> BTreeMap<(&DeviceName, u64), Vec<&[u8]>> {
        let mut sectors: BTreeMap<(&DeviceName, u64), Vec<&[u8]>> = BTreeMap::new();
        let size = usize::try_from(SECTOR_BYTES).unwrap_or(512);
        for saved in &self.writes {
            let pieces = saved.before.chunks(size).zip(saved.write.bytes.chunks(size));
            for (index, (before, after)) in pieces.enumerate() {
                let offset = saved.write.offset.get() + index as u64 * SECTOR_BYTES;
                let known = sectors.entry((&saved.write.device, offset)).or_default();
                if known.is_empty() {
                    known.push(before);
                }
                known.push(after);
            }
        }
        sectors
    }

    /// Compares the world with the checkpoint, sector by sector.
    ///
    /// # Errors
    /// [`HostError`], when it cannot be read.
    pub fn probe(&self, host: &dyn ReadHost) -> Result<BytesProbe, HostError> {
        let (mut all_before, mut all_after) = (true, true);
        for ((device, offset), known) in self.sectors() {
            let len = Bytes::of_len(known.first().map_or(0, |bytes| bytes.len()));
            let found = host.read(device, Bytes::new(offset), len)?;
            let is = |bytes: Option<&&[u8]>| bytes.is_some_and(|bytes| **bytes == *found);
            all_before &= is(known.first());
            all_after &= is(known.last());
            if !known.iter().any(|bytes| **bytes == *found) {
                return Ok(BytesProbe::Foreign { device: device.clone(), offset });
            }
        }
        Ok(match (all_before, all_after) {
            (true, _) => BytesProbe::Before,
            (false, true) => BytesProbe::After,
            (false, false) => BytesProbe::Torn,
        })
    }
}

/// What the bytes on the devices tell about a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BytesProbe {
    /// All as before.
    Before,
    /// All as intended.
    After,
    /// Every sector is one or the other.
    Torn,
    /// A sector holds what this step neither found nor wrote.
    Foreign {
        /// Where.
        device: DeviceName,
        /// From which byte on.
        offset: u64,
    },
}

impl From<&BytesProbe> for Probe {
    fn from(probe: &BytesProbe) -> Self {
        match probe {
            BytesProbe::Before => Self::Before,
            BytesProbe::After => Self::After,
            BytesProbe::Torn | BytesProbe::Foreign { .. } => Self::Neither,
        }
    }
}

fn name(step: usize) -> String {
    format!("checkpoints/{step:04}")
}

fn sorted(devices: &[DeviceName]) -> Vec<DeviceName> {
    let mut devices = devices.to_vec();
    devices.sort();
    devices.dedup();
    devices
}
