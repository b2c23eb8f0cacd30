//! Takes the MISSING mark off a PV that is there again.
//!
//! Effect: a new version of the VG's text without the mark, in every area in use, those of the PV
//! included. Half way: every area has the old text or the new one. Undo: on images the bytes that
//! were overwritten are put back, on a running machine there is none. There
//! `vgextend --restoremissing` does it.

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, LvName, PvUuid, VgName, VgUuid};
use crate::model::compare::Difference;
use crate::model::extent_map::ExtentMap;
use crate::model::inventory::{Inventory, Realm};
use crate::operation::act::Act;
use crate::operation::command::{CommandLine, devices_of_vg, devices_option, lvm, lvm_of};
use crate::operation::commit_metadata::current_text;
use crate::operation::{
    Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit, commit, live_commit,
};
use crate::plan::hazard::Hazard;
use crate::text::edit::clear_missing;

const UNDO_LIVE: &str = "none: LVM2 has no command that marks a PV MISSING which is there; \
                         nothing is lost by the mark being gone";

/// Takes the MISSING mark off a PV.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreMissingPv {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The PV.
    pub pv: PvUuid,
    /// LVs with a piece on it.
    pub lvs: Vec<LvName>,
    /// Digest of those pieces.
    pub pieces: Digest,
    /// What happened while it was away.
    pub meanwhile: Vec<String>,
    /// Legs that nothing brings up to date.
    pub hazards: Vec<Hazard>,
}

impl RestoreMissingPv {
    /// `vgextend --restoremissing`. LVM2 does not take a PV without extents for missing any more
    /// once it is there, and lets the mark go at its next write.
    fn command(&self, now: &Inventory) -> Result<CommandLine, Unfit> {
        let vg = now.vgs.get(&self.vg).and_then(|on_disk| on_disk.current.as_deref());
        let is_used = vg.is_some_and(|vg| !ExtentMap::of(vg).on(self.pv).is_empty());
        if !is_used {
            return live_commit::update_areas(now, self.vg, &self.name);
        }
        let setup = lvm_of(now)?;
        let devices = now.devices_of(self.pv);
        let [device] = devices.as_slice() else {
            return Err(Unfit::new(format!("PV {} is on several devices", self.pv)));
        };
        let mut args = vec!["vgextend".to_owned(), "--restoremissing".to_owned()];
        args.extend(devices_option(setup, &devices_of_vg(now, self.vg)));
        args.extend([self.name.to_string(), device.name.path().to_owned()]);
        Ok(lvm(setup, args))
    }
}

impl Contract for RestoreMissingPv {
    fn object(&self) -> String {
        self.pv.to_string()
    }

    fn title(&self) -> String {
        format!("take the MISSING mark off PV {} of VG {}", self.pv, self.name)
    }

    fn reasons(&self) -> Vec<String> {
        let names: Vec<String> = self.lvs.iter().map(ToString::to_string).collect();
        let whole = if names.is_empty() {
            "no LV has a piece on it".to_owned()
        } else {
            format!("whole again: LV {}", names.join(", "))
        };
        let mut reasons = vec![whole];
        reasons.extend(self.meanwhile.iter().map(|what| format!("meanwhile: {what}")));
        reasons
    }

    fn touches(&self) -> Touches {
        Touches {
            reads: vec![Resource::Evidence, Resource::Label(self.pv)],
            writes: vec![Resource::Metadata(self.vg)],
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images => Risk::Reversible,
            Realm::Live => Risk::OneWay,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => commit::UNDO_ON_IMAGES,
            Realm::Live => UNDO_LIVE,
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        self.hazards.clone()
    }

    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        if now.devices_of(self.pv).is_empty() {
            return Err(Unfit::new(format!("PV {} is not on any device", self.pv)));
        }
        let change = commit::Change {
            vg: self.vg,
            base: current_text(now, self.vg)?,
            repair: &[],
            description: format!("Written by lvmend: restore_missing_pv {}", self.pv),
        };
        let is_it = |difference: &Difference| *difference == Difference::PvReturned { pv: self.pv };
        let lowered =
            commit::lower(now, &change, signature, |vg, _| clear_missing(vg, self.pv), is_it)?;
        match now.realm {
            Realm::Images => Ok(lowered),
            Realm::Live => {
                let acts = vec![Act::Run(self.command(now)?)];
                Ok(Lowered { acts, predicted: lowered.predicted })
            }
        }
    }

    fn probe(&self, now: &Inventory) -> Probe {
        let vg = now.vgs.get(&self.vg).and_then(|on_disk| on_disk.current.as_ref());
        match vg.and_then(|vg| vg.pv(self.pv)) {
            Some(pv) if pv.is_missing() => Probe::Before,
            Some(_) => Probe::After,
            None => Probe::Neither,
        }
    }
}
