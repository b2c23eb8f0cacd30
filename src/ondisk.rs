//! Bytes on disks, read and written: labels, PV headers, metadata areas, rings, partition tables.
//!
//! Everything here is pure: bytes in, values out, and the other way. Every offset, length and
//! count in the bytes is hostile until checked. Multi-byte integers are little-endian.

pub mod area_header;
pub mod bytes;
pub mod checksum;
pub mod label;
pub mod partition_table;
pub mod placement;
pub mod raid_superblock;
pub mod ring;
pub mod signature;
pub mod thin_leaf;
pub mod thin_mappings;
pub mod thin_mend;
pub mod thin_node;
pub mod thin_roots;
pub mod thin_space;
pub mod thin_superblock;
pub mod thin_tree;
