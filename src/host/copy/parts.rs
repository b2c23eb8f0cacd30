//! The names of a copy: what it is called until it is whole, how it gets its name, and what is
//! removed when it does not.
//!
//! Nothing is opened that was there before, and nothing is overwritten: every file is a new one,
//! and every name is given with a link that fails where something has it already. The manifest
//! gets its name before the copy does, so that one beside a copy always tells of a finished copy.
//!
//! Until the copy has its name, its manifest is called by the name of its part as well. By that a
//! run knows its own manifest after a crash, and others see that it was not left over.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::unistd::geteuid;

use crate::host::HostError;
use crate::host::files::kind_shown;
use crate::model::inventory::{CopyManifest, MANIFEST_SIZE_MAX};
use crate::operation::act::CopyFile;

/// The parts of a copy, made by this very call.
pub struct Parts<'a> {
    to: &'a CopyFile,
    content: File,
    manifest: File,
}

impl<'a> Parts<'a> {
    /// Makes both parts, so that whatever is in the way shows before anything is copied.
    pub fn make(to: &'a CopyFile) -> Result<Self, HostError> {
        refuse_standing(&to.path)?;
        remove_stale_manifest(to)?;
        let begun = reopen(to)?;
        let is_taken_up = begun.is_some();
        if is_taken_up {
            // The manifest that it was to get is made anew.
            remove_names(to)?;
        }
        // It would be in the way in the end, after all that was read.
        refuse_standing(&to.map())?;
        let content = begun.map_or_else(|| create(&to.part()), Ok)?;
        if !is_taken_up {
            lock(&content, &to.part())?;
        }
        let made = create(&to.manifest_part()).and_then(|manifest| {
            check_links(to)?;
            Ok(manifest)
        });
        match made {
            Ok(manifest) => Ok(Self { to, content, manifest }),
            // What this call did not make stays.
            Err(error) if is_taken_up => Err(error),
            Err(error) => Err(along_with(error, remove(&to.part()))),
        }
    }

    /// Where the content goes.
    pub fn content(&self) -> &File {
        &self.content
    }

    /// Where the copy goes.
    pub fn path(&self) -> &str {
        &self.to.path
    }

    /// Writes the manifest, and gives both their names, and its own to the map where that is to stay. The
    /// content was synced before.
    pub fn publish(&self, manifest: &CopyManifest, keeps_map: bool) -> Result<(), HostError> {
        let (path, at) = (self.path(), self.to.manifest());
        let error = |cause| HostError::new("write", &at, cause);
        let mut json =
            serde_json::to_vec_pretty(manifest).map_err(|e| error(io::Error::other(e)))?;
        json.push(b'\n');
        (&self.manifest).write_all(&json).map_err(error)?;
        self.manifest.sync_all().map_err(error)?;
        if keeps_map {
            name(&self.to.map_part(), &self.to.map())?;
        }
        name(&self.to.manifest_part(), &at)?;
        name(&self.to.part(), path)?;
        clean_up(self.to)
    }

    /// Removes what was made, and says so when that fails as well.
    pub fn give_up(&self, error: HostError) -> HostError {
        along_with(error, clean_up(self.to))
    }
}

/// The part that an earlier try of this run left, where a map beside it says how far that came. Nobody
/// else can have made it: it is ours, for us alone, and has no other name.
fn reopen(to: &CopyFile) -> Result<Option<File>, HostError> {
    let path = to.part();
    let error = |cause| HostError::new("open", &path, cause);
    if identity(&to.map_part())?.is_none() || identity(&path)?.is_none() {
        return Ok(None);
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
        .open(&path)
        .map_err(error)?;
    let found = file.metadata().map_err(error)?;
    let is_ours = found.uid() == geteuid().as_raw() && found.mode() & 0o777 == 0o600;
    if !(found.is_file() && is_ours && found.nlink() == 1) {
        return Err(HostError::because("open", &path, "it is not the part that this run began"));
    }
    // Another run that began in the same second would have the same names.
    lock(&file, &path)?;
    Ok(Some(file))
}

/// Holds a part for as long as this process has it open.
fn lock(file: &File, path: &str) -> Result<(), HostError> {
    file.try_lock().map_err(|_| HostError::because("open", path, "another run is making this copy"))
}

/// Makes a new file, and follows no link to it.
fn create(path: &str) -> Result<File, HostError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)
        .map_err(|cause| HostError::new("make", path, cause))
}

/// Gives a part its name, and returns when that will survive a power cut.
fn name(part: &str, path: &str) -> Result<(), HostError> {
    let error = |cause| HostError::new("name", path, cause);
    fs::hard_link(part, path).map_err(error)?;
    match Path::new(path).parent() {
        Some(directory) => File::open(directory).and_then(|d| d.sync_all()).map_err(error),
        None => Ok(()),
    }
}

fn remove(path: &str) -> Result<(), HostError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(HostError::new("remove", path, cause))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// An error, and that cleaning up after it failed too.
fn along_with(error: HostError, cleaned: Result<(), HostError>) -> HostError {
    match cleaned {
        Ok(()) => error,
        Err(left) => {
            let cause = io::Error::other(format!("{}; {}", error.cause, left.in_full()));
            HostError { cause, ..error }
        }
    }
}

fn refuse_standing(path: &str) -> Result<(), HostError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(HostError::because("make", path, "it exists already; move it away")),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(HostError::new("make", path, cause)),
    }
}

/// Names are given by links in the end: a file system without any is told now, not after hours.
fn check_links(to: &CopyFile) -> Result<(), HostError> {
    let (part, link) = (to.manifest_part(), format!("{}.link", to.manifest_part()));
    let linked = fs::hard_link(&part, &link).map_err(|cause| HostError::new("link", &link, cause));
    let removed = remove(&link);
    linked.and(removed).map_err(|error| along_with(error, remove(&part)))
}

/// Removes a manifest whose copy is gone. Anything else in its place is an error.
fn remove_stale_manifest(to: &CopyFile) -> Result<(), HostError> {
    let at = to.manifest();
    let error = |cause| HostError::new("make", &at, cause);
    let refuse = |why: &str| HostError::because("make", &at, format!("{why}; move it away"));
    let found = match fs::symlink_metadata(&at) {
        Ok(found) => found,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(error(cause)),
    };
    if !found.is_file() {
        return Err(refuse(&format!("{} stands there", kind_shown(found.file_type()))));
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
        .open(&at)
        .map_err(error)?;
    let found = file.metadata().map_err(error)?;
    let mut json = Vec::new();
    file.take(MANIFEST_SIZE_MAX.get()).read_to_end(&mut json).map_err(error)?;
    if serde_json::from_slice::<CopyManifest>(&json).is_err() {
        return Err(refuse("a file that is no manifest of a copy stands there"));
    }
    if found.nlink() > 1 {
        let why = "another run is making the same copy or was interrupted there: wait for it, or \
                   resume it or roll it back";
        return Err(HostError::because("make", &at, why));
    }
    // In this order: a run that was making the same copy and has just finished left its manifest
    // with one name only after the copy had its own.
    refuse_standing(&to.path)?;
    remove(&at)
}

/// Which file it is, whatever it is called.
fn identity(path: &str) -> Result<Option<(u64, u64)>, HostError> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some((found.dev(), found.ino()))),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(HostError::new("look at", path, cause)),
    }
}

/// Takes away what is left of a copy that got its name, or of the naming of one that did not; what a
/// copy can be gone on with stays.
pub fn settle(to: &CopyFile) -> Result<(), HostError> {
    let is_named = is_named(to)?;
    if is_named || identity(&to.map_part())?.is_none() {
        return remove_parts(to, is_named);
    }
    remove_names(to)
}

/// Removes what is left of this run's copy: its parts, and its manifest and map where the copy did not
/// get its name.
pub fn clean_up(to: &CopyFile) -> Result<(), HostError> {
    remove_parts(to, is_named(to)?)
}

/// Whether the copy has its name already.
fn is_named(to: &CopyFile) -> Result<bool, HostError> {
    Ok(match (identity(&to.part())?, identity(&to.path)?) {
        (Some(part), Some(copy)) => part == copy,
        // The part of the content goes last: without it there is nothing left to be done.
        (None, Some(_)) => true,
        (_, None) => false,
    })
}

fn remove_parts(to: &CopyFile, is_named: bool) -> Result<(), HostError> {
    if !is_named {
        remove_names(to)?;
    }
    remove(&to.manifest_part())?;
    remove(&to.map_part())?;
    remove(&format!("{}.new", to.map_part()))?;
    remove(&to.part())
}

/// Takes the names back that were given before the copy was to get its own.
fn remove_names(to: &CopyFile) -> Result<(), HostError> {
    for (part, name) in [(to.manifest_part(), to.manifest()), (to.map_part(), to.map())] {
        let own = identity(&part)?;
        if own.is_some() && identity(&name)? == own {
            remove(&name)?;
        }
    }
    remove(&to.manifest_part())
}
