//! Which LVs a plan wants active or inactive.

use std::collections::BTreeSet;

use crate::ids::LvName;
use crate::model::parts::Roles;
use crate::model::vg::{Lv, Vg};
use crate::plan::document::{Activation, LogicalVolume};
use crate::plan::glob::LvPattern;
use crate::plan::problem::{Code, Problem};
use crate::plan::resolve::{Resolver, WantedActivation};

impl Resolver<'_> {
    /// Literal names first, then globs over visible LVs of the current metadata that no literal
    /// name with this key speaks for; and notes.
    pub(super) fn activation(&mut self) -> (Vec<WantedActivation>, Vec<String>) {
        let mut wanted = Vec::new();
        let mut literal = BTreeSet::new();
        for (pattern, lv) in &self.plan.document.logical_volumes {
            let (LvPattern::Name(key), Some(activation)) = (pattern, lv.activation) else {
                continue;
            };
            let name = lv.recover_as.as_ref().unwrap_or(key).clone();
            literal.extend([key.clone(), name.clone()]);
            let is_there = lv.state.is_some() || self.check_named(key, lv);
            if activation != Activation::Unchanged && is_there {
                let (key, uuid) = (key.clone(), lv.uuid);
                wanted.push(WantedActivation { name, key, uuid, activation });
            }
        }
        let notes = self.globs(&literal, &mut wanted);
        wanted.sort_by(|a, b| a.name.cmp(&b.name));
        (wanted, notes)
    }

    /// An LV that the plan does not recover must be there, and be one that people see.
    fn check_named(&mut self, key: &LvName, wanted: &LogicalVolume) -> bool {
        let Some(vg) = self.vg.current.clone() else { return true };
        let span = self.plan.tree.key_span(&["logical_volumes", key.as_str()]);
        let found = vg.lv(key).filter(|lv| wanted.uuid.is_none_or(|uuid| uuid == lv.uuid));
        let Some(lv) = found else {
            let problem = if let Some(uuid) = wanted.uuid {
                let message = format!("VG has no LV `{key}` with UUID {uuid}");
                let problem = Problem::new(Code::UnknownObject, message, span);
                let renamed = vg.lv_by_uuid(uuid).map(|lv| format!("it is `{}` now", lv.name));
                renamed.into_iter().fold(problem, Problem::with_help)
            } else {
                let message = format!("VG has no LV `{key}`, and the plan does not recover it");
                let help = match self.suggestion(key) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "to recover it, add `state: present`".to_owned(),
                };
                Problem::new(Code::UnknownObject, message, span).with_help(help)
            };
            self.problems.push(problem);
            return false;
        };
        let roles = Roles::of(&vg);
        if roles.is_shown(lv) {
            return true;
        }
        let top = roles.top_of(lv);
        let message = format!("LV `{key}` is a hidden part, which LVM activates by itself");
        let problem = Problem::new(Code::BadValue, message, span);
        self.problems.push(if top.uuid == lv.uuid {
            problem
        } else {
            problem.with_help(format!("name the LV it belongs to: `{}`", top.name))
        });
        false
    }

    fn globs(
        &mut self,
        literal: &BTreeSet<LvName>,
        into: &mut Vec<WantedActivation>,
    ) -> Vec<String> {
        let vg = self.vg.current.clone();
        let shown: Vec<&Lv> = vg.iter().flat_map(|vg| shown(vg)).collect();
        let globs: Vec<(&LvPattern, Activation)> = self
            .plan
            .document
            .logical_volumes
            .iter()
            .filter(|(pattern, _)| pattern.is_glob())
            .filter_map(|(pattern, lv)| Some((pattern, lv.activation?)))
            .collect();
        let mut contradictions = BTreeSet::new();
        for lv in shown.iter().filter(|lv| !literal.contains(&lv.name)) {
            let matching: Vec<_> =
                globs.iter().filter(|(glob, _)| glob.matches(&lv.name)).collect();
            let Some((first, activation)) = matching.first() else { continue };
            if let Some((other, _)) = matching.iter().find(|(_, other)| other != activation) {
                if contradictions.insert((first.to_string(), other.to_string())) {
                    self.contradiction(&lv.name, first, other);
                }
            } else if *activation != Activation::Unchanged {
                let (name, key) = (lv.name.clone(), lv.name.clone());
                let activation = *activation;
                into.push(WantedActivation { name, key, uuid: Some(lv.uuid), activation });
            }
        }
        let matches_none = |glob: &LvPattern| !shown.iter().any(|lv| glob.matches(&lv.name));
        let idle = globs.iter().filter(|(glob, _)| matches_none(glob));
        idle.map(|(glob, _)| format!("`{glob}` matches no LV of the VG")).collect()
    }

    fn contradiction(&mut self, lv: &LvName, one: &LvPattern, other: &LvPattern) {
        let other_text = other.to_string();
        let path = ["logical_volumes", other_text.as_str(), "activation"];
        let message = format!("`{one}` and `{other}` say different things of LV `{lv}`");
        let help = format!("say which is meant: `{lv}: {{activation: …}}`");
        self.problem(Code::Contradiction, &path, message, Some(help));
    }
}

/// LVs that people see.
fn shown(vg: &Vg) -> Vec<&Lv> {
    let roles = Roles::of(vg);
    vg.lvs.iter().filter(|lv| roles.is_shown(lv)).collect()
}
