//! Looking for an LV in the versions that still stand.

use memchr::memmem;

use crate::ids::{LvName, LvUuid};
use crate::model::timeline::{Timeline, Version};
use crate::model::vg::{Lv, Vg};
use crate::text;

/// Which LV is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// Whichever bears this name.
    Name(&'a LvName),
    /// This one, whatever it is called.
    Uuid(LvUuid),
}

impl Wanted<'_> {
    /// The LV in this VG.
    pub fn find<'vg>(&self, vg: &'vg Vg) -> Option<&'vg Lv> {
        match self {
            Self::Name(name) => vg.lv(name),
            Self::Uuid(uuid) => vg.lv_by_uuid(*uuid),
        }
    }

    /// Bytes that stand in every text with that LV, to pass over the others unread.
    fn trace(&self) -> String {
        match self {
            Self::Name(name) => format!("{name} {{"),
            Self::Uuid(uuid) => format!("\"{uuid}\""),
        }
    }
}

/// The versions that describe this LV, newest first, read.
///
/// A version whose text cannot be read any more is passed over; discovery has read them all.
pub fn versions_with<'t>(
    timeline: &'t Timeline,
    wanted: Wanted<'_>,
) -> impl Iterator<Item = (&'t Version, Vg)> {
    let trace = wanted.trace();
    timeline.versions().iter().rev().filter_map(move |version| {
        memmem::find(&version.text.bytes, trace.as_bytes())?;
        let vg = text::vg_of(&version.text).ok()?;
        wanted.find(&vg)?;
        Some((version, vg))
    })
}
