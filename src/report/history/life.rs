//! `lvmend history list --lv`: the life of one LV.

use schemars::JsonSchema;
use serde::Serialize;

use crate::ids::LvName;
use crate::model::inventory::VgOnDisk;
use crate::model::lineage::{LifeChange, life_of};
use crate::report::table::table;
use crate::report::{Head, time};
use crate::text::vg_of;

/// The life of an LV.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LifeJson {
    #[serde(flatten)]
    head: Head,
    /// The VG.
    vg: String,
    /// The LV.
    lv: String,
    /// What happened to it, oldest first.
    events: Vec<LifeEventJson>,
}

/// Something that happened to an LV.
#[derive(Debug, Serialize, JsonSchema)]
struct LifeEventJson {
    /// The version in which it shows first.
    seqno: u32,
    /// That version's digest.
    digest: String,
    /// When that version was written, in seconds since 1970.
    time: Option<i64>,
    /// By what.
    description: Option<String>,
    /// The LV's UUID.
    uuid: String,
    /// `already_there`, `appeared`, `changed` or `vanished`.
    event: &'static str,
    /// What changed, in words.
    changes: Vec<String>,
}

/// Tells when an LV appeared, changed and vanished.
pub fn life(vg: &VgOnDisk, lv: &LvName) -> LifeJson {
    let read = vg
        .timeline
        .versions()
        .iter()
        .filter_map(|version| vg_of(&version.text).ok().map(|vg| (version.content(), vg)));
    let versions: Vec<_> = read.collect();
    let text_of =
        |content| vg.timeline.versions().iter().find(|v| v.content() == content).map(|v| &v.text);
    let events = life_of(lv, &versions).into_iter().map(|event| {
        let text = text_of(event.content);
        let (kind, changes) = match &event.what {
            LifeChange::AlreadyThere => ("already_there", Vec::new()),
            LifeChange::Appeared => ("appeared", Vec::new()),
            LifeChange::Vanished => ("vanished", Vec::new()),
            LifeChange::Changed(changes) => {
                ("changed", changes.iter().map(ToString::to_string).collect())
            }
        };
        LifeEventJson {
            seqno: event.seqno,
            digest: event.content.to_string(),
            time: text.and_then(|text| text.creation_time),
            description: text.and_then(|t| t.description.as_ref()).map(ToString::to_string),
            uuid: event.uuid.to_string(),
            event: kind,
            changes,
        }
    });
    LifeJson {
        head: Head::unchanged("history-lv"),
        vg: vg.name().map(ToString::to_string).unwrap_or_default(),
        lv: lv.to_string(),
        events: events.collect(),
    }
}

/// The life of an LV, for people.
pub fn life_text(life: &LifeJson) -> String {
    let mut out = format!("LV {}/{}\n", life.vg, life.lv);
    if life.events.is_empty() {
        out.push_str("  no version that stands knows an LV of this name\n");
    }
    let mut rows = Vec::new();
    for event in &life.events {
        let what = match event.event {
            "already_there" => "there already, in the oldest version that stands".to_owned(),
            "changed" => event.changes.join("; "),
            other => other.to_owned(),
        };
        rows.push(vec![
            event.seqno.to_string(),
            event.time.map_or_else(|| "-".to_owned(), time::shown),
            event.uuid.clone(),
            what,
            event.description.clone().unwrap_or_default(),
        ]);
    }
    out.push_str(&table(2, &rows));
    out
}
