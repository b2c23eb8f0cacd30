//! Gives the devices of a stack the tables that the metadata says, in one suspension.
//!
//! Effect: every device of the stack has the table that it should have, none is suspended, no table waits,
//! layers that no LV has are gone; no metadata is written, and who uses the LVs is held up for a moment.
//! Half way: while anything is suspended the tables are the old ones or the new ones, and a guard process
//! takes it to one end or the other when this program dies. Undo: the old tables come back the same way,
//! as long as nobody uses the stack; what was found suspended or waiting does not.
//! Equivalent: `dmsetup clear`, `create`, `load`, `suspend`, `resume`, `remove`, as listed.

mod lowered;
pub mod steps;

use serde::{Deserialize, Serialize};

use crate::diff::WrongStack;
use crate::ids::{LvUuid, VgName, VgUuid};
use crate::model::inventory::{Inventory, Realm};
use crate::model::live::{Live, LvmLayer};
use crate::model::table_alike::{Numbers, alike};
use crate::model::table_goal::{StackDevice, Then};
use crate::operation::activation::current;
use crate::operation::command::live_of;
use crate::operation::{Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit};
use crate::plan::hazard::{Hazard, HazardKind};

/// Gives the devices of a stack the tables that the metadata says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadTree {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The LV by which people know the stack.
    pub lv: LvUuid,
    /// What that is called.
    pub lv_name: String,
    /// Its devices, by name.
    pub devices: Vec<StackDevice>,
    /// Whether anybody uses it.
    pub in_use: bool,
    /// Devices that go although no metadata describes them: by UUID, with what their tables say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<(String, Vec<String>)>,
}

/// What going back comes to.
enum WayBack {
    /// No live table changes.
    NotNeeded,
    /// The old tables.
    OldTables,
    /// A thin pool grew: the kernel lets none become smaller.
    Pool,
    /// Only layers that left go, and they stay away.
    Layer,
    /// Somebody writes through the new tables.
    InUse,
    /// A device goes that no metadata describes.
    Stray,
}

impl ReloadTree {
    /// The change as an operation.
    pub fn of(vg: VgUuid, name: VgName, stack: &WrongStack) -> Self {
        Self {
            vg,
            name,
            lv: stack.lv,
            lv_name: stack.name.clone(),
            devices: stack.devices.clone(),
            in_use: stack.in_use,
            removed: stack.removed.clone(),
        }
    }

    /// The LVs whose devices it gives tables or suspends.
    pub fn lvs(&self) -> impl Iterator<Item = LvUuid> {
        self.devices.iter().map(|device| device.layer.lv)
    }

    /// What going back comes to.
    fn way_back(&self) -> WayBack {
        let has = |then: fn(&Then) -> bool| self.inverse().iter().any(|device| then(&device.then));
        let goes = |device: &StackDevice| device.then == Then::Gone && !device.live().is_empty();
        if !self.removed.is_empty() {
            WayBack::Stray
        } else if self.devices.iter().any(|d| d.grows() && !d.live().is_empty())
            && self
                .devices
                .iter()
                .flat_map(StackDevice::table_then)
                .any(|l| l.target == "thin-pool")
        {
            WayBack::Pool
        } else if has(|then| matches!(then, Then::Table { .. })) {
            if self.in_use { WayBack::InUse } else { WayBack::OldTables }
        } else if self.devices.iter().any(goes) {
            WayBack::Layer
        } else {
            WayBack::NotNeeded
        }
    }

    /// What would bring back the tables that were live before. A layer that nothing lay upon stays away:
    /// it did harm where it was.
    fn inverse(&self) -> Vec<StackDevice> {
        let was_named = |layer: &LvmLayer| {
            let lines = self.devices.iter().flat_map(StackDevice::live);
            lines.flat_map(crate::model::table::TableLine::layers).any(|named| named == layer)
        };
        let was_accepted = |device: &StackDevice| {
            self.removed.iter().any(|(uuid, _)| *uuid == device.layer.to_string())
        };
        let back = |device: &StackDevice| {
            let old = |device: &StackDevice| match &device.now {
                Some(now) if !now.live.is_empty() => {
                    Then::Table { lines: now.live.clone(), read_only: now.read_only }
                }
                Some(_) | None => Then::Gone,
            };
            let then = match device.then {
                Then::Stay => Then::Stay,
                Then::Table { .. } => old(device),
                Then::Gone if was_named(&device.layer) || was_accepted(device) => old(device),
                Then::Gone => Then::Gone,
            };
            StackDevice { then, ..device.clone() }
        };
        self.devices.iter().map(back).collect()
    }

    /// Whether a device is as it should be.
    fn is_done(device: &StackDevice, live: &Live, numbers: &Numbers<'_>) -> bool {
        match (&device.then, live.mapped_of_layer(&device.layer)) {
            // A layer that this emptied and that could not be removed yet leads nowhere; one that was
            // found empty has only to go.
            (Then::Gone, found) => found.is_none_or(|found| {
                device.is_reloaded()
                    && !found.suspended
                    && !found.has_inactive
                    && !found.live.is_empty()
                    && found.live.iter().all(|line| line.target == "error")
            }),
            (Then::Stay | Then::Table { .. }, None) => false,
            (Then::Stay, Some(found)) => !found.suspended && !found.has_inactive,
            (Then::Table { lines, .. }, Some(found)) => {
                !found.suspended && !found.has_inactive && alike(&numbers.live(found), lines)
            }
        }
    }

    /// Whether its old table, or none, is in force.
    fn is_as_before(device: &StackDevice, live: &Live, numbers: &Numbers<'_>) -> bool {
        let found = live.mapped_of_layer(&device.layer);
        match (&device.now, found) {
            (None, found) => found.is_none_or(|found| found.live.is_empty()),
            (Some(now), None) => now.live.is_empty(),
            // What maps more than before, and all that as before, stays so on the way back.
            (Some(now), Some(found)) => {
                let live = numbers.live(found);
                let is_old = alike(&live, &now.live)
                    || (device.grows() && alike(&live, device.table_then()));
                is_old && (now.suspended || !found.suspended)
            }
        }
    }
}

impl Contract for ReloadTree {
    fn object(&self) -> String {
        self.lv.to_string()
    }

    fn title(&self) -> String {
        let is_changed = |device: &StackDevice| device.is_wrong() && device.then != Then::Gone;
        if !self.removed.is_empty() && !self.devices.iter().any(is_changed) {
            let names: Vec<&str> = self
                .devices
                .iter()
                .filter(|d| d.then == Then::Gone)
                .map(|d| d.name.as_str())
                .collect();
            let names = names.join(", ");
            return format!("remove {names} of VG {}, which no metadata describes", self.name);
        }
        format!(
            "give the devices of LV {} of VG {} the tables of the metadata",
            self.lv_name, self.name
        )
    }

    fn reasons(&self) -> Vec<String> {
        let reason = |device: &StackDevice| {
            let now = device.now.as_ref();
            let mut what: Vec<&str> = Vec::new();
            if now.is_none() && device.then != Then::Gone {
                what.push("is not there");
            } else if matches!(device.then, Then::Table { .. }) {
                what.push(if device.live().is_empty() {
                    "has no table"
                } else {
                    "has another table than the metadata says"
                });
            }
            if device.then == Then::Gone {
                what.push(if device.live().is_empty() {
                    "was only made, and nobody needs it"
                } else {
                    "is no device of any LV"
                });
            }
            if now.is_some_and(|now| now.suspended) && !device.live().is_empty() {
                what.push("is suspended");
            }
            if now.is_some_and(|now| now.waiting.is_some()) {
                what.push("has a table that waits");
            }
            (!what.is_empty()).then(|| format!("{} {}", device.name, what.join(", and ")))
        };
        let mut reasons: Vec<String> = self.devices.iter().filter_map(reason).collect();
        if self.in_use && self.devices.iter().any(StackDevice::is_reloaded) {
            reasons
                .push("somebody uses it, and is held up for a moment; nothing is lost".to_owned());
        }
        reasons
    }

    fn touches(&self) -> Touches {
        Touches {
            reads: vec![Resource::Evidence],
            // LVM2 suspends and resumes as it goes, and would put into force what waits.
            writes: std::iter::once(Resource::Metadata(self.vg))
                .chain(self.lvs().flat_map(|lv| [Resource::Active(lv), Resource::Users(lv)]))
                .collect(),
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match (realm, self.way_back()) {
            (Realm::Live, WayBack::Stray) => Risk::Irreversible,
            (Realm::Live, WayBack::InUse | WayBack::Layer | WayBack::Pool) => Risk::OneWay,
            (Realm::Images, _) | (Realm::Live, WayBack::OldTables | WayBack::NotNeeded) => {
                Risk::Reversible
            }
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match (realm, self.way_back()) {
            (Realm::Images, _) => "never done: images have no kernel",
            (Realm::Live, WayBack::Stray) => {
                "none promised: a device that no metadata describes is gone; its table is in the evidence"
            }
            (Realm::Live, WayBack::InUse) => {
                "none: what is written through the new tables would not be found through the old"
            }
            (Realm::Live, WayBack::Pool) => "none: a thin pool that grew does not become smaller",
            (Realm::Live, WayBack::Layer) => {
                "none: a layer that no LV has does not come back; its table is in the evidence"
            }
            (Realm::Live, WayBack::OldTables) => {
                "the old tables are loaded in the same order; nothing is suspended again"
            }
            (Realm::Live, WayBack::NotNeeded) => {
                "none is needed: live tables stay as they are; what waited is in the evidence"
            }
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        let hazard = |(uuid, table): &(String, Vec<String>)| Hazard {
            kind: HazardKind::RemoveDevice,
            object: uuid.clone(),
            loss: vec![format!("the live table, which is saved: {}", table.join("; "))],
        };
        self.removed.iter().map(hazard).collect()
    }

    fn lower(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        lowered::lower(self, &self.devices, now)
    }

    fn probe(&self, now: &Inventory) -> Probe {
        let (Ok(live), Ok(vg)) = (live_of(now), current(now, self.vg)) else {
            return Probe::Neither;
        };
        let numbers = Numbers::of(now, live, vg);
        if self.devices.iter().all(|device| Self::is_done(device, live, &numbers)) {
            return Probe::After;
        }
        if self.devices.iter().all(|device| Self::is_as_before(device, live, &numbers)) {
            return Probe::Before;
        }
        Probe::Neither
    }

    fn lower_undo(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        let live = live_of(now)?;
        let inverse = self.inverse();
        if inverse.iter().all(|device| !matches!(device.then, Then::Table { .. })) {
            return Ok(Lowered { acts: Vec::new(), predicted: now.clone() });
        }
        let used = self.devices.iter().find_map(|device| {
            let mapped = live.mapped_of_layer(&device.layer)?;
            live.uses_of(mapped.number, self.vg).into_iter().next().map(|by| (&device.name, by))
        });
        if let Some((name, by)) = used {
            return Err(Unfit::in_use(format!(
                "{name} is in use ({by}): what was written through the new tables would not be found \
                 through the old"
            )));
        }
        lowered::lower(self, &inverse, now)
    }
}
