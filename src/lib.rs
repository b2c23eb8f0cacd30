//! lvmend mends LVM.
//!
//! A person writes a YAML plan that says what state a volume group should be in; lvmend reads what
//! is really on the disks, diffs the two, builds a graph of ordered operations, shows it as a dry
//! run, and executes it with a journal, checkpoints and rollback.
//!
//! The modules are rooms with an order, see `ARCHITECTURE.md`: each uses only what stands above
//! it. Rooms down to [`simulate`] do no I/O at all.

pub mod cli;
pub mod diff;
pub mod discover;
pub mod execute;
pub mod fault;
pub mod graph;
pub mod host;
pub mod ids;
pub mod model;
pub mod ondisk;
pub mod operation;
pub mod plan;
pub mod report;
pub mod simulate;
pub mod text;
pub mod units;
