//! Rebuilding the metadata of a thin pool: what is the same wherever the new metadata goes.
//!
//! The old metadata is copied and dumped in the scratch directory; whoever makes new metadata of the
//! dump has it held to what is known, and to the old.

use std::fs::File;
use std::io;
use std::thread::JoinHandle;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::diff::{losses, other_coverage, other_trees, unusable};
use crate::host::copy::copy_data;
use crate::host::thin_copy::{MetadataCopy, read_blocks};
use crate::host::thin_tools::ThinTools;
use crate::host::thin_trial::{DUMP, REBUILT, Scratch, copy_metadata};
use crate::host::{ActError, HostError, KeptFile, ReadHost};
use crate::ids::Digest;
use crate::model::thin_pool::{Rebuilt, Told};
use crate::operation::act::RebuildThin;
use crate::units::Bytes;

/// A rebuild under way: the old metadata is copied and dumped.
pub struct Rebuilding<'a> {
    act: &'a RebuildThin,
    tools: ThinTools,
    /// Before the directory that it works in, so that it has ended when that goes.
    packing: Packing,
    scratch: Scratch,
    /// What was read of the old metadata.
    old: Digest,
    /// How long it is.
    size: Bytes,
}

/// A dump that is packed while new metadata is made of it. Who gives it up waits for it.
pub struct Packing {
    thread: Option<JoinHandle<io::Result<File>>>,
}

impl Packing {
    /// Begins to pack a file into another one.
    pub fn begin(from: String, to: String) -> Self {
        Self { thread: Some(std::thread::spawn(move || pack(&from, &to))) }
    }

    /// Waits until it is packed.
    ///
    /// # Errors
    /// Why it could not be.
    pub fn end(&mut self) -> io::Result<File> {
        let packed = self.thread.take().and_then(|thread| thread.join().ok());
        packed.unwrap_or_else(|| Err(io::Error::other("BUG: the thread that packs it died")))
    }
}

impl Drop for Packing {
    fn drop(&mut self) {
        // What came of it nobody asks any more.
        let _ = self.end();
    }
}

impl<'a> Rebuilding<'a> {
    /// Copies the old metadata into this directory, and dumps it there.
    pub fn begin(
        host: &dyn ReadHost,
        within: &str,
        act: &'a RebuildThin,
    ) -> Result<Self, ActError> {
        let failed = |why: String| failed(act, why);
        let tools = ThinTools::find().map_err(failed)?;
        let scratch = Scratch::make(within).map_err(failed)?;
        scratch.has_room(&act.content).map_err(failed)?;
        let path = scratch.file("metadata");
        let (old, size) = copy_metadata(host, &act.content, &path)?;
        let dump = scratch.file(DUMP);
        let copy = MetadataCopy { tools: &tools, path, size, text: &act.text };
        copy.dump_with(act.mend, &dump).map_err(failed)?;
        let packing = Packing::begin(dump, scratch.file("dump.xml.gz"));
        Ok(Self { act, tools, packing, scratch, old, size })
    }

    fn copy(&self) -> MetadataCopy<'_> {
        let (tools, path) = (&self.tools, self.scratch.file("metadata"));
        MetadataCopy { tools, path, size: self.size, text: &self.act.text }
    }

    /// The tools that made the dump.
    pub const fn tools(&self) -> &ThinTools {
        &self.tools
    }

    /// Where the dump is.
    pub fn dump(&self) -> String {
        self.scratch.file(DUMP)
    }

    /// Where new metadata may be made that goes elsewhere from there.
    pub fn file(&self) -> String {
        self.scratch.file(REBUILT)
    }

    /// Why it did not come off.
    pub fn failed(&self, why: String) -> ActError {
        failed(self.act, why)
    }

    /// Holds new metadata to the old, and to what the plan foresaw; tells the digest of its first
    /// block.
    pub fn hold(&self, path: &str) -> Result<Digest, ActError> {
        let failed = |why: String| self.failed(why);
        let rebuilt = self.copy().rebuilt(self.act.mend, path).map_err(failed)?;
        hold_to(self.act, &rebuilt).map_err(failed)?;
        let first = read_blocks(path).and_then(|mut read| read(0)).map_err(failed)?;
        Ok(Digest::of(&first))
    }

    /// The dump, packed, once it is sure that the old metadata is what was dumped: somebody who
    /// activated the pool meanwhile has changed it.
    pub fn end(mut self, host: &dyn ReadHost) -> Result<KeptFile, ActError> {
        let (again, _) = copy_data(host, &self.act.content, &mut |_, _| Ok(()))?;
        if again != self.old {
            let why = "the old metadata changed while it was dumped: somebody uses the pool";
            return Err(self.failed(why.to_owned()));
        }
        let content = self
            .packing
            .end()
            .map_err(|cause| HostError::new("pack", "the dump of the old metadata", cause))?;
        let name = format!("evidence/thin_dump-{}.xml.gz", self.act.content.name);
        Ok(KeptFile { name, content })
    }
}

fn failed(act: &RebuildThin, why: String) -> ActError {
    HostError::because("rebuild thin metadata in", act.to.shown(), why).into()
}

fn pack(from: &str, to: &str) -> io::Result<File> {
    let mut packed = GzEncoder::new(File::create(to)?, Compression::fast());
    io::copy(&mut File::open(from)?, &mut packed)?;
    packed.finish()?;
    File::open(to)
}

/// What the trial showed must be there.
fn hold_to(act: &RebuildThin, rebuilt: &Rebuilt) -> Result<(), String> {
    let against = unusable(rebuilt)
        .or_else(|| other_trees(act.expected, &act.devices, rebuilt))
        .or_else(|| other_coverage(act.expected, rebuilt));
    if let Some(why) = against {
        return Err(format!("what was rebuilt is not what the plan foresaw: {why}"));
    }
    let Told { superblock, devices } = &rebuilt.new;
    let lost = losses(&act.devices, devices);
    if lost.iter().any(|loss| loss.is_gone || loss.lost > loss.foreseen) {
        let block = superblock.data_block.bytes().unwrap_or(Bytes::ZERO);
        let shown: Vec<String> = lost.iter().map(|loss| loss.shown(block)).collect();
        return Err(format!("the rebuild lost more than the plan foresaw: {}", shown.join("; ")));
    }
    Ok(())
}
