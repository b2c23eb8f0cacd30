//! JSON that is safe on a terminal too.

use std::fmt::Write as _;

use serde::Serialize;

/// Writes a value, indented, with a newline behind it.
///
/// JSON escapes only the control characters below 0x20; here every character that a terminal
/// could obey is escaped.
pub fn to_text(value: &impl Serialize) -> String {
    let plain = match serde_json::to_string_pretty(value) {
        Ok(plain) => plain,
        Err(error) => serde_json::json!({ "error": error.to_string() }).to_string(),
    };
    let mut out = String::with_capacity(plain.len() + 1);
    for c in plain.chars() {
        if is_dangerous(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}

fn is_dangerous(c: char) -> bool {
    let is_layout = matches!(c, '\n');
    let hides = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    (c.is_control() && !is_layout) || hides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_dangerous_gets_out() {
        let text = to_text(&"a\u{1b}\u{9b}\u{7f}\u{202e}b");
        assert_eq!(text, "\"a\\u001b\\u009b\\u007f\\u202eb\"\n");
    }
}
