//! Which copy of a VG's metadata counts.
//!
//! LVM takes the highest seqno among the committed copies of all areas in use, and among equal
//! ones the first it happened to scan. lvmend takes the highest too, but never picks among equal
//! numbers with different content: that is a fault, and a plan must say which.

use std::collections::BTreeMap;

use crate::ids::{DeviceName, Digest};

/// A committed copy in one metadata area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The device.
    pub device: DeviceName,
    /// Which of its areas.
    pub area: usize,
    /// The version it holds.
    pub seqno: u32,
    /// The content it holds.
    pub content: Digest,
    /// The text it holds, by the digest of its bytes.
    pub text: Digest,
}

/// How the copies of a VG stand to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No area points to a sound text.
    None,
    /// One content has the highest number.
    Clear {
        /// That number.
        seqno: u32,
        /// That content.
        content: Digest,
        /// The text, by the digest of its bytes.
        text: Digest,
        /// Copies that are behind.
        outvoted: Vec<Copy>,
    },
    /// Different contents share the highest number.
    Branches {
        /// That number.
        seqno: u32,
        /// All copies with it.
        copies: Vec<Copy>,
    },
}

impl Standing {
    /// Decides by seqno and content; the order of the copies does not matter.
    pub fn of(mut copies: Vec<Copy>) -> Self {
        copies.sort_by(|a, b| (&a.device, a.area).cmp(&(&b.device, b.area)));
        let Some(seqno) = copies.iter().map(|c| c.seqno).max() else {
            return Self::None;
        };
        let (newest, outvoted): (Vec<_>, Vec<_>) =
            copies.into_iter().partition(|copy| copy.seqno == seqno);
        // Two byte-different texts of one content do not differ in anything LVM acts on.
        let contents: BTreeMap<Digest, Digest> =
            newest.iter().rev().map(|copy| (copy.content, copy.text)).collect();
        match contents.into_iter().collect::<Vec<_>>().as_slice() {
            [(content, text)] => Self::Clear { seqno, content: *content, text: *text, outvoted },
            _ => Self::Branches { seqno, copies: newest },
        }
    }

    /// The key of the text that counts, when that is clear.
    pub fn text(&self) -> Option<Digest> {
        match self {
            Self::Clear { text, .. } => Some(*text),
            Self::None | Self::Branches { .. } => None,
        }
    }

    /// The content that counts, when that is clear.
    pub fn content(&self) -> Option<Digest> {
        match self {
            Self::Clear { content, .. } => Some(*content),
            Self::None | Self::Branches { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(device: &str, seqno: u32, content: &str) -> Copy {
        let digest = Digest::of(content.as_bytes());
        let device = DeviceName::whole(device);
        Copy { device, area: 0, seqno, content: digest, text: digest }
    }

    #[test]
    fn the_highest_number_wins_and_equal_ones_must_agree() {
        assert_eq!(Standing::of(Vec::new()), Standing::None);
        let old = copy("c", 4, "old");
        let clear = Standing::of(vec![old.clone(), copy("a", 5, "x"), copy("b", 5, "x")]);
        let digest = Digest::of(b"x");
        assert_eq!(
            clear,
            Standing::Clear { seqno: 5, content: digest, text: digest, outvoted: vec![old] }
        );
        let branches = Standing::of(vec![copy("b", 5, "y"), copy("a", 5, "x")]);
        assert!(matches!(branches, Standing::Branches { seqno: 5, copies } if copies.len() == 2));
    }
}
