//! What can be wrong with a plan document.

use std::ops::Range;

use serde::Serialize;

/// The stable code of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Larger than any plan.
    #[serde(rename = "plan-too-large")]
    TooLarge,
    /// Not UTF-8.
    #[serde(rename = "plan-not-utf8")]
    NotUtf8,
    /// A control character.
    #[serde(rename = "plan-control-character")]
    ControlCharacter,
    /// Not YAML.
    #[serde(rename = "plan-syntax")]
    Syntax,
    /// YAML outside of the subset that plans use.
    #[serde(rename = "plan-yaml-subset")]
    Subset,
    /// A key that stands twice.
    #[serde(rename = "plan-duplicate-key")]
    DuplicateKey,
    /// A key that nothing knows.
    #[serde(rename = "plan-unknown-key")]
    UnknownKey,
    /// A key that must be there.
    #[serde(rename = "plan-missing-key")]
    MissingKey,
    /// A value of the wrong type.
    #[serde(rename = "plan-wrong-type")]
    WrongType,
    /// A value that is none of those allowed.
    #[serde(rename = "plan-unknown-value")]
    UnknownValue,
    /// A value of the right type that cannot be.
    #[serde(rename = "plan-bad-value")]
    BadValue,
    /// serde_yaml does not read it.
    #[serde(rename = "plan-types")]
    Types,
    /// Two readers differ.
    #[serde(rename = "plan-ambiguous")]
    Ambiguous,
    /// Goals that contradict each other.
    #[serde(rename = "plan-contradiction")]
    Contradiction,
    /// Something that would do nothing.
    #[serde(rename = "plan-no-effect")]
    NoEffect,
    /// A path that is not absolute.
    #[serde(rename = "plan-relative-path")]
    RelativePath,
    /// A name that matches nothing anywhere.
    #[serde(rename = "plan-unknown-object")]
    UnknownObject,
    /// A name that matches several things.
    #[serde(rename = "plan-ambiguous-object")]
    AmbiguousObject,
    /// A version that stands nowhere.
    #[serde(rename = "plan-unknown-version")]
    UnknownVersion,
}

impl Code {
    /// The code as it is printed.
    pub fn text(self) -> String {
        let json = serde_json::to_value(self).ok();
        json.and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// A place in the document, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// The byte behind the last one.
    pub end: usize,
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its code.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to do about it, where that can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Problem {
    /// A problem at a place.
    pub fn new(code: Code, message: impl Into<String>, span: impl Into<Span>) -> Self {
        Self { code, message: message.into(), span: span.into(), help: None }
    }

    /// A problem of the document as a whole.
    pub fn at_start(code: Code, message: String) -> Self {
        Self::new(code, message, Span::default())
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
