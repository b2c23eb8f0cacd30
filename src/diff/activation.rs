//! LVs that a plan wants active or inactive and that are not.

use serde::{Deserialize, Serialize};

use crate::diff::busy::refuse_in_use;
use crate::diff::{Base, Change, Context, Diff, LostLv, Refusal, RefusalCode};
use crate::ids::{LvName, LvUuid, PvUuid};
use crate::model::inventory::{Inventory, Realm};
use crate::model::live::Live;
use crate::model::parts::{activated_together, leaning_on, parts_of};
use crate::model::pools::pool;
use crate::model::segment::{Area, SegmentKind};
use crate::model::vg::{Lv, Vg};
use crate::plan::document::Activation;
use crate::plan::resolve::WantedActivation;
use crate::text::vg_of;

/// An LV that is activated or deactivated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ActiveLv {
    /// What it is called.
    pub name: LvName,
    /// The LV.
    pub uuid: LvUuid,
    /// Whether it is, or is to be, active read-only although it may be written.
    pub read_only: bool,
    /// Why it is among them, when the plan does not name it or something is special.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Compares what the plan wants with the devices that the kernel has.
pub fn wrong_activation(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    let goals = &context.goals.activation;
    if goals.is_empty() {
        return;
    }
    let live = match (context.inventory.realm, context.inventory.live.as_deref()) {
        (Realm::Live, Some(live)) => live,
        (Realm::Images | Realm::Live, _) => {
            diff.refusals.push(needs_kernel(goals));
            return;
        }
    };
    let mut found = Found { context, base, live, activate: Vec::new(), deactivate: Vec::new() };
    for goal in goals {
        if let Err(refusal) = found.compare(goal, diff) {
            diff.refusals.push(refusal);
        }
    }
    let Found { mut activate, mut deactivate, .. } = found;
    for lvs in [&mut activate, &mut deactivate] {
        lvs.sort();
        lvs.dedup_by(|a, b| a.uuid == b.uuid);
    }
    diff.changes.extend((!deactivate.is_empty()).then_some(Change::Deactivate(deactivate)));
    diff.changes.extend((!activate.is_empty()).then_some(Change::Activate(activate)));
}

fn needs_kernel(goals: &[WantedActivation]) -> Refusal {
    const SHOWN_MAX: usize = 5;
    let mut names: Vec<String> =
        goals.iter().take(SHOWN_MAX).map(|goal| goal.name.to_string()).collect();
    if let Some(more) = goals.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        names.push(format!("and {more} more"));
    }
    let why = "images have no kernel that could activate or deactivate anything";
    Refusal::new(RefusalCode::NeedsKernel, format!("LV {}", names.join(", ")), why).with_help(
        "leave out `activation:` for images; on the machine that has the disks, plan without --image",
    )
}

struct Found<'a> {
    context: &'a Context<'a>,
    base: &'a Base,
    live: &'a Live,
    activate: Vec<ActiveLv>,
    deactivate: Vec<ActiveLv>,
}

impl Found<'_> {
    fn vg(&self) -> &Vg {
        &self.base.vg
    }

    fn compare(&mut self, goal: &WantedActivation, diff: &Diff) -> Result<(), Refusal> {
        let mut recovered = diff.changes.iter().filter_map(Change::recovered);
        let lost = recovered.find(|lost| lost.as_name == goal.name);
        let base = self.base;
        let by_uuid = goal.uuid.and_then(|uuid| base.vg.lv_by_uuid(uuid));
        let there = by_uuid.or_else(|| base.vg.lv(&goal.name)).or_else(|| base.vg.lv(&goal.key));
        match (lost, there, goal.activation) {
            (Some(lost), _, Activation::Active) => self.activate_recovered(lost),
            // It comes back without being activated.
            (Some(_), _, Activation::Inactive) | (_, _, Activation::Unchanged) => Ok(()),
            (None, Some(lv), Activation::Active) if is_dropped(lv, diff) => Ok(()),
            (None, Some(lv), Activation::Active) => self.activate(lv, diff),
            (None, Some(lv), Activation::Inactive) => self.deactivate(lv),
            (None, None, _) => {
                let is_told = |refusal: &Refusal| refusal.object == format!("LV {}", goal.key);
                if diff.refusals.iter().any(is_told) {
                    return Ok(());
                }
                let why = "the metadata that will count has no such LV";
                Err(refusal(RefusalCode::NotRecoverable, &goal.name, why).with_help(format!(
                    "to recover it: `{}: {{state: present}}` under `logical_volumes`",
                    goal.key
                )))
            }
        }
    }

    /// Read-only, so that looking at it changes nothing: until it is written, it can be taken out
    /// again.
    fn activate_recovered(&mut self, lost: &LostLv) -> Result<(), Refusal> {
        if self.is_thin(lost) {
            let why = "it is recovered by this plan, and what is recovered is activated read-only, \
                       which no thin pool or thin LV can be";
            return Err(refusal(RefusalCode::Unfit, &lost.as_name, why).with_help(format!(
                "leave out its `activation:`. Once it is back and its metadata was looked at \
                 (`thin_check`): `lvchange -ay -K {}/{}`",
                self.vg().name,
                lost.as_name
            )));
        }
        self.activate.push(ActiveLv {
            name: lost.as_name.clone(),
            uuid: lost.uuid,
            read_only: true,
            why: Some("read-only, as it is only just recovered".to_owned()),
        });
        Ok(())
    }

    /// Whether the LV, as it was, lives in a thin pool or is one.
    fn is_thin(&self, lost: &LostLv) -> bool {
        let versions = self.context.vg.timeline.branches(lost.seqno);
        let version = versions.iter().find(|version| version.content() == lost.content);
        let Some(vg) = version.and_then(|version| vg_of(&version.text).ok()) else { return true };
        let Some(lv) = vg.lv_by_uuid(lost.uuid) else { return true };
        stack_of(&vg, lv).iter().flat_map(|lv| &lv.segments).any(|segment| {
            matches!(segment.kind, SegmentKind::Thin { .. } | SegmentKind::ThinPool { .. })
        })
    }

    fn activate(&mut self, lv: &Lv, diff: &Diff) -> Result<(), Refusal> {
        let vg = self.base.vg.as_ref();
        if self.live.is_up(vg.uuid, lv.uuid) {
            return Ok(());
        }
        if let Some(pv) = lacking_pv(self.context.inventory, vg, lv, &diff.changes) {
            let flagged = vg.pv(pv).is_some_and(crate::model::vg::Pv::is_missing);
            let state = if flagged { "is flagged MISSING" } else { "is on no device" };
            let why = format!("a piece of it lies on PV {pv}, which {state}");
            return Err(refusal(RefusalCode::PvAbsent, &lv.name, &why).with_help(format!(
                "attach it in the same plan: `physical_volumes: {{{pv}: {{state: attached}}}}`"
            )));
        }
        let together = activated_together(vg, lv);
        if let Some(other) = together.iter().find(|other| self.wants(other, Activation::Inactive)) {
            return Err(contradiction(lv, other, "inactive"));
        }
        for other in together.iter().filter(|other| !self.live.is_up(vg.uuid, other.uuid)) {
            let is_named = self.wants(other, Activation::Active);
            let why =
                (!is_named).then(|| format!("LVM activates it only together with {}", lv.name));
            let (name, uuid) = (other.name.clone(), other.uuid);
            self.activate.push(ActiveLv { name, uuid, read_only: false, why });
        }
        Ok(())
    }

    fn deactivate(&mut self, lv: &Lv) -> Result<(), Refusal> {
        let vg = self.base.vg.as_ref();
        if !self.live.is_active(vg.uuid, lv.uuid) {
            return self.deactivate_parts(lv);
        }
        let is_active = |other: &Lv| self.live.is_active(vg.uuid, other.uuid);
        let together = activated_together(vg, lv);
        if let Some(other) = together.iter().find(|other| self.wants(other, Activation::Active)) {
            return Err(contradiction(lv, other, "active"));
        }
        let together = together.into_iter().map(|other| (other, "goes with it"));
        let leaning = leaning_on(vg, lv).into_iter().map(|other| (other, "needs it"));
        let mut keeping = together.chain(leaning).filter(|(other, _)| is_active(other));
        let is_left = |other: &Lv| !self.wants(other, Activation::Inactive);
        if let Some((other, how)) = keeping.find(|(other, _)| is_left(other)) {
            let why = format!("LV {}, which the plan leaves active, {how}", other.name);
            return Err(refusal(RefusalCode::LeftActive, &lv.name, &why).with_help(format!(
                "if it may go: `{}: {{activation: inactive}}` under `logical_volumes`",
                other.name
            )));
        }
        let unmount = &self.context.goals.unmount;
        if let Some(refusal) = refuse_in_use(self.live, vg, lv, unmount) {
            return Err(refusal);
        }
        let top = self.live.top_of(vg.uuid, lv.uuid);
        let is_pool = lv.segments.iter().any(|s| matches!(s.kind, SegmentKind::ThinPool { .. }));
        // The device of a pool, and that of an LV that may not be written, is always read-only.
        let read_only = top.is_some_and(|top| top.read_only) && lv.is_writable() && !is_pool;
        let (name, uuid) = (lv.name.clone(), lv.uuid);
        self.deactivate.push(ActiveLv { name, uuid, read_only, why: None });
        Ok(())
    }

    /// Parts of a pool that somebody activated by themselves, to look at them: LVM does not activate
    /// the pool before they are gone.
    fn deactivate_parts(&mut self, lv: &Lv) -> Result<(), Refusal> {
        let vg = self.base.vg.as_ref();
        let Some(pool) = pool(self.context.inventory, vg, lv) else { return Ok(()) };
        for part in [pool.metadata, pool.data] {
            if !self.live.is_active(vg.uuid, part.uuid) {
                continue;
            }
            if let Some(refusal) = refuse_in_use(self.live, vg, part, &[]) {
                return Err(refusal);
            }
            let why = Some(format!("a part of thin pool {}, active by itself", lv.name));
            let (name, uuid) = (part.name.clone(), part.uuid);
            self.deactivate.push(ActiveLv { name, uuid, read_only: true, why });
        }
        Ok(())
    }

    fn wants(&self, lv: &Lv, activation: Activation) -> bool {
        let mut goals = self.context.goals.activation.iter();
        goals.any(|goal| {
            let is_it = goal.uuid.map_or(goal.name == lv.name, |uuid| uuid == lv.uuid);
            is_it && goal.activation == activation
        })
    }
}

/// A PV without which LVM does not activate the LV. Of mirrors and RAID, LVM judges itself how
/// much may be missing.
pub fn lacking_pv(inventory: &Inventory, vg: &Vg, lv: &Lv, changes: &[Change]) -> Option<PvUuid> {
    let stack = stack_of(vg, lv);
    let segments = || stack.iter().flat_map(|lv| &lv.segments);
    let is_redundant =
        |kind: &SegmentKind| matches!(kind, SegmentKind::Mirror { .. } | SegmentKind::Raid { .. });
    if segments().any(|segment| is_redundant(&segment.kind)) {
        return None;
    }
    let areas = segments().flat_map(|segment| {
        let SegmentKind::Striped { stripes, .. } = &segment.kind else { return &[][..] };
        stripes.as_slice()
    });
    let pvs = areas.filter_map(|area| match area {
        Area::Pv { pv, .. } => vg.pvs.get(*pv),
        Area::Lv { .. } => None,
    });
    let comes_back = |pv: PvUuid| {
        changes.iter().any(|change| {
            matches!(change, Change::RestorePv(returned) if returned.pv == pv)
                || matches!(change, Change::WriteLabel(lost) if lost.pv == pv)
        })
    };
    let is_there = |pv: PvUuid| !inventory.devices_of(pv).is_empty();
    pvs.filter(|pv| pv.is_missing() || !is_there(pv.uuid))
        .map(|pv| pv.uuid)
        .find(|pv| !comes_back(*pv))
}

/// The LV, its parts, and its pool with its parts.
fn stack_of<'vg>(vg: &'vg Vg, lv: &'vg Lv) -> Vec<&'vg Lv> {
    let pool = lv.pool().and_then(|pool| vg.lv(pool));
    let tops = std::iter::once(lv).chain(pool);
    tops.flat_map(|top| std::iter::once(top).chain(parts_of(vg, top))).collect()
}

/// Whether it is taken out of the metadata.
fn is_dropped(lv: &Lv, diff: &Diff) -> bool {
    diff.changes
        .iter()
        .any(|change| matches!(change, Change::DropThinLv(dropped) if dropped.uuid == lv.uuid))
}

fn refusal(code: RefusalCode, lv: &LvName, why: &str) -> Refusal {
    Refusal::new(code, format!("LV {lv}"), why)
}

fn contradiction(lv: &Lv, other: &Lv, wanted: &str) -> Refusal {
    let why = format!(
        "LVM activates and deactivates it only together with LV {}, which the plan wants {wanted}",
        other.name
    );
    refusal(RefusalCode::Unfit, &lv.name, &why).with_help("ask for the same of both")
}
