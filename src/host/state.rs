//! The state directory: where runs live on a real file system.
//!
//! ```text
//! DIR/runs/RUN/journal.jsonl     what was intended and what came of it
//! DIR/runs/RUN/sealed.json       the sealed plan
//! DIR/runs/RUN/evidence/…        raw bytes from before the first write
//! DIR/runs/RUN/checkpoints/…     what each operation overwrites
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::host::copy::{HOLE, write_sparsely};
use crate::host::{HostError, RunStore};
use crate::units::Bytes;

/// Where root keeps runs.
pub const STATE_DIR_DEFAULT: &str = "/var/lib/lvmend";
const JOURNAL: &str = "journal.jsonl";
/// Larger journals are damaged: a record is at most a few kilobytes.
const JOURNAL_SIZE_MAX: Bytes = Bytes::new(256 << 20);

/// A state directory on a file system.
#[derive(Debug)]
pub struct StateDirectory {
    root: PathBuf,
    /// After a failed append nobody knows what stands in the journal.
    latched: bool,
}

/// Whether the state directory is made when it is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is made.
    Make,
    /// It holds no runs.
    Leave,
}

/// Whether a file system that does not survive a reboot will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatile {
    /// It is refused.
    Refuse,
    /// It was asked for.
    Accept,
}

impl StateDirectory {
    /// Opens the directory, and checks that it is this user's alone.
    ///
    /// # Errors
    /// [`HostError`], also when others could write to it.
    pub fn open(root: &str, missing: Missing, volatile: Volatile) -> Result<Self, HostError> {
        let path = PathBuf::from(root);
        if missing == Missing::Make && fs::symlink_metadata(&path).is_err() {
            let error = |cause| HostError::new("make the state directory", root, cause);
            make_directory(&path).map_err(error)?;
        }
        if fs::symlink_metadata(&path).is_ok() {
            check_owner(&path, root)?;
            if volatile == Volatile::Refuse && missing == Missing::Make {
                check_lasting(&path, root)?;
            }
        }
        Ok(Self { root: path, latched: false })
    }

    fn runs_dir(&self) -> PathBuf {
        self.root.join("runs")
    }

    fn run_dir(&self, run: &str) -> Result<PathBuf, HostError> {
        let is_plain = !run.is_empty()
            && run != "."
            && run != ".."
            && run.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b));
        if is_plain {
            Ok(self.runs_dir().join(run))
        } else {
            Err(HostError::because("find run", run, "that is not the name of a run"))
        }
    }

    fn file(&self, run: &str, name: &str) -> Result<PathBuf, HostError> {
        let is_plain = name.split('/').all(|part| {
            !part.is_empty() && !part.starts_with('.') && part.bytes().all(|b| b.is_ascii_graphic())
        });
        if is_plain {
            Ok(self.run_dir(run)?.join(name))
        } else {
            Err(HostError::because("find file", name, "that is not the name of a file"))
        }
    }
}

/// Whether this user, and nobody else, can write to the directory.
fn check_owner(path: &Path, shown: &str) -> Result<(), HostError> {
    let refuse = |why: &str| Err(HostError::because("use the state directory", shown, why));
    let found = fs::symlink_metadata(path)
        .map_err(|cause| HostError::new("use the state directory", shown, cause))?;
    if !found.is_dir() {
        return refuse("it is not a directory");
    }
    if found.uid() != nix::unistd::geteuid().as_raw() {
        return refuse("it belongs to another user");
    }
    if found.permissions().mode() & 0o077 != 0 {
        return refuse("others may enter it: `chmod 700` it first");
    }
    Ok(())
}

/// Whether what is written there is still there after a reboot.
fn check_lasting(path: &Path, shown: &str) -> Result<(), HostError> {
    use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};
    /// `ramfs` has no constant in the library; linux/magic.h, RAMFS_MAGIC.
    const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);
    let found = statfs(path)
        .map_err(|errno| HostError::new("use the state directory", shown, errno.into()))?;
    if [TMPFS_MAGIC, RAMFS_MAGIC].contains(&found.filesystem_type()) {
        let why = "it does not survive a reboot, and a run could then neither be resumed nor \
                   rolled back: name another with --state-dir, or accept it with --volatile-state";
        return Err(HostError::because("use the state directory", shown, why));
    }
    Ok(())
}

/// Makes a directory and those above it that are not there; each is synced into the one above.
fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_directory(parent)?;
    }
    DirBuilder::new().mode(0o700).create(path)?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

/// Writes a file beside its place, syncs it, and moves it there.
fn put_file(path: &Path, content: impl Read) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    copy_sparsely(content, &file)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    sync_parent(path)
}

/// Leaves holes where there are zeros: evidence of free extents and of metadata is mostly that.
fn copy_sparsely(mut from: impl Read, to: &File) -> io::Result<()> {
    let mut block = Vec::new();
    let mut len = Bytes::ZERO;
    loop {
        block.clear();
        from.by_ref().take(HOLE as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return to.set_len(len.get());
        }
        write_sparsely(to, len, &block)?;
        len = len.saturating_add(Bytes::of_len(block.len()));
    }
}

impl RunStore for StateDirectory {
    fn create(&mut self, run: &str) -> Result<(), HostError> {
        let error = |cause| HostError::new("make run", run, cause);
        make_directory(&self.runs_dir()).map_err(error)?;
        let directory = self.run_dir(run)?;
        DirBuilder::new().mode(0o700).create(&directory).map_err(error)?;
        sync_parent(&directory).map_err(error)?;
        for inner in ["evidence", "checkpoints"] {
            make_directory(&directory.join(inner)).map_err(error)?;
        }
        put_file(&directory.join(JOURNAL), io::empty()).map_err(error)
    }

    fn runs(&self) -> Result<Vec<String>, HostError> {
        let runs = self.runs_dir();
        let error = |cause| HostError::new("list runs in", runs.display(), cause);
        let entries = match fs::read_dir(&runs) {
            Ok(entries) => entries,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(error(cause)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(error)?.file_name();
            names.extend(name.to_str().filter(|n| self.run_dir(n).is_ok()).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    fn journal(&self, run: &str) -> Result<Vec<u8>, HostError> {
        let path = self.run_dir(run)?.join(JOURNAL);
        let error = |cause| HostError::new("read the journal of", run, cause);
        let file = File::open(&path).map_err(error)?;
        let mut bytes = Vec::new();
        file.take(JOURNAL_SIZE_MAX.get()).read_to_end(&mut bytes).map_err(error)?;
        Ok(bytes)
    }

    fn append(&mut self, run: &str, line: &[u8]) -> Result<(), HostError> {
        if self.latched {
            let why = "an earlier write to it failed";
            return Err(HostError::because("write the journal of", run, why));
        }
        let path = self.run_dir(run)?.join(JOURNAL);
        let result = OpenOptions::new().append(true).open(&path).and_then(|mut file| {
            file.write_all(line)?;
            file.sync_data()
        });
        result.map_err(|cause| {
            self.latched = true;
            HostError::new("write the journal of", run, cause)
        })
    }

    fn cut_journal(&mut self, run: &str, len: Bytes) -> Result<(), HostError> {
        let path = self.run_dir(run)?.join(JOURNAL);
        let result = OpenOptions::new().write(true).open(&path).and_then(|file| {
            file.set_len(len.get())?;
            file.sync_all()
        });
        result.map_err(|cause| HostError::new("cut the journal of", run, cause))
    }

    fn put(&mut self, run: &str, name: &str, bytes: &[u8]) -> Result<(), HostError> {
        self.put_from(run, name, &mut &*bytes)
    }

    fn put_from(&mut self, run: &str, name: &str, content: &mut dyn Read) -> Result<(), HostError> {
        let path = self.file(run, name)?;
        let error = |cause| HostError::new("write", path.display(), cause);
        if let Some(directory) = path.parent() {
            make_directory(directory).map_err(error)?;
        }
        put_file(&path, content).map_err(error)
    }

    fn get(&self, run: &str, name: &str) -> Result<Vec<u8>, HostError> {
        let path = self.file(run, name)?;
        fs::read(&path).map_err(|cause| HostError::new("read", path.display(), cause))
    }

    fn remove(&mut self, run: &str) -> Result<(), HostError> {
        let directory = self.run_dir(run)?;
        let error = |cause| HostError::new("remove run", run, cause);
        fs::remove_dir_all(&directory).map_err(error)?;
        sync_parent(&directory).map_err(error)
    }

    fn place(&self, run: &str) -> String {
        self.runs_dir().join(run).display().to_string()
    }
}
