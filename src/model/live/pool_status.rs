//! What the kernel says of a thin pool.

use crate::model::live::MappedDevice;
use crate::model::thin_pool::SpaceUsed;

/// What a pool still does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PoolMode {
    /// Everything.
    ReadWrite,
    /// It has no data blocks left: whoever needs one waits, or gets an error.
    OutOfDataSpace,
    /// Nothing new: a commit of its metadata failed, or nothing is left for it.
    ReadOnly,
    /// Nothing at all.
    Failed,
}

impl PoolMode {
    /// In words, for people.
    pub const fn shown(self) -> &'static str {
        match self {
            Self::ReadWrite => "read-write",
            Self::OutOfDataSpace => "out of data space",
            Self::ReadOnly => "read-only",
            Self::Failed => "failed",
        }
    }
}

/// The status line of an active pool.
///
/// # Source
/// Linux `drivers/md/dm-thin.c`, `pool_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// What it still does.
    pub mode: PoolMode,
    /// Whether it is not to be written before a check.
    pub needs_check: bool,
    /// The rest; none of a pool that failed.
    pub counts: Option<PoolCounts>,
}

/// What the kernel counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolCounts {
    /// The transaction id.
    pub transaction_id: u64,
    /// Blocks of metadata.
    pub metadata: SpaceUsed,
    /// Blocks of data.
    pub data: SpaceUsed,
}

impl PoolStatus {
    /// Reads the status line of a `thin-pool` target.
    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [word, ..] = words.as_slice()
            && matches!(*word, "Fail" | "Error")
        {
            return Some(Self { mode: PoolMode::Failed, needs_check: false, counts: None });
        }
        let [id, metadata, data, _held, flags @ ..] = words.as_slice() else { return None };
        let mode = flags.iter().find_map(|flag| match *flag {
            "rw" => Some(PoolMode::ReadWrite),
            "ro" => Some(PoolMode::ReadOnly),
            "out_of_data_space" => Some(PoolMode::OutOfDataSpace),
            _ => None,
        });
        let counts = PoolCounts {
            transaction_id: id.parse().ok()?,
            metadata: used(metadata)?,
            data: used(data)?,
        };
        let needs_check = flags.contains(&"needs_check");
        Some(Self { mode: mode?, needs_check, counts: Some(counts) })
    }

    /// That of a device of a pool.
    pub fn of(device: &MappedDevice) -> Option<Self> {
        let lines = device.live.iter().zip(&device.status);
        let mut pools = lines.filter(|(line, _)| line.target == "thin-pool");
        pools.find_map(|(_, status)| Self::parse(status.raw()))
    }
}

fn used(word: &str) -> Option<SpaceUsed> {
    let (allocated, blocks) = word.split_once('/')?;
    Some(SpaceUsed { blocks: blocks.parse().ok()?, allocated: allocated.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        let line = "1 12/1024 16/64 - rw discard_passdown queue_if_no_space - 1024";
        let found = PoolStatus::parse(line).unwrap();
        assert_eq!((found.mode, found.needs_check), (PoolMode::ReadWrite, false));
        let counts = found.counts.unwrap();
        assert_eq!(
            (counts.transaction_id, counts.metadata.percent(), counts.data.percent()),
            (1, 1, 25)
        );
        let line = "7 1024/1024 64/64 12 ro discard_passdown error_if_no_space needs_check 1024";
        let found = PoolStatus::parse(line).unwrap();
        assert_eq!((found.mode, found.needs_check), (PoolMode::ReadOnly, true));
        assert_eq!(found.counts.unwrap().metadata.percent(), 100);
        let full = "7 9/1024 64/64 - out_of_data_space discard_passdown queue_if_no_space - 1024";
        assert_eq!(PoolStatus::parse(full).unwrap().mode, PoolMode::OutOfDataSpace);
        for failed in ["Fail", "Error"] {
            assert_eq!(PoolStatus::parse(failed).unwrap().mode, PoolMode::Failed);
        }
        for hostile in ["", "x", "1 2 3 - rw", "1 1/2 3/4 -", "1 1/2 3/4 - what", "a 1/2 3/4 - rw"]
        {
            assert_eq!(PoolStatus::parse(hostile), None, "{hostile}");
        }
    }
}
