//! The journal: JSON lines, each with its sequence, a checksum and the checksum of the one before.
//!
//! `{"seq":3,"previous":"…","record":{…},"checksum":"…"}`
//!
//! The checksum is the SHA-256 of `seq`, `previous` and `record` as they stand in the line, joined
//! by newlines. A last line without its newline is torn by a crash and counts as not written; any
//! other damage is an error, before which everything is still readable.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::execute::Outcome;
use crate::host::{HostError, Performed, RunStore};
use crate::ids::{DeviceName, Digest, OperationId, PlanName, VgName, VgUuid};
use crate::model::inventory::Realm;
use crate::operation::{Risk, Signature, Stage};
use crate::plan::document::OnFailure;
use crate::units::Bytes;

/// The version of the journal that this program writes.
pub const FORMAT_VERSION: u32 = 1;

/// What is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Record {
    /// The run begins. Always the first record.
    RunStarted(Box<RunStarted>),
    /// A step is about to act; its checkpoint is saved.
    StepStarted {
        /// Which, counted from 0.
        step: usize,
        /// Digest of the checkpoint's index, when the step writes to devices.
        checkpoint: Option<Digest>,
        /// How the VG stands when the step is done.
        after: Digest,
    },
    /// A step was done and verified.
    StepApplied {
        /// Which.
        step: usize,
        /// The digest of what it read or copied.
        sha256: Option<Digest>,
        /// Bytes written to a file.
        written: Bytes,
        /// What is worth knowing of it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// A step failed.
    StepFailed {
        /// Which.
        step: usize,
        /// What is left of it.
        left: Left,
        /// Why.
        why: String,
    },
    /// The run turns back.
    RollbackStarted {
        /// Why.
        why: String,
    },
    /// A step is about to be undone.
    UndoStarted {
        /// Which.
        step: usize,
    },
    /// A step was undone and verified.
    StepUndone {
        /// Which.
        step: usize,
    },
    /// A step could not be undone.
    UndoFailed {
        /// Which.
        step: usize,
        /// Why.
        why: String,
    },
    /// The run stops on the way.
    Stopped {
        /// Why.
        why: String,
    },
    /// The run was taken up again.
    Resumed {
        /// By which program and version.
        program: String,
        /// When, in seconds since 1970.
        time: i64,
    },
    /// The run is over.
    Finished {
        /// How.
        outcome: Outcome,
        /// Why, when it is not done.
        why: Option<String>,
    },
}

impl Record {
    /// A step was done, and this came of it.
    pub fn applied(step: usize, performed: Performed) -> Self {
        let Performed { sha256, written, notes } = performed;
        Self::StepApplied { step, sha256, written, notes }
    }
}

/// What a run sets out to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Version of the journal.
    pub format_version: u32,
    /// The name of the run.
    pub run: String,
    /// The plan.
    pub plan: PlanName,
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub vg_name: VgName,
    /// Where it takes place.
    pub realm: Realm,
    /// What every text it writes is signed with.
    pub signature: Signature,
    /// What happens on failure.
    pub on_failure: OnFailure,
    /// Digest of the sealed plan beside the journal.
    pub sealed: Digest,
    /// How the VG stood when the run began.
    pub standing: Digest,
    /// The devices that were there, and where.
    pub devices: Vec<DevicePlace>,
    /// What is to be done, in order.
    pub steps: Vec<StepIntent>,
}

/// A device and where it is found again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicePlace {
    /// What it is called.
    pub name: DeviceName,
    /// Where it is; for images an absolute path.
    pub place: String,
}

/// A step as the journal knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepIntent {
    /// Its operation.
    pub id: OperationId,
    /// What it does.
    pub title: String,
    /// How much it can cost.
    pub risk: Risk,
    /// Whether it belongs to the plan's states, its tasks or its checks.
    #[serde(default = "state")]
    pub stage: Stage,
}

/// What a step belonged to when journals did not say it.
const fn state() -> Stage {
    Stage::State
}

/// What a failed step left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// Nothing: the world is as before.
    Nothing,
    /// Everything it writes.
    Everything,
    /// Some of what it writes; every sector is as before or as intended.
    Some,
    /// That cannot be told.
    Unknown,
}

/// What is wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A line that is not what was written.
    #[error("the journal is damaged at line {line}: {why}")]
    Damaged {
        /// Counted from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// No first record.
    #[error("the journal is empty: the run ended before it began")]
    Empty,
    /// Written by a newer program.
    #[error("the journal has format version {0}; this lvmend reads up to {FORMAT_VERSION}")]
    Version(u32),
    /// Records that cannot follow each other.
    #[error("the journal is damaged at line {line}: {why}")]
    Order {
        /// Counted from 1.
        line: usize,
        /// Why.
        why: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    seq: u64,
    previous: Digest,
    #[serde(borrow)]
    record: &'a RawValue,
    checksum: Digest,
}

fn checksum(seq: u64, previous: Digest, record: &str) -> Digest {
    Digest::of(format!("{seq}\n{previous}\n{record}").as_bytes())
}

/// What the first line names as the one before it.
fn before_first() -> Digest {
    Digest::of(b"")
}

/// A journal that was read, as far as it can be.
#[derive(Debug)]
pub struct Journal {
    /// The records.
    pub records: Vec<Record>,
    /// How long the sound part is.
    pub len: Bytes,
    /// Whether a torn last line follows it.
    pub torn: bool,
    last: Digest,
}

impl Journal {
    /// Reads as much as is sound; what is wrong with the rest comes along.
    pub fn read(bytes: &[u8]) -> (Self, Option<JournalError>) {
        let mut journal =
            Self { records: Vec::new(), len: Bytes::ZERO, torn: false, last: before_first() };
        for (index, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            let Some(line) = line.strip_suffix(b"\n") else {
                journal.torn = true;
                break;
            };
            if let Err(why) = journal.take(line) {
                return (journal, Some(JournalError::Damaged { line: index + 1, why }));
            }
        }
        let version = match journal.records.first() {
            Some(Record::RunStarted(started)) => Some(started.format_version),
            Some(_) | None => None,
        };
        let error = match version {
            Some(version) if version > FORMAT_VERSION => Some(JournalError::Version(version)),
            Some(_) => None,
            None => Some(JournalError::Empty),
        };
        (journal, error)
    }

    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
        let parsed: Line<'_> = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if u64::try_from(self.records.len()) != Ok(parsed.seq) {
            return Err(format!("sequence {} instead of {}", parsed.seq, self.records.len()));
        }
        if parsed.previous != self.last {
            return Err("it does not follow the line before".to_owned());
        }
        let sum = checksum(parsed.seq, parsed.previous, parsed.record.get());
        if sum != parsed.checksum {
            return Err("its checksum does not match".to_owned());
        }
        let record = serde_json::from_str(parsed.record.get()).map_err(|e| e.to_string())?;
        self.records.push(record);
        self.last = sum;
        self.len = self.len.saturating_add(Bytes::of_len(line.len() + 1));
        Ok(())
    }

    /// The line that writes this record down next, newline included.
    pub fn line_for(&self, record: &Record) -> Result<(Vec<u8>, Digest), HostError> {
        let error =
            |e: serde_json::Error| HostError::because("write", "the journal", e.to_string());
        let seq = u64::try_from(self.records.len()).unwrap_or(u64::MAX);
        let record = serde_json::value::to_raw_value(record).map_err(error)?;
        let checksum = checksum(seq, self.last, record.get());
        let line = Line { seq, previous: self.last, record: &record, checksum };
        let mut bytes = serde_json::to_vec(&line).map_err(error)?;
        bytes.push(b'\n');
        Ok((bytes, checksum))
    }

    /// Writes a record down: returns when it will survive a power cut.
    ///
    /// # Errors
    /// [`HostError`]; the journal is then as it was.
    pub fn append(
        &mut self,
        store: &mut dyn RunStore,
        run: &str,
        record: Record,
    ) -> Result<(), HostError> {
        let (line, checksum) = self.line_for(&record)?;
        store.append(run, &line)?;
        self.records.push(record);
        self.last = checksum;
        self.len = self.len.saturating_add(Bytes::of_len(line.len()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let (mut journal, _) = Journal::read(b"");
        let mut bytes = Vec::new();
        for step in 0..3 {
            let record = Record::UndoStarted { step };
            let (line, checksum) = journal.line_for(&record).unwrap();
            bytes.extend(line);
            journal.records.push(record);
            journal.last = checksum;
        }
        bytes
    }

    #[test]
    fn cut_anywhere_it_is_readable_up_to_there() {
        let bytes = sample();
        let ends: Vec<usize> =
            bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).collect();
        for cut in 0..=bytes.len() {
            let (journal, error) = Journal::read(&bytes[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(journal.records.len(), whole, "cut at {cut}");
            assert_eq!(journal.torn, cut > 0 && !ends.contains(&cut), "cut at {cut}");
            // No run begins with an undo: the only error is that.
            assert!(matches!(error, Some(JournalError::Empty)), "cut at {cut}");
        }
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let bytes = sample();
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1;
            let (journal, error) = Journal::read(&damaged);
            let is_noticed = journal.torn || matches!(error, Some(JournalError::Damaged { .. }));
            assert!(is_noticed, "byte {index}");
        }
    }

    #[test]
    fn lines_cannot_be_swapped_or_left_out() {
        let bytes = sample();
        let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
        for order in [[1, 0, 2], [0, 2, 1]] {
            let swapped: Vec<u8> = order.iter().flat_map(|i| lines[*i].to_vec()).collect();
            assert!(matches!(Journal::read(&swapped).1, Some(JournalError::Damaged { .. })));
        }
        let missing = [lines[0], lines[2]].concat();
        assert!(matches!(Journal::read(&missing).1, Some(JournalError::Damaged { line: 2, .. })));
    }
}
