//! Typed reading: tree to model.
//!
//! Everything lvmend decides by must be there, in range, and refer to what exists; the rest of
//! the tree is left alone and written back as it is.

mod fields;
mod lv;
mod segment;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::ids::{ForeignText, LvName, PvSection, PvUuid, VgName, VgUuid};
use crate::model::flags::{PvFlag, PvStatus, VgFlag, VgStatus};
use crate::model::parts::references;
use crate::model::vg::{Lv, Pv, Vg};
use crate::text::read::fields::Fields;
use crate::text::tree::Section;
use crate::units::Sectors;

/// Why a VG's description cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct ReadVgError {
    /// The section, from the VG down, with slashes.
    pub at: ForeignText,
    /// What is wrong there.
    pub problem: ReadProblem,
}

/// What is wrong with a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadProblem {
    /// A key LVM always writes is not there.
    Missing(&'static str),
    /// A key has a value that it cannot have.
    Invalid {
        /// The key.
        key: ForeignText,
        /// Why.
        why: String,
    },
    /// A word LVM does not know, which makes the object unreadable.
    UnknownStatus(ForeignText),
    /// Something refers to what is not there.
    Dangling {
        /// What is missing.
        name: ForeignText,
    },
    /// Two objects have one name or one UUID.
    Duplicate(String),
    /// The segments do not follow each other.
    Segments(String),
}

impl fmt::Display for ReadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(f, "`{key}` is missing"),
            Self::Invalid { key, why } => write!(f, "`{key}`: {why}"),
            Self::UnknownStatus(word) => write!(f, "unknown status `{word}`"),
            Self::Dangling { name } => write!(f, "refers to `{name}`, which is not there"),
            Self::Duplicate(what) => write!(f, "{what} stands twice"),
            Self::Segments(why) => f.write_str(why),
        }
    }
}

/// Reads the VG with this name from its section.
///
/// # Errors
/// [`ReadVgError`], for the first thing that LVM could not use either, or that would make two
/// readings possible.
pub fn read_vg(name: &[u8], section: &Section<'_>) -> Result<Vg, ReadVgError> {
    let fields = Fields::top(name, section);
    let vg_name = VgName::from_bytes(name).map_err(|e| fields.invalid("name", e))?;
    let extent_size = Sectors::new(fields.number("extent_size")?);
    if extent_size.is_zero() {
        return Err(fields.invalid("extent_size", "must not be zero"));
    }
    let pvs = read_pvs(&fields)?;
    let lvs = lv::read_lvs(&fields, &pvs)?;
    let by_name = index_by_name(&fields, &lvs)?;
    check_references(&fields, &lvs, &by_name)?;
    let (mut status, mut flags) =
        (fields.status_words::<VgStatus>()?, fields.flag_words::<VgFlag>());
    // The same for LVM, which hides WRITE so from versions that know no system IDs.
    if flags.has(VgFlag::WriteLocked) {
        flags.remove(VgFlag::WriteLocked);
        status.insert(VgStatus::Write);
    }
    Ok(Vg {
        uuid: VgUuid(fields.uuid("id")?),
        name: vg_name,
        seqno: fields.small_number("seqno")?,
        status,
        flags,
        tags: fields.texts("tags"),
        system_id: fields.text("system_id"),
        lock_type: fields.text("lock_type").filter(|t| t.raw() != "none"),
        extent_size,
        metadata_copies: fields.number_or("metadata_copies", 0)?,
        allocation: fields.text("allocation_policy"),
        pvs,
        lvs,
        historical_lvs: historical_names(section),
        by_name: Arc::new(by_name),
    })
}

fn historical_names(section: &Section<'_>) -> Vec<LvName> {
    let names = section.section("historical_logical_volumes").into_iter();
    names.flat_map(Section::sections).filter_map(|(n, _)| LvName::from_bytes(n).ok()).collect()
}

fn read_pvs(vg: &Fields<'_, '_>) -> Result<Vec<Pv>, ReadVgError> {
    let collection =
        vg.section("physical_volumes").ok_or_else(|| vg.missing("physical_volumes"))?;
    let mut pvs = Vec::new();
    let mut seen: BTreeSet<PvUuid> = BTreeSet::new();
    for fields in collection.sections() {
        let pv = read_pv(&fields)?;
        if !seen.insert(pv.uuid) {
            return Err(fields.error(ReadProblem::Duplicate(format!("PV {}", pv.uuid))));
        }
        pvs.push(pv);
    }
    Ok(pvs)
}

fn read_pv(fields: &Fields<'_, '_>) -> Result<Pv, ReadVgError> {
    Ok(Pv {
        section: PvSection::from_bytes(fields.name()).map_err(|e| fields.invalid("name", e))?,
        uuid: PvUuid(fields.uuid("id")?),
        device_hint: fields.text("device"),
        status: fields.status_words::<PvStatus>()?,
        flags: fields.flag_words::<PvFlag>(),
        tags: fields.texts("tags"),
        dev_size: fields.optional_number("dev_size")?.map(Sectors::new),
        pe_start: Sectors::new(fields.number("pe_start")?),
        pe_count: fields.extents("pe_count")?,
        ba_start: fields.optional_number("ba_start")?.map(Sectors::new),
        ba_size: fields.optional_number("ba_size")?.map(Sectors::new),
    })
}

fn index_by_name(vg: &Fields<'_, '_>, lvs: &[Lv]) -> Result<BTreeMap<LvName, usize>, ReadVgError> {
    let mut by_name = BTreeMap::new();
    let mut uuids = BTreeSet::new();
    for (index, lv) in lvs.iter().enumerate() {
        let duplicate = |what| vg.error(ReadProblem::Duplicate(what));
        if by_name.insert(lv.name.clone(), index).is_some() {
            return Err(duplicate(format!("LV {}", lv.name)));
        }
        if !uuids.insert(lv.uuid) {
            return Err(duplicate(format!("LV UUID {}", lv.uuid)));
        }
    }
    Ok(by_name)
}

fn check_references(
    vg: &Fields<'_, '_>,
    lvs: &[Lv],
    by_name: &BTreeMap<LvName, usize>,
) -> Result<(), ReadVgError> {
    for lv in lvs {
        if let Some((name, _)) = references(lv).find(|(name, _)| !by_name.contains_key(*name)) {
            let name = ForeignText::from(name.as_str());
            let problem = ReadProblem::Dangling { name };
            return Err(vg.error_at("logical_volumes", lv.name.as_str(), problem));
        }
    }
    Ok(())
}
