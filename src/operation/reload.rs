//! Tables given to the devices of a stack: everything that is needed to do it, and to go back, without
//! looking anything up on the way.

use serde::{Deserialize, Serialize};

use crate::ids::VgName;
use crate::model::live::{DevNumber, TargetLine};
use crate::model::table_goal::UdevRules;
use crate::operation::command::{DeviceStamp, Pointers};
use crate::operation::reload_tree::steps::{Step, StepReason};
use crate::units::Sectors;

/// A reload of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// The VG whose lock is held meanwhile.
    pub vg: VgName,
    /// LVM's lock directory.
    pub locking_dir: String,
    /// Whether it was planned for a stack that nobody uses.
    pub is_unused: bool,
    /// What the headers of the VG's areas must still say: the tables were made from that metadata.
    #[serde(skip)]
    pub unchanged: Vec<Pointers>,
    /// Disks that the tables name.
    #[serde(skip)]
    pub disks: Vec<DeviceStamp>,
    /// The devices.
    pub devices: Vec<ReloadDevice>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// Why: places of steps, the earlier, the later, and the reason.
    pub edges: Vec<(usize, usize, StepReason)>,
    /// Places of devices that are there, each behind all that its live table names.
    pub bottom_up: Vec<usize>,
    /// Whether what is on the way when a device is suspended waits there, instead of being waited for:
    /// mirrors and thin pools may have to be given another table before it can end.
    pub no_flush: bool,
}

/// A device of the stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadDevice {
    /// What it is called.
    pub name: String,
    /// Its UUID.
    pub uuid: String,
    /// What udev makes of it.
    pub rules: UdevRules,
    /// How it is found; none when it is to be made.
    pub found: Option<Found>,
    /// The table that it is given, where it is given one.
    pub table: Option<Vec<LoadLine>>,
    /// Whether it is to be read-only with that.
    pub read_only: bool,
}

/// How a device is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its number.
    pub number: DevNumber,
    /// Its live table.
    pub live: Vec<TargetLine>,
    /// The table that waits.
    pub inactive: Vec<TargetLine>,
    /// Whether one waits.
    pub has_inactive: bool,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Whether it is read-only.
    pub read_only: bool,
}

/// A line that is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadLine {
    /// First sector.
    pub start: Sectors,
    /// How many.
    pub len: Sectors,
    /// The target.
    pub target: String,
    /// Its arguments.
    pub args: Vec<LoadWord>,
}

/// A word of a line that is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadWord {
    /// As it is.
    Text(String),
    /// The number that a device of the list gets when it is made.
    Created(usize),
}
