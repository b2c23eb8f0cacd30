//! Copies over an LV: what speaks against one, and what has to be done around it.

use crate::diff::{ActiveLv, Refusal, RefusalCode, lacking_pv, refuse_in_use, to_unmount};
use crate::graph::build::Builder;
use crate::ids::{LvName, LvUuid};
use crate::model::flags::LvStatus;
use crate::model::inventory::Realm;
use crate::model::live::Live;
use crate::model::parts::{Roles, activated_together, leaning_on};
use crate::model::segment::SegmentKind;
use crate::model::vg::{Lv, Vg};
use crate::operation::{
    ActivateLvs, CopyLv, CopyTo, DeactivateLvs, MountAgain, Operation, OverwrittenLv, Unmount,
};
use crate::plan::document::Activation;
use crate::units::Bytes;

impl Builder<'_> {
    /// The copy of this LV over another, which is freed and active for as long as it takes, and left
    /// as it was.
    pub(super) fn copy_over(
        &self,
        (name, lv, size): (&LvName, LvUuid, Bytes),
        over: &LvName,
    ) -> Result<Vec<Operation>, Refusal> {
        let refuse = |why: String| copy_refusal(over, why);
        let (live, vg) = self.machine(over)?;
        let target = vg
            .lv(over)
            .ok_or_else(|| refuse("it is not there; only what is there is copied over".into()))?;
        if target.uuid == lv {
            return Err(refuse(format!("it is LV {name} itself")));
        }
        if let Some(why) = unfit_kind(vg, target).or_else(|| unfit_state(live, vg, target)) {
            return Err(refuse(why));
        }
        let over_size = target.len().bytes_shown(vg.extent_size);
        if over_size < size {
            let lacking = size.saturating_sub(over_size);
            return Err(refuse(format!(
                "it is {over_size} large, LV {name} is {size}: {lacking} too small"
            )));
        }
        if let Some(pv) = lacking_pv(self.inventory, vg, target, &self.diff.changes) {
            return Err(refuse(format!(
                "a piece of it lies on PV {pv}, which is not there or flagged MISSING"
            )));
        }
        if let Some(refusal) = refuse_in_use(live, vg, target, &self.goals.unmount) {
            return Err(refusal);
        }
        let to = OverwrittenLv { over: target.uuid, over_name: over.clone(), over_size, size };
        let copy = CopyLv { vg: vg.uuid, lv, name: name.clone(), to: CopyTo::Lv(to) };
        let mut operations = self.around(live, vg, target);
        operations.push(Operation::CopyLv(copy));
        Ok(operations)
    }

    fn machine(&self, over: &LvName) -> Result<(&Live, &Vg), Refusal> {
        match (self.inventory.realm, self.inventory.live.as_deref(), self.current()) {
            (Realm::Live, Some(live), Some(vg)) => Ok((live, vg)),
            (Realm::Live, Some(_), None) => {
                Err(copy_refusal(over, "no metadata of its VG counts".to_owned()))
            }
            (Realm::Images | Realm::Live, _, _) => {
                let why = "an LV is only copied over on a running machine";
                let refusal = Refusal::new(RefusalCode::NeedsKernel, format!("LV {over}"), why);
                Err(refusal.with_help("copy to a file: `to: {file: …}`"))
            }
        }
    }

    /// What the target needs before, and how it is left as it was.
    fn around(&self, live: &Live, vg: &Vg, target: &Lv) -> Vec<Operation> {
        let (name, task_of) = (vg.name.clone(), Some(target.uuid));
        let is_up = live.is_up(vg.uuid, target.uuid);
        let wanted =
            self.goals.activation.iter().find(|goal| {
                goal.uuid.map_or(goal.name == target.name, |uuid| uuid == target.uuid)
            });
        let stays_up = match wanted.map(|goal| goal.activation) {
            Some(Activation::Active) => true,
            Some(Activation::Inactive) => false,
            Some(Activation::Unchanged) | None => is_up,
        };
        let vg = vg.uuid;
        if !stays_up {
            let lv = ActiveLv {
                name: target.name.clone(),
                uuid: target.uuid,
                read_only: false,
                why: Some("for the copy over it, and left inactive after that".to_owned()),
            };
            let lvs = vec![lv];
            return vec![
                Operation::ActivateLvs(ActivateLvs {
                    new_metadata_of: Vec::new(),
                    vg,
                    name: name.clone(),
                    lvs: lvs.clone(),
                    task_of,
                }),
                Operation::DeactivateLvs(DeactivateLvs { vg, name, lvs, task_of }),
            ];
        }
        let lvs = [(target.name.clone(), target.uuid)];
        let mounts = to_unmount(live, vg, &lvs, &self.goals.unmount);
        if mounts.is_empty() {
            return Vec::new();
        }
        let again = MountAgain { vg, mounts: mounts.clone(), task_of };
        vec![Operation::Unmount(Unmount { vg, mounts, task_of }), Operation::MountAgain(again)]
    }
}

fn copy_refusal(over: &LvName, why: String) -> Refusal {
    Refusal::new(RefusalCode::CopyRefused, format!("LV {over}"), why)
        .with_help("name another LV that is large enough, or a file: `to: {file: …}`")
}

/// Only LVs of their own are overwritten: not what others are made of, or would be changed with it.
fn unfit_kind(vg: &Vg, lv: &Lv) -> Option<String> {
    let roles = Roles::of(vg);
    if !roles.is_shown(lv) || roles.is_part(&lv.name) {
        return Some(format!("it is a hidden part of LV {}", roles.top_of(lv).name));
    }
    let together = activated_together(vg, lv);
    if let Some(other) = together.iter().chain(&leaning_on(vg, lv)).find(|o| o.uuid != lv.uuid) {
        return Some(format!("LV {} depends on what stands on it", other.name));
    }
    let has_own_content = |kind: &SegmentKind| match kind {
        SegmentKind::Striped { .. }
        | SegmentKind::Mirror { .. }
        | SegmentKind::Raid { .. }
        | SegmentKind::Cache { .. }
        | SegmentKind::Writecache { .. } => true,
        // A thin LV may find its pool full in the middle, and take all others there with it.
        SegmentKind::Thin { .. }
        | SegmentKind::ThinPool { .. }
        | SegmentKind::Vdo { .. }
        | SegmentKind::VdoPool { .. }
        | SegmentKind::Snapshot { .. }
        | SegmentKind::CachePool { .. }
        | SegmentKind::Integrity { .. }
        | SegmentKind::Error
        | SegmentKind::Zero
        | SegmentKind::Unknown { .. } => false,
    };
    let unfit = lv.segments.iter().find(|segment| !has_own_content(&segment.kind))?;
    Some(format!("it is of type {}, which is not copied over", unfit.kind.type_name()))
}

fn unfit_state(live: &Live, vg: &Vg, lv: &Lv) -> Option<String> {
    if !lv.is_writable() || !vg.is_writable() {
        return Some("it may not be written, the metadata says".to_owned());
    }
    if lv.status.has(LvStatus::Locked) {
        return Some("a pvmove works on it".to_owned());
    }
    let is_up = live.is_up(vg.uuid, lv.uuid);
    if live.is_active(vg.uuid, lv.uuid) && !is_up {
        return Some("its device is suspended or without a table".to_owned());
    }
    let top = live.top_of(vg.uuid, lv.uuid);
    top.filter(|top| top.read_only).map(|_| "it is active read-only".to_owned())
}
