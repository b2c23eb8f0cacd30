//! LVM2 metadata text, to and from the model.
//!
//! A text is parsed into a [`tree::Section`] that keeps everything, known or not. The typed
//! [`crate::model::vg::Vg`] is read from the tree; changes are made on the tree ([`edit`],
//! [`splice`]) and written in LVM's own on-disk form ([`write`]), so that what this program does
//! not know survives.
//!
//! # Source
//! LVM2 `libdm/libdm-config.c` for the grammar, `lib/format_text/export.c` and `import_vsn1.c`
//! for the content.

pub mod edit;
pub mod frame;
pub mod from_table;
mod lexer;
pub mod new_lv;
pub mod parser;
pub mod read;
pub mod search;
pub mod splice;
pub mod tree;
pub mod write;

use std::sync::Arc;

use crate::ids::{Digest, ForeignText};
use crate::model::timeline::MetadataText;
use crate::model::vg::Vg;
use crate::text::frame::Frame;
use crate::text::parser::ParseTextError;
use crate::text::read::ReadVgError;
use crate::units::Bytes;

/// Longer texts are refused: no metadata area of sensible size holds one.
pub const TEXT_SIZE_MAX: Bytes = Bytes::new(64 << 20);

/// Why some bytes are not the metadata of a VG.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// More bytes than this program takes.
    #[error("the text is {0} long; lvmend reads up to {max}", max = TEXT_SIZE_MAX)]
    TooLong(Bytes),
    /// The grammar is broken.
    #[error(transparent)]
    Parse(#[from] ParseTextError),
    /// The frame around the VG is broken or foreign.
    #[error(transparent)]
    Frame(#[from] frame::FrameError),
    /// The VG's description is broken.
    #[error(transparent)]
    Read(#[from] ReadVgError),
}

/// A text that was read: what its frame says, and the VG.
#[derive(Clone, Debug)]
pub struct ReadText {
    /// The text with its frame.
    pub text: MetadataText,
    /// The VG it describes.
    pub vg: Vg,
}

/// Reads a text from a metadata area, a backup or an archive file, NUL excluded.
///
/// # Errors
/// [`TextError`], for the first thing that is not as LVM writes it.
pub fn read_text(bytes: &Arc<[u8]>) -> Result<ReadText, TextError> {
    let tree = parse_limited(bytes)?;
    let frame = Frame::of(&tree)?;
    let vg = read::read_vg(frame.vg_name, frame.vg)?;
    let text = MetadataText {
        content: content_digest(&frame, bytes.len()),
        vg_uuid: vg.uuid,
        vg_name: vg.name.clone(),
        seqno: vg.seqno,
        description: frame.description.map(ForeignText::from_bytes),
        creation_time: frame.creation_time,
        creation_host: frame.creation_host.map(ForeignText::from_bytes),
        bytes: Arc::clone(bytes),
    };
    Ok(ReadText { text, vg })
}

/// Reads the VG of a text that was read before.
///
/// # Errors
/// [`TextError`], as [`read_text`].
pub fn vg_of(text: &MetadataText) -> Result<Vg, TextError> {
    let tree = parse_limited(&text.bytes)?;
    let frame = Frame::of(&tree)?;
    Ok(read::read_vg(frame.vg_name, frame.vg)?)
}

fn parse_limited(bytes: &[u8]) -> Result<tree::Section<'_>, TextError> {
    let size = Bytes::of_len(bytes.len());
    if size > TEXT_SIZE_MAX {
        return Err(TextError::TooLong(size));
    }
    Ok(parser::parse(bytes)?)
}

/// The digest that tells versions apart: of the VG section in on-disk form, without the device
/// hints, which LVM refreshes without a new seqno.
fn content_digest(frame: &Frame<'_, '_>, size_hint: usize) -> Digest {
    let mut canonical = Vec::with_capacity(size_hint);
    write::write_vg(&mut canonical, frame.vg_name, frame.vg, write::DeviceHints::LeaveOut);
    Digest::of(&canonical)
}
