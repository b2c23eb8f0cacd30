//! Puts a lost LV, as an older version describes it, into the current metadata.
//!
//! Effect: a new version of the VG's text with the LV and its hidden parts added, flagged
//! ACTIVATION_SKIP so that nothing activates it before it was looked at; everything done since
//! stays. Half way: every area has the old text or the new one. Undo: on images the bytes that were
//! overwritten are put back; on a running machine, where `vgcfgrestore` writes the text, the LV is
//! taken out again from what stands there, unless somebody changed or uses it.

use serde::{Deserialize, Serialize};

use crate::diff::{Claim, LostLv};
use crate::ids::{Digest, VgName, VgUuid};
use crate::model::compare::Difference;
use crate::model::extent_map::{ExtentMap, ExtentRange, taken_by};
use crate::model::inventory::{Inventory, Realm};
use crate::model::timeline::Version;
use crate::model::vg::Vg;
use crate::operation::command::live_of;
use crate::operation::edited_text::commit_edited;
use crate::operation::{
    Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit, commit,
};
use crate::plan::hazard::Hazard;
use crate::text::edit::{EditError, remove_lv};
use crate::text::frame::Frame;
use crate::text::splice::{Activation, NewNames, graft};
use crate::text::tree::Section;
use crate::units::Extents;

/// Puts a lost LV into the current metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpliceLv {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub vg_name: VgName,
    /// The LV, where it is described, and the extents it needs.
    pub lost: LostLv,
}

impl SpliceLv {
    fn source<'a>(&self, now: &'a Inventory) -> Result<&'a Version, Unfit> {
        let branches =
            now.vgs.get(&self.vg).map(|on_disk| on_disk.timeline.branches(self.lost.seqno));
        branches
            .and_then(|all| all.iter().find(|version| version.content() == self.lost.content))
            .ok_or_else(|| {
                Unfit::new(format!(
                    "the version that describes LV {} (seqno {}) stands nowhere any more",
                    self.lost.name, self.lost.seqno
                ))
            })
    }

    /// The extents must still be free.
    fn check_claims(&self, vg: &Vg) -> Result<(), Unfit> {
        let map = ExtentMap::of(vg);
        for claim in &self.lost.claims {
            for (first, len) in &claim.extents {
                let range = ExtentRange::new(Extents::new(*first), Extents::new(*len));
                let owners = range.map(|range| map.owners_in(claim.pv, range)).unwrap_or_default();
                if let Some((range, owner)) = owners.first() {
                    return Err(Unfit::new(format!(
                        "extents {range} of PV {} belong to LV {owner} now",
                        claim.pv
                    )));
                }
            }
        }
        Ok(())
    }

    /// What others did with the LV since, grown it above all, is not taken away with it.
    fn check_as_put_back(&self, vg: Option<&Vg>) -> Result<(), Unfit> {
        let lvs = self.lost.names.iter().filter_map(|(_, name)| vg?.lv(name));
        let taken = vg.map(|vg| taken_by(vg, lvs)).unwrap_or_default();
        let taken: Vec<Claim> = taken.iter().map(|(pv, ranges)| Claim::new(*pv, ranges)).collect();
        if taken == self.lost.claims {
            return Ok(());
        }
        let name = &self.lost.as_name;
        Err(Unfit::new(format!("LV {name} has other extents by now: somebody changed it since")))
    }

    fn splice(
        &self,
        into: &mut Section<'_>,
        into_vg: &Vg,
        source: &Version,
    ) -> Result<(), EditError> {
        let unreadable = |error: &dyn std::fmt::Display| EditError::DoesNotFit(error.to_string());
        let tree = crate::text::parser::parse(&source.text.bytes).map_err(|e| unreadable(&e))?;
        let frame = Frame::of(&tree).map_err(|e| unreadable(&e))?;
        let from = crate::text::vg_of(&source.text).map_err(|e| unreadable(&e))?;
        let names: NewNames = self.lost.names.iter().cloned().collect();
        let activation = if self.lost.is_active { Activation::Leave } else { Activation::Skip };
        graft(into, into_vg, (frame.vg, &from), &names, activation)
    }

    fn is_expected(&self, difference: &Difference) -> bool {
        let Difference::LvAdded { lv, .. } = difference else { return false };
        self.lost.names.iter().any(|(_, new)| new == lv)
    }
}

impl Contract for SpliceLv {
    fn object(&self) -> String {
        self.lost.uuid.to_string()
    }

    fn title(&self) -> String {
        let lost = &self.lost;
        let renamed =
            if lost.name == lost.as_name { String::new() } else { format!(" as {}", lost.as_name) };
        format!("put LV {}{renamed} ({}) back into VG {}", lost.name, lost.size, self.vg_name)
    }

    fn reasons(&self) -> Vec<String> {
        let lost = &self.lost;
        let mut reasons =
            vec![format!("described by seqno {} ({})", lost.seqno, lost.content.short())];
        for claim in &lost.claims {
            let runs: Vec<String> = claim
                .extents
                .iter()
                .filter_map(|(first, len)| {
                    ExtentRange::new(Extents::new(*first), Extents::new(*len))
                })
                .map(|range| range.to_string())
                .collect();
            reasons.push(format!("takes PV {} extents {}, all free", claim.pv, runs.join(", ")));
        }
        if lost.names.len() > 1 {
            let parts = lost.names.iter().map(|(_, new)| new).filter(|new| **new != lost.as_name);
            let parts: Vec<String> = parts.map(ToString::to_string).collect();
            reasons.push(format!("brings {}", parts.join(", ")));
        }
        reasons.extend(lost.notes.iter().cloned());
        if lost.is_active {
            reasons.push("described by its live table; it stays active as it is".to_owned());
            return reasons;
        }
        reasons.push(format!(
            "flagged to be skipped at activation until it was looked at: then \
             `lvchange -kn {}/{}`",
            self.vg_name, lost.as_name
        ));
        reasons
    }

    fn touches(&self) -> Touches {
        let labels = self.lost.claims.iter().map(|claim| Resource::Label(claim.pv));
        Touches {
            reads: std::iter::once(Resource::Evidence).chain(labels).collect(),
            writes: vec![Resource::Metadata(self.vg), Resource::Content(self.lost.uuid)],
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::Reversible,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => commit::UNDO_ON_IMAGES,
            Realm::Live => {
                "the LV is taken out of the text again, under a higher seqno; what others changed \
                 since stays"
            }
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        self.lost.hazard.clone().into_iter().collect()
    }

    fn builds_on(&self) -> Option<Digest> {
        Some(self.lost.content)
    }

    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let source = self.source(now)?;
        let current = now.vgs.get(&self.vg).and_then(|on_disk| on_disk.current.as_ref());
        if let Some(vg) = current {
            self.check_claims(vg)?;
        }
        let edit = |into: &mut Section<'_>, vg: &Vg| self.splice(into, vg, source);
        let is_ours = |difference: &Difference| self.is_expected(difference);
        let what = format!("splice_lv {}", self.lost.as_name);
        commit_edited(now, self.vg, signature, &what, edit, is_ours)
    }

    fn lower_undo(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let live = live_of(now)?;
        let vg = now.vgs.get(&self.vg).and_then(|on_disk| on_disk.current.as_deref());
        let Some(lv) = vg.and_then(|vg| vg.lv_by_uuid(self.lost.uuid)) else {
            return Ok(Lowered { acts: Vec::new(), predicted: now.clone() });
        };
        if lv.name != self.lost.as_name {
            let (name, now) = (&self.lost.as_name, &lv.name);
            return Err(Unfit::new(format!("LV {name} was renamed to {now} since")));
        }
        self.check_as_put_back(vg)?;
        if !self.lost.is_active && live.is_active(self.vg, self.lost.uuid) {
            let name = &self.lost.as_name;
            return Err(Unfit::new(format!(
                "LV {name} is active: somebody may have written to it"
            )));
        }
        let names = || self.lost.names.iter().map(|(_, new)| new);
        let is_ours = |difference: &Difference| {
            let Difference::LvRemoved { lv, .. } = difference else { return false };
            names().any(|name| name == lv)
        };
        let edit = |vg: &mut Section<'_>, _: &Vg| names().try_for_each(|name| remove_lv(vg, name));
        let what = format!("splice_lv {} undone", self.lost.as_name);
        commit_edited(now, self.vg, signature, &what, edit, is_ours)
    }

    fn probe(&self, now: &Inventory) -> Probe {
        let vg = now.vgs.get(&self.vg).and_then(|on_disk| on_disk.current.as_ref());
        match vg.map(|vg| vg.lv_by_uuid(self.lost.uuid)) {
            Some(None) => Probe::Before,
            Some(Some(lv)) if lv.name == self.lost.as_name => Probe::After,
            Some(Some(_)) | None => Probe::Neither,
        }
    }
}
