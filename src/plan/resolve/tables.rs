//! The LVs whose tables a plan is about.

use std::collections::BTreeSet;

use crate::ids::LvUuid;
use crate::plan::document::Acceptance;
use crate::plan::hazard::HazardKind;
use crate::plan::problem::{Code, Problem};
use crate::plan::resolve::{Resolver, TablesGoal};

impl Resolver<'_> {
    /// Parts are meant as well as LVs that people see: a stack is named by any LV in it.
    pub(super) fn device_tables(&mut self) -> Option<TablesGoal> {
        let wanted = self.plan.document.device_tables.as_ref()?;
        let Some(names) = &wanted.only else { return Some(TablesGoal { only: None }) };
        let vg = self.vg.current.clone();
        let mut only: Vec<LvUuid> = Vec::new();
        for (index, name) in names.iter().enumerate() {
            match vg.as_ref().and_then(|vg| vg.lv(name)) {
                Some(lv) => only.push(lv.uuid),
                None if vg.is_none() => {}
                None => {
                    let at = index.to_string();
                    let path = ["device_tables", "only", at.as_str()];
                    let message = format!("VG has no LV `{name}`");
                    let span = self.plan.tree.value_span(&path);
                    let problem = Problem::new(Code::UnknownObject, message, span);
                    let near = self.suggestion(name);
                    self.problems.push(match near {
                        Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                        None => problem,
                    });
                }
            }
        }
        only.sort_unstable();
        only.dedup();
        Some(TablesGoal { only: Some(only) })
    }
}

/// Devices whose removal the plan accepts.
pub(super) fn removable(accepted: &[Acceptance]) -> BTreeSet<String> {
    let is_removal = |acceptance: &&Acceptance| acceptance.hazard == HazardKind::RemoveDevice;
    accepted.iter().filter(is_removal).map(|acceptance| acceptance.object.clone()).collect()
}
