//! Carrying an LV from one text into another: with its parts, under another name if need be, its
//! PVs found by UUID, since PV sections shift from text to text.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::ids::{LvName, PvSection, PvUuid};
use crate::model::vg::{Lv, Vg};
use crate::text::edit::{EditError, add_word, remove_word};
use crate::text::tree::{Body, Entry, Section, Value};

/// The names of an LV and its parts in the old text, and what each is called in the new one.
pub type NewNames = BTreeMap<LvName, LvName>;

/// Lists of areas: names of PV sections or of LVs, each with an extent.
const AREA_LISTS: [&[u8]; 2] = [b"stripes", b"mirrors"];
/// Keys whose values are names of LVs.
pub(super) const LV_KEYS: [&[u8]; 16] = [
    b"cache_pool",
    b"cow_store",
    b"create",
    b"data",
    b"external_origin",
    b"merge",
    b"merging_store",
    b"meta_dev",
    b"metadata",
    b"mirror_log",
    b"origin",
    b"pool",
    b"raid0_lvs",
    b"raids",
    b"thin_pool",
    b"writecache",
];

/// Whether an LV that is put back is flagged to be skipped at activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// It is, so that nothing activates it before it was checked.
    Skip,
    /// Its flags stay: it is active already.
    Leave,
}

/// Puts an LV of one text, with its parts, into the VG of another.
///
/// # Errors
/// [`EditError::DoesNotFit`], when a PV it lies on is not in the VG, or a name is taken.
pub fn graft(
    into: &mut Section<'_>,
    into_vg: &Vg,
    (from, from_vg): (&Section<'_>, &Vg),
    names: &NewNames,
    activation: Activation,
) -> Result<(), EditError> {
    let lvs = from.section("logical_volumes").ok_or(EditError::NoSection("logical_volumes"))?;
    let renaming = Renaming { sections: section_names(from_vg, into_vg), names };
    let mut carried = Vec::new();
    for (key, section) in lvs.sections() {
        let Some((old, new)) = names.iter().find(|(old, _)| old.as_str().as_bytes() == key) else {
            continue;
        };
        if into_vg.lv(new).is_some() {
            return Err(EditError::DoesNotFit(format!("the name `{new}` is taken")));
        }
        let mut section = section.clone().into_owned();
        renaming.apply(&mut section)?;
        write_as_in(&mut section, into_vg);
        if activation == Activation::Skip && from_vg.lv(old).is_some_and(Lv::has_visible) {
            add_word(&mut section, "flags", "ACTIVATION_SKIP");
        }
        let key = Cow::Owned(new.as_str().as_bytes().to_vec());
        carried.push(Entry { key, body: Body::Section(section) });
    }
    if carried.len() != names.len() {
        let missing = "the text does not hold all parts of the LV".to_owned();
        return Err(EditError::DoesNotFit(missing));
    }
    make_lvs_section(into);
    let section = into.section_mut(LVS).ok_or(EditError::NoSection("logical_volumes"))?;
    section.entries.extend(carried);
    Ok(())
}

/// Whether an LV may be written is said in one of two ways, by what else the text says of the VG.
pub(super) fn write_as_in(lv: &mut Section<'_>, into: &Vg) {
    let (open, hidden) = (("status", "WRITE"), ("flags", "WRITE_LOCKED"));
    let ((from, old), (to, new)) = if into.hides_write() { (open, hidden) } else { (hidden, open) };
    if remove_word(lv, from, old.as_bytes()) {
        add_word(lv, to, new);
    }
}

const LVS: &[u8] = b"logical_volumes";

/// Makes the section of all LVs behind the PVs, when the VG has none yet.
pub(super) fn make_lvs_section(vg: &mut Section<'_>) {
    if vg.section("logical_volumes").is_some() {
        return;
    }
    let pvs = vg.entries.iter().position(|e| *e.key == *b"physical_volumes");
    let at = pvs.map_or(vg.entries.len(), |at| at + 1);
    let body = Body::Section(Section::default());
    vg.entries.insert(at, Entry { key: Cow::Borrowed(LVS), body });
}

/// What each PV section of one text is called in the other; an error where that PV is not in it.
fn section_names(from: &Vg, into: &Vg) -> BTreeMap<Vec<u8>, Result<Vec<u8>, PvUuid>> {
    let name = |section: &PvSection| section.as_str().as_bytes().to_vec();
    from.pvs
        .iter()
        .map(|pv| {
            let there = into.pv(pv.uuid).map(|pv| name(&pv.section)).ok_or(pv.uuid);
            (name(&pv.section), there)
        })
        .collect()
}

/// What names of the one text become in the other.
struct Renaming<'a> {
    sections: BTreeMap<Vec<u8>, Result<Vec<u8>, PvUuid>>,
    names: &'a NewNames,
}

impl Renaming<'_> {
    fn apply(&self, section: &mut Section<'static>) -> Result<(), EditError> {
        for entry in &mut section.entries {
            match &mut entry.body {
                Body::Section(inner) => self.apply(inner)?,
                Body::Value(value) if AREA_LISTS.contains(&&*entry.key) => self.areas(value)?,
                Body::Value(value) if LV_KEYS.contains(&&*entry.key) => self.lvs(value),
                Body::Value(_) => {}
            }
        }
        Ok(())
    }

    /// In a list of areas the name of a PV section comes before that of an LV, as for LVM.
    fn areas(&self, value: &mut Value<'static>) -> Result<(), EditError> {
        let Value::List(items) = value else {
            return Ok(());
        };
        for item in items {
            match item.as_text().and_then(|text| self.sections.get(text)) {
                Some(Ok(there)) => *item = Value::Text(Cow::Owned(there.clone())),
                Some(Err(pv)) => {
                    let gone = format!("PV {pv} is not in the VG any more");
                    return Err(EditError::DoesNotFit(gone));
                }
                None => self.lvs(item),
            }
        }
        Ok(())
    }

    fn lvs(&self, value: &mut Value<'static>) {
        match value {
            Value::List(items) => items.iter_mut().for_each(|item| self.lvs(item)),
            Value::Text(text) | Value::Word(text) => {
                let found = std::str::from_utf8(text).ok().and_then(|name| self.names.get(name));
                if let Some(new) = found {
                    *text = Cow::Owned(new.as_str().as_bytes().to_vec());
                }
            }
            Value::Integer(_) | Value::Float(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::text::parser::parse;
    use crate::text::read::read_vg;

    use super::*;

    const PLAIN: &str = "id = \"8fTn9p-6H5Y-wj6P-cWkC-i2Fp-W1fD-G1bBvv\"\nseqno = 1\n\
        extent_size = 8192\nstatus = [\"READ\", \"WRITE\"]\nflags = []\n\
        physical_volumes {\n}\n";

    #[test]
    fn write_is_said_as_the_vg_says_it() {
        let vg = |more: &str| {
            let text = format!("{PLAIN}{more}");
            let section = parse(text.as_bytes()).unwrap();
            read_vg(b"vg", &section).unwrap()
        };
        let owned = "system_id = \"a\"\n";
        for (before, more, after) in [
            ("status=[\"READ\",\"WRITE\"]\nflags=[]\n", "", ("READ WRITE", "")),
            ("status=[\"READ\",\"WRITE\"]\nflags=[]\n", owned, ("READ", "WRITE_LOCKED")),
            ("status=[\"READ\"]\nflags=[\"WRITE_LOCKED\"]\n", "", ("READ WRITE", "")),
            ("status=[\"READ\"]\nflags=[\"WRITE_LOCKED\"]\n", owned, ("READ", "WRITE_LOCKED")),
            ("status=[\"READ\"]\nflags=[]\n", owned, ("READ", "")),
        ] {
            let mut lv = parse(before.as_bytes()).unwrap();
            write_as_in(&mut lv, &vg(more));
            let words = |key: &str| {
                let items = lv.value(key).unwrap().items().iter().filter_map(Value::as_text);
                let words: Vec<&str> = items.map(|w| std::str::from_utf8(w).unwrap()).collect();
                words.join(" ")
            };
            let found = (words("status"), words("flags"));
            assert_eq!((found.0.as_str(), found.1.as_str()), after, "{before} {more}");
        }
    }
}
