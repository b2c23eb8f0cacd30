//! Makes blank devices PVs of the VG.
//!
//! Effect: each device gets a label and a metadata area, and the VG has a new version that lists
//! them. LVM chooses their UUIDs. Nothing is ever wiped: a device on which anything is found is
//! refused, here and by LVM, which is not told to answer yes. Half way: devices have a label and
//! belong to no VG yet; they can simply be added. Undo: they are taken out of the VG and their labels
//! wiped, as long as no LV has an extent there. Equivalent: `vgextend`.

use serde::{Deserialize, Serialize};

use crate::diff::{BlankDevice, not_blank};
use crate::ids::{DeviceName, ForeignText, VgName, VgUuid};
use crate::model::compare::Difference;
use crate::model::device::Device;
use crate::model::extent_map::ExtentMap;
use crate::model::inventory::{Inventory, Realm};
use crate::model::live::Use;
use crate::model::vg::Vg;
use crate::operation::act::Act;
use crate::operation::activation::current;
use crate::operation::command::{CommandLine, devices_of_vg, devices_option, live_of, lvm, lvm_of};
use crate::operation::{
    Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit, live_commit,
};
use crate::plan::hazard::Hazard;

/// Makes blank devices PVs of the VG.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendVg {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The devices, sorted.
    pub devices: Vec<BlankDevice>,
}

impl ExtendVg {
    fn find<'a>(&self, now: &'a Inventory) -> Result<Vec<&'a Device>, Unfit> {
        let live = live_of(now)?;
        let find = |blank: &BlankDevice| {
            blank.find(now, live).ok_or_else(|| {
                let path = ForeignText::from(blank.path.as_str());
                Unfit::new(format!("{path} is gone, or another device than when it was planned"))
            })
        };
        self.devices.iter().map(find).collect()
    }

    /// Blank, or with the label that a `vgextend` that was interrupted left.
    fn check(&self, now: &Inventory, device: &Device) -> Result<(), Unfit> {
        let uses = device.number.map(|n| live_of(now).map(|live| live.uses_of(n, self.vg)));
        let uses = uses.transpose()?.unwrap_or_default();
        if !uses.is_empty() {
            let shown: Vec<String> = uses.iter().map(Use::to_string).collect();
            return Err(Unfit::new(format!("{} is in use: {}", device.name, shown.join("; "))));
        }
        match not_blank(now, device) {
            Some(_) if is_orphan(now, device) => Ok(()),
            Some(why) => Err(Unfit::new(format!("{} is not blank any more: {why}", device.name))),
            None => Ok(()),
        }
    }

    fn line(
        &self,
        now: &Inventory,
        command: &str,
        devices: &[&Device],
    ) -> Result<CommandLine, Unfit> {
        let setup = lvm_of(now)?;
        let mut given = devices_of_vg(now, self.vg);
        given.extend(devices.iter().map(|device| device.name.clone()));
        given.sort();
        given.dedup();
        let mut args = vec![command.to_owned()];
        args.extend(devices_option(setup, &given));
        args.push(self.name.to_string());
        args.extend(devices.iter().map(|device| device.name.path().to_owned()));
        Ok(lvm(setup, args))
    }
}

/// A PV that no VG claims and on which no metadata stands.
fn is_orphan(now: &Inventory, device: &Device) -> bool {
    device.pv().is_some_and(|on| {
        now.claims_on(on.uuid).is_empty()
            && on.in_use != Some(true)
            && now.committed_vgs(device).is_empty()
    })
}

fn is_member(vg: &Vg, device: &Device) -> bool {
    device.pv().is_some_and(|on| vg.pv(on.uuid).is_some())
}

impl Contract for ExtendVg {
    fn object(&self) -> String {
        self.vg.to_string()
    }

    fn title(&self) -> String {
        let paths = self.devices.iter().map(|d| ForeignText::from(d.path.as_str()).to_string());
        format!("extend VG {} with {}", self.name, paths.collect::<Vec<_>>().join(", "))
    }

    fn reasons(&self) -> Vec<String> {
        let reason = |device: &BlankDevice| {
            let path = ForeignText::from(device.path.as_str());
            let identity = device.identity.as_ref().map(|id| format!(", {id}")).unwrap_or_default();
            format!("{path} is blank ({}{identity}); LVM chooses its UUID", device.size)
        };
        self.devices.iter().map(reason).collect()
    }

    fn touches(&self) -> Touches {
        Touches { reads: vec![Resource::Evidence], writes: vec![Resource::Metadata(self.vg)] }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::Reversible,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => "never done: images are not extended",
            Realm::Live => {
                "the devices are taken out of the VG and their labels wiped, as long as no LV has \
                 an extent there"
            }
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        let vg = current(now, self.vg)?;
        let mut devices = self.find(now)?;
        devices.retain(|device| !is_member(vg, device));
        for device in &devices {
            self.check(now, device)?;
        }
        let mut predicted = now.clone();
        if devices.is_empty() {
            return Ok(Lowered { acts: Vec::new(), predicted });
        }
        // Which UUID a new PV has only LVM knows: it is in no prediction, but allowed.
        live_commit::count_up(&mut predicted, self.vg);
        let acts = vec![Act::Run(self.line(now, "vgextend", &devices)?)];
        Ok(Lowered { acts, predicted })
    }

    fn probe(&self, now: &Inventory) -> Probe {
        let (Ok(vg), Ok(devices)) = (current(now, self.vg), self.find(now)) else {
            return Probe::Neither;
        };
        if devices.iter().all(|device| is_member(vg, device)) {
            return Probe::After;
        }
        let left = devices.iter().filter(|device| !is_member(vg, device));
        let is_as_before = left.map(|device| self.check(now, device)).all(|result| result.is_ok());
        if is_as_before { Probe::Before } else { Probe::Neither }
    }

    /// The PV itself: that these devices, and no others, are members is told by the probe.
    fn allows(&self, difference: &Difference) -> bool {
        matches!(difference, Difference::PvAdded { .. })
    }

    fn lower_undo(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        let (vg, setup) = (current(now, self.vg)?, lvm_of(now)?);
        let mut acts = Vec::new();
        let devices = self.find(now)?;
        let members: Vec<&Device> =
            devices.iter().copied().filter(|device| is_member(vg, device)).collect();
        let map = ExtentMap::of(vg);
        for (device, on) in members.iter().filter_map(|device| Some((device, device.pv()?))) {
            if !map.on(on.uuid).is_empty() {
                let why = format!("LVs have extents on {} (PV {}) by now", device.name, on.uuid);
                return Err(Unfit::new(why));
            }
        }
        if !members.is_empty() {
            acts.push(Act::Run(self.line(now, "vgreduce", &members)?));
        }
        let labelled = |device: &&Device| is_member(vg, device) || is_orphan(now, device);
        let names: Vec<DeviceName> =
            devices.into_iter().filter(labelled).map(|device| device.name.clone()).collect();
        if !names.is_empty() {
            let mut args = vec!["pvremove".to_owned()];
            args.extend(devices_option(setup, &names));
            args.extend(names.iter().map(|name| name.path().to_owned()));
            acts.push(Act::Run(lvm(setup, args)));
        }
        Ok(Lowered { acts, predicted: now.clone() })
    }
}
