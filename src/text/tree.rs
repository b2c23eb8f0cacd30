//! The tree of a text: sections of keys with values, everything kept in order.
//!
//! Borrows from the text it was parsed from; what an edit puts in is owned.

use std::borrow::Cow;

/// Bytes of a text, or bytes that an edit put in.
pub type TextBytes<'a> = Cow<'a, [u8]>;

/// What stands between `{` and `}`, or the whole text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section<'a> {
    /// Keys and sections in the order of the text.
    pub entries: Vec<Entry<'a>>,
}

/// One key of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name.
    pub key: TextBytes<'a>,
    /// What it stands for.
    pub body: Body<'a>,
}

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// `key = value`.
    Value(Value<'a>),
    /// `key { … }`.
    Section(Section<'a>),
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer, as written: a leading 0 means octal.
    Integer(TextBytes<'a>),
    /// A number with a point, as written.
    Float(TextBytes<'a>),
    /// A quoted string, without quotes and escapes.
    Text(TextBytes<'a>),
    /// A bare word.
    Word(TextBytes<'a>),
    /// `[ … ]`.
    List(Vec<Value<'a>>),
}

impl<'a> Section<'a> {
    /// What this key stands for; the first, should it stand twice.
    pub fn get(&self, key: &str) -> Option<&Body<'a>> {
        self.entries.iter().find(|e| *e.key == *key.as_bytes()).map(|e| &e.body)
    }

    /// The value of this key.
    pub fn value(&self, key: &str) -> Option<&Value<'a>> {
        match self.get(key)? {
            Body::Value(value) => Some(value),
            Body::Section(_) => None,
        }
    }

    /// The section of this key.
    pub fn section(&self, key: &str) -> Option<&Section<'a>> {
        match self.get(key)? {
            Body::Section(section) => Some(section),
            Body::Value(_) => None,
        }
    }

    /// The section of this key, to change it.
    pub fn section_mut(&mut self, key: &[u8]) -> Option<&mut Section<'a>> {
        self.entries.iter_mut().find(|e| *e.key == *key).and_then(|e| match &mut e.body {
            Body::Section(section) => Some(section),
            Body::Value(_) => None,
        })
    }

    /// Every section in this one, with its key.
    pub fn sections(&self) -> impl Iterator<Item = (&[u8], &Section<'a>)> {
        self.entries.iter().filter_map(|e| match &e.body {
            Body::Section(section) => Some((&*e.key, section)),
            Body::Value(_) => None,
        })
    }

    /// Every value in this one, with its key.
    pub fn values(&self) -> impl Iterator<Item = (&[u8], &Value<'a>)> {
        self.entries.iter().filter_map(|e| match &e.body {
            Body::Value(value) => Some((&*e.key, value)),
            Body::Section(_) => None,
        })
    }

    /// Sets the value of this key: in place when it is there, else behind `after` or, when that
    /// is not there either, in front of everything.
    pub fn set_value(&mut self, key: &'static str, value: Value<'a>, after: &str) {
        if let Some(entry) = self.entries.iter_mut().find(|e| *e.key == *key.as_bytes()) {
            entry.body = Body::Value(value);
            return;
        }
        let at = self.entries.iter().position(|e| *e.key == *after.as_bytes()).map_or(0, |i| i + 1);
        let key = Cow::Borrowed(key.as_bytes());
        self.entries.insert(at, Entry { key, body: Body::Value(value) });
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &[u8]) {
        self.entries.retain(|e| *e.key != *key);
    }

    /// The same tree, owning all its bytes: for carrying a part of one text into another.
    pub fn into_owned(self) -> Section<'static> {
        Section { entries: self.entries.into_iter().map(Entry::into_owned).collect() }
    }
}

impl Entry<'_> {
    fn into_owned(self) -> Entry<'static> {
        let body = match self.body {
            Body::Value(value) => Body::Value(value.into_owned()),
            Body::Section(section) => Body::Section(section.into_owned()),
        };
        Entry { key: Cow::Owned(self.key.into_owned()), body }
    }
}

impl<'a> Value<'a> {
    /// A decimal integer.
    pub fn integer(number: u64) -> Self {
        Self::Integer(Cow::Owned(number.to_string().into_bytes()))
    }

    /// A quoted string.
    pub fn text(text: &str) -> Self {
        Self::Text(Cow::Owned(text.as_bytes().to_vec()))
    }

    /// The values of a list; a scalar counts as a list of one, as LVM reads it.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Integer(_) | Self::Float(_) | Self::Text(_) | Self::Word(_) => {
                std::slice::from_ref(self)
            }
        }
    }

    /// The bytes of a string or word.
    pub fn as_text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) | Self::Word(text) => Some(text),
            Self::Integer(_) | Self::Float(_) | Self::List(_) => None,
        }
    }

    /// The number of an integer: octal with a leading 0, else decimal.
    pub fn as_integer(&self) -> Option<i64> {
        let Self::Integer(written) = self else {
            return None;
        };
        let written = std::str::from_utf8(written).ok()?;
        let (negative, digits) = match written.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, written.strip_prefix('+').unwrap_or(written)),
        };
        let radix = if digits.len() > 1 && digits.starts_with('0') { 8 } else { 10 };
        let number = i128::from_str_radix(digits, radix).ok()?;
        i64::try_from(if negative { -number } else { number }).ok()
    }

    fn into_owned(self) -> Value<'static> {
        let own = |bytes: TextBytes<'a>| Cow::Owned(bytes.into_owned());
        match self {
            Self::Integer(bytes) => Value::Integer(own(bytes)),
            Self::Float(bytes) => Value::Float(own(bytes)),
            Self::Text(bytes) => Value::Text(own(bytes)),
            Self::Word(bytes) => Value::Word(own(bytes)),
            Self::List(items) => Value::List(items.into_iter().map(Value::into_owned).collect()),
        }
    }
}
