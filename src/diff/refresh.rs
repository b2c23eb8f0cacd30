//! Active LVs whose tables map a device that is gone, while its PV came back as another one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::diff::{Base, Change, Context, Diff};
use crate::ids::{LvName, LvUuid, PvUuid};
use crate::model::live::DevNumber;
use crate::model::stale::{self, StaleTable, refreshed_by, stale_tables};
use crate::plan::document::Activation;

/// An LV that is to be given its tables anew.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RefreshedLv {
    /// What it is called.
    pub name: LvName,
    /// The LV.
    pub uuid: LvUuid,
    /// PVs that came back, sorted.
    pub pvs: Vec<PvUuid>,
}

/// Finds them, as far as the plan wants their PVs attached.
pub fn stale_lvs(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    let Some(live) = context.inventory.live.as_deref() else { return };
    let stale = stale_tables(context.inventory, live, &base.vg, |pv| number_of(context, diff, pv));
    let is_wanted = |pv: &PvUuid| context.goals.attached.iter().any(|goal| goal.uuid == *pv);
    let mut refreshed: BTreeMap<(&LvName, LvUuid), Vec<PvUuid>> = BTreeMap::new();
    let mut notes = Vec::new();
    for table in &stale {
        let pvs: Vec<PvUuid> = table.back.iter().map(|(pv, _)| *pv).collect();
        let by = refreshed_by(live, &base.vg, table.lv);
        if let Some(unwanted) = pvs.iter().find(|pv| !is_wanted(pv)) {
            notes.push(unwanted_note(table, *unwanted));
        } else if let Some(by) = by {
            refreshed.entry((&by.name, by.uuid)).or_default().extend(pvs);
        } else {
            notes.push(format!(
                "device {} maps a device that is gone, and no LV on top of it is active: deactivate \
                 what is left of LV {} and activate it again",
                table.device.name, table.lv.name
            ));
        }
    }
    let goes = |lv: LvUuid| {
        let mut goals = context.goals.activation.iter();
        goals.any(|goal| goal.uuid == Some(lv) && goal.activation == Activation::Inactive)
            || diff.deactivated().any(|deactivated| deactivated.uuid == lv)
    };
    let mut lvs = Vec::new();
    for ((name, uuid), mut pvs) in refreshed {
        if !goes(uuid) {
            pvs.sort_unstable();
            pvs.dedup();
            lvs.push(RefreshedLv { name: name.clone(), uuid, pvs });
        }
    }
    diff.notes.append(&mut notes);
    diff.changes.extend((!lvs.is_empty()).then_some(Change::Refresh(lvs)));
}

/// The device that a PV is on, or will be once its label is written again.
fn number_of(context: &Context<'_>, diff: &Diff, pv: PvUuid) -> Option<DevNumber> {
    stale::number_of(context.inventory, pv).or_else(|| {
        let device = diff.changes.iter().find_map(|change| {
            let Change::WriteLabel(lost) = change else { return None };
            (lost.pv == pv).then_some(&lost.device)
        });
        device.and_then(|name| context.inventory.device(name)).and_then(|device| device.number)
    })
}

fn unwanted_note(table: &StaleTable<'_>, pv: PvUuid) -> String {
    format!(
        "LV {} is active on a device that is gone; its PV {pv} is there as another device. What is \
         written to the LV is lost until it is refreshed: `physical_volumes: {{{pv}: {{state: \
         attached}}}}`",
        table.lv.name
    )
}
