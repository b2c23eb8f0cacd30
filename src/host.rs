//! The world outside: what can be read of it, and what can be done to it.
//!
//! A dry run is a type, not a flag: whoever gets a [`ReadHost`] has no method that could change
//! anything. Only `execute` holds a [`WriteHost`].

pub mod copy;
pub mod error;
pub mod fake;
pub mod files;
pub mod image;
pub mod linux;
pub mod state;
pub mod storage;
pub mod thin_copy;
pub mod thin_rebuild;
pub mod thin_tools;
pub mod thin_trial;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::ids::{DeviceName, Digest, ForeignText};
use crate::model::device::CutOff;
use crate::model::inventory::{Realm, Space};
use crate::model::live::{DevNumber, Live};
use crate::operation::act::{Act, CopyFile};
use crate::units::Bytes;

pub use error::HostError;

/// A device the host offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// What it is called.
    pub name: DeviceName,
    /// Its number, on a running machine.
    pub number: Option<DevNumber>,
    /// Symbolic links that lead to it, on a running machine.
    pub links: Vec<String>,
    /// Where it is found again, whatever the current directory: for images an absolute path.
    pub place: String,
    /// How large it is.
    pub size: Bytes,
    /// Whether it can only be read.
    pub read_only: bool,
    /// Whether it holds a partition table; its partitions are devices of their own.
    pub has_partitions: bool,
    /// Partitions of its table that reach past its end, and so are no devices.
    pub cut_off: Vec<CutOff>,
}

/// Who and where we are: LVM writes it into every text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The node name.
    pub node: ForeignText,
    /// System, release, version and architecture, as `uname` prints them.
    pub description: ForeignText,
}

/// What stands at a path that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// Nothing, in a directory that is there.
    Free(Space),
    /// A regular file.
    File {
        /// How long it is.
        size: Bytes,
    },
    /// Something else: a directory, a symbolic link (wherever it leads), a device.
    Other(&'static str),
    /// The directory is not there or not writable.
    NoDirectory(String),
}

/// A world that can be looked at.
pub trait ReadHost {
    /// What kind of world it is.
    fn realm(&self) -> Realm;

    /// Every device there is, sorted by name.
    fn devices(&self) -> Vec<DeviceInfo>;

    /// Reads exactly `len` bytes.
    ///
    /// # Errors
    /// [`HostError`], also when the device ends before that.
    fn read(&self, device: &DeviceName, offset: Bytes, len: Bytes) -> Result<Vec<u8>, HostError>;

    /// Reads a whole file of up to `size_max`.
    ///
    /// # Errors
    /// [`HostError`], also when it is larger.
    fn read_file(&self, path: &str, size_max: Bytes) -> Result<Vec<u8>, HostError>;

    /// The regular files in a directory, by name, sorted.
    ///
    /// # Errors
    /// [`HostError`], when it cannot be listed.
    fn list_files(&self, directory: &str) -> Result<Vec<String>, HostError>;

    /// What stands at a path that is to be written.
    fn target_state(&self, path: &str) -> TargetState;

    /// Seconds since 1970.
    fn now(&self) -> i64;

    /// Who and where we are.
    fn machine(&self) -> Machine;

    /// Kernel, LVM2 and users, on a running machine. What does not change while a program runs,
    /// such as LVM2's configuration, is taken from `known` when that is given.
    fn live(&self, _known: Option<&Live>) -> Option<Live> {
        None
    }

    /// Where a program is that a plan names: an absolute path, or a name that is looked for.
    ///
    /// # Errors
    /// Why it is not run, for people.
    fn find_program(&self, _name: &str) -> Result<String, String> {
        Err("only a running machine runs programs".to_owned())
    }

    /// Whether something can be mounted there.
    ///
    /// # Errors
    /// Why not, for people.
    fn mount_point(&self, _path: &str) -> Result<(), String> {
        Err("only a running machine mounts file systems".to_owned())
    }

    /// How many bytes of a device from here on are certainly zero, as far as it knows.
    ///
    /// # Errors
    /// [`HostError`], when the device cannot tell.
    fn zeros_at(&self, _device: &DeviceName, _offset: Bytes) -> Result<Bytes, HostError> {
        Ok(Bytes::ZERO)
    }
}

/// What came of an act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Performed {
    /// The digest of content that was read as a whole.
    pub sha256: Option<Digest>,
    /// How many bytes were written to a file, holes not counted.
    pub written: Bytes,
    /// What is worth knowing of it, for people.
    pub notes: Vec<String>,
}

/// A file that is to be kept with the run.
#[derive(Debug)]
pub struct KeptFile {
    /// What it is called among the files of the run.
    pub name: String,
    /// What is in it.
    pub content: std::fs::File,
}

/// Why an act was not performed, or not as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The world refused.
    #[error("{}", .0.in_full())]
    Host(#[from] HostError),
    /// A check did not hold.
    #[error("the content has SHA-256 {found}, expected {expected}")]
    ContentDiffers {
        /// As computed.
        found: Digest,
        /// As the plan has it.
        expected: Digest,
    },
    /// Somebody else wrote the metadata first; nothing was done.
    #[error("somebody else wrote the metadata first: {0}")]
    Overtaken(String),
    /// LVM's locks, or the device, are held by somebody for longer than may be waited.
    #[error("{0}")]
    Busy(String),
    /// A program failed.
    #[error("{command} {ended}{said}")]
    Command {
        /// As it was run.
        command: String,
        /// How it ended.
        ended: String,
        /// What it said on stderr, with a colon in front; empty when nothing.
        said: String,
        /// Whether a signal ended it: it may have left things half done.
        by_signal: bool,
    },
    /// A program of the plan failed.
    #[error("{command} {ended}{said}")]
    Program {
        /// As it was run.
        command: String,
        /// How it ended.
        ended: String,
        /// What it said last, with a colon in front; empty when nothing.
        said: String,
    },
    /// What it worked on is lost.
    #[error("{0}")]
    Lost(String),
    /// It did not come to its end, and can be gone on with.
    #[error("{0}")]
    Interrupted(String),
    /// This world has no way to do it.
    #[error("this host cannot do that: {0}")]
    Unsupported(&'static str),
}

impl ActError {
    /// Whether there is no sense in trying once more.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Program { .. } | Self::Lost(_) | Self::Interrupted(_) | Self::Unsupported(_) => {
                true
            }
            Self::Host(_)
            | Self::ContentDiffers { .. }
            | Self::Overtaken(_)
            | Self::Busy(_)
            | Self::Command { .. } => false,
        }
    }
}

/// How far a long act has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Content is read or written.
    Bytes {
        /// Bytes done.
        done: Bytes,
        /// Bytes in all.
        total: Bytes,
    },
    /// A program that writes takes long: it is waited for, however long that is.
    Waiting {
        /// Its process.
        pid: u32,
        /// For how many seconds by now.
        seconds: u64,
    },
}

/// A world that can be changed.
pub trait WriteHost: ReadHost {
    /// Performs one act, and returns when it is done. An act that fails removes what it made
    /// beside the devices itself: only it knows what it made and what it found there.
    ///
    /// # Errors
    /// [`ActError`]. What was done to devices before is for the caller to find out.
    fn perform(
        &mut self,
        act: &Act,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Performed, ActError>;

    /// Removes what a crash may have left of a copy that this run was making, and nothing of
    /// anybody else's.
    ///
    /// # Errors
    /// [`HostError`], when something is left.
    fn clean_up(&mut self, copy: &CopyFile) -> Result<(), HostError>;

    /// From now on long acts end when this is set.
    fn heed(&mut self, _stop: &Arc<AtomicBool>) {}

    /// What the last act made that is to be kept with the run, once.
    fn take_kept(&mut self) -> Option<KeptFile> {
        None
    }

    /// Removes what a crash may have left of the naming of such a copy, or of one that has its name; what
    /// it can be gone on with stays.
    ///
    /// # Errors
    /// [`HostError`], when something is left.
    fn settle(&mut self, copy: &CopyFile) -> Result<(), HostError>;

    /// How long whoever uses what must be free is waited for.
    fn patience(&self) -> Duration;

    /// Lets this time pass.
    fn pause(&mut self, time: Duration);
}

/// Where runs are kept: journals, evidence, checkpoints. Everything it says is done has been
/// synced, directories included.
pub trait RunStore {
    /// Makes an empty run.
    ///
    /// # Errors
    /// [`HostError`], also when it exists.
    fn create(&mut self, run: &str) -> Result<(), HostError>;

    /// All runs, by name, sorted.
    ///
    /// # Errors
    /// [`HostError`], when they cannot be listed.
    fn runs(&self) -> Result<Vec<String>, HostError>;

    /// The journal of a run; empty when it has none yet.
    ///
    /// # Errors
    /// [`HostError`], when it cannot be read.
    fn journal(&self, run: &str) -> Result<Vec<u8>, HostError>;

    /// Appends a line to the journal.
    ///
    /// # Errors
    /// [`HostError`]; after one, every further append fails too.
    fn append(&mut self, run: &str, line: &[u8]) -> Result<(), HostError>;

    /// Cuts the journal to this length: drops a torn last line.
    ///
    /// # Errors
    /// [`HostError`].
    fn cut_journal(&mut self, run: &str, len: Bytes) -> Result<(), HostError>;

    /// Writes a file of the run, as a whole or not at all; replaces one of that name.
    ///
    /// # Errors
    /// [`HostError`].
    fn put(&mut self, run: &str, name: &str, bytes: &[u8]) -> Result<(), HostError>;

    /// Writes a file of the run from a stream, as a whole or not at all; replaces one of that name.
    ///
    /// # Errors
    /// [`HostError`].
    fn put_from(
        &mut self,
        run: &str,
        name: &str,
        content: &mut dyn std::io::Read,
    ) -> Result<(), HostError>;

    /// Reads a file of the run.
    ///
    /// # Errors
    /// [`HostError`].
    fn get(&self, run: &str, name: &str) -> Result<Vec<u8>, HostError>;

    /// Removes a run and all that belongs to it.
    ///
    /// # Errors
    /// [`HostError`].
    fn remove(&mut self, run: &str) -> Result<(), HostError>;

    /// Where a run is kept, for people.
    fn place(&self, run: &str) -> String;
}
