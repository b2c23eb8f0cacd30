//! Problems of a plan document, each shown in the source at its line and column.

use std::fmt::Write as _;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
    SourceSpan,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::ids::ForeignText;
use crate::plan::problem::Problem;
use crate::report::Head;

/// How problems are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// With lines and colours.
    Colourful,
    /// With plain characters.
    Plain,
}

#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    source: &'a NamedSource<String>,
}

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(self.problem.code.text()))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn std::fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.problem.span;
        let len = span.end.saturating_sub(span.start);
        let span = SourceSpan::new(span.start.into(), len);
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, span))))
    }
}

/// All problems, drawn one after another.
pub fn text(name: &str, source: &[u8], problems: &[Problem], drawing: Drawing) -> String {
    let theme = match drawing {
        Drawing::Colourful => GraphicalTheme::unicode(),
        Drawing::Plain => GraphicalTheme::none(),
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(100);
    // Control characters stay where they are for the positions, but not what they are.
    let safe: String = String::from_utf8_lossy(source)
        .chars()
        .map(|c| if c.is_control() && !matches!(c, '\n' | '\t' | '\r') { '?' } else { c })
        .collect();
    let source = NamedSource::new(ForeignText::from(name).to_string(), safe);
    let mut out = String::new();
    for problem in problems {
        let shown = Shown { problem, source: &source };
        if handler.render_report(&mut out, &shown).is_err() {
            out.push_str(&problem.message);
        }
        out.push('\n');
    }
    let count = problems.len();
    let s = if count == 1 { "" } else { "s" };
    let _ = writeln!(out, "{count} problem{s} in {}", ForeignText::from(name));
    out
}

/// Problems as JSON.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ValidateJson {
    #[serde(flatten)]
    head: Head,
    /// Whether the document is valid.
    valid: bool,
    /// Every problem, by position.
    problems: Vec<ProblemJson>,
}

/// One problem.
#[derive(Debug, Serialize, JsonSchema)]
struct ProblemJson {
    /// Its stable code.
    code: String,
    /// What is wrong.
    message: String,
    /// Line, from 1.
    line: usize,
    /// Column in characters, from 1.
    column: usize,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

/// All problems, for programs.
pub fn json(source: &[u8], problems: &[Problem]) -> ValidateJson {
    let problems: Vec<ProblemJson> = problems
        .iter()
        .map(|problem| {
            let (line, column) = position(source, problem.span.start);
            ProblemJson {
                code: problem.code.text(),
                message: problem.message.clone(),
                line,
                column,
                help: problem.help.clone(),
            }
        })
        .collect();
    ValidateJson { head: Head::unchanged("validate"), valid: problems.is_empty(), problems }
}

fn position(source: &[u8], at: usize) -> (usize, usize) {
    let before = source.get(..at).unwrap_or(source);
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column =
        before.get(line_start..).map_or(0, |rest| String::from_utf8_lossy(rest).chars().count());
    (line, column + 1)
}
