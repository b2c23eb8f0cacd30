//! Thin LVs whose device is in no metadata of their pool.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::diff::pools::Subject;
use crate::diff::{Change, Refusal, RefusalCode};
use crate::ids::{LvName, LvUuid};
use crate::model::thin_pool::ThinDevice;
use crate::plan::hazard::{Hazard, HazardKind};

/// A thin LV without a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostThinLv {
    /// The LV.
    pub uuid: LvUuid,
    /// What it is called.
    pub name: LvName,
    /// Its pool.
    pub pool: LvUuid,
    /// What that is called.
    pub pool_name: LvName,
    /// The number of its device.
    pub device: u32,
    /// What is lost, to be accepted.
    pub hazard: Hazard,
}

impl Subject<'_> {
    /// Refuses what would lose devices that the metadata still has in one of its trees, or that what was
    /// read of it before has.
    pub(super) fn refuse_known_elsewhere(
        &self,
        devices: &BTreeMap<u32, ThinDevice>,
        before: Option<&BTreeMap<u32, ThinDevice>>,
    ) -> Result<(), Refusal> {
        let listed = self.pool.on_disk.and_then(|found| found.details.as_ref().ok());
        let mapped = self.pool.on_disk.and_then(|found| found.mapped.as_ref().ok());
        let is_known = |id: &u32| {
            listed.is_some_and(|listed| listed.contains_key(id))
                || mapped.is_some_and(|mapped| mapped.contains(id))
                || before.is_some_and(|before| before.contains_key(id))
        };
        let lost = self.pool.lvs_not_in(devices);
        let known: Vec<String> = lost
            .iter()
            .filter(|(id, _)| is_known(id))
            .map(|(id, name)| format!("{name} (device {id})"))
            .collect();
        if known.is_empty() {
            return Ok(());
        }
        let why = format!(
            "devices would be lost as a whole which the old metadata still has: {}",
            known.join(", ")
        );
        Err(self
            .refuse(RefusalCode::UnknownLoss, why)
            .with_help("save the metadata LV as it is, and copy out what can still be read"))
    }

    /// Thin LVs whose device is not among these: LVM's text loses them, when the plan accepts that.
    pub(super) fn lost_lvs(&self, devices: &BTreeMap<u32, ThinDevice>) -> Vec<Change> {
        let lost = |(device, name): (u32, &LvName)| {
            let lv = self.vg().lv(name)?;
            let size = lv.len().bytes_shown(self.vg().extent_size);
            let loss = vec![
                format!(
                    "{size}: its device {device} is not in the metadata of pool {}, and so nothing \
                     tells which blocks were its own",
                    self.pool.lv.name
                ),
                "an older copy of the metadata, such as POOL_meta0, may have them; look there first, \
                 and let nothing write to the pool before"
                    .to_owned(),
            ];
            let object = name.to_string();
            Some(Change::DropThinLv(LostThinLv {
                uuid: lv.uuid,
                name: name.clone(),
                pool: self.pool.lv.uuid,
                pool_name: self.pool.lv.name.clone(),
                device,
                hazard: Hazard { kind: HazardKind::DropThinDevice, object, loss },
            }))
        };
        self.pool.lvs_not_in(devices).into_iter().filter_map(lost).collect()
    }
}
