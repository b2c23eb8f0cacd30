//! Which legs of a mirror or RAID1 hold what the LV holds.
//!
//! A leg that was away has missed writes. RAID tells so in the superblocks of its legs; the old
//! mirroring tells nowhere, there the history of its PVs has to serve.

use crate::ids::PvUuid;
use crate::units::Sectors;

/// What stands at the start of the metadata of a RAID leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaidMeta {
    /// Zeros: the array was made and never activated.
    Empty,
    /// A superblock.
    Superblock(RaidSuperblock),
    /// Something else.
    Foreign,
}

/// What a superblock tells of its leg and of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaidSuperblock {
    /// How often the array changed its state, as far as this leg was there.
    pub events: u64,
    /// Legs that had failed by then, one bit each.
    pub failed: u64,
    /// Whether this leg was brought up to date as a whole.
    pub is_recovered: bool,
}

impl RaidSuperblock {
    fn names_as_failed(&self, leg: usize) -> bool {
        u32::try_from(leg).is_ok_and(|leg| self.failed.checked_shr(leg).unwrap_or(0) & 1 == 1)
    }
}

/// Of each RAID1 leg, whether it is up to date: the array changed last with it, nobody there at
/// that time calls it failed, and it is not being rebuilt.
///
/// # Source
/// Linux `drivers/md/dm-raid.c`, `super_validate`, `super_init_validation`.
pub fn up_to_date(legs: &[Option<RaidMeta>]) -> Vec<bool> {
    let superblocks: Vec<RaidSuperblock> = legs
        .iter()
        .filter_map(|leg| match leg {
            Some(RaidMeta::Superblock(superblock)) => Some(*superblock),
            Some(RaidMeta::Empty | RaidMeta::Foreign) | None => None,
        })
        .collect();
    let newest = superblocks.iter().map(|superblock| superblock.events).max();
    let is_failed = |leg: usize| {
        let newest = superblocks.iter().filter(|superblock| Some(superblock.events) == newest);
        newest.clone().any(|superblock| superblock.names_as_failed(leg))
    };
    let is_up_to_date = |(leg, meta): (usize, &Option<RaidMeta>)| match meta {
        Some(RaidMeta::Superblock(superblock)) => {
            Some(superblock.events) == newest && superblock.is_recovered && !is_failed(leg)
        }
        Some(RaidMeta::Empty) => newest.is_none(),
        Some(RaidMeta::Foreign) | None => false,
    };
    legs.iter().enumerate().map(is_up_to_date).collect()
}

/// What is known of the PVs below an LV, and of what stands on them.
pub trait Reach {
    /// Whether the PV is there, and not flagged MISSING.
    fn is_there(&self, pv: PvUuid) -> bool;

    /// The last version that flags the PV MISSING.
    fn away_until(&self, pv: PvUuid) -> Option<u32>;

    /// What stands at this sector, where the metadata of a RAID leg begins.
    fn raid_meta(&self, pv: PvUuid, sector: Sectors) -> Option<RaidMeta>;
}

/// A reach in which every PV is there and was never away.
#[derive(Clone, Copy, Debug)]
pub struct Everything;

impl Reach for Everything {
    fn is_there(&self, _: PvUuid) -> bool {
        true
    }

    fn away_until(&self, _: PvUuid) -> Option<u32> {
        None
    }

    fn raid_meta(&self, _: PvUuid, _: Sectors) -> Option<RaidMeta> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(events: u64, failed: u64) -> RaidMeta {
        RaidMeta::Superblock(RaidSuperblock { events, failed, is_recovered: true })
    }

    fn rebuilding(events: u64) -> RaidMeta {
        RaidMeta::Superblock(RaidSuperblock { events, failed: 0, is_recovered: false })
    }

    #[test]
    fn the_leg_with_which_the_array_changed_last_counts() {
        let (empty, foreign) = (RaidMeta::Empty, RaidMeta::Foreign);
        for (legs, expected) in [
            (vec![leg(7, 0), leg(7, 0)], vec![true, true]),
            // The first leg was away; or the second, which the first knows.
            (vec![leg(7, 0), leg(9, 0b01)], vec![false, true]),
            (vec![leg(9, 0b10), leg(9, 0)], vec![true, false]),
            (vec![leg(9, 0b01), leg(9, 0b10)], vec![false, false]),
            // What an old superblock says of others does not count.
            (vec![leg(7, 0b10), leg(9, 0)], vec![false, true]),
            (vec![rebuilding(9), leg(9, 0)], vec![false, true]),
            (vec![empty, leg(9, 0)], vec![false, true]),
            (vec![foreign, leg(9, 0)], vec![false, true]),
            (vec![empty, empty], vec![true, true]),
            (vec![leg(1, u64::MAX); 70], [vec![false; 64], vec![true; 6]].concat()),
        ] {
            let legs: Vec<Option<RaidMeta>> = legs.into_iter().map(Some).collect();
            assert_eq!(up_to_date(&legs), expected, "{legs:?}");
        }
        // Of a leg that is not there nothing is known.
        assert_eq!(up_to_date(&[None, Some(empty)]), [false, true]);
        assert_eq!(up_to_date(&[None, Some(leg(3, 0))]), [false, true]);
        assert_eq!(up_to_date(&[None, None]), [false, false]);
    }
}
