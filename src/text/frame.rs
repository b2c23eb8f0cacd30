//! The frame of a text: which part describes the VG, and what is said about it.

use crate::ids::ForeignText;
use crate::text::tree::{Body, Section};

/// What every text of LVM2 calls itself.
const CONTENTS: &[u8] = b"Text Format Volume Group";
const VERSION: i64 = 1;
/// What LVM takes for a creation time that no 64-bit integer holds.
const CREATION_TIME_OVERFLOW: i64 = 1_527_120_000;

/// The parts of a text.
#[derive(Clone, Debug)]
pub struct Frame<'t, 'a> {
    /// The name of the VG, not yet checked.
    pub vg_name: &'t [u8],
    /// The section that describes it.
    pub vg: &'t Section<'a>,
    /// What wrote it.
    pub description: Option<&'t [u8]>,
    /// When, in seconds since 1970.
    pub creation_time: Option<i64>,
    /// Where.
    pub creation_host: Option<&'t [u8]>,
}

/// Why a well-formed text is not the metadata of a VG.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// `contents` is missing or says something else.
    #[error("not LVM2 metadata: `contents` is {0}, expected `Text Format Volume Group`")]
    Contents(ForeignText),
    /// `version` is missing or not 1.
    #[error("metadata of version {0}; version 1 is the only one there is")]
    Version(ForeignText),
    /// No section at the top level.
    #[error("the text describes no volume group")]
    NoVg,
}

impl<'t, 'a> Frame<'t, 'a> {
    /// Finds the parts. Of several VGs the first counts, as for LVM.
    ///
    /// # Errors
    /// [`FrameError`], when this is not the metadata of a VG.
    pub fn of(tree: &'t Section<'a>) -> Result<Self, FrameError> {
        let text = |key| tree.value(key).and_then(|value| value.as_text());
        let missing = || ForeignText::from("missing");
        match text("contents") {
            Some(CONTENTS) => {}
            Some(other) => return Err(FrameError::Contents(ForeignText::from_bytes(other))),
            None => return Err(FrameError::Contents(missing())),
        }
        match tree.value("version").map(super::tree::Value::as_integer) {
            Some(Some(VERSION)) => {}
            Some(Some(other)) => return Err(FrameError::Version(other.to_string().into())),
            Some(None) | None => return Err(FrameError::Version(missing())),
        }
        let (vg_name, vg) = tree.sections().next().ok_or(FrameError::NoVg)?;
        let creation_time = tree
            .value("creation_time")
            .map(|value| value.as_integer().unwrap_or(CREATION_TIME_OVERFLOW));
        Ok(Self {
            vg_name,
            vg,
            description: text("description"),
            creation_time,
            creation_host: text("creation_host"),
        })
    }
}

/// The entry of the top level that describes the VG, to change it.
pub fn vg_mut<'t, 'a>(tree: &'t mut Section<'a>) -> Option<&'t mut Section<'a>> {
    tree.entries.iter_mut().find_map(|entry| match &mut entry.body {
        Body::Section(section) => Some(section),
        Body::Value(_) => None,
    })
}
