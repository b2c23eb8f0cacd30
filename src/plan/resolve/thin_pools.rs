//! Which thin pools a plan is about.

use crate::ids::LvName;
use crate::model::flags::LvFlag;
use crate::model::segment::SegmentKind;
use crate::model::vg::Lv;
use crate::plan::document::Activation;
use crate::plan::glob::LvPattern;
use crate::plan::problem::{Code, Problem};
use crate::plan::resolve::{Resolver, WantedActivation, WantedPool};

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

    /// A pool and its thin LVs; what `logical_volumes` says of one of them by name, or leaves as it
    /// is, beats that.
    pub(super) fn activation_of_pools(
        &self,
        pools: &[WantedPool],
        into: &mut Vec<WantedActivation>,
    ) {
        let Some(vg) = &self.vg.current else { return };
        for pool in pools {
            let Some(activation) = pool.wanted.activation else { continue };
            let is_of_pool = |lv: &&Lv| lv.name == pool.name || is_thin_of(lv, &pool.name);
            for lv in vg.lvs.iter().filter(is_of_pool) {
                let is_skipped =
                    activation == Activation::Active && lv.flags.has(LvFlag::ActivationSkip);
                let is_named =
                    into.iter().any(|wanted| wanted.name == lv.name) || self.is_left(&lv.name);
                if activation == Activation::Unchanged || is_skipped || is_named {
                    continue;
                }
                let (name, key) = (lv.name.clone(), lv.name.clone());
                into.push(WantedActivation { name, key, uuid: None, activation });
            }
        }
        into.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Whether `logical_volumes` says by name that it stays as it is.
    fn is_left(&self, name: &LvName) -> bool {
        self.plan.document.logical_volumes.iter().any(|(pattern, lv)| {
            matches!(pattern, LvPattern::Name(key) if key == name)
                && lv.activation == Some(Activation::Unchanged)
        })
    }
}

fn is_pool(lv: &Lv) -> bool {
    lv.segments.iter().any(|segment| matches!(segment.kind, SegmentKind::ThinPool { .. }))
}

fn is_thin_of(lv: &Lv, name: &LvName) -> bool {
    lv.segments
        .iter()
        .any(|segment| matches!(&segment.kind, SegmentKind::Thin { pool, .. } if pool == name))
}
