//! `lvmend history diff`: what changed between two versions.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::compare::{Difference, differences};
use crate::model::inventory::VgOnDisk;
use crate::model::timeline::Version;
use crate::report::Head;
use crate::text::vg_of;

/// What changed between two versions.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DiffJson {
    #[serde(flatten)]
    head: Head,
    /// The VG.
    vg: String,
    /// The older version.
    from: EndJson,
    /// The newer version.
    to: EndJson,
    /// What changed, in words.
    changes: Vec<String>,
    /// What changed, for programs.
    #[schemars(with = "Vec<serde_json::Value>")]
    differences: Vec<Difference>,
}

/// One end of a comparison.
#[derive(Debug, Serialize, JsonSchema)]
struct EndJson {
    /// Its number.
    seqno: u32,
    /// Its digest.
    digest: String,
}

/// Compares two versions.
///
/// # Errors
/// Why one cannot be read any more.
pub fn diff(vg: &VgOnDisk, from: &Version, to: &Version) -> Result<DiffJson, String> {
    let read = |version: &Version| vg_of(&version.text).map_err(|error| error.to_string());
    let differences = differences(&read(from)?, &read(to)?);
    let end = |v: &Version| EndJson { seqno: v.seqno(), digest: v.content().to_string() };
    Ok(DiffJson {
        head: Head::unchanged("history-diff"),
        vg: vg.name().map(ToString::to_string).unwrap_or_default(),
        from: end(from),
        to: end(to),
        changes: differences.iter().map(ToString::to_string).collect(),
        differences,
    })
}

/// A comparison, for people.
pub fn diff_text(diff: &DiffJson) -> String {
    let mut out = format!("VG {}: seqno {} to {}\n", diff.vg, diff.from.seqno, diff.to.seqno);
    if diff.changes.is_empty() {
        out.push_str("  no difference\n");
    }
    for change in &diff.changes {
        let _ = writeln!(out, "  {change}");
    }
    out
}
