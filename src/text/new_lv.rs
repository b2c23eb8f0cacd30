//! An LV that no text had before.

use std::borrow::Cow;

use crate::ids::{ForeignText, LvName, LvUuid, PvUuid};
use crate::model::extent_map::ExtentRange;
use crate::model::vg::Vg;
use crate::text::edit::EditError;
use crate::text::splice::{make_lvs_section, write_as_in};
use crate::text::tree::{Body, Entry, Section, Value};
use crate::units::Extents;

/// A linear LV.
pub struct NewLv<'a> {
    /// What it is called.
    pub name: &'a LvName,
    /// Its UUID.
    pub uuid: LvUuid,
    /// Where it lies, in order.
    pub pieces: &'a [(PvUuid, ExtentRange)],
    /// Seconds since 1970.
    pub made: i64,
    /// The node that it was made on.
    pub host: &'a ForeignText,
    /// What it is tagged with, where people are to see it; it is hidden else.
    pub shown_with_tag: Option<&'a str>,
}

/// Puts it in.
///
/// # Errors
/// [`EditError::DoesNotFit`], when its name is taken or a PV is not there.
pub fn add_lv(into: &mut Section<'_>, vg: &Vg, new: &NewLv<'_>) -> Result<(), EditError> {
    if vg.lv(new.name).is_some() || vg.lv_by_uuid(new.uuid).is_some() {
        return Err(EditError::DoesNotFit(format!("the name `{}` is taken", new.name)));
    }
    let words = |words: &[&str]| Value::List(words.iter().map(|word| Value::text(word)).collect());
    let status: &[&str] = match new.shown_with_tag {
        Some(_) => &["READ", "WRITE", "VISIBLE"],
        None => &["READ", "WRITE"],
    };
    let mut section = Section::default();
    let values = [
        ("id", Value::text(&new.uuid.to_string())),
        ("status", words(status)),
        ("flags", words(&[])),
        ("creation_time", Value::integer(u64::try_from(new.made).unwrap_or(0))),
        ("creation_host", Value::text(new.host.raw())),
        ("segment_count", Value::integer(0)),
    ];
    section.entries = values.map(|(key, value)| value_of(key, value)).to_vec();
    if let Some(tag) = new.shown_with_tag {
        section.set_value("tags", words(&[tag]), "flags");
    }
    write_as_in(&mut section, vg);
    append(&mut section, vg, new.pieces)?;
    make_lvs_section(into);
    let lvs = into.section_mut(b"logical_volumes");
    let lvs = lvs.ok_or(EditError::NoSection("logical_volumes"))?;
    let key = Cow::Owned(new.name.as_str().as_bytes().to_vec());
    lvs.entries.push(Entry { key, body: Body::Section(section) });
    Ok(())
}

/// Makes a linear LV longer by these extents.
///
/// # Errors
/// [`EditError::DoesNotFit`], when it or a PV is not there.
pub fn grow_lv(
    vg: &mut Section<'_>,
    read: &Vg,
    name: &LvName,
    pieces: &[(PvUuid, ExtentRange)],
) -> Result<(), EditError> {
    let lvs = vg.section_mut(b"logical_volumes").ok_or(EditError::NoSection("logical_volumes"))?;
    let no_lv = || EditError::DoesNotFit(format!("LV {name} is not in the metadata"));
    let section = lvs.section_mut(name.as_str().as_bytes()).ok_or_else(no_lv)?;
    append(section, read, pieces)
}

/// Segments behind those that an LV has.
fn append(
    lv: &mut Section<'_>,
    vg: &Vg,
    pieces: &[(PvUuid, ExtentRange)],
) -> Result<(), EditError> {
    let odd = || EditError::DoesNotFit("the segments of the LV cannot be counted".to_owned());
    let number = |section: &Section<'_>, key: &str| {
        let value = section.value(key).and_then(Value::as_integer);
        value.and_then(|value| u64::try_from(value).ok()).ok_or_else(odd)
    };
    let mut count = number(lv, "segment_count")?;
    let mut start = 0_u64;
    for (_, segment) in lv.sections() {
        start = start.checked_add(number(segment, "extent_count")?).ok_or_else(odd)?;
    }
    for (pv, range) in pieces {
        let no_pv = || EditError::NoPv(*pv);
        let section = vg.pv(*pv).map(|pv| pv.section.as_str()).ok_or_else(no_pv)?;
        count = count.checked_add(1).ok_or_else(odd)?;
        let key = Cow::Owned(format!("segment{count}").into_bytes());
        let body = Body::Section(segment(Extents::new(start), *range, section));
        lv.entries.push(Entry { key, body });
        start = start.checked_add(range.len().get()).ok_or_else(odd)?;
    }
    lv.set_value("segment_count", Value::integer(count), "flags");
    Ok(())
}

fn segment(start: Extents, range: ExtentRange, pv: &str) -> Section<'static> {
    let pv = Value::Text(Cow::Owned(pv.as_bytes().to_vec()));
    let values = [
        ("start_extent", Value::integer(start.get())),
        ("extent_count", Value::integer(range.len().get())),
        ("type", Value::text("striped")),
        ("stripe_count", Value::integer(1)),
        ("stripes", Value::List(vec![pv, Value::integer(range.first.get())])),
    ];
    Section { entries: values.map(|(key, value)| value_of(key, value)).to_vec() }
}

fn value_of(key: &'static str, value: Value<'static>) -> Entry<'static> {
    Entry { key: Cow::Borrowed(key.as_bytes()), body: Body::Value(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parser::parse;
    use crate::text::read::read_vg;
    use crate::text::tree::Section;

    const TEXT: &str = "id = \"8fTn9p-6H5Y-wj6P-cWkC-i2Fp-W1fD-G1bBvv\"\nseqno = 1\n\
        extent_size = 8192\nstatus = [\"READ\", \"WRITE\"]\nflags = []\n\
        physical_volumes {\npv0 {\nid = \"Pes61U-OJhv-INj7-lwSa-khQZ-KDkL-aFEBcd\"\n\
        status = [\"ALLOCATABLE\"]\nflags = []\ndev_size = 999424\npe_start = 2048\npe_count = 100\n}\n}\n";

    fn range(first: u64, len: u64) -> ExtentRange {
        ExtentRange::new(Extents::new(first), Extents::new(len)).unwrap()
    }

    fn read(section: &Section<'_>) -> Vg {
        read_vg(b"vg", section).unwrap()
    }

    #[test]
    fn a_new_lv_is_made_and_grows() {
        let mut text = parse(TEXT.as_bytes()).unwrap();
        let before = read(&text);
        let name: LvName = "lvol0_pmspare".parse().unwrap();
        let uuid = "yLMfFb-9yOk-vf1N-FTmz-5NiL-F5lx-NNmkuN".parse().unwrap();
        let pv = before.pvs[0].uuid;
        let (pieces, host) = ([(pv, range(4, 2)), (pv, range(9, 1))], ForeignText::from("lab"));
        let new = NewLv {
            name: &name,
            uuid,
            pieces: &pieces,
            made: 7,
            host: &host,
            shown_with_tag: None,
        };
        add_lv(&mut text, &before, &new).unwrap();
        let after = read(&text);
        let lv = after.lv(&name).unwrap();
        assert_eq!((lv.len(), lv.has_visible(), lv.is_writable()), (Extents::new(3), false, true));
        assert!(crate::model::parts::is_pool_metadata_spare(lv));
        let twice = add_lv(&mut text, &after, &new).unwrap_err();
        assert!(twice.to_string().contains("is taken"));
        grow_lv(&mut text, &after, &name, &[(pv, range(20, 5))]).unwrap();
        let grown = read(&text);
        let taken = crate::model::extent_map::taken_by(&grown, grown.lv(&name));
        assert_eq!(taken[&pv], [range(4, 2), range(9, 1), range(20, 5)]);
        assert_eq!(grown.lv(&name).unwrap().segments[2].start, Extents::new(3));
    }
}
