//! `lvmend history`: versions of metadata, like a log.

mod diff;
mod life;

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::ids::ForeignText;
use crate::model::device::RingContent;
use crate::model::inventory::{Inventory, VgOnDisk};
use crate::model::timeline::{Source, Version};
use crate::report::table::table;
use crate::report::{Head, text_diff, time};

pub use diff::{DiffJson, diff, diff_text};
pub use life::{LifeJson, life, life_text};

/// Every version that stands, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryJson {
    #[serde(flatten)]
    head: Head,
    /// The VG.
    vg: String,
    /// Its UUID.
    vg_uuid: String,
    /// The versions.
    versions: Vec<VersionJson>,
    /// Texts in rings of which only a part stands.
    cut: Vec<CutJson>,
}

/// A version.
#[derive(Debug, Serialize, JsonSchema)]
struct VersionJson {
    /// Its number.
    seqno: u32,
    /// SHA-256 of its content, which tells versions with one number apart.
    digest: String,
    /// Whether another version has the same number.
    branch: bool,
    /// Whether a metadata area points to it as the one that counts.
    committed: bool,
    /// When it was written, in seconds since 1970.
    time: Option<i64>,
    /// Where.
    host: Option<String>,
    /// By what.
    description: Option<String>,
    /// Everywhere it stands.
    sources: Vec<SourceJson>,
}

/// Where a version stands.
#[derive(Debug, Serialize, JsonSchema)]
struct SourceJson {
    /// `committed`, `precommitted`, `ring`, `backup`, `archive` or `file`.
    kind: &'static str,
    /// The device or file.
    path: String,
    /// Which metadata area, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    area: Option<usize>,
    /// From which byte of the device on.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// Whether it wraps around the end of the area.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrapped: Option<bool>,
}

/// A text of which only a part stands.
#[derive(Debug, Serialize, JsonSchema)]
struct CutJson {
    /// The device.
    device: String,
    /// Which metadata area, from 0.
    area: usize,
    /// From which byte of the device on.
    offset: u64,
    /// The version it was, when that can be read.
    seqno: Option<u32>,
    /// Why it cannot be used.
    why: String,
}

/// Gathers the versions of a VG.
pub fn list(inventory: &Inventory, vg: &VgOnDisk) -> HistoryJson {
    let versions = vg.timeline.versions().iter().rev();
    HistoryJson {
        head: Head::unchanged("history-list"),
        vg: vg.name().map(ToString::to_string).unwrap_or_default(),
        vg_uuid: vg.uuid.to_string(),
        versions: versions.map(|version| version_json(vg, version)).collect(),
        cut: cut_texts(inventory, vg),
    }
}

fn version_json(vg: &VgOnDisk, version: &Version) -> VersionJson {
    let text = &version.text;
    VersionJson {
        seqno: version.seqno(),
        digest: version.content().to_string(),
        branch: vg.timeline.branches(version.seqno()).len() > 1,
        committed: version.is_committed(),
        time: text.creation_time,
        host: text.creation_host.as_ref().map(ToString::to_string),
        description: text.description.as_ref().map(ToString::to_string),
        sources: version.sources.iter().map(source_json).collect(),
    }
}

fn source_json(source: &Source) -> SourceJson {
    let file = |kind, path: &ForeignText| SourceJson {
        kind,
        path: path.to_string(),
        area: None,
        offset: None,
        wrapped: None,
    };
    let (kind, place) = match source {
        Source::Committed(place) => ("committed", place),
        Source::Precommitted(place) => ("precommitted", place),
        Source::Ring(place) => ("ring", place),
        Source::Backup(path) => return file("backup", path),
        Source::Archive(path) => return file("archive", path),
        Source::File(path) => return file("file", path),
        Source::DeviceTable(name) => return file("device_table", name),
    };
    SourceJson {
        kind,
        path: place.device.to_string(),
        area: Some(place.area),
        offset: Some(place.offset.get()),
        wrapped: Some(place.wrapped),
    }
}

/// Cut texts that were about this VG, or about nobody knows what.
fn cut_texts(inventory: &Inventory, vg: &VgOnDisk) -> Vec<CutJson> {
    let mut found = Vec::new();
    for device in &inventory.devices {
        for (index, area) in device.areas().iter().enumerate() {
            for text in &area.ring {
                let RingContent::Cut { vg_name, seqno, why } = &text.text else {
                    continue;
                };
                let is_ours = match (vg_name, vg.name()) {
                    (Some(found), Some(name)) => found.raw() == name.as_str(),
                    _ => true,
                };
                if is_ours {
                    found.push(CutJson {
                        device: device.name.to_string(),
                        area: index,
                        offset: area.offset.saturating_add(text.offset).get(),
                        seqno: *seqno,
                        why: why.to_string(),
                    });
                }
            }
        }
    }
    found
}

/// The versions, for people.
pub fn list_text(history: &HistoryJson) -> String {
    let mut out = format!("VG {}  {}\n", history.vg, history.vg_uuid);
    let has_branches = history.versions.iter().any(|version| version.branch);
    let mut header = vec!["", "Seqno", "Written", "Host", "By", "Stands"];
    if has_branches {
        header.insert(2, "Digest");
    }
    let mut rows: Vec<Vec<String>> = vec![header.into_iter().map(str::to_owned).collect()];
    for version in &history.versions {
        let mut row = vec![
            if version.committed { "*".to_owned() } else { String::new() },
            version.seqno.to_string(),
            version.time.map_or_else(|| "-".to_owned(), time::shown),
            version.host.clone().unwrap_or_else(|| "-".to_owned()),
            version.description.clone().unwrap_or_else(|| "-".to_owned()),
            standing(&version.sources),
        ];
        if has_branches {
            let digest: String = version.digest.chars().take(12).collect();
            row.insert(2, if version.branch { digest } else { String::new() });
        }
        rows.push(row);
    }
    out.push_str(&table(1, &rows));
    for cut in &history.cut {
        let seqno = cut.seqno.map_or_else(|| "a version".to_owned(), |n| format!("seqno {n}"));
        let _ = writeln!(
            out,
            "  only a part of {seqno} stands at byte {} of {}: {}",
            cut.offset, cut.device, cut.why
        );
    }
    if history.versions.is_empty() {
        out.push_str("  no version of its metadata stands\n");
    } else {
        out.push_str("  * counts\n");
    }
    out
}

/// Where a version stands, in short: devices, and how many files.
fn standing(sources: &[SourceJson]) -> String {
    let mut places: Vec<String> = Vec::new();
    let mut files = 0;
    for source in sources {
        if source.area.is_none() {
            files += 1;
        } else if !places.contains(&source.path) {
            places.push(source.path.clone());
        }
    }
    match files {
        0 => {}
        1 => places.push("1 file".to_owned()),
        n => places.push(format!("{n} files")),
    }
    places.join(", ")
}

/// One version, for people: what is said about it, and its text indented.
pub fn show_text(version: &Version) -> String {
    let text = &version.text;
    let mut out = format!("seqno {}  digest {}\n", version.seqno(), version.content());
    let mut line = |what: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(out, "{what:12}{value}");
        }
    };
    line("written", text.creation_time.map(time::shown));
    line("host", text.creation_host.as_ref().map(ToString::to_string));
    line("by", text.description.as_ref().map(ToString::to_string));
    out.push('\n');
    out.push_str(&text_diff::indented(text));
    out
}

/// One version, for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShowJson {
    #[serde(flatten)]
    head: Head,
    #[serde(flatten)]
    version: VersionJson,
    /// The text as it stands.
    text: String,
}

/// Gathers one version.
pub fn show(vg: &VgOnDisk, version: &Version) -> ShowJson {
    ShowJson {
        head: Head::unchanged("history-show"),
        version: version_json(vg, version),
        text: String::from_utf8_lossy(&version.text.bytes).into_owned(),
    }
}
