//! Where the content of an LV is read from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{DeviceName, LvUuid, PvUuid, VgUuid};
use crate::model::inventory::{Inventory, VgOnDisk};
use crate::model::legs::{RaidMeta, Reach};
use crate::model::mapping::ContentMap;
use crate::model::vg::{Lv, Pv, Vg};
use crate::operation::Unfit;
use crate::operation::act::{Content, ContentFrom};
use crate::text::vg_of;
use crate::units::Sectors;

/// Where the content of an LV lies. A PV flagged MISSING may be stale and is not read from; of
/// several legs, one that is up to date is chosen.
pub fn content_of(now: &Inventory, vg: VgUuid, lv: LvUuid) -> Result<Content, Unfit> {
    let nothing = || Unfit::new("no text of the VG counts");
    let on_disk = now.vgs.get(&vg).ok_or_else(nothing)?;
    let current = on_disk.current.as_deref().ok_or_else(nothing)?;
    let lv = current.lv_by_uuid(lv).ok_or_else(|| Unfit::new(format!("LV {lv} is not there")))?;
    let name = lv.name.clone();
    if let Some(own) = own_device(now, vg, lv)? {
        let len = lv.len().sectors(current.extent_size);
        let len = len.ok_or_else(|| Unfit::new(format!("LV {name} is larger than any device")))?;
        return Ok(Content { vg, lv: lv.uuid, name, len, from: ContentFrom::Own(own) });
    }
    let reach = Observed { now, current, away: away(on_disk) };
    let map = ContentMap::of(current, lv, &reach).map_err(|e| Unfit::new(e.to_string()))?;
    let mut devices = BTreeMap::new();
    for pv in current.pvs.iter().map(|pv| pv.uuid) {
        if let Some(device) = only_device(now, pv) {
            devices.insert(pv, device);
        }
    }
    let len = map.len();
    let from = ContentFrom::Pvs { map: Arc::new(map), devices };
    Ok(Content { vg, lv: lv.uuid, name, len, from })
}

/// The LV's device, when it is active: the kernel may hold what is not on the PVs yet.
fn own_device(now: &Inventory, vg: VgUuid, lv: &Lv) -> Result<Option<DeviceName>, Unfit> {
    let Some(live) = now.live.as_deref() else { return Ok(None) };
    match live.top_of(vg, lv.uuid) {
        Some(top) if top.suspended => {
            let why = format!("LV {} is suspended: reading it would wait for ever", lv.name);
            Err(Unfit::new(why))
        }
        Some(top) => Ok(Some(DeviceName::whole(format!("/dev/mapper/{}", top.name.raw())))),
        None if live.is_active(vg, lv.uuid) => {
            let why = format!("parts of LV {} are active: what they hold may change", lv.name);
            Err(Unfit::new(why))
        }
        None => Ok(None),
    }
}

fn only_device(now: &Inventory, pv: PvUuid) -> Option<DeviceName> {
    match now.devices_of(pv).as_slice() {
        [device] => Some(device.name.clone()),
        _ => None,
    }
}

/// Of each PV that was ever flagged MISSING, the last version that says so.
fn away(on_disk: &VgOnDisk) -> BTreeMap<PvUuid, u32> {
    let mut away = BTreeMap::new();
    for version in on_disk.timeline.versions() {
        let flag = b"\"MISSING\"";
        if !version.text.bytes.windows(flag.len()).any(|bytes| bytes == flag) {
            continue;
        }
        let Ok(vg) = vg_of(&version.text) else { continue };
        for pv in vg.pvs.iter().filter(|pv| Pv::is_missing(pv)) {
            away.insert(pv.uuid, version.seqno());
        }
    }
    away
}

/// What an inventory knows.
struct Observed<'a> {
    now: &'a Inventory,
    current: &'a Vg,
    away: BTreeMap<PvUuid, u32>,
}

impl Reach for Observed<'_> {
    fn is_there(&self, pv: PvUuid) -> bool {
        let is_current = self.current.pv(pv).is_some_and(|pv| !pv.is_missing());
        is_current && only_device(self.now, pv).is_some()
    }

    fn away_until(&self, pv: PvUuid) -> Option<u32> {
        self.away.get(&pv).copied()
    }

    fn raid_meta(&self, pv: PvUuid, sector: Sectors) -> Option<RaidMeta> {
        self.now.raid_metas.get(&(pv, sector)).copied()
    }
}
