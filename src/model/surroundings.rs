//! What tasks and checks of a plan need of the machine, looked at beforehand.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{LvUuid, VgUuid};
use crate::model::signature::ForeignSignature;

/// What tasks and checks of a plan need, each with what speaks against it where something does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Programs, by what the plan calls them: their absolute paths.
    pub programs: BTreeMap<String, Result<String, String>>,
    /// Directories on which something is to be mounted, by path.
    pub mount_points: BTreeMap<String, Result<(), String>>,
    /// What stands at the beginning of LVs.
    pub signatures: BTreeMap<(VgUuid, LvUuid), Result<Vec<ForeignSignature>, String>>,
    /// LVs with a file system whose journal is on another device.
    pub journals_elsewhere: BTreeSet<(VgUuid, LvUuid)>,
}
