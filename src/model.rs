//! What LVM objects are, once bytes and texts have been read.
//!
//! Pure data and questions about it: volume groups with their PVs, LVs and segments, maps of
//! extents, the devices that were looked at, and the versions of metadata that still stand
//! somewhere. Nothing here knows how any of it is stored, and nothing here does I/O.

pub mod allocation;
pub mod attr;
pub mod choice;
pub mod compare;
pub mod derived_tables;
pub mod device;
pub mod extent_map;
pub mod file_system;
pub mod flags;
pub mod inventory;
pub mod legs;
pub mod lineage;
pub mod live;
pub mod mapping;
pub mod off_tree;
pub mod parts;
pub mod place;
pub mod pools;
pub mod segment;
pub mod signature;
pub mod stale;
pub mod surroundings;
pub mod table;
pub mod table_alike;
pub mod table_goal;
pub mod thin_pool;
pub mod timeline;
pub mod unfinished;
pub mod vg;
