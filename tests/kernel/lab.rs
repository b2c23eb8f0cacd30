//! What stories are told with.
//!
//! Everything here runs in the machine and panics when it goes wrong: that ends the scenario.

mod content;
pub mod crash;
mod device_mapper;
pub mod disk;
mod journal;
pub mod lvm_conf;
mod plan;
pub mod pool;
mod power;
pub mod run;
mod udevd;
mod witness;

pub use self::content::{FileSystem, fill, sha256};
pub use self::device_mapper::DeviceMapper;
pub use self::disk::{Disk, disks, ubd, wait_until};
pub use self::journal::start;
pub use self::plan::{mend, newest_run, nothing_left, plan, refused};
pub use self::power::{cut_power, cut_power_in, keep, kept};
pub use self::run::{STATE, lvm, lvmend, lvmend_with_state, program, sh, try_lvm, try_sh};
pub use self::udevd::Udevd;
pub use self::witness::Witness;
