//! Gives active LVs their tables anew, when a device went away and came back under another number.
//!
//! Effect: the tables of the LVs, and of what lies below them, map the devices that the PVs are now;
//! no metadata is written, and who uses the LVs goes on. Half way: some map them; the others can
//! simply be refreshed. Undo: none makes sense, the old tables map a device that is gone.
//! Equivalent: `lvchange --refresh`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::diff::RefreshedLv;
use crate::ids::{ForeignText, LvName, PvUuid, VgName, VgUuid};
use crate::model::inventory::{Inventory, Realm};
use crate::model::live::{DevNumber, Live, TargetLine};
use crate::model::stale::{StaleTable, number_of, refreshed_by, stale_tables};
use crate::model::vg::Vg;
use crate::operation::act::Act;
use crate::operation::activation::{current, with_live};
use crate::operation::command::{devices_of_vg, devices_option, live_of, lvm, lvm_of};
use crate::operation::{Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit};
use crate::plan::hazard::Hazard;

/// Gives active LVs their tables anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshLvs {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The LVs, sorted by name.
    pub lvs: Vec<RefreshedLv>,
}

impl RefreshLvs {
    /// What is stale and ours to refresh, with the LV to be named for it.
    fn stale<'a>(
        &self,
        now: &Inventory,
        live: &'a Live,
        vg: &'a Vg,
    ) -> Vec<(StaleTable<'a>, &'a LvName)> {
        let stale = stale_tables(now, live, vg, |pv| number_of(now, pv)).into_iter();
        let ours = stale.filter_map(|table| {
            let by = refreshed_by(live, vg, table.lv)?;
            self.lvs.iter().any(|lv| lv.uuid == by.uuid).then_some((table, &by.name))
        });
        ours.collect()
    }
}

impl Contract for RefreshLvs {
    fn object(&self) -> String {
        self.vg.to_string()
    }

    fn title(&self) -> String {
        let names: Vec<&str> = self.lvs.iter().map(|lv| lv.name.as_str()).collect();
        format!("refresh the tables of LV {} of VG {}", names.join(", "), self.name)
    }

    fn reasons(&self) -> Vec<String> {
        let reason = |lv: &RefreshedLv| {
            let pvs: Vec<String> = lv.pvs.iter().map(ToString::to_string).collect();
            format!(
                "LV {} maps a device that is gone; PV {} is another device now",
                lv.name,
                pvs.join(", ")
            )
        };
        self.lvs.iter().map(reason).collect()
    }

    fn touches(&self) -> Touches {
        let pvs: BTreeSet<PvUuid> = self.lvs.iter().flat_map(|lv| &lv.pvs).copied().collect();
        let base = [Resource::Evidence, Resource::Metadata(self.vg)];
        Touches {
            reads: base.into_iter().chain(pvs.into_iter().map(Resource::Label)).collect(),
            writes: self.lvs.iter().map(|lv| Resource::Active(lv.uuid)).collect(),
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::OneWay,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => "never done: images have no kernel",
            Realm::Live => "none: the old table maps a device that is gone",
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        let (live, vg, setup) = (live_of(now)?, current(now, self.vg)?, lvm_of(now)?);
        let stale = self.stale(now, live, vg);
        let names: BTreeSet<&LvName> = stale.iter().map(|(_, name)| *name).collect();
        if names.is_empty() {
            return Ok(Lowered { acts: Vec::new(), predicted: now.clone() });
        }
        let mut args = vec!["lvchange".to_owned(), "--refresh".to_owned()];
        args.extend(devices_option(setup, &devices_of_vg(now, self.vg)));
        args.extend(names.iter().map(|name| format!("{}/{name}", vg.name)));
        let mut next = live.clone();
        for (table, _) in &stale {
            let device = next.mapped.iter_mut().find(|m| m.number == table.device.number);
            let lines = device.into_iter().flat_map(|device| &mut device.live);
            let back: Vec<DevNumber> = table.back.iter().map(|(_, number)| *number).collect();
            lines.for_each(|line| replace(line, &table.gone, &back));
        }
        let acts = vec![Act::Run(lvm(setup, args))];
        Ok(Lowered { acts, predicted: with_live(now, next) })
    }

    fn probe(&self, now: &Inventory) -> Probe {
        let (Ok(live), Ok(vg)) = (live_of(now), current(now, self.vg)) else {
            return Probe::Neither;
        };
        if self.stale(now, live, vg).is_empty() { Probe::After } else { Probe::Before }
    }
}

/// Puts devices that are there in place of those that are gone, in order.
fn replace(line: &mut TargetLine, gone: &[DevNumber], back: &[DevNumber]) {
    let new_of = |word: &str| {
        let number = DevNumber::parse(word)?;
        let at = gone.iter().position(|gone| *gone == number)?;
        back.get(at).or_else(|| back.last()).map(ToString::to_string)
    };
    let words = line.args.raw().split(' ');
    let words: Vec<String> =
        words.map(|word| new_of(word).unwrap_or_else(|| word.to_owned())).collect();
    line.args = ForeignText::from(words.join(" "));
}
