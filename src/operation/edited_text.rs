//! A new version of a VG's text, edited from the one that counts: committed natively on images, by LVM2
//! on a running machine.

use crate::ids::VgUuid;
use crate::model::compare::Difference;
use crate::model::inventory::{Inventory, Realm};
use crate::model::vg::Vg;
use crate::operation::commit_metadata::current_text;
use crate::operation::{Lowered, Signature, Unfit, commit, live_commit};
use crate::text::edit::EditError;
use crate::text::tree::Section;

/// Works out the commit. `what` is told in the frame of the text; `is_ours` says of a difference
/// whether it is one that the edit is about: any other stops it.
pub fn commit_edited(
    now: &Inventory,
    vg: VgUuid,
    signature: &Signature,
    what: &str,
    edit: impl FnOnce(&mut Section<'_>, &Vg) -> Result<(), EditError>,
    is_ours: impl Fn(&Difference) -> bool,
) -> Result<Lowered, Unfit> {
    let change = commit::Change {
        vg,
        base: current_text(now, vg)?,
        repair: &[],
        description: format!("Written by lvmend: {what}"),
    };
    let built = commit::build(now, &change, signature, edit, is_ours)?;
    match now.realm {
        Realm::Images => Ok(built.lowered),
        Realm::Live => live_commit::restore(now, built, signature),
    }
}
