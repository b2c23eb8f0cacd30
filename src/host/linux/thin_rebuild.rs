//! Rebuilding the metadata of a thin pool in another LV.

use crate::diff::{losses, other_coverage, other_trees, unusable};
use crate::host::copy::copy_data;
use crate::host::linux::child::{self, Kept};
use crate::host::linux::copy_over;
use crate::host::thin_copy::{MetadataCopy, read_blocks, told_and_mapped};
use crate::host::thin_tools::ThinTools;
use crate::host::thin_trial::{Scratch, copy_metadata};
use crate::host::{ActError, HostError, Performed, Progress, ReadHost};
use crate::ids::Digest;
use crate::model::thin_pool::{Rebuilt, Told};
use crate::operation::act::RebuildThin;
use crate::operation::command::CommandLine;
use crate::units::Bytes;

/// Dumps the old metadata from a copy, restores it into the device, and holds the result to what is
/// known. What is read of the old metadata afterwards must be what was dumped.
pub fn rebuild(
    host: &dyn ReadHost,
    kept: &Kept<'_>,
    within: &str,
    act: &RebuildThin,
    progress: &mut dyn FnMut(Progress),
) -> Result<Performed, ActError> {
    let failed = |why: String| -> ActError {
        HostError::because("rebuild thin metadata in", &act.to.path, why).into()
    };
    let tools = ThinTools::find().map_err(failed)?;
    let scratch = Scratch::make(within).map_err(failed)?;
    scratch.has_room(&act.content).map_err(failed)?;
    let (old, dump) = (scratch.file("metadata"), scratch.file("dump.xml"));
    let (digest, size) = copy_metadata(host, &act.content, &old)?;
    let copy = MetadataCopy { tools: &tools, path: old, size, text: &act.text };
    copy.dump_with(act.mend, &dump).map_err(failed)?;
    // It is checked for what it is, and let go: the program wants it for itself.
    drop(copy_over::open(&act.to)?);
    let args = ["-i", &dump, "-o", &act.to.path].map(str::to_owned).to_vec();
    child::run(&CommandLine { program: tools.restore_path().to_owned(), args }, kept, progress)?;
    let device = copy_over::open(&act.to)?;
    device.sync_all().map_err(|cause| HostError::new("sync", &act.to.path, cause))?;
    drop(device);
    let checked = tools.check(&act.to.path).map_err(failed)?;
    checked.map_err(|said| failed(format!("thin_check of what was rebuilt: {said}")))?;
    // It may have been activated a moment ago, and what was written went past the page cache.
    let mut read = read_blocks(&act.to.path).map_err(failed)?;
    let first = Digest::of(&read(0).map_err(failed)?);
    let (new, mapped) = told_and_mapped(&mut read).map_err(failed)?;
    let compared = copy.compare(&new.superblock, &mapped, &mut read);
    hold_to(act, &Rebuilt { mend: act.mend, old: copy.told(), new, compared }).map_err(failed)?;
    // Somebody who activated the pool meanwhile has changed it.
    let (again, _) = copy_data(host, &act.content, &mut |_, _| Ok(()))?;
    if again != digest {
        let why = "the old metadata changed while it was dumped: somebody uses the pool";
        return Err(failed(why.to_owned()));
    }
    // What the pool has to have when the swap is to be undone: after a use it is another one.
    Ok(Performed { sha256: Some(first), written: Bytes::ZERO })
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
