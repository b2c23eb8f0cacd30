//! Rebuilding the metadata of a thin pool in another LV.

use crate::diff::losses;
use crate::host::copy::{self, ContentReader};
use crate::host::linux::child::{self, Kept};
use crate::host::linux::copy_over;
use crate::host::thin_tools::ThinTools;
use crate::host::thin_trial::{Scratch, copy_metadata, read_rebuilt};
use crate::host::{ActError, HostError, Performed, Progress};
use crate::ids::DeviceName;
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
    if let Some(why) = tools.refuse_repair().filter(|_| act.repair) {
        return Err(failed(why));
    }
    let scratch = Scratch::make(within).map_err(failed)?;
    let (old, dump) = (scratch.file("metadata"), scratch.file("dump.xml"));
    let (digest, size) = copy_metadata(host, &act.content, &old)?;
    let dumped = tools.dump(&old, &dump, act.repair).map_err(failed)?;
    dumped.map_err(|said| failed(format!("thin_dump: {said}")))?;
    // It is checked for what it is, and let go: the program wants it for itself.
    drop(copy_over::open(&act.to)?);
    let args = ["-i", &dump, "-o", &act.to.path].map(str::to_owned).to_vec();
    child::run(&CommandLine { program: tools.restore_path().to_owned(), args }, kept, progress)?;
    drop(copy_over::open(&act.to)?);
    let checked = tools.check(&act.to.path).map_err(failed)?;
    checked.map_err(|said| failed(format!("thin_check of what was rebuilt: {said}")))?;
    let device = DeviceName::whole(act.to.path.as_str());
    let rebuilt = read_rebuilt(&mut |number| read_block(host, &device, number)).map_err(failed)?;
    hold_to(act, &rebuilt).map_err(failed)?;
    // Somebody who activated the pool meanwhile has changed it.
    let again = copy::digest_of(host, &act.content, &mut |_| {})?;
    if again != digest {
        let why = "the old metadata changed while it was dumped: somebody uses the pool";
        return Err(failed(why.to_owned()));
    }
    Ok(Performed { sha256: Some(digest), written: size })
}

fn read_block(host: &dyn ContentReader, device: &DeviceName, number: u64) -> Result<Block, String> {
    let offset = Bytes::new(number.saturating_mul(METADATA_BLOCK.get()));
    let bytes = host.read(device, offset, METADATA_BLOCK).map_err(|error| error.in_full())?;
    Block::try_from(bytes).map_err(|_| "it is cut off".to_owned())
}

/// The devices and mappings that must be there, and the transaction id.
fn hold_to(act: &RebuildThin, rebuilt: &Rebuilt) -> Result<(), String> {
    let (own, text) = (rebuilt.superblock.transaction_id, act.transaction_id);
    if text != 0 && own != text && own.checked_add(1) != Some(text) {
        return Err(format!(
            "what was rebuilt is at transaction {own}, LVM's text at {text}: it went back in time"
        ));
    }
    let lost = losses(&act.devices, &rebuilt.details);
    let blocks = lost.iter().fold(0_u64, |sum, loss| sum.saturating_add(loss.lost));
    if lost.iter().any(|loss| loss.is_gone) || blocks > act.max_lost_mappings {
        let block = rebuilt.superblock.data_block.bytes().unwrap_or(Bytes::ZERO);
        let shown: Vec<String> = lost.iter().map(|loss| loss.shown(block)).collect();
        return Err(format!("the rebuild lost more than the plan allows: {}", shown.join("; ")));
    }
    Ok(())
}
