//! Thin LVs whose device is in no metadata of their pool.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::diff::Change;
use crate::diff::pools::Subject;
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
