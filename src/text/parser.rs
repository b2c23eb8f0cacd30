//! Tokens to tree.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever token is not expected is an error, also one that is added"
)]

use std::borrow::Cow;
use std::fmt;

use crate::ids::ForeignText;
use crate::text::lexer::{Lexer, Position, Token};
use crate::text::tree::{Body, Entry, Section, Value};

/// Sections and lists within each other; LVM itself needs six.
const DEPTH_MAX: usize = 64;

/// Where and why a text breaks the grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ParseTextError {
    /// Counted from 1.
    pub line: usize,
    /// Bytes from the start of the text.
    pub offset: usize,
    /// What is wrong.
    pub problem: GrammarProblem,
}

/// What breaks the grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrammarProblem {
    /// Something else had to stand here.
    Expected {
        /// What.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A string without its closing quote.
    EndlessString,
    /// Nested deeper than any real text.
    TooDeep,
    /// A section without a name.
    EmptyName,
}

impl fmt::Display for GrammarProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::EndlessString => f.write_str("a string has no closing quote"),
            Self::TooDeep => write!(f, "nested deeper than {DEPTH_MAX} levels"),
            Self::EmptyName => f.write_str("a section has no name"),
        }
    }
}

/// Parses a whole text, up to its end or first NUL.
///
/// # Errors
/// [`ParseTextError`], for the first break of the grammar.
pub fn parse(bytes: &[u8]) -> Result<Section<'_>, ParseTextError> {
    let mut parser = Parser { lexer: Lexer::new(bytes), bytes };
    let (section, end) = parser.section(0)?;
    match end {
        Token::End => Ok(section),
        other => Err(parser.expected("a key or the end of the text", &other)),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    bytes: &'a [u8],
}

type Parsed<T> = Result<T, ParseTextError>;

impl<'a> Parser<'a> {
    fn error(&self, problem: GrammarProblem) -> ParseTextError {
        let offset = self.lexer.offset();
        let before = self.bytes.get(..offset).unwrap_or(self.bytes);
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        ParseTextError { line, offset, problem }
    }

    fn expected(&self, expected: &'static str, found: &Token<'_>) -> ParseTextError {
        self.error(GrammarProblem::Expected { expected, found: shown(found) })
    }

    fn token(&mut self, position: Position) -> Parsed<Token<'a>> {
        match self.lexer.next(position) {
            Some(token) => Ok(token),
            None => Err(self.error(GrammarProblem::EndlessString)),
        }
    }

    /// Entries up to a token that is no key, which is returned with them.
    fn section(&mut self, depth: usize) -> Parsed<(Section<'a>, Token<'a>)> {
        if depth > DEPTH_MAX {
            return Err(self.error(GrammarProblem::TooDeep));
        }
        let mut section = Section::default();
        loop {
            let key = match self.token(Position::Key)? {
                Token::Word(word) => Cow::Borrowed(word),
                Token::Text(text) => text,
                end => return Ok((section, end)),
            };
            if key.is_empty() {
                return Err(self.error(GrammarProblem::EmptyName));
            }
            let body = self.body(depth)?;
            self.insert(&mut section, key, body, depth)?;
        }
    }

    /// Adds an entry; a `/` in its key means sections within each other.
    fn insert(
        &self,
        section: &mut Section<'a>,
        key: Cow<'a, [u8]>,
        body: Body<'a>,
        depth: usize,
    ) -> Parsed<()> {
        if memchr::memchr(b'/', &key).is_none() {
            section.entries.push(Entry { key, body });
            return Ok(());
        }
        let names = key.split(|b| *b == b'/').filter(|name| !name.is_empty());
        let mut path: Vec<&[u8]> = names.take(DEPTH_MAX + 1).collect();
        if depth + path.len() > DEPTH_MAX {
            return Err(self.error(GrammarProblem::TooDeep));
        }
        let last = path.pop().ok_or_else(|| self.error(GrammarProblem::EmptyName))?;
        if let Some(inner) = section_at(section, &path) {
            inner.entries.push(Entry { key: Cow::Owned(last.to_vec()), body });
        }
        Ok(())
    }

    fn body(&mut self, depth: usize) -> Parsed<Body<'a>> {
        match self.token(Position::Key)? {
            Token::Equals => Ok(Body::Value(self.value(depth)?)),
            Token::SectionStart => {
                let (section, end) = self.section(depth + 1)?;
                match end {
                    Token::SectionEnd => Ok(Body::Section(section)),
                    other => Err(self.expected("a key or `}`", &other)),
                }
            }
            other => Err(self.expected("`=` or `{`", &other)),
        }
    }

    fn value(&mut self, depth: usize) -> Parsed<Value<'a>> {
        let token = self.token(Position::Value)?;
        if token == Token::ListStart {
            return self.list(depth + 1);
        }
        self.scalar(token)
    }

    fn scalar(&mut self, token: Token<'a>) -> Parsed<Value<'a>> {
        match token {
            Token::Integer(written) => Ok(Value::Integer(Cow::Borrowed(written))),
            Token::Float(written) => Ok(Value::Float(Cow::Borrowed(written))),
            Token::Text(text) => Ok(Value::Text(text)),
            Token::Word(word) => Ok(Value::Word(Cow::Borrowed(word))),
            other => Err(self.expected("a value", &other)),
        }
    }

    /// The values of a list; commas may be missing, and one may trail.
    fn list(&mut self, depth: usize) -> Parsed<Value<'a>> {
        if depth > DEPTH_MAX {
            return Err(self.error(GrammarProblem::TooDeep));
        }
        let mut items = Vec::new();
        loop {
            match self.token(Position::Value)? {
                Token::ListEnd => return Ok(Value::List(items)),
                Token::Comma if !items.is_empty() => {}
                token => items.push(self.scalar(token)?),
            }
        }
    }
}

/// The section, perhaps a new one, that this path of names leads to.
fn section_at<'s, 'a>(section: &'s mut Section<'a>, path: &[&[u8]]) -> Option<&'s mut Section<'a>> {
    let mut inner = section;
    for name in path {
        if inner.section_mut(name).is_none() {
            let body = Body::Section(Section::default());
            inner.entries.push(Entry { key: Cow::Owned(name.to_vec()), body });
        }
        inner = inner.section_mut(name)?;
    }
    Some(inner)
}

fn shown(token: &Token<'_>) -> String {
    let text = |bytes: &[u8]| format!("`{}`", ForeignText::from_bytes(bytes));
    match token {
        Token::SectionStart => "`{`".to_owned(),
        Token::SectionEnd => "`}`".to_owned(),
        Token::ListStart => "`[`".to_owned(),
        Token::ListEnd => "`]`".to_owned(),
        Token::Comma => "`,`".to_owned(),
        Token::Equals => "`=`".to_owned(),
        Token::Integer(written) | Token::Float(written) | Token::Word(written) => text(written),
        Token::Text(written) => text(written),
        Token::End => "the end of the text".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(text: &str, key: &str) -> Option<i64> {
        parse(text.as_bytes()).unwrap().value(key).unwrap().as_integer()
    }

    #[test]
    fn numbers() {
        for (text, number) in [
            ("a = 10", Some(10)),
            ("a = 010", Some(8)),
            ("a = 0", Some(0)),
            ("a = -1", Some(-1)),
            ("a = +5", Some(5)),
            ("a = 9223372036854775807", Some(i64::MAX)),
            ("a = 9223372036854775808", None),
            ("a = 08", None),
            ("a = 1.5", None),
            ("a = \"1\"", None),
        ] {
            assert_eq!(integer(text, "a"), number, "{text}");
        }
    }

    #[test]
    fn strings_lists_words_and_comments() {
        let tree = parse(
            br#"
            # comment { "
            a = "q\"b\\c\n" b = 'raw\' # end
            c = ["x", "y" 1, ] d = [] e = auto "f g" = 1 h/i = 2
            lvol.0+1 { }
        "#,
        )
        .unwrap();
        assert_eq!(tree.value("a").unwrap().as_text(), Some(br#"q"b\c\n"#.as_slice()));
        assert_eq!(tree.value("b").unwrap().as_text(), Some(br"raw\".as_slice()));
        assert_eq!(tree.value("c").unwrap().items().len(), 3);
        assert_eq!(tree.value("d"), Some(&Value::List(Vec::new())));
        assert_eq!(tree.value("e").unwrap().as_text(), Some(b"auto".as_slice()));
        assert_eq!(tree.value("f g").unwrap().as_integer(), Some(1));
        assert_eq!(tree.section("h").unwrap().value("i").unwrap().as_integer(), Some(2));
        assert!(tree.section("lvol.0+1").is_some());
    }

    #[test]
    fn the_text_ends_at_a_nul() {
        assert_eq!(parse(b"a = 1\0}}}").unwrap().entries.len(), 1);
    }

    #[test]
    fn breaks_of_the_grammar_have_lines() {
        let check = |text: &str, line: usize, message: &str| {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!((error.line, error.to_string()), (line, format!("line {line}: {message}")));
        };
        check("a {\nb = 1", 2, "expected a key or `}`, found the end of the text");
        check("}", 1, "expected a key or the end of the text, found `}`");
        check("a\n\n1", 3, "expected `=` or `{`, found `1`");
        check("a = \"x", 1, "a string has no closing quote");
        check("a = 0x10", 1, "expected `=` or `{`, found the end of the text");
        check("\"\" { }", 1, "a section has no name");
        check("a = [,]", 1, "expected a value, found `,`");
        check(&"a {".repeat(1000), 1, "nested deeper than 64 levels");
    }
}
