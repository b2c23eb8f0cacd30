//! The plan document: what a person writes, read with every error at once.
//!
//! Three readers look at the text. [`yaml`] turns events with markers into a tree with positions
//! and enforces the YAML subset; the JSON Schema of [`document`] judges the structure of that
//! tree; serde_yaml reads the types. What validates is read by serde_yaml a second time, from the
//! tree written out anew: should the two readings differ, the document is refused, never guessed.

pub mod document;
pub mod glob;
pub mod hazard;
mod meaning;
pub mod problem;
pub mod resolve;
mod schema_types;
mod structure;
mod suggest;
mod yaml;

use crate::plan::document::Document;
use crate::plan::problem::{Code, Problem};
use crate::plan::yaml::Tree;
use crate::units::Bytes;

pub use structure::schema;

/// Larger documents are refused: nobody could review them.
pub const DOCUMENT_SIZE_MAX: Bytes = Bytes::new(4 << 20);

/// A plan that is valid in itself, with its text.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The text as it was read.
    pub source: String,
    /// What it says.
    pub document: Document,
    tree: Tree,
}

/// Reads a plan.
///
/// # Errors
/// Every problem of the document, sorted by position; never empty.
pub fn load(source: &[u8]) -> Result<Plan, Vec<Problem>> {
    let text = check_text(source).map_err(|problem| vec![problem])?;
    let tree = yaml::read(text)?;
    let mut problems = structure::problems(&tree);
    problems.extend(meaning::problems(&tree));
    if !problems.is_empty() {
        problems.sort_by_key(|p| p.span);
        return Err(problems);
    }
    let document = read_types(text, &tree).map_err(|problem| vec![problem])?;
    if let Some(problem) = meaning::asks_for_nothing(&tree) {
        return Err(vec![problem]);
    }
    Ok(Plan { source: text.to_owned(), document, tree })
}

fn check_text(source: &[u8]) -> Result<&str, Problem> {
    if Bytes::of_len(source.len()) > DOCUMENT_SIZE_MAX {
        let message = format!("the document is larger than {DOCUMENT_SIZE_MAX}");
        return Err(Problem::at_start(Code::TooLarge, message));
    }
    let text = std::str::from_utf8(source).map_err(|error| {
        let at = error.valid_up_to();
        let message = format!("the document is not UTF-8: byte {at} starts no character");
        Problem::at_start(Code::NotUtf8, message)
    })?;
    let is_foreign =
        |c: &char| c.is_control() && !matches!(c, '\n' | '\r' | '\t') || *c == '\u{feff}';
    match text.char_indices().find(|(_, c)| is_foreign(c)) {
        None => Ok(text),
        Some((at, c)) => {
            let message =
                format!("the document holds the control character {}", c.escape_unicode());
            Err(Problem::new(Code::ControlCharacter, message, at..at + c.len_utf8()))
        }
    }
}

/// Lets serde_yaml read the types, from the text and from the tree, and compares.
fn read_types(text: &str, tree: &Tree) -> Result<Document, Problem> {
    let from_text = deserialize(text).map_err(|error| {
        let at = error.location().map_or(0, |location| location.index());
        Problem::new(Code::Types, format!("the types do not fit: {error}"), at..at)
    })?;
    let rewritten = deserialize(&tree.rewritten());
    if rewritten.is_ok_and(|document| document == from_text) {
        return Ok(from_text);
    }
    let message = "two YAML readers understand this document differently";
    Err(Problem::at_start(Code::Ambiguous, message.to_owned())
        .with_help("write it with plain scalars and block style"))
}

fn deserialize(text: &str) -> Result<Document, serde_yaml::Error> {
    let reader = serde_yaml::Deserializer::from_str(text);
    serde_yaml::with::singleton_map_recursive::deserialize(reader)
}
