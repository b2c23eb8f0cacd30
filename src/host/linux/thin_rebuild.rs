//! Rebuilding the metadata of a thin pool in another LV.

use crate::host::linux::child::{self, Kept};
use crate::host::linux::copy_over;
use crate::host::thin_rebuild::Rebuilding;
use crate::host::{ActError, HostError, KeptFile, Performed, Progress, ReadHost};
use crate::operation::act::{CopyDevice, RebuildThin};
use crate::operation::command::CommandLine;

/// Dumps the old metadata from a copy, restores it into the device, and holds the result to what is
/// known.
pub fn rebuild(
    host: &dyn ReadHost,
    kept: &Kept<'_>,
    within: &str,
    (act, to): (&RebuildThin, &CopyDevice),
    progress: &mut dyn FnMut(Progress),
) -> Result<(Performed, KeptFile), ActError> {
    let rebuilding = Rebuilding::begin(host, within, act)?;
    // It is checked for what it is, and let go: the program wants it for itself.
    drop(copy_over::open(to)?);
    let args = ["-i", &rebuilding.dump(), "-o", &to.path].map(str::to_owned).to_vec();
    let program = rebuilding.tools().restore_path().to_owned();
    child::run(&CommandLine { program, args }, kept, progress)?;
    let device = copy_over::open(to)?;
    device.sync_all().map_err(|cause| HostError::new("sync", &to.path, cause))?;
    drop(device);
    let first = rebuilding.hold(&to.path)?;
    let dump = rebuilding.end(host)?;
    // What the pool has to have when the swap is to be undone: after a use it is another one.
    Ok((Performed { sha256: Some(first), ..Performed::default() }, dump))
}
