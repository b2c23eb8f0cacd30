//! A device of a stack: how it is in the kernel, and how it should be.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::live::LvmLayer;
use crate::model::table::{TableLine, size_of};

/// A device of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackDevice {
    /// Which layer of which LV.
    pub layer: LvmLayer,
    /// What it is called, as `dmsetup` prints it.
    pub name: String,
    /// What udev makes of it.
    pub rules: UdevRules,
    /// How it is; none when it is not there.
    pub now: Option<DeviceNow>,
    /// How it should be.
    pub then: Then,
}

/// How a device is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceNow {
    /// Its live table; empty when it never had one.
    pub live: Vec<TableLine>,
    /// The table that waits in its inactive slot.
    pub waiting: Option<Vec<TableLine>>,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Whether it is read-only.
    pub read_only: bool,
}

/// How a device should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Its live table stays in force.
    Stay,
    /// It has this table.
    Table {
        /// The table.
        lines: Vec<TableLine>,
        /// Whether it is read-only.
        read_only: bool,
    },
    /// It is not there.
    Gone,
}

/// What udev makes of a device.
///
/// # Source
/// LVM2 `lib/activate/dev_manager.c`, `_get_udev_flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UdevRules {
    /// An LV that people use.
    Volume,
    /// A snapshot: its origin has the same content, and goes first.
    Snapshot,
    /// The device of a pool: known by name, not looked into.
    Pool,
    /// A hidden layer.
    Hidden,
}

impl StackDevice {
    /// Its live table, as far as it is there.
    pub fn live(&self) -> &[TableLine] {
        self.now.as_ref().map_or(&[], |now| &now.live)
    }

    /// The table it will have.
    pub fn table_then(&self) -> &[TableLine] {
        match &self.then {
            Then::Stay => self.live(),
            Then::Table { lines, .. } => lines,
            Then::Gone => &[],
        }
    }

    /// Whether it has a live table now and will have another one, or none.
    pub fn is_reloaded(&self) -> bool {
        match self.then {
            Then::Stay => false,
            Then::Table { .. } => true,
            Then::Gone => !self.live().iter().all(|line| line.target == "error"),
        }
    }

    /// Whether anything has to be done about it.
    pub fn is_wrong(&self) -> bool {
        let is_left = |now: &DeviceNow| now.suspended || now.waiting.is_some();
        self.then != Then::Stay || self.now.as_ref().is_some_and(is_left)
    }

    /// Whether it will map more than it does, and all it maps now as now.
    pub fn grows(&self) -> bool {
        let (old, new) = (self.live(), self.table_then());
        size_of(new) > size_of(old) && extends(new, old)
    }

    /// Whether it will map less than it does.
    pub fn shrinks(&self) -> bool {
        self.then != Then::Gone && size_of(self.table_then()) < size_of(self.live())
    }
}

/// Whether a table begins as another one.
fn extends(new: &[TableLine], old: &[TableLine]) -> bool {
    let Some((last, before)) = old.split_last() else { return true };
    let Some((begin, rest)) = new.split_at_checked(before.len()) else { return false };
    let goes_on = |line: &TableLine| {
        (line.start, &line.target, &line.args) == (last.start, &last.target, &last.args)
            && line.len >= last.len
    };
    begin == before && rest.first().is_some_and(goes_on)
}

/// Devices that a table names.
pub fn named(table: &[TableLine]) -> BTreeSet<&LvmLayer> {
    table.iter().flat_map(TableLine::layers).collect()
}
