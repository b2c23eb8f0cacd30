//! What tests share: fixtures, worlds in memory, real LVM2 on loop devices, the program itself.

pub mod case;
pub mod fixture;
pub mod kernel;
pub mod live_story;
pub mod lvm;
pub mod machine;
pub mod naive;
pub mod program;
pub mod small;
pub mod world;
