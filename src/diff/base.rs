//! The version of the metadata that everything is compared with and built upon.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diff::{Context, Refusal, RefusalCode};
use crate::ids::Digest;
use crate::model::choice::Standing;
use crate::model::compare::differences;
use crate::model::device::{Content, Device, MetadataArea, RingContent, SlotText};
use crate::model::timeline::{MetadataText, Version};
use crate::model::vg::Vg;
use crate::plan::document::RecoverFrom;
use crate::plan::hazard::{Hazard, HazardKind};
use crate::plan::resolve::version_for;
use crate::text::vg_of;

/// Which version that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseVersion {
    /// The one that counts.
    Current,
    /// One that has to be made to count.
    Version {
        /// Its number.
        seqno: u32,
        /// Its content digest.
        content: Digest,
    },
}

/// The version, read.
#[derive(Clone, Debug)]
pub struct Base {
    /// Which.
    pub version: BaseVersion,
    /// Its text.
    pub text: MetadataText,
    /// The VG it describes.
    pub vg: Arc<Vg>,
    /// What is lost by making it count.
    pub hazard: Option<Hazard>,
}

/// Chooses the version: the one that counts, or the one the plan names when none does.
pub fn choose(context: &Context<'_>) -> Result<Base, Refusal> {
    let vg = context.vg;
    match &vg.standing {
        Standing::Clear { content, .. } => {
            let text = vg.timeline.versions().iter().find(|v| v.content() == *content);
            match (text, &vg.current) {
                (Some(version), Some(current)) => Ok(Base {
                    version: BaseVersion::Current,
                    text: version.text.clone(),
                    vg: Arc::clone(current),
                    hazard: None,
                }),
                _ => Err(no_metadata(context)),
            }
        }
        Standing::Branches { seqno, .. } => match &context.goals.sound_metadata {
            Some(from @ (RecoverFrom::Version { .. } | RecoverFrom::File(_))) => {
                older(context, from)
            }
            Some(RecoverFrom::Newest | RecoverFrom::DeviceTable) | None => {
                Err(branches(context, *seqno))
            }
        },
        Standing::None => match &context.goals.sound_metadata {
            Some(from) => older(context, from),
            None => Err(no_metadata(context)),
        },
    }
}

fn object(context: &Context<'_>) -> String {
    let name = context.vg.name().map(ToString::to_string).unwrap_or_default();
    format!("VG {name} ({})", context.vg.uuid)
}

fn no_metadata(context: &Context<'_>) -> Refusal {
    let why = "no metadata area holds a sound text that counts";
    Refusal::new(RefusalCode::NoMetadata, object(context), why).with_help(
        "ask for `volume_group: {metadata: {state: sound}}`, which brings back an older text",
    )
}

fn branches(context: &Context<'_>, seqno: u32) -> Refusal {
    let known: Vec<String> =
        context.vg.timeline.branches(seqno).iter().map(|v| v.content().short()).collect();
    let why = format!(
        "metadata areas hold different texts with seqno {seqno}: digests {}",
        known.join(" and ")
    );
    Refusal::new(RefusalCode::MetadataBranches, object(context), why).with_help(format!(
        "compare them with `lvmend history diff`, then name one under `volume_group.metadata`: \
         `recover_from: {{seqno: {seqno}, digest: …}}`"
    ))
}

fn older(context: &Context<'_>, from: &RecoverFrom) -> Result<Base, Refusal> {
    let named = version_for(context.vg, from)
        .map_err(|why| Refusal::new(RefusalCode::NoMetadata, object(context), why))?;
    let version = match named {
        Some(version) => version,
        None => newest(context)?,
    };
    let vg = vg_of(&version.text).map_err(|error| {
        Refusal::new(RefusalCode::NoMetadata, object(context), error.to_string())
    })?;
    let loss = lost_since(context, version, &vg);
    let hazard = (!loss.is_empty()).then(|| Hazard {
        kind: HazardKind::OlderMetadata,
        object: vg.name.to_string(),
        loss,
    });
    Ok(Base {
        version: BaseVersion::Version { seqno: version.seqno(), content: version.content() },
        text: version.text.clone(),
        vg: Arc::new(vg),
        hazard,
    })
}

/// The version with the highest number, which must not have branches.
fn newest<'a>(context: &Context<'a>) -> Result<&'a Version, Refusal> {
    let timeline = &context.vg.timeline;
    let seqno = timeline.highest_seqno().ok_or_else(|| no_metadata(context))?;
    match timeline.branches(seqno) {
        [only] => Ok(only),
        _ => Err(branches(context, seqno)),
    }
}

/// What later versions changed, and later versions that cannot be read any more.
fn lost_since(context: &Context<'_>, chosen: &Version, chosen_vg: &Vg) -> Vec<String> {
    let mut lost = Vec::new();
    for later in context.vg.timeline.versions() {
        let is_other = later.content() != chosen.content();
        if later.seqno() < chosen.seqno() || !is_other {
            continue;
        }
        if let Ok(vg) = vg_of(&later.text) {
            let what = differences(chosen_vg, &vg);
            let seqno = later.seqno();
            lost.extend(what.iter().map(|difference| format!("seqno {seqno}: {difference}")));
        }
    }
    for device in &context.inventory.devices {
        lost.extend(unreadable_on(device, chosen, chosen_vg));
    }
    lost.dedup();
    lost
}

/// Traces of versions after the chosen one, on a device of this VG, that cannot be read.
fn unreadable_on(device: &Device, chosen: &Version, chosen_vg: &Vg) -> Vec<String> {
    let is_of_vg = match &device.content {
        Content::Pv(pv) => chosen_vg.pv(pv.uuid).is_some(),
        Content::LostLabel(_) => true,
        Content::PartitionTable | Content::Foreign | Content::Unreadable(_) => false,
    };
    if !is_of_vg {
        return Vec::new();
    }
    device.areas().iter().filter_map(|area| unreadable_in(device, area, chosen)).collect()
}

fn unreadable_in(device: &Device, area: &MetadataArea, chosen: &Version) -> Option<String> {
    let name = &chosen.text.vg_name;
    // Where the pointer itself was lost, only the ring can tell how new the newest text was.
    let SlotText::Damaged(why) = &area.committed else {
        return None;
    };
    let pointed = area.header.good()?.committed.offset;
    let seqno =
        area.ring.iter().find(|text| text.offset == pointed).and_then(|text| match &text.text {
            RingContent::Cut { seqno, vg_name, .. } => {
                let is_ours = vg_name.as_ref().is_none_or(|n| n.raw() == name.as_str());
                seqno.filter(|_| is_ours)
            }
            RingContent::Whole(_) => None,
        });
    match seqno {
        Some(seqno) if seqno <= chosen.seqno() => None,
        Some(seqno) => Some(format!(
            "seqno {seqno}: stands on {} and cannot be read ({why}); what it changed is not known",
            device.name
        )),
        None => Some(format!(
            "{}: the text that counted cannot be read ({why}); whether it was newer than seqno {} \
             is not known",
            device.name,
            chosen.seqno()
        )),
    }
}
