//! Writing texts in the form LVM2 writes to disks: no indentation, no comments within the VG.
//!
//! # Source
//! LVM2 `lib/format_text/export.c`, `text_vg_export_raw`. Blank lines stand in front of sections
//! and of what begins a new thought; the rules here reproduce every text of LVM 2.03.16 byte for
//! byte (`tests/it/text.rs`).

use memchr::memchr2;

use crate::ids::ForeignText;
use crate::text::tree::{Body, Entry, Section, Value};

/// Whether device hints are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceHints {
    /// As they stand.
    Keep,
    /// Left out: for digests, since LVM refreshes them without a new seqno.
    LeaveOut,
}

/// Keys of a PV that only hint at where it is.
const HINT_KEYS: [&[u8]; 3] = [b"device", b"device_id", b"device_id_type"];
/// Lists that LVM writes over several lines, with how many values go on each.
const LONG_LISTS: [(&[u8], usize); 4] =
    [(b"stripes", 2), (b"mirrors", 2), (b"raids", 2), (b"raid0_lvs", 1)];

/// What a section is; the layout of blank lines depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Vg,
    /// `physical_volumes`.
    Pvs,
    /// `logical_volumes` and `historical_logical_volumes`.
    Lvs,
    Pv,
    Lv,
    /// A segment, or anything within one.
    Segment,
    Other,
}

/// What the frame of a text says, for writing one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameText {
    /// The program, for the comment behind the VG.
    pub generated_by: String,
    /// What wrote it.
    pub description: String,
    /// Where.
    pub creation_host: ForeignText,
    /// What that machine is, for the comment behind the host.
    pub machine: ForeignText,
    /// When, in seconds since 1970.
    pub creation_time: i64,
    /// The same for people, for the comments.
    pub time_shown: String,
}

/// Writes a whole on-disk text without its NUL: the VG, then the frame.
///
/// # Shape
/// Ends in two blank lines; the NUL that LVM stores, and counts, comes behind.
pub fn write_text(vg_name: &[u8], vg: &Section<'_>, frame: &FrameText) -> Vec<u8> {
    let mut out = Vec::new();
    write_vg(&mut out, vg_name, vg, DeviceHints::Keep);
    let FrameText { generated_by, creation_time, time_shown, .. } = frame;
    let comment = |text: &str| text.replace(['\n', '\r', '\0'], " ");
    let mut line = |text: String| {
        out.extend_from_slice(text.as_bytes());
        out.push(b'\n');
    };
    line(format!("# {}: {}", comment(generated_by), comment(time_shown)));
    line(String::new());
    line("contents = \"Text Format Volume Group\"".to_owned());
    line("version = 1".to_owned());
    line(String::new());
    line(format!("description = {}", quoted(&frame.description)));
    line(String::new());
    let host = quoted(frame.creation_host.raw());
    line(format!("creation_host = {host}\t# {}", comment(frame.machine.raw())));
    line(format!("creation_time = {creation_time}\t# {}", comment(time_shown)));
    line(String::new());
    line(String::new());
    out
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    write_quoted(&mut out, text.replace('\0', " ").as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

/// Writes the section of the VG.
pub fn write_vg(out: &mut Vec<u8>, name: &[u8], vg: &Section<'_>, hints: DeviceHints) {
    write_key(out, name);
    out.extend_from_slice(b" {\n");
    write_entries(out, vg, Level::Vg, hints);
    out.extend_from_slice(b"}\n");
}

fn write_entries(out: &mut Vec<u8>, section: &Section<'_>, level: Level, hints: DeviceHints) {
    for (index, entry) in section.entries.iter().enumerate() {
        if level == Level::Pv && hints == DeviceHints::LeaveOut && is_hint(entry) {
            continue;
        }
        let previous = index.checked_sub(1).and_then(|i| section.entries.get(i));
        if has_blank_before(entry, previous, level) {
            out.push(b'\n');
        }
        write_key(out, &entry.key);
        match &entry.body {
            Body::Value(value) => write_assignment(out, &entry.key, value),
            Body::Section(inner) => {
                out.extend_from_slice(b" {\n");
                write_entries(out, inner, inner_level(level, &entry.key), hints);
                out.extend_from_slice(b"}\n");
            }
        }
    }
    if level == Level::Vg {
        // A blank line stands in front of each of the three collections, there or not.
        for collection in ["logical_volumes", "historical_logical_volumes"] {
            if section.section(collection).is_none() {
                out.push(b'\n');
            }
        }
    }
}

fn is_hint(entry: &Entry<'_>) -> bool {
    HINT_KEYS.contains(&&*entry.key)
}

fn inner_level(level: Level, key: &[u8]) -> Level {
    match (level, key) {
        (Level::Vg, b"physical_volumes") => Level::Pvs,
        (Level::Vg, _) => Level::Lvs,
        (Level::Pvs, _) => Level::Pv,
        (Level::Lvs, _) => Level::Lv,
        (Level::Lv | Level::Segment, _) => Level::Segment,
        (Level::Pv | Level::Other, _) => Level::Other,
    }
}

fn has_blank_before(entry: &Entry<'_>, previous: Option<&Entry<'_>>, level: Level) -> bool {
    let behind_section = previous.is_some_and(|p| matches!(p.body, Body::Section(_)));
    match (&entry.body, level) {
        (Body::Section(_), Level::Vg | Level::Pvs | Level::Lvs) => true,
        (Body::Section(_), _) => !behind_section,
        (Body::Value(_), Level::Vg) => *entry.key == *b"allocation_policy",
        (Body::Value(_), Level::Pv) => *entry.key == *b"status",
        (Body::Value(_), Level::Segment) => {
            previous.is_some_and(|p| *p.key == *b"extent_count") || long_list(&entry.key).is_some()
        }
        (Body::Value(_), _) => false,
    }
}

fn long_list(key: &[u8]) -> Option<usize> {
    LONG_LISTS.iter().find(|(name, _)| *name == key).map(|(_, per_line)| *per_line)
}

fn write_key(out: &mut Vec<u8>, key: &[u8]) {
    // Keys are the bulk of a text, and nearly all of them are words.
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let is_plain = |b: &u8| is_word(b) || (b.is_ascii_graphic() && !b"#={}\"'[],/".contains(b));
    if !key.is_empty() && key.iter().all(is_plain) {
        out.extend_from_slice(key);
    } else {
        write_quoted(out, key);
    }
}

fn write_assignment(out: &mut Vec<u8>, key: &[u8], value: &Value<'_>) {
    out.extend_from_slice(b" = ");
    match (value, long_list(key)) {
        (Value::List(items), Some(per_line)) if !items.is_empty() => {
            write_long_list(out, items, per_line);
        }
        _ => write_value(out, value),
    }
    out.push(b'\n');
}

fn write_long_list(out: &mut Vec<u8>, items: &[Value<'_>], per_line: usize) {
    out.extend_from_slice(b"[\n");
    let lines = items.chunks(per_line.max(1));
    let last = lines.len().saturating_sub(1);
    for (index, line) in lines.enumerate() {
        for (position, item) in line.iter().enumerate() {
            if position > 0 {
                out.extend_from_slice(b", ");
            }
            write_value(out, item);
        }
        out.extend_from_slice(if index == last { b"\n" } else { b",\n" });
    }
    out.push(b']');
}

fn write_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Integer(written) | Value::Float(written) | Value::Word(written) => {
            out.extend_from_slice(written);
        }
        Value::Text(text) => write_quoted(out, text),
        Value::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                write_value(out, item);
            }
            out.push(b']');
        }
    }
}

fn write_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut rest = text;
    while let Some((before, escaped)) =
        memchr2(b'"', b'\\', rest).and_then(|at| rest.split_at_checked(at))
    {
        out.extend_from_slice(before);
        out.push(b'\\');
        let (escaped, behind) = escaped.split_at_checked(1).unwrap_or((escaped, &[]));
        out.extend_from_slice(escaped);
        rest = behind;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
