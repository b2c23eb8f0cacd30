//! What people and programs are shown: text, JSON, DOT and Mermaid.
//!
//! Text is for people, and may change; JSON carries `format_version` and has schemas in
//! `schemas/`. Nothing foreign reaches a terminal unescaped.

pub mod graph;
pub mod history;
pub mod inspect;
pub mod json;
pub mod plan;
pub mod problem;
pub mod run;
pub mod schemas;
mod table;
mod text_diff;
pub mod time;

use schemars::JsonSchema;
use serde::Serialize;

/// The version of all JSON output.
pub const FORMAT_VERSION: u32 = 1;

/// What every JSON output begins with.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Head {
    /// Version of the output format; 1.
    pub format_version: u32,
    /// What kind of output this is.
    pub kind: &'static str,
    /// Whether anything was changed.
    pub changed: bool,
}

impl Head {
    /// Of a command that only looks.
    pub const fn unchanged(kind: &'static str) -> Self {
        Self { format_version: FORMAT_VERSION, kind, changed: false }
    }

    /// Of a command that may have changed something.
    pub const fn changing(kind: &'static str, changed: bool) -> Self {
        Self { format_version: FORMAT_VERSION, kind, changed }
    }
}
