//! Reading LVs.

use std::collections::BTreeMap;

use crate::ids::{LvName, LvUuid};
use crate::model::flags::{LvFlag, LvStatus};
use crate::model::segment::Segment;
use crate::model::vg::{Lv, Pv};
use crate::text::read::fields::Fields;
use crate::text::read::segment::read_segment;
use crate::text::read::{ReadProblem, ReadVgError};
use crate::text::tree::Value;
use crate::units::Extents;

/// Reads all LVs of a VG, in the order of the text.
pub fn read_lvs(vg: &Fields<'_, '_>, pvs: &[Pv]) -> Result<Vec<Lv>, ReadVgError> {
    let Some(collection) = vg.section("logical_volumes") else {
        return Ok(Vec::new());
    };
    let sections: BTreeMap<&[u8], usize> =
        pvs.iter().enumerate().map(|(i, pv)| (pv.section.as_str().as_bytes(), i)).collect();
    collection.sections().map(|fields| read_lv(&fields, &sections)).collect()
}

fn read_lv(fields: &Fields<'_, '_>, pvs: &BTreeMap<&[u8], usize>) -> Result<Lv, ReadVgError> {
    let name = LvName::from_bytes(fields.name()).map_err(|e| fields.invalid("name", e))?;
    let segments = read_segments(fields, pvs)?;
    let (mut status, mut flags) =
        (fields.status_words::<LvStatus>()?, fields.flag_words::<LvFlag>());
    if flags.has(LvFlag::WriteLocked) {
        flags.remove(LvFlag::WriteLocked);
        status.insert(LvStatus::Write);
    }
    Ok(Lv {
        name,
        uuid: LvUuid(fields.uuid("id")?),
        status,
        flags,
        tags: fields.texts("tags"),
        creation_time: fields.value("creation_time").and_then(Value::as_integer),
        creation_host: fields.text("creation_host"),
        allocation: fields.text("allocation_policy"),
        segments,
    })
}

/// Every section of an LV is a segment; together they cover it from extent 0 without a gap.
fn read_segments(
    fields: &Fields<'_, '_>,
    pvs: &BTreeMap<&[u8], usize>,
) -> Result<Vec<Segment>, ReadVgError> {
    let mut segments =
        fields.sections().map(|s| read_segment(&s, pvs)).collect::<Result<Vec<_>, _>>()?;
    segments.sort_by_key(|s| s.start);
    let problem = |why: String| fields.error(ReadProblem::Segments(why));
    let expected = fields.number("segment_count")?;
    if u64::try_from(segments.len()) != Ok(expected) {
        let found = segments.len();
        return Err(problem(format!("`segment_count` is {expected}, but there are {found}")));
    }
    let mut next = Extents::ZERO;
    for segment in &segments {
        if segment.start != next {
            let (found, next) = (segment.start.get(), next.get());
            return Err(problem(format!(
                "a segment starts at extent {found}, expected extent {next}"
            )));
        }
        next = next
            .checked_add(segment.len)
            .filter(|end| u32::try_from(end.get()).is_ok())
            .ok_or_else(|| problem("more extents than LVM can count".to_owned()))?;
    }
    Ok(segments)
}
