//! YAML events to a tree with positions, within the subset that plans use.
//!
//! One document; no anchors, aliases, tags, merge keys, complex or duplicate keys.

use std::collections::BTreeSet;

use saphyr_parser::{Event, Parser, ScalarStyle, Span as YamlSpan};
use serde_json::Value;

use crate::ids::ForeignText;
use crate::plan::problem::{Code, Problem, Span};

/// Mappings and sequences within each other; plans need seven.
const DEPTH_MAX: usize = 32;
/// Nodes of a document; plans have hundreds.
const NODES_MAX: usize = 200_000;

/// A document.
#[derive(Clone, Debug)]
pub struct Tree {
    root: Node,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where.
    pub span: Span,
    /// What.
    pub body: Body,
}

/// A value.
#[derive(Clone, Debug)]
pub enum Body {
    /// A scalar: its text, and whether it stands without quotes.
    Scalar {
        /// Without quotes and escapes.
        text: String,
        /// Whether its type follows from its text.
        plain: bool,
    },
    /// `- a`
    Sequence(Vec<Node>),
    /// `a: b`, in the order of the text.
    Mapping(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Clone, Debug)]
pub struct Key {
    /// Where.
    pub span: Span,
    /// Its source text.
    pub text: String,
}

/// Reads a document.
///
/// # Errors
/// Every break of the subset; or where the text stops being YAML.
pub fn read(text: &str) -> Result<Tree, Vec<Problem>> {
    let mut reader = Reader::new(text);
    match reader.document() {
        Ok(Some(root)) if reader.problems.is_empty() => Ok(Tree { root }),
        Ok(None) if reader.problems.is_empty() => {
            Err(vec![Problem::at_start(Code::Syntax, "the document is empty".to_owned())])
        }
        Ok(_) => Err(reader.problems),
        Err(problem) => {
            reader.problems.push(problem);
            Err(reader.problems)
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// Byte offset of every character: the parser counts in characters.
    offsets: Vec<usize>,
    nodes: usize,
    problems: Vec<Problem>,
}

type Read<T> = Result<T, Problem>;

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let offsets = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        Self { parser: Parser::new_from_str(text), offsets, nodes: 0, problems: Vec::new() }
    }

    fn byte(&self, index: usize) -> usize {
        let last = self.offsets.last().copied().unwrap_or(0);
        self.offsets.get(index).copied().unwrap_or(last)
    }

    fn span(&self, span: YamlSpan) -> Span {
        let (start, end) = (self.byte(span.start.index()), self.byte(span.end.index()));
        Span { start, end: end.max(start) }
    }

    fn event(&mut self) -> Read<(Event<'a>, Span)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.span(span))),
            Some(Err(error)) => {
                let at = self.byte(error.marker().index());
                let message = format!("not YAML: {}", ForeignText::from(error.info()));
                Err(Problem::new(Code::Syntax, message, at..at))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn outside(&mut self, what: &str, span: Span, help: &str) {
        let message = format!("{what} are outside of the YAML that plans use");
        self.problems.push(Problem::new(Code::Subset, message, span).with_help(help));
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "every other event begins a node")]
    fn document(&mut self) -> Read<Option<Node>> {
        let mut root = None;
        loop {
            let (event, span) = self.event()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(_) if root.is_some() => {
                    self.outside("further documents", span, "keep one document in one file");
                    return Ok(root);
                }
                Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                other => root = Some(self.node(other, span, 0)?),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Read<Node> {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            let message = "nested deeper, or larger, than any plan";
            return Err(Problem::new(Code::TooLarge, message, span));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.check_properties(anchor, tag.is_some(), span);
                let plain = style == ScalarStyle::Plain;
                Ok(Node { span, body: Body::Scalar { text: text.into_owned(), plain } })
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_properties(anchor, tag.is_some(), span);
                self.sequence(span, depth)
            }
            Event::MappingStart(anchor, tag) => {
                self.check_properties(anchor, tag.is_some(), span);
                self.mapping(span, depth)
            }
            Event::Alias(_) => {
                self.outside("aliases", span, "write the value out");
                Ok(Node { span, body: Body::Scalar { text: String::new(), plain: true } })
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => {
                Err(Problem::new(Code::Syntax, "not YAML: a value is missing", span))
            }
        }
    }

    fn check_properties(&mut self, anchor: usize, tagged: bool, span: Span) {
        if anchor != 0 {
            self.outside("anchors", span, "write the value out where it is needed");
        }
        if tagged {
            self.outside("tags", span, "leave the tag out: types follow from the key");
        }
    }

    fn sequence(&mut self, start: Span, depth: usize) -> Read<Node> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.event()?;
            if event == Event::SequenceEnd {
                let span = Span { start: start.start, end: start.end.max(span.end) };
                return Ok(Node { span, body: Body::Sequence(items) });
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn mapping(&mut self, start: Span, depth: usize) -> Read<Node> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        loop {
            let (event, span) = self.event()?;
            if event == Event::MappingEnd {
                let span = Span { start: start.start, end: start.end.max(span.end) };
                return Ok(Node { span, body: Body::Mapping(entries) });
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.event()?;
            let value = self.node(event, span, depth + 1)?;
            let Body::Scalar { text, plain } = key.body else {
                self.outside("keys that are not names", key.span, "write a name");
                continue;
            };
            if plain && text == "<<" {
                self.outside("merge keys", key.span, "write the values out");
                continue;
            }
            if !seen.insert(text.clone()) {
                let message = format!("`{}` stands twice", ForeignText::from(text.as_str()));
                self.problems.push(Problem::new(Code::DuplicateKey, message, key.span));
                continue;
            }
            entries.push((Key { span: key.span, text }, value));
        }
    }
}

/// The span of a key, or of its value, at a JSON pointer's steps.
impl Tree {
    /// The value at this path, as deep as it exists.
    fn walk<'t>(&'t self, path: &[&str]) -> (&'t Node, Option<&'t Key>) {
        let (mut node, mut key) = (&self.root, None);
        for step in path {
            let next = match &node.body {
                Body::Mapping(entries) => {
                    entries.iter().find(|(k, _)| k.text == **step).map(|(k, v)| (v, Some(k)))
                }
                Body::Sequence(items) => {
                    step.parse().ok().and_then(|i: usize| items.get(i)).map(|v| (v, None))
                }
                Body::Scalar { .. } => None,
            };
            match next {
                Some((next, next_key)) => (node, key) = (next, next_key),
                None => return (node, key),
            }
        }
        (node, key)
    }

    /// Where the value at this path stands; of its nearest parent when it is not there.
    pub fn value_span(&self, path: &[&str]) -> Span {
        let (node, key) = self.walk(path);
        match (&node.body, key) {
            // A block mapping has no useful span of its own: its key says where it is.
            (Body::Mapping(_) | Body::Sequence(_), Some(key)) => key.span,
            (Body::Mapping(entries), None) => entries.first().map_or(node.span, |(k, _)| k.span),
            _ => node.span,
        }
    }

    /// Where the key at this path stands.
    pub fn key_span(&self, path: &[&str]) -> Span {
        let (node, key) = self.walk(path);
        key.map_or(node.span, |key| key.span)
    }

    /// The document as JSON, for the schema.
    pub fn json(&self) -> Value {
        json_of(&self.root)
    }

    /// The document written anew: flow style, and quotes wherever a reader could stumble.
    pub fn rewritten(&self) -> String {
        let mut out = String::new();
        rewrite(&self.root, &mut out);
        out
    }
}

/// The type of a scalar follows from its text alone where it stands without quotes: `true`,
/// `false`, `null` and decimal integers. Everything else is text.
fn json_of(node: &Node) -> Value {
    match &node.body {
        Body::Scalar { text, plain: true } => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "" | "null" | "~" => Value::Null,
            number => match parse_integer(number) {
                Some(number) => number,
                None => Value::String(number.to_owned()),
            },
        },
        Body::Scalar { text, plain: false } => Value::String(text.clone()),
        Body::Sequence(items) => Value::Array(items.iter().map(json_of).collect()),
        Body::Mapping(entries) => {
            Value::Object(entries.iter().map(|(k, v)| (k.text.clone(), json_of(v))).collect())
        }
    }
}

fn parse_integer(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_decimal || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    text.parse::<u64>().map(Value::from).or_else(|_| text.parse::<i64>().map(Value::from)).ok()
}

fn rewrite(node: &Node, out: &mut String) {
    match &node.body {
        Body::Scalar { text, plain } => rewrite_scalar(text, *plain, out),
        Body::Sequence(items) => {
            out.push('[');
            for item in items {
                rewrite(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Body::Mapping(entries) => {
            out.push('{');
            for (key, value) in entries {
                rewrite_scalar(&key.text, false, out);
                out.push_str(": ");
                rewrite(value, out);
                out.push(',');
            }
            out.push('}');
        }
    }
}

fn rewrite_scalar(text: &str, plain: bool, out: &mut String) {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
    let is_word = !text.is_empty() && text.chars().all(is_safe) && !text.starts_with('-');
    if plain && (is_word || parse_integer(text).is_some()) {
        out.push_str(text);
    } else {
        // JSON strings are YAML double-quoted scalars.
        out.push_str(&Value::from(text).to_string());
    }
}
