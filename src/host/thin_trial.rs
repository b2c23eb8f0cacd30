//! Judging the metadata of a thin pool, and rebuilding it, on a copy in the scratch directory: no
//! device is written.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::host::HostError;
use crate::host::copy::{ContentReader, copy_through};
use crate::host::thin_tools::ThinTools;
use crate::ids::Digest;
use crate::model::thin_pool::{
    METADATA_BLOCK, METADATA_MAX, PoolTrial, Rebuilt, ThinSuperblockBlock,
};
use crate::ondisk::thin_superblock::{BLOCK_SIZE, parse_thin_superblock};
use crate::ondisk::thin_tree::{Block, read_details};
use crate::operation::act::Content;
use crate::units::Bytes;

/// A copy, a dump, which as text is larger, and a rebuild, which may unshare.
const ROOM_TIMES: u64 = 6;

/// A directory that is gone with what is in it when it is not needed any more.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes one.
    ///
    /// # Errors
    /// Why it cannot be used, for people.
    pub fn make(within: &str) -> Result<Self, String> {
        let template = Path::new(within).join("lvmend-XXXXXX");
        let path = nix::unistd::mkdtemp(&template).map_err(|error| {
            format!("no scratch directory can be made in {within}: {error}; name another with --scratch-dir")
        })?;
        let this = Self { path };
        // The tools read and write past the page cache.
        let direct = OpenOptions::new()
            .write(true)
            .create_new(true)
            .custom_flags(nix::libc::O_DIRECT)
            .open(this.path.join("direct"));
        match direct {
            Ok(_) => Ok(this),
            Err(error) => Err(format!(
                "the thin tools read and write directly, which the file system of {within} does not \
                 let them ({error}): name a directory on another with --scratch-dir"
            )),
        }
    }

    /// Whether a copy, a dump and a rebuild of this metadata fit, as far as that can be told.
    ///
    /// # Errors
    /// That they do not, for people.
    pub fn has_room(&self, content: &Content) -> Result<(), String> {
        let size = content.len.bytes().unwrap_or(METADATA_MAX);
        let needed = Bytes::new(size.get().saturating_mul(ROOM_TIMES));
        let found = nix::sys::statvfs::statvfs(&self.path).map_err(|error| error.to_string())?;
        let free = Bytes::new(found.blocks_available().saturating_mul(found.fragment_size()));
        if free >= needed {
            return Ok(());
        }
        Err(format!(
            "a copy of {size} of metadata, its dump and its rebuild may take {needed}, and {free} are \
             free in the scratch directory: name another with --scratch-dir"
        ))
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> String {
        self.path.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is a nuisance, and no harm.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Copies metadata, sparsely, to a new file; tells its digest and size.
///
/// # Errors
/// [`HostError`], when it cannot be read or written.
pub fn copy_metadata(
    host: &dyn ContentReader,
    content: &Content,
    path: &str,
) -> Result<(Digest, Bytes), HostError> {
    let error = |doing| move |cause| HostError::new(doing, path, cause);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(error("make"))?;
    let (digest, size) = copy_through(host, content, &mut |_| {}, &mut |start, bytes| {
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        file.write_all_at(bytes, start.get()).map_err(error("write"))
    })?;
    file.set_len(size.get()).map_err(error("write"))?;
    Ok((digest, size))
}

/// What `thin_check` says of this metadata; and what a rebuild makes of it, when it is not sound or
/// `rebuild` says so.
///
/// # Errors
/// Why it could not be tried, for people.
pub fn try_pool(
    host: &dyn ContentReader,
    content: &Content,
    within: &str,
    rebuild: bool,
) -> Result<PoolTrial, String> {
    let tools = ThinTools::find()?;
    let scratch = Scratch::make(within)?;
    let metadata = scratch.file("metadata");
    scratch.has_room(content)?;
    let (_, size) = copy_metadata(host, content, &metadata).map_err(|error| error.in_full())?;
    let checked = tools.check(&metadata)?;
    if checked.is_ok() && !rebuild {
        return Ok(PoolTrial { checked, rebuilt: None });
    }
    let result = try_rebuild(&tools, &scratch, &metadata, size);
    Ok(PoolTrial { checked, rebuilt: Some(result) })
}

/// Dumps metadata as it stands; where that cannot be, repairs it on the way, which may take older
/// trees. Tells whether it did.
///
/// # Errors
/// Why neither could be done, for people.
pub fn dump_metadata(tools: &ThinTools, metadata: &str, dump: &str) -> Result<bool, String> {
    let Err(said) = tools.dump(metadata, dump, false)? else { return Ok(false) };
    if let Some(why) = tools.refuse_repair() {
        return Err(format!("thin_dump: {said}. {why}"));
    }
    tools.dump(metadata, dump, true)?.map_err(|said| format!("thin_dump -r: {said}"))?;
    Ok(true)
}

fn try_rebuild(
    tools: &ThinTools,
    scratch: &Scratch,
    metadata: &str,
    size: Bytes,
) -> Result<Rebuilt, String> {
    let dump = scratch.file("dump.xml");
    let repaired = dump_metadata(tools, metadata, &dump)?;
    let result = scratch.file("rebuilt");
    // Dumps of the older tools unshare what snapshots share, and need more room than before.
    let mut size = size;
    loop {
        File::create(&result)
            .and_then(|file| file.set_len(size.get()))
            .map_err(|error| format!("{result}: {error}"))?;
        match tools.restore(&dump, &result)? {
            Ok(()) => break,
            Err(said) if size >= METADATA_MAX => return Err(format!("thin_restore: {said}")),
            Err(_) => size = size.saturating_add(size).min(METADATA_MAX),
        }
    }
    tools.check(&result)?.map_err(|said| format!("thin_check of what was rebuilt: {said}"))?;
    let file = File::open(&result).map_err(|error| format!("{result}: {error}"))?;
    read_rebuilt(repaired, &mut |number| {
        let mut block: Block = [0; BLOCK_SIZE];
        let offset = number.saturating_mul(METADATA_BLOCK.get());
        file.read_exact_at(&mut block, offset).map_err(|error| error.to_string())?;
        Ok(block)
    })
}

/// Superblock and devices of metadata that was just made.
///
/// # Errors
/// What is wrong with it, for people.
pub fn read_rebuilt(
    repaired: bool,
    read: &mut dyn FnMut(u64) -> Result<Block, String>,
) -> Result<Rebuilt, String> {
    match parse_thin_superblock(&read(0)?) {
        ThinSuperblockBlock::Sound(superblock) => {
            let details = read_details(superblock.details_root, read)?;
            Ok(Rebuilt { repaired, superblock, details })
        }
        ThinSuperblockBlock::Zeroed
        | ThinSuperblockBlock::Foreign
        | ThinSuperblockBlock::Damaged(_) => {
            Err("what was rebuilt has no sound superblock".to_owned())
        }
    }
}
