//! Text from disks, files and tools, which may hold anything.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text that somebody else wrote: descriptions, host names, device hints, paths, tool output.
///
/// Keeps what was there (invalid UTF-8 as replacement characters) and prints it so that it can
/// neither move a cursor nor forge a line: control characters come out escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ForeignText(String);

impl ForeignText {
    /// Takes bytes of unknown origin.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The text as it was; not safe to print.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As one word of a POSIX shell, for commands that people are to type. Control characters come
    /// out escaped, so that what is typed then names nothing rather than something else.
    pub fn typed(&self) -> String {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_./,:=+@%#-".contains(&b);
        if !self.0.is_empty() && self.0.bytes().all(is_plain) && !self.0.starts_with('#') {
            return self.0.clone();
        }
        format!("'{}'", self.to_string().replace('\'', "'\\''"))
    }
}

impl From<&str> for ForeignText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for ForeignText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Whether a terminal could take this character for a command or hide text with it.
fn is_dangerous(c: char) -> bool {
    let bidi =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || bidi || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

impl fmt::Display for ForeignText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.chars().any(is_dangerous) {
            return f.pad(&self.0);
        }
        let mut out = String::with_capacity(self.0.len() + 8);
        for c in self.0.chars() {
            if is_dangerous(c) {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        f.pad(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_on_the_way_out() {
        let check = |bytes: &[u8], shown: &str| {
            assert_eq!(ForeignText::from_bytes(bytes).to_string(), shown);
        };
        check(b"lvcreate -n a vg", "lvcreate -n a vg");
        check(b"\x1b[31mred\n", "\\u{1b}[31mred\\n");
        check("größe".as_bytes(), "größe");
        check(b"\xff\xfe", "\u{fffd}\u{fffd}");
        check("a\u{202e}b".as_bytes(), "a\\u{202e}b");
    }

    #[test]
    fn typed_as_one_word() {
        let typed = |text: &str| ForeignText::from(text).typed();
        assert_eq!(typed("vg-lv--1_tmeta"), "vg-lv--1_tmeta");
        assert_eq!(typed("/dev/sda1#2"), "/dev/sda1#2");
        assert_eq!(typed(""), "''");
        assert_eq!(typed("#vg"), "'#vg'");
        assert_eq!(typed("a b; rm -rf $HOME"), "'a b; rm -rf $HOME'");
        assert_eq!(typed("it's"), r"'it'\''s'");
        assert_eq!(typed("a\nb"), r"'a\nb'");
    }
}
