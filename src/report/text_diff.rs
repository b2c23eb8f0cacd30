//! Two metadata texts side by side, as people read them: indented, with a few lines around what
//! changed.

use similar::TextDiff;

use crate::ids::ForeignText;
use crate::model::timeline::MetadataText;
use crate::text::frame::Frame;
use crate::text::parser;
use crate::text::write::{DeviceHints, write_vg};

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// The VG of a text, indented.
pub fn indented(text: &MetadataText) -> String {
    let Ok(tree) = parser::parse(&text.bytes) else {
        return String::new();
    };
    let Ok(frame) = Frame::of(&tree) else {
        return String::new();
    };
    let mut bytes = Vec::new();
    write_vg(&mut bytes, frame.vg_name, frame.vg, DeviceHints::Keep);
    let mut out = String::new();
    let mut depth = 0_usize;
    for line in bytes.split(|b| *b == b'\n') {
        let line = ForeignText::from_bytes(line).to_string();
        let opens = line.ends_with(['{', '[']);
        if line.starts_with(['}', ']']) {
            depth = depth.saturating_sub(1);
        }
        if !line.is_empty() {
            out.push_str(&"    ".repeat(depth));
        }
        out.push_str(&line);
        out.push('\n');
        if opens {
            depth += 1;
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// What a new text changes in an old one, as a unified diff without file names.
pub fn unified(old: &MetadataText, new: &MetadataText) -> String {
    let (old, new) = (indented(old), indented(new));
    let diff = TextDiff::from_lines(old.as_str(), new.as_str());
    diff.unified_diff().context_radius(CONTEXT).to_string()
}
