//! Where the bytes of an LV lie on its PVs, for types whose layout is plain arithmetic.

mod raid_meta;

use crate::ids::{ForeignText, LvName, PvUuid};
use crate::model::legs::{RaidMeta, Reach, up_to_date};
use crate::model::parts::{Role, Roles};
use crate::model::segment::{Area, RaidLeg, RaidLevel, Segment, SegmentKind};
use crate::model::vg::{Lv, Vg};
use crate::units::{Extents, Sectors};

pub use raid_meta::raid_meta_places;

/// The layers a stack may have; LVM builds far fewer. Keeps circular texts from looping.
const DEPTH_MAX: usize = 16;

/// Where a stretch of an LV is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A PV, from this sector of the device on.
    Pv {
        /// The PV.
        pv: PvUuid,
        /// Counted from the start of the device.
        sector: Sectors,
    },
    /// Nowhere: it reads as zeros.
    Zero,
}

/// A stretch of an LV that lies in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// From the start of the LV.
    pub start: Sectors,
    /// How long; never zero.
    pub len: Sectors,
    /// Where it lies.
    pub place: Place,
}

/// Why the content of an LV cannot be read by arithmetic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// The type needs its kernel target.
    #[error("LV {lv} has a segment of type `{segment_type}`, which only the kernel can read")]
    NeedsKernel {
        /// The LV, perhaps a hidden part.
        lv: LvName,
        /// The type.
        segment_type: ForeignText,
    },
    /// Every leg has a piece on a PV that is not there.
    #[error("no leg of LV {lv} lies whole on PVs that are attached")]
    NoLeg {
        /// The LV.
        lv: LvName,
    },
    /// Every leg that is there has missed writes.
    #[error("of LV {lv} only legs are there that missed writes")]
    StaleLegs {
        /// The LV.
        lv: LvName,
    },
    /// A PV with a piece of it is not there, or was away and may be stale.
    #[error("LV {lv} has a piece on PV {pv}, which is not attached")]
    PvAbsent {
        /// The LV.
        lv: LvName,
        /// The PV.
        pv: PvUuid,
    },
    /// The text refers to what it does not have, or in circles, or past 64 bits.
    #[error("the description of LV {lv} leads nowhere")]
    Broken {
        /// The LV.
        lv: LvName,
    },
}

/// Which pieces an LV consists of, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentMap {
    runs: Vec<Run>,
}

/// A stretch that is laid out in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    start: Sectors,
    len: Sectors,
    layout: Layout,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Layout {
    Place(Place),
    /// Another map, from this sector of it on.
    Below(ContentMap, Sectors),
    /// Shared out among columns in turn.
    Striped {
        stripe_size: Sectors,
        columns: Vec<Layout>,
    },
}

impl ContentMap {
    /// Maps this LV over the PVs that are there.
    ///
    /// Of RAID1 the first leg is taken that is up to date; of mirrors the first of those whose PVs
    /// were away the longest time ago, or never.
    ///
    /// # Errors
    /// [`MapError`]; nothing is guessed.
    pub fn of(vg: &Vg, lv: &Lv, reach: &dyn Reach) -> Result<Self, MapError> {
        refuse_snapshots(vg, lv)?;
        Builder { vg, reach }.map(lv, 0)
    }

    /// How long the LV is.
    pub fn len(&self) -> Sectors {
        self.runs.last().map_or(Sectors::ZERO, |run| run.start.saturating_add(run.len))
    }

    /// Whether the LV has no content at all.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The piece that begins at this sector of the LV, as long as it stays in one place and no
    /// longer than `len_max`; `None` behind the end.
    pub fn piece_at(&self, start: Sectors, len_max: Sectors) -> Option<Piece> {
        let index = self.runs.partition_point(|run| run.start <= start).checked_sub(1)?;
        let run = self.runs.get(index)?;
        let within = start.checked_sub(run.start)?;
        let len = run.len.checked_sub(within)?.min(len_max);
        if len.is_zero() {
            return None;
        }
        let (place, len) = run.layout.at(within, len)?;
        Some(Piece { start, len, place })
    }

    /// All pieces in order.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> + '_ {
        let mut next = Sectors::ZERO;
        std::iter::from_fn(move || {
            let piece = self.piece_at(next, Sectors::new(u64::MAX))?;
            next = next.checked_add(piece.len)?;
            Some(piece)
        })
    }
}

impl Layout {
    /// Where sector `within` of this layout lies, and for how many of `len` sectors.
    fn at(&self, within: Sectors, len: Sectors) -> Option<(Place, Sectors)> {
        match self {
            Self::Place(Place::Zero) => Some((Place::Zero, len)),
            Self::Place(Place::Pv { pv, sector }) => {
                Some((Place::Pv { pv: *pv, sector: sector.checked_add(within)? }, len))
            }
            Self::Below(map, first) => {
                let piece = map.piece_at(first.checked_add(within)?, len)?;
                Some((piece.place, piece.len))
            }
            Self::Striped { stripe_size, columns } => {
                let (stripe, size) = (stripe_size.get(), u64::try_from(columns.len()).ok()?);
                let (index, inside) = (within.get() / stripe, within.get() % stripe);
                let column = columns.get(usize::try_from(index % size).ok()?)?;
                let row = (index / size).checked_mul(stripe)?.checked_add(inside)?;
                let len = len.min(Sectors::new(stripe - inside));
                column.at(Sectors::new(row), len)
            }
        }
    }
}

/// A snapshot's extents hold its store, not its content; and while one is being merged, what its
/// origin's extents hold is not the origin's content either.
fn refuse_snapshots(vg: &Vg, lv: &Lv) -> Result<(), MapError> {
    let roles = Roles::of(vg);
    for (link, role) in roles.users(&lv.name) {
        let merges = |s: &Segment| matches!(s.kind, SegmentKind::Snapshot { merging: true, .. });
        let is_merged = link.segments.iter().any(merges);
        let needs_kernel = |segment_type: &str| {
            let (lv, segment_type) = (lv.name.clone(), segment_type.into());
            Err(MapError::NeedsKernel { lv, segment_type })
        };
        if *role == Role::SnapshotStore {
            return needs_kernel("snapshot");
        }
        if *role == Role::SnapshotOrigin && is_merged {
            return needs_kernel("snapshot-merge");
        }
    }
    Ok(())
}

struct Builder<'a> {
    vg: &'a Vg,
    reach: &'a dyn Reach,
}

impl Builder<'_> {
    fn map(&self, lv: &Lv, depth: usize) -> Result<ContentMap, MapError> {
        let broken = || MapError::Broken { lv: lv.name.clone() };
        if depth > DEPTH_MAX {
            return Err(broken());
        }
        let mut runs = Vec::with_capacity(lv.segments.len());
        for segment in &lv.segments {
            let sectors =
                |extents: Extents| extents.sectors(self.vg.extent_size).ok_or_else(broken);
            runs.push(Run {
                start: sectors(segment.start)?,
                len: sectors(segment.len)?,
                layout: self.segment(lv, segment, depth)?,
            });
        }
        Ok(ContentMap { runs })
    }

    fn segment(&self, lv: &Lv, segment: &Segment, depth: usize) -> Result<Layout, MapError> {
        let needs_kernel = || MapError::NeedsKernel {
            lv: lv.name.clone(),
            segment_type: segment.kind.type_name().into(),
        };
        if !segment.type_flags.is_empty() {
            return Err(needs_kernel());
        }
        match &segment.kind {
            SegmentKind::Striped { stripe_size, stripes } => {
                let columns = self.areas(lv, stripes, depth)?;
                Self::striped(lv, *stripe_size, columns)
            }
            SegmentKind::Mirror { images, .. } => {
                let legs = images.iter().map(|image| self.area(lv, image, depth));
                let mut legs: Vec<Result<Layout, MapError>> = legs.collect();
                legs.sort_by_key(|leg| leg.as_ref().map_or(None, |leg| self.away_until(leg)));
                Self::first_leg(lv, legs)
            }
            SegmentKind::Raid { level: RaidLevel::Raid1, legs, .. } => {
                let metas: Vec<Option<RaidMeta>> =
                    legs.iter().map(|leg| self.raid_meta(leg, depth)).collect();
                let stale = || Err(MapError::StaleLegs { lv: lv.name.clone() });
                let layouts = legs.iter().zip(up_to_date(&metas)).map(|(leg, is_up_to_date)| {
                    let layout = self.below(lv, &leg.image, depth)?;
                    if is_up_to_date { Ok(layout) } else { stale() }
                });
                Self::first_leg(lv, layouts.collect())
            }
            SegmentKind::Raid {
                level: RaidLevel::Raid0 | RaidLevel::Raid0Meta,
                legs,
                stripe_size,
                ..
            } => {
                let columns: Result<Vec<_>, _> =
                    legs.iter().map(|leg| self.below(lv, &leg.image, depth)).collect();
                Self::striped(lv, Some(*stripe_size), columns?)
            }
            SegmentKind::Zero => Ok(Layout::Place(Place::Zero)),
            SegmentKind::Raid { .. }
            | SegmentKind::Snapshot { .. }
            | SegmentKind::ThinPool { .. }
            | SegmentKind::Thin { .. }
            | SegmentKind::CachePool { .. }
            | SegmentKind::Cache { .. }
            | SegmentKind::Writecache { .. }
            | SegmentKind::Integrity { .. }
            | SegmentKind::Vdo { .. }
            | SegmentKind::VdoPool { .. }
            | SegmentKind::Error
            | SegmentKind::Unknown { .. } => Err(needs_kernel()),
        }
    }

    fn striped(
        lv: &Lv,
        stripe_size: Option<Sectors>,
        mut columns: Vec<Layout>,
    ) -> Result<Layout, MapError> {
        let broken = || MapError::Broken { lv: lv.name.clone() };
        if columns.len() == 1 {
            return columns.pop().ok_or_else(broken);
        }
        match stripe_size {
            Some(stripe_size) if !stripe_size.is_zero() && !columns.is_empty() => {
                Ok(Layout::Striped { stripe_size, columns })
            }
            _ => Err(broken()),
        }
    }

    fn areas(&self, lv: &Lv, areas: &[Area], depth: usize) -> Result<Vec<Layout>, MapError> {
        areas.iter().map(|area| self.area(lv, area, depth)).collect()
    }

    fn area(&self, lv: &Lv, area: &Area, depth: usize) -> Result<Layout, MapError> {
        let broken = || MapError::Broken { lv: lv.name.clone() };
        match area {
            Area::Pv { pv, first } => {
                let pv = self.vg.pvs.get(*pv).ok_or_else(broken)?;
                if !self.reach.is_there(pv.uuid) {
                    return Err(MapError::PvAbsent { lv: lv.name.clone(), pv: pv.uuid });
                }
                let sector = pv.extent_start(*first, self.vg.extent_size).ok_or_else(broken)?;
                Ok(Layout::Place(Place::Pv { pv: pv.uuid, sector }))
            }
            Area::Lv { lv: below, first } => {
                let first = first.sectors(self.vg.extent_size).ok_or_else(broken)?;
                self.below_from(lv, below, first, depth)
            }
        }
    }

    fn below(&self, lv: &Lv, below: &LvName, depth: usize) -> Result<Layout, MapError> {
        self.below_from(lv, below, Sectors::ZERO, depth)
    }

    fn below_from(
        &self,
        lv: &Lv,
        below: &LvName,
        first: Sectors,
        depth: usize,
    ) -> Result<Layout, MapError> {
        let broken = || MapError::Broken { lv: lv.name.clone() };
        let below = self.vg.lv(below).ok_or_else(broken)?;
        Ok(Layout::Below(self.map(below, depth + 1)?, first))
    }

    /// The first leg that can be read; when none can, the reason that tells most.
    fn first_leg(lv: &Lv, legs: Vec<Result<Layout, MapError>>) -> Result<Layout, MapError> {
        let mut reason = MapError::NoLeg { lv: lv.name.clone() };
        for leg in legs {
            match leg {
                Ok(layout) => return Ok(layout),
                Err(MapError::PvAbsent { .. } | MapError::NoLeg { .. }) => {}
                Err(
                    error @ (MapError::NeedsKernel { .. }
                    | MapError::Broken { .. }
                    | MapError::StaleLegs { .. }),
                ) => reason = error,
            }
        }
        Err(reason)
    }

    /// What stands at the start of a leg's metadata.
    fn raid_meta(&self, leg: &RaidLeg, depth: usize) -> Option<RaidMeta> {
        let meta = self.vg.lv(leg.meta.as_ref()?)?;
        match self.map(meta, depth + 1).ok()?.piece_at(Sectors::ZERO, Sectors::new(1))?.place {
            Place::Pv { pv, sector } => self.reach.raid_meta(pv, sector),
            Place::Zero => None,
        }
    }

    /// The last version in which any PV below a leg was away.
    fn away_until(&self, leg: &Layout) -> Option<u32> {
        match leg {
            Layout::Place(Place::Zero) => None,
            Layout::Place(Place::Pv { pv, .. }) => self.reach.away_until(*pv),
            Layout::Below(map, _) => {
                map.runs.iter().filter_map(|run| self.away_until(&run.layout)).max()
            }
            Layout::Striped { columns, .. } => {
                columns.iter().filter_map(|column| self.away_until(column)).max()
            }
        }
    }
}
