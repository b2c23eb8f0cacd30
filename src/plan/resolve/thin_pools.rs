//! Which thin pools a plan is about.

use crate::model::segment::SegmentKind;
use crate::model::vg::Lv;
use crate::plan::problem::{Code, Problem};
use crate::plan::resolve::{Resolver, WantedPool};

impl Resolver<'_> {
    /// Pools of the current metadata, by name.
    pub(super) fn thin_pools(&mut self) -> Vec<WantedPool> {
        let mut found = Vec::new();
        for (name, wanted) in &self.plan.document.thin_pools {
            let span = self.plan.tree.key_span(&["thin_pools", name.as_str()]);
            let lv = self.vg.current.as_ref().and_then(|vg| vg.lv(name));
            match lv {
                Some(lv) if is_pool(lv) => {
                    let wanted = wanted.clone();
                    found.push(WantedPool { name: name.clone(), wanted });
                }
                Some(_) => {
                    let message = format!("LV `{name}` is no thin pool");
                    self.problems.push(Problem::new(Code::BadValue, message, span));
                }
                None => {
                    let message = format!("VG has no thin pool `{name}`");
                    let problem = Problem::new(Code::UnknownObject, message, span);
                    self.problems.push(match self.suggestion(name) {
                        Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                        None => problem,
                    });
                }
            }
        }
        found
    }
}

fn is_pool(lv: &Lv) -> bool {
    lv.segments.iter().any(|segment| matches!(segment.kind, SegmentKind::ThinPool { .. }))
}
