//! Access to the keys of one section, with errors that say where it stands.

use std::fmt::Display;

use crate::ids::{ForeignText, LvmUuid};
use crate::model::flags::{Word, Words};
use crate::text::read::{ReadProblem, ReadVgError};
use crate::text::tree::{Section, Value};
use crate::units::Extents;

/// A section, and where it stands.
#[derive(Clone, Copy)]
pub struct Fields<'t, 'a> {
    section: &'t Section<'a>,
    name: &'t [u8],
    parent: Option<&'t Fields<'t, 'a>>,
}

type Read<T> = Result<T, ReadVgError>;

impl<'t, 'a> Fields<'t, 'a> {
    /// The section of the VG.
    pub fn top(name: &'t [u8], section: &'t Section<'a>) -> Self {
        Self { section, name, parent: None }
    }

    /// Its name.
    pub fn name(&self) -> &'t [u8] {
        self.name
    }

    /// The section with this name in it.
    pub fn section<'s>(&'s self, key: &'static str) -> Option<Fields<'s, 'a>>
    where
        't: 's,
    {
        let section = self.section.section(key)?;
        Some(Fields { section, name: key.as_bytes(), parent: Some(self) })
    }

    /// Every section in it.
    pub fn sections<'s>(&'s self) -> impl Iterator<Item = Fields<'s, 'a>>
    where
        't: 's,
    {
        let fields = |(name, section)| Fields { section, name, parent: Some(self) };
        self.section.sections().map(fields)
    }

    /// What it is called and says, key by key; sections in it are left out.
    pub fn values(&self) -> impl Iterator<Item = (&'t [u8], &'t Value<'a>)> {
        self.section.values()
    }

    fn path(&self) -> String {
        let name = ForeignText::from_bytes(self.name);
        match self.parent {
            Some(parent) => format!("{}/{}", parent.path(), name.raw()),
            None => name.raw().to_owned(),
        }
    }

    /// An error about this section.
    pub fn error(&self, problem: ReadProblem) -> ReadVgError {
        ReadVgError { at: self.path().into(), problem }
    }

    /// An error about a section further down.
    pub fn error_at(&self, inner: &str, name: &str, problem: ReadProblem) -> ReadVgError {
        ReadVgError { at: format!("{}/{inner}/{name}", self.path()).into(), problem }
    }

    /// A key is not there.
    pub fn missing(&self, key: &'static str) -> ReadVgError {
        self.error(ReadProblem::Missing(key))
    }

    /// A key has a value it cannot have.
    pub fn invalid(&self, key: &str, why: impl Display) -> ReadVgError {
        self.error(ReadProblem::Invalid { key: key.into(), why: why.to_string() })
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<&'t Value<'a>> {
        self.section.value(key)
    }

    /// A non-negative integer, when the key is there.
    pub fn optional_number(&self, key: &'static str) -> Read<Option<u64>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
        number.map(Some).ok_or_else(|| self.invalid(key, "expected a whole number from 0"))
    }

    /// A non-negative integer.
    pub fn number(&self, key: &'static str) -> Read<u64> {
        self.optional_number(key)?.ok_or_else(|| self.missing(key))
    }

    /// A non-negative integer, or `default`.
    pub fn number_or(&self, key: &'static str, default: u64) -> Read<u64> {
        Ok(self.optional_number(key)?.unwrap_or(default))
    }

    /// A number that LVM keeps in 32 bits. LVM truncates silently; here it is an error.
    pub fn small_number(&self, key: &'static str) -> Read<u32> {
        u32::try_from(self.number(key)?).map_err(|_| self.invalid(key, "does not fit 32 bits"))
    }

    /// A count of extents.
    pub fn extents(&self, key: &'static str) -> Read<Extents> {
        self.small_number(key).map(|count| Extents::new(count.into()))
    }

    /// A UUID.
    pub fn uuid(&self, key: &'static str) -> Read<LvmUuid> {
        let text = self.required_text(key)?;
        LvmUuid::from_text(text).map_err(|e| self.invalid(key, e))
    }

    /// A string.
    pub fn required_text(&self, key: &'static str) -> Read<&'t [u8]> {
        let value = self.value(key).ok_or_else(|| self.missing(key))?;
        value.as_text().ok_or_else(|| self.invalid(key, "expected a string"))
    }

    /// A string, when the key is there.
    pub fn text(&self, key: &str) -> Option<ForeignText> {
        self.value(key).and_then(Value::as_text).map(ForeignText::from_bytes)
    }

    /// A list of strings; empty when the key is not there.
    pub fn texts(&self, key: &str) -> Vec<ForeignText> {
        let items = self.value(key).map_or(&[][..], Value::items);
        items.iter().filter_map(Value::as_text).map(ForeignText::from_bytes).collect()
    }

    /// The words of `status`, which must be there and known.
    pub fn status_words<W: Word>(&self) -> Read<Words<W>> {
        let value = self.value("status").ok_or_else(|| self.missing("status"))?;
        let mut words = Words::NONE;
        for item in value.items() {
            let text = item.as_text().unwrap_or(b"");
            let unknown = || self.error(ReadProblem::UnknownStatus(ForeignText::from_bytes(text)));
            words.insert(W::from_text(text).ok_or_else(unknown)?);
        }
        Ok(words)
    }

    /// The known words of `flags`; others mean nothing to LVM either and stay in the text.
    pub fn flag_words<W: Word>(&self) -> Words<W> {
        let items = self.value("flags").map_or(&[][..], Value::items);
        items.iter().filter_map(Value::as_text).filter_map(W::from_text).collect()
    }
}
