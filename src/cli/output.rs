//! Where output goes: data to stdout, talk to stderr.

use std::io::{self, IsTerminal, Write};

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::args::Format;
use crate::cli::exit::Exit;
use crate::ids::ForeignText;
use crate::report::problem::Drawing;
use crate::report::{Head, json};

/// Where output goes.
pub struct Output {
    format: Format,
}

/// An error, for programs.
#[derive(Serialize, JsonSchema)]
struct ErrorJson {
    #[serde(flatten)]
    head: Head,
    /// The exit code.
    exit: u8,
    /// What went wrong.
    error: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

impl Output {
    /// Output in this format.
    pub const fn new(format: Format) -> Self {
        Self { format }
    }

    /// The format that was asked for.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Bytes to stdout.
    pub fn raw(&mut self, bytes: &[u8]) {
        write_out(bytes);
    }

    /// Data to stdout.
    pub fn data(&mut self, text: &str) {
        self.raw(text.as_bytes());
    }

    /// Data as JSON to stdout.
    pub fn json(&mut self, value: &impl Serialize) {
        self.data(&json::to_text(value));
    }

    /// Text to people, JSON to programs.
    pub fn either(&mut self, value: &impl Serialize, text: impl FnOnce() -> String) {
        match self.format {
            Format::Json => self.json(value),
            Format::Text | Format::Dot | Format::Mermaid => self.data(&text()),
        }
    }

    /// Talk, to stderr.
    pub fn talk(&mut self, text: &str) {
        talk(text);
    }

    /// An error: to stderr, and for programs to stdout as well.
    pub fn error(&mut self, exit: Exit, error: &str, help: Option<&str>) -> Exit {
        let error = ForeignText::from(error).to_string();
        self.talk(&format!("error: {error}"));
        if let Some(help) = help {
            self.talk(&format!("help: {help}"));
        }
        if self.format == Format::Json {
            let head = Head::unchanged("error");
            let help = help.map(str::to_owned);
            self.json(&ErrorJson { head, exit: exit.code(), error, help });
        }
        exit
    }

    /// How problems are drawn on stderr.
    pub fn drawing(&self) -> Drawing {
        let wants_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        if io::stderr().is_terminal() && wants_colour { Drawing::Colourful } else { Drawing::Plain }
    }

    /// Whether stdout is a terminal.
    pub fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }
}

/// Bytes to stdout. Whoever closed the pipe does not want them, and must not stop a run.
fn write_out(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// A line to stderr.
pub fn talk(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.write_all(b"\n"));
}
