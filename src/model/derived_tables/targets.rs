//! One line of a table for each segment.

use crate::model::derived_tables::{DerivedTable, Deriving};
use crate::model::segment::{Area, Segment, SegmentKind};
use crate::model::table::{TableLine, Word};
use crate::model::vg::Lv;
use crate::units::Extents;

/// A target with its arguments, and whether those are all it needs.
pub(super) struct Target {
    pub name: &'static str,
    pub args: Vec<Word>,
    pub is_whole: bool,
}

impl Target {
    pub fn whole(name: &'static str, args: Vec<Word>) -> Self {
        Self { name, args, is_whole: true }
    }
}

impl Deriving<'_> {
    /// A line for each segment; none where one of them cannot be told.
    pub(super) fn lines(&self, lv: &Lv) -> Option<DerivedTable> {
        let mut table = DerivedTable { lines: Vec::new(), or: None, is_whole: true };
        for segment in &lv.segments {
            let Target { name, args, is_whole } = self.target(lv, segment)?;
            table.is_whole &= is_whole;
            table.lines.push(TableLine {
                start: segment.start.sectors(self.vg.extent_size)?,
                len: segment.len.sectors(self.vg.extent_size)?,
                target: name.to_owned(),
                args,
            });
        }
        (!table.lines.is_empty()).then_some(table)
    }

    fn target(&self, lv: &Lv, segment: &Segment) -> Option<Target> {
        Some(match &segment.kind {
            SegmentKind::Striped { stripes, stripe_size } => match stripes.as_slice() {
                [only] => Target::whole("linear", self.place(only)?),
                several => {
                    let count = u64::try_from(several.len()).ok()?;
                    let mut args =
                        vec![Word::number(count), Word::number(stripe_size.as_ref()?.get())];
                    for area in several {
                        args.extend(self.place(area)?);
                    }
                    Target::whole("striped", args)
                }
            },
            SegmentKind::Error => Target::whole("error", Vec::new()),
            SegmentKind::Zero => Target::whole("zero", Vec::new()),
            SegmentKind::Mirror { log, region_size, images } => {
                self.mirror(lv, log.as_ref(), *region_size, images)?
            }
            SegmentKind::Raid { level, stripe_size, legs, data_copies, settings } => {
                self.raid(*level, *stripe_size, legs, *data_copies, settings)?
            }
            SegmentKind::Thin { pool, device_id, external_origin, merge: None, .. } => {
                self.thin(pool, *device_id, external_origin.as_ref())?
            }
            SegmentKind::Cache { pool, origin, halves } => {
                self.cache(pool, origin, halves.as_ref())?
            }
            SegmentKind::Writecache { fast, origin, settings } => {
                self.writecache(fast, origin, settings.as_ref()?)?
            }
            SegmentKind::Integrity { origin, metadata, settings } => {
                self.integrity(origin, metadata.as_ref()?, settings)?
            }
            SegmentKind::Thin { .. }
            | SegmentKind::Snapshot { .. }
            | SegmentKind::ThinPool { .. }
            | SegmentKind::CachePool { .. }
            | SegmentKind::Vdo { .. }
            | SegmentKind::VdoPool { .. }
            | SegmentKind::Unknown { .. } => return None,
        })
    }

    /// The device of an area, and from which sector on. Of areas on LVs nothing is said: a pvmove is
    /// under way. Of a PV that is missing LVM maps something else.
    fn place(&self, area: &Area) -> Option<Vec<Word>> {
        let Area::Pv { pv, first } = area else { return None };
        let pv = self.vg.pvs.get(*pv).filter(|pv| !pv.is_missing())?;
        let first: Extents = *first;
        let sector = pv.extent_start(first, self.vg.extent_size)?;
        Some(vec![Word::Pv(pv.uuid), Word::number(sector.get())])
    }
}
