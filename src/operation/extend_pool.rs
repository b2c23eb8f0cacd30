//! Makes the metadata or the data of a thin pool larger.
//!
//! Effect: the LVs below the pool have more extents, which LVM chooses; an active pool uses them at
//! once, others when they are activated. Half way: one of them is larger; the other can simply be
//! extended again. Undo: none, as the kernel may have used what was added; on images the old text.
//! Equivalent: `lvextend`.

use serde::{Deserialize, Serialize};

use crate::diff::{Claim, LargerPool};
use crate::ids::{PvUuid, VgName, VgUuid};
use crate::model::compare::Difference;
use crate::model::extent_map::ExtentRange;
use crate::model::inventory::{Inventory, Realm};
use crate::model::vg::Vg;
use crate::operation::act::Act;
use crate::operation::command::{devices_of_vg, devices_option, lvm, lvm_of};
use crate::operation::edited_text::commit_edited;
use crate::operation::pools::{UNDO_UNLESS_USED, pool_of};
use crate::operation::{
    Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit, live_commit,
};
use crate::plan::hazard::Hazard;
use crate::text::edit::set_pool_len;
use crate::text::new_lv::grow_lv;
use crate::text::tree::Section;
use crate::units::Extents;

/// Makes the metadata or the data of a thin pool larger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendPool {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The pool, and how large it becomes.
    pub pool: LargerPool,
}

impl ExtendPool {
    /// On images: the text with longer LVs, on the extents that were chosen.
    fn commit(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let pool = pool_of(now, self.vg, self.pool.uuid, &self.pool.name)?;
        let added = |place: &[Claim]| -> Extents {
            place.iter().flat_map(Claim::ranges).map(|(_, range)| range.len()).sum()
        };
        for (lv, to, place) in [
            (pool.metadata, self.pool.metadata, &self.pool.metadata_place),
            (pool.data, self.pool.data, &self.pool.data_place),
        ] {
            let becomes = lv.len().saturating_add(added(place));
            if to.is_some_and(|to| to != becomes) || to.is_none() && !place.is_empty() {
                let why = format!("LV {} has another length by now", lv.name);
                return Err(Unfit::new(why));
            }
        }
        let names = (pool.metadata.name.clone(), pool.data.name.clone());
        let data_len = self.pool.data.unwrap_or_else(|| pool.data.len());
        let edit = |text: &mut Section<'_>, vg: &Vg| {
            for (lv, place) in
                [(&names.0, &self.pool.metadata_place), (&names.1, &self.pool.data_place)]
            {
                let pieces: Vec<(PvUuid, ExtentRange)> =
                    place.iter().flat_map(Claim::ranges).collect();
                grow_lv(text, vg, lv, &pieces)?;
            }
            set_pool_len(text, &self.pool.name, data_len)
        };
        let is_ours = |difference: &Difference| {
            let Difference::LvGrown { lv, .. } = difference else { return false };
            [&names.0, &names.1, &self.pool.name].contains(&lv)
        };
        let what = format!("extend_pool {}", self.pool.name);
        commit_edited(now, self.vg, signature, &what, edit, is_ours)
    }
}

impl Contract for ExtendPool {
    fn object(&self) -> String {
        self.pool.uuid.to_string()
    }

    fn title(&self) -> String {
        let what = match (self.pool.metadata, self.pool.data) {
            (Some(_), Some(_)) => "metadata and data",
            (Some(_), None) => "the metadata",
            (None, _) => "the data",
        };
        format!("extend {what} of thin pool {}/{}", self.name, self.pool.name)
    }

    fn reasons(&self) -> Vec<String> {
        self.pool.why.clone()
    }

    fn touches(&self) -> Touches {
        Touches {
            reads: vec![Resource::Evidence],
            writes: vec![Resource::Metadata(self.vg), Resource::Content(self.pool.uuid)],
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
            Realm::Images => UNDO_UNLESS_USED,
            Realm::Live => "none: LVM does not make thin pools smaller, and nothing is lost by it",
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        if now.realm == Realm::Images {
            return self.commit(now, signature);
        }
        let pool = pool_of(now, self.vg, self.pool.uuid, &self.pool.name)?;
        let setup = lvm_of(now)?;
        let mut predicted = now.clone();
        let mut acts = Vec::new();
        for (option, lv, to) in [
            ("--poolmetadatasize", pool.metadata, self.pool.metadata),
            ("--size", pool.data, self.pool.data),
        ] {
            let Some(to) = to.filter(|to| *to > lv.len()) else { continue };
            let bytes = to.bytes_shown(pool.vg.extent_size).get();
            let mut args = vec!["lvextend".to_owned(), option.to_owned(), format!("{bytes}b")];
            args.extend(devices_option(setup, &devices_of_vg(now, self.vg)));
            args.push(format!("{}/{}", self.name, self.pool.name));
            acts.push(Act::Run(lvm(setup, args)));
            live_commit::count_up(&mut predicted, self.vg);
        }
        Ok(Lowered { acts, predicted })
    }

    fn probe(&self, now: &Inventory) -> Probe {
        let Ok(pool) = pool_of(now, self.vg, self.pool.uuid, &self.pool.name) else {
            return Probe::Neither;
        };
        let is_large = |to: Option<Extents>, len: Extents| to.is_none_or(|to| len >= to);
        let all = is_large(self.pool.metadata, pool.metadata.len())
            && is_large(self.pool.data, pool.data.len());
        // What is half done can simply be done again: only what is too short is extended.
        if all { Probe::After } else { Probe::Before }
    }

    /// LVM chooses the extents, and makes the spare as large as the largest metadata.
    fn allows(&self, difference: &Difference) -> bool {
        let (Difference::LvGrown { lv, .. } | Difference::LvAdded { lv, .. }) = difference else {
            return false;
        };
        let (lv, name) = (lv.as_str(), self.pool.name.as_str());
        // Of RAID the legs grow as well.
        let is_part = |part: &str| {
            part.is_empty() || part.starts_with("_tmeta") || part.starts_with("_tdata")
        };
        lv.strip_prefix(name).is_some_and(is_part) || lv.ends_with("_pmspare")
    }
}
