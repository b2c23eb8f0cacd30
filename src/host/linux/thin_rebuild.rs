//! Rebuilding the metadata of a thin pool in another LV.

use crate::diff::losses;
use crate::host::copy::{self, ContentReader};
use crate::host::linux::child::{self, Kept};
use crate::host::linux::copy_over;
use crate::host::thin_tools::ThinTools;
use crate::host::thin_trial::{Scratch, copy_metadata, dump_metadata, read_rebuilt};
use crate::host::{ActError, HostError, Performed, Progress};
use crate::ids::{DeviceName, Digest};
use crate::model::thin_pool::{METADATA_BLOCK, Rebuilt};
use crate::ondisk::thin_tree::Block;
use crate::operation::act::RebuildThin;
use crate::operation::command::CommandLine;
use crate::units::Bytes;

/// Dumps the old metadata from a copy, restores it into the device, and holds the result to what is
/// known. What is read of the old metadata afterwards must be what was dumped.
pub fn rebuild(
    host: &dyn ContentReader,
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
    let (digest, _) = copy_metadata(host, &act.content, &old)?;
    let repaired = dump_metadata(&tools, &old, &dump).map_err(failed)?;
    if repaired && !act.repair {
        return Err(failed(
            "it has to be repaired by now, which the plan did not foresee".to_owned(),
        ));
    }
    // It is checked for what it is, and let go: the program wants it for itself.
    drop(copy_over::open(&act.to)?);
    let args = ["-i", &dump, "-o", &act.to.path].map(str::to_owned).to_vec();
    child::run(&CommandLine { program: tools.restore_path().to_owned(), args }, kept, progress)?;
    let device = copy_over::open(&act.to)?;
    device.sync_all().map_err(|cause| HostError::new("sync", &act.to.path, cause))?;
    drop(device);
    let checked = tools.check(&act.to.path).map_err(failed)?;
    checked.map_err(|said| failed(format!("thin_check of what was rebuilt: {said}")))?;
    let device = DeviceName::whole(act.to.path.as_str());
    let mut read = |number| read_block(host, &device, number);
    let first = Digest::of(&read(0).map_err(failed)?);
    let rebuilt = read_rebuilt(repaired, &mut read).map_err(failed)?;
    hold_to(act, &rebuilt).map_err(failed)?;
    // Somebody who activated the pool meanwhile has changed it.
    let again = copy::digest_of(host, &act.content, &mut |_| {})?;
    if again != digest {
        let why = "the old metadata changed while it was dumped: somebody uses the pool";
        return Err(failed(why.to_owned()));
    }
    // What the pool has to have when the swap is to be undone: after a use it is another one.
    Ok(Performed { sha256: Some(first), written: Bytes::ZERO })
}

fn read_block(host: &dyn ContentReader, device: &DeviceName, number: u64) -> Result<Block, String> {
    let offset = Bytes::new(number.saturating_mul(METADATA_BLOCK.get()));
    let bytes = host.read(device, offset, METADATA_BLOCK).map_err(|error| error.in_full())?;
    Block::try_from(bytes).map_err(|_| "it is cut off".to_owned())
}

/// The devices and mappings that must be there, and the transaction id.
fn hold_to(act: &RebuildThin, rebuilt: &Rebuilt) -> Result<(), String> {
    if rebuilt.superblock.transaction_id != act.seen.transaction_id {
        return Err(format!(
            "what was rebuilt is at transaction {}, the old metadata at {}",
            rebuilt.superblock.transaction_id, act.seen.transaction_id
        ));
    }
    let lost = losses(&act.devices, &rebuilt.details);
    if lost.iter().any(|loss| loss.is_gone || loss.lost > loss.foreseen) {
        let block = rebuilt.superblock.data_block.bytes().unwrap_or(Bytes::ZERO);
        let shown: Vec<String> = lost.iter().map(|loss| loss.shown(block)).collect();
        return Err(format!("the rebuild lost more than the plan foresaw: {}", shown.join("; ")));
    }
    Ok(())
}
