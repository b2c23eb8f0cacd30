//! The life of one LV through the versions: when it appeared, changed and vanished.

use crate::ids::{Digest, LvName, LvUuid};
use crate::model::compare::{Difference, differences_of_lv};
use crate::model::vg::{Lv, Vg};

/// Something that happened to an LV, first seen in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifeEvent {
    /// The version in which it shows first.
    pub seqno: u32,
    /// That version's content digest.
    pub content: Digest,
    /// Whose event: an LV of that name may have lived several times.
    pub uuid: LvUuid,
    /// What happened.
    pub what: LifeChange,
}

/// What happened to an LV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LifeChange {
    /// The oldest version that is known has it already.
    AlreadyThere,
    /// The version before does not have it.
    Appeared,
    /// The version before has it otherwise.
    Changed(Vec<Difference>),
    /// The version before has it.
    Vanished,
}

/// Tells the life of every LV that bears or bore this name.
///
/// `versions` are sorted by seqno; branches of one seqno each follow the version before.
pub fn life_of(name: &LvName, versions: &[(Digest, Vg)]) -> Vec<LifeEvent> {
    let mut uuids: Vec<LvUuid> = Vec::new();
    for lv in versions.iter().filter_map(|(_, vg)| vg.lv(name)) {
        if !uuids.contains(&lv.uuid) {
            uuids.push(lv.uuid);
        }
    }
    let mut events: Vec<LifeEvent> =
        uuids.iter().flat_map(|uuid| life_of_uuid(*uuid, versions)).collect();
    events.sort_by_key(|event| event.seqno);
    events
}

fn life_of_uuid(uuid: LvUuid, versions: &[(Digest, Vg)]) -> Vec<LifeEvent> {
    let mut events = Vec::new();
    let mut before: Option<(&Vg, Option<&Lv>)> = None;
    for (content, vg) in versions {
        let now = vg.lv_by_uuid(uuid);
        let what = match (before, now) {
            (None, Some(_)) => Some(LifeChange::AlreadyThere),
            (Some((_, None)), Some(_)) => Some(LifeChange::Appeared),
            (Some((_, Some(_))), None) => Some(LifeChange::Vanished),
            (Some((old_vg, Some(old))), Some(new)) => {
                let changes = differences_of_lv((old_vg, old), (vg, new));
                (!changes.is_empty()).then_some(LifeChange::Changed(changes))
            }
            (None | Some((_, None)), None) => None,
        };
        events.extend(what.map(|what| LifeEvent {
            seqno: vg.seqno,
            content: *content,
            uuid,
            what,
        }));
        before = Some((vg, now));
    }
    events
}
