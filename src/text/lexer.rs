//! Tokens of a text.
//!
//! # Source
//! LVM2 `libdm/libdm-config.c`, `_get_token`: numbers exist only where a value may stand; a
//! string ends at the next quote that no backslash precedes; only `\"` and `\\` are escapes.

use std::borrow::Cow;

use memchr::memchr2;

use crate::text::tree::TextBytes;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// `{`
    SectionStart,
    /// `}`
    SectionEnd,
    /// `[`
    ListStart,
    /// `]`
    ListEnd,
    /// `,`
    Comma,
    /// `=`
    Equals,
    /// A number without a point, as written.
    Integer(&'a [u8]),
    /// A number with a point, as written.
    Float(&'a [u8]),
    /// A string in quotes.
    Text(TextBytes<'a>),
    /// Anything else up to white space or punctuation.
    Word(&'a [u8]),
    /// The end of the text: its length, or the first NUL.
    End,
}

/// What a token may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// In front of `=` or `{`.
    Key,
    /// Behind `=`, `[` or `,`.
    Value,
}

/// Reads tokens one after another.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read: for error positions.
    pub fn offset(&self) -> usize {
        self.at
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied().filter(|b| *b != 0)
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    fn skip_space_and_comments(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'#' {
                let rest = self.rest();
                self.at += memchr2(b'\n', 0, rest).unwrap_or(rest.len());
            } else if is_space(byte) {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    /// The next token; `None` for a string without an end.
    pub fn next(&mut self, position: Position) -> Option<Token<'a>> {
        self.skip_space_and_comments();
        let Some(byte) = self.peek() else {
            return Some(Token::End);
        };
        let punctuation = match byte {
            b'{' => Token::SectionStart,
            b'}' => Token::SectionEnd,
            b'[' => Token::ListStart,
            b']' => Token::ListEnd,
            b',' => Token::Comma,
            b'=' => Token::Equals,
            b'"' => return self.quoted(true).map(Token::Text),
            b'\'' => return self.quoted(false).map(Token::Text),
            b'+' | b'-' | b'.' | b'0'..=b'9' if position == Position::Value => {
                return Some(self.number());
            }
            _ => return Some(Token::Word(self.word(position))),
        };
        self.at += 1;
        Some(punctuation)
    }

    fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest.iter().take_while(|b| **b != 0 && keep(**b)).count();
        self.at += len;
        rest.get(..len).unwrap_or(&[])
    }

    /// A sign, digits, a point, digits. Whatever hangs on behind is the next token's affair.
    fn number(&mut self) -> Token<'a> {
        let start = self.at;
        self.take_sign();
        let digits = self.take_while(|b| b.is_ascii_digit()).len();
        let mut is_float = false;
        let mut decimals = 0;
        if self.peek() == Some(b'.') {
            is_float = true;
            self.at += 1;
            decimals = self.take_while(|b| b.is_ascii_digit()).len();
        }
        if digits + decimals == 0 {
            // A lone sign or point is a word, which no value starts with in a sound text.
            self.at = start;
            let word = self.word(Position::Value);
            return Token::Word(word);
        }
        let written = self.bytes.get(start..self.at).unwrap_or(&[]);
        if is_float { Token::Float(written) } else { Token::Integer(written) }
    }

    fn take_sign(&mut self) {
        if matches!(self.peek(), Some(b'+' | b'-')) {
            self.at += 1;
        }
    }

    fn word(&mut self, position: Position) -> &'a [u8] {
        let ends_value = |b| matches!(b, b',' | b'[' | b']');
        let is_end = move |b| {
            is_space(b)
                || matches!(b, b'#' | b'=' | b'{' | b'}')
                || (position == Position::Value && ends_value(b))
        };
        let word = self.take_while(|b| !is_end(b));
        if word.is_empty() {
            // A byte that neither starts a token nor a word: taken alone, so that reading goes on.
            self.at += 1;
            return self.bytes.get(self.at.saturating_sub(1)..self.at).unwrap_or(&[]);
        }
        word
    }

    fn quoted(&mut self, escapes: bool) -> Option<TextBytes<'a>> {
        let quote = self.peek()?;
        let inner = self.bytes.get(self.at + 1..)?;
        let mut len = 0;
        let mut has_escape = false;
        loop {
            match *inner.get(len)? {
                0 => return None,
                b'\\' if escapes => {
                    // A NUL ends the text wherever it stands, escaped or not.
                    if inner.get(len + 1).is_none_or(|next| *next == 0) {
                        return None;
                    }
                    has_escape = true;
                    len += 2;
                }
                byte if byte == quote => break,
                _ => len += 1,
            }
        }
        let raw = inner.get(..len)?;
        self.at += len + 2;
        Some(if has_escape { Cow::Owned(unescaped(raw)) } else { Cow::Borrowed(raw) })
    }
}

fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'\\', Some(b'"' | b'\\')) => out.extend(bytes.next()),
            _ => out.push(byte),
        }
    }
    out
}

/// White space of the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}
