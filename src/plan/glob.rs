//! Names in plans: literal ones, and globs with `*` and `?`.

use std::fmt;

use crate::ids::{LvName, NameError};

/// A key of `logical_volumes`: a literal name or a glob.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LvPattern {
    /// One name.
    Name(LvName),
    /// All visible LVs of the current metadata that match.
    Glob(String),
}

impl LvPattern {
    /// Reads a key.
    ///
    /// # Errors
    /// [`NameError`], when it is neither a legal name nor a glob over legal names.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if !text.contains(['*', '?']) {
            return LvName::from_bytes(text.as_bytes()).map(Self::Name);
        }
        // What is left of a glob must be made of letters a name can have.
        let letters: String = text.chars().filter(|c| !matches!(c, '*' | '?')).collect();
        LvName::from_bytes(format!("x{letters}").as_bytes())?;
        Ok(Self::Glob(text.to_owned()))
    }

    /// Whether this name is meant.
    pub fn matches(&self, name: &LvName) -> bool {
        match self {
            Self::Name(literal) => literal == name,
            Self::Glob(glob) => glob_matches(glob.as_bytes(), name.as_str().as_bytes()),
        }
    }

    /// Whether it is a glob.
    pub fn is_glob(&self) -> bool {
        matches!(self, Self::Glob(_))
    }
}

impl fmt::Display for LvPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name}"),
            Self::Glob(glob) => f.write_str(glob),
        }
    }
}

/// Whether the name matches: `*` is any run of characters, `?` is one.
fn glob_matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut g, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(n) {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g + 1, n));
                g += 1;
            }
            Some(b'?') => (g, n) = (g + 1, n + 1),
            Some(literal) if literal == byte => (g, n) = (g + 1, n + 1),
            Some(_) | None => match star {
                // Let the last star take one character more.
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    (g, n) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    glob.get(g..).is_none_or(|rest| rest.iter().all(|b| *b == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        let check = |glob: &str, name: &str, expected: bool| {
            let matched = LvPattern::parse(glob).unwrap().matches(&name.parse().unwrap());
            assert_eq!(matched, expected, "{glob} {name}");
        };
        check("*", "anything", true);
        check("vm-*", "vm-100-disk-1", true);
        check("vm-*-disk-?", "vm-100-disk-1", true);
        check("vm-*-disk-?", "vm-100-disk-10", false);
        check("a*b*c", "axxbyyc", true);
        check("a*b*c", "axxbyyd", false);
        check("data", "data", true);
        check("data", "data2", false);
        assert!(LvPattern::parse("a/*").is_err());
        assert!(LvPattern::parse("-a").is_err());
    }
}
