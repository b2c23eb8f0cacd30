//! Changes to the tree of a VG: only what is asked for, everything else as it stands.

use std::borrow::Cow;

use crate::ids::{LvName, LvmUuid, PvUuid};
use crate::text::splice::LV_KEYS;
use crate::text::tree::{Body, Entry, Section, Value};
use crate::units::Extents;

/// Why a change cannot be made to a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The PV is not in the text.
    #[error("PV {0} is not in the metadata")]
    NoPv(PvUuid),
    /// A section that every VG has is not there.
    #[error("the metadata has no section `{0}`")]
    NoSection(&'static str),
    /// What is put in does not fit.
    #[error("{0}")]
    DoesNotFit(String),
}

/// Gives the version another number.
pub fn set_seqno(vg: &mut Section<'_>, seqno: u32) {
    vg.set_value("seqno", Value::integer(seqno.into()), "id");
}

/// Takes the MISSING mark off a PV, in `flags` and, for texts of old LVM versions, in `status`.
///
/// # Errors
/// [`EditError`], when the PV is not there.
pub fn clear_missing(vg: &mut Section<'_>, pv: PvUuid) -> Result<(), EditError> {
    let section = pv_section(vg, pv)?;
    for key in ["flags", "status"] {
        remove_word(section, key, b"MISSING");
    }
    Ok(())
}

/// The section of the PV with this UUID.
fn pv_section<'s, 'a>(
    vg: &'s mut Section<'a>,
    pv: PvUuid,
) -> Result<&'s mut Section<'a>, EditError> {
    let pvs =
        vg.section_mut(b"physical_volumes").ok_or(EditError::NoSection("physical_volumes"))?;
    let is_it = |section: &Section<'_>| {
        let id = section.value("id").and_then(Value::as_text);
        id.and_then(|text| LvmUuid::from_text(text).ok()) == Some(pv.0)
    };
    let key = pvs.sections().find(|(_, s)| is_it(s)).map(|(key, _)| key.to_vec());
    key.and_then(|key| pvs.section_mut(&key)).ok_or(EditError::NoPv(pv))
}

/// Sets the transaction id of a thin pool.
///
/// # Errors
/// [`EditError`], when there is no such pool.
pub fn set_transaction_id(vg: &mut Section<'_>, pool: &LvName, id: u64) -> Result<(), EditError> {
    pool_segment(vg, pool)?.set_value("transaction_id", Value::integer(id), "pool");
    Ok(())
}

/// The only segment that a thin pool has.
fn pool_segment<'s, 'a>(
    vg: &'s mut Section<'a>,
    pool: &LvName,
) -> Result<&'s mut Section<'a>, EditError> {
    let lvs = vg.section_mut(b"logical_volumes").ok_or(EditError::NoSection("logical_volumes"))?;
    let no_pool = || EditError::DoesNotFit(format!("{pool} is no thin pool in the metadata"));
    let lv = lvs.section_mut(pool.as_str().as_bytes()).ok_or_else(no_pool)?;
    let mut segments = lv.entries.iter_mut().filter_map(|entry| match &mut entry.body {
        Body::Section(segment) => Some(segment),
        Body::Value(_) => None,
    });
    match (segments.next(), segments.next()) {
        (Some(only), None) if only.value("type").and_then(Value::as_text) == Some(b"thin-pool") => {
            Ok(only)
        }
        _ => Err(no_pool()),
    }
}

/// Gives an LV that nothing refers to another name, shows it or hides it, and tags it or takes the tag
/// off.
///
/// # Errors
/// [`EditError`], when it is not there, or the name is taken.
pub fn rename_lv(
    vg: &mut Section<'_>,
    (from, to): (&LvName, &LvName),
    is_shown: bool,
    tag: &str,
) -> Result<(), EditError> {
    let lvs = vg.section_mut(b"logical_volumes").ok_or(EditError::NoSection("logical_volumes"))?;
    if lvs.section(to.as_str()).is_some() {
        return Err(EditError::DoesNotFit(format!("the name `{to}` is taken")));
    }
    let entry = lvs.entries.iter_mut().find(|entry| *entry.key == *from.as_str().as_bytes());
    let entry = entry.ok_or_else(|| no_lv(from))?;
    let Body::Section(section) = &mut entry.body else { return Err(no_lv(from)) };
    entry.key = Cow::Owned(to.as_str().as_bytes().to_vec());
    if is_shown {
        add_word(section, "status", "VISIBLE");
        add_word(section, "tags", tag);
    } else {
        remove_word(section, "status", b"VISIBLE");
        remove_word(section, "tags", tag.as_bytes());
    }
    Ok(())
}

/// Two LVs change places on the disks: each gets the segments of the other, and nothing else.
///
/// # Errors
/// [`EditError`], when one of them is not there.
pub fn swap_segments(vg: &mut Section<'_>, one: &LvName, other: &LvName) -> Result<(), EditError> {
    let lvs = vg.section_mut(b"logical_volumes").ok_or(EditError::NoSection("logical_volumes"))?;
    let mut of_one = take_segments(lvs, one)?;
    let mut of_other = take_segments(lvs, other)?;
    for (lv, segments) in [(one, &mut of_other), (other, &mut of_one)] {
        let section = lvs.section_mut(lv.as_str().as_bytes()).ok_or_else(|| no_lv(lv))?;
        let count = u64::try_from(segments.len()).unwrap_or(0);
        section.set_value("segment_count", Value::integer(count), "flags");
        section.entries.append(segments);
    }
    Ok(())
}

fn take_segments<'a>(lvs: &mut Section<'a>, lv: &LvName) -> Result<Vec<Entry<'a>>, EditError> {
    let section = lvs.section_mut(lv.as_str().as_bytes()).ok_or_else(|| no_lv(lv))?;
    let is_segment = |entry: &Entry<'_>| matches!(entry.body, Body::Section(_));
    let (segments, rest) = std::mem::take(&mut section.entries).into_iter().partition(is_segment);
    section.entries = rest;
    Ok(segments)
}

fn no_lv(lv: &LvName) -> EditError {
    EditError::DoesNotFit(format!("LV {lv} is not in the metadata"))
}

/// Gives a thin pool as many extents as its data has.
///
/// # Errors
/// [`EditError`], when there is no such pool, or it is not in one piece.
pub fn set_pool_len(vg: &mut Section<'_>, pool: &LvName, len: Extents) -> Result<(), EditError> {
    pool_segment(vg, pool)?.set_value("extent_count", Value::integer(len.get()), "start_extent");
    Ok(())
}

/// Takes an LV out.
///
/// # Errors
/// [`EditError`], when it is not there.
pub fn remove_lv(vg: &mut Section<'_>, lv: &LvName) -> Result<(), EditError> {
    let lvs = vg.section_mut(b"logical_volumes").ok_or(EditError::NoSection("logical_volumes"))?;
    let is_it = |entry: &Entry<'_>| entry.key.as_ref() == lv.as_str().as_bytes();
    let before = lvs.entries.len();
    lvs.entries.retain(|entry| !is_it(entry));
    if lvs.entries.len() == before {
        return Err(no_lv(lv));
    }
    Ok(())
}

/// Takes a thin LV out. What was made as a snapshot of it stays, and is none of anything then.
///
/// # Errors
/// [`EditError`], when it is not there, or another LV needs it.
pub fn drop_thin_lv(vg: &mut Section<'_>, lv: &LvName) -> Result<(), EditError> {
    remove_lv(vg, lv)?;
    if vg.section("historical_logical_volumes").is_some_and(|history| names(history, lv)) {
        let why = format!("the section of historical LVs names LV {lv}");
        return Err(EditError::DoesNotFit(why));
    }
    let lvs = vg.section_mut(b"logical_volumes").ok_or(EditError::NoSection("logical_volumes"))?;
    let is_it = |value: &Value<'_>| value.as_text() == Some(lv.as_str().as_bytes());
    for entry in &mut lvs.entries {
        let Body::Section(other) = &mut entry.body else { continue };
        for segment in &mut other.entries {
            let Body::Section(segment) = &mut segment.body else { continue };
            let is_thin = segment.value("type").and_then(Value::as_text) == Some(b"thin");
            if is_thin && segment.value("origin").is_some_and(is_it) {
                segment.remove(b"origin");
            }
            let needs = |entry: &Entry<'_>| {
                let is_of_lv = LV_KEYS.contains(&entry.key.as_ref());
                is_of_lv
                    && matches!(&entry.body, Body::Value(value) if value.items().iter().any(is_it))
            };
            if segment.entries.iter().any(needs) {
                return Err(EditError::DoesNotFit(format!("another LV needs LV {lv}")));
            }
        }
    }
    Ok(())
}

/// Whether a name stands anywhere in a section, however deep; sections of a text are few.
fn names(section: &Section<'_>, lv: &LvName) -> bool {
    let is_it = |value: &Value<'_>| value.as_text() == Some(lv.as_str().as_bytes());
    section.entries.iter().any(|entry| match &entry.body {
        Body::Section(inner) => names(inner, lv),
        Body::Value(value) => value.items().iter().any(is_it),
    })
}

/// Takes a word out of a list, when both are there; tells whether they were.
pub fn remove_word(section: &mut Section<'_>, key: &'static str, word: &[u8]) -> bool {
    let Some(value) = section.value(key) else {
        return false;
    };
    let kept: Vec<Value<'static>> = value
        .items()
        .iter()
        .filter_map(Value::as_text)
        .filter(|text| *text != word)
        .map(|text| Value::Text(Cow::Owned(text.to_vec())))
        .collect();
    let was_there = kept.len() != value.items().len();
    if was_there {
        section.set_value(key, Value::List(kept), "id");
    }
    was_there
}

/// Puts a word into a list, once.
pub fn add_word(section: &mut Section<'_>, key: &'static str, word: &str) {
    let mut items: Vec<Value<'static>> = section
        .value(key)
        .map_or(&[][..], Value::items)
        .iter()
        .filter_map(Value::as_text)
        .map(|text| Value::Text(Cow::Owned(text.to_vec())))
        .collect();
    if !items.iter().any(|item| item.as_text() == Some(word.as_bytes())) {
        items.push(Value::text(word));
    }
    section.set_value(key, Value::List(items), "status");
}
