//! Where the content of an LV is read from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{DeviceName, LvUuid, PvUuid, VgUuid};
use crate::model::inventory::{Inventory, VgOnDisk};
use crate::model::legs::{RaidMeta, Reach};
use crate::model::mapping::ContentMap;
use crate::model::pools::pool;
use crate::model::segment::{Segment, SegmentKind};
use crate::model::vg::{Lv, Pv, Vg};
use crate::operation::Unfit;
use crate::operation::act::{Content, ContentFrom, ThinContent};
use crate::text::vg_of;
use crate::units::Sectors;

/// Where the content of an LV lies. A PV flagged MISSING may be stale and is not read from; of
/// several legs, one that is up to date is chosen.
pub fn content_of(now: &Inventory, vg: VgUuid, lv: LvUuid) -> Result<Content, Unfit> {
    content_at(now, vg, lv, ORIGINS_MAX)
}

/// No LV has more external origins one behind the other; a text may say anything.
const ORIGINS_MAX: u32 = 32;

fn content_at(now: &Inventory, vg: VgUuid, lv: LvUuid, origins: u32) -> Result<Content, Unfit> {
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
    if let [Segment { kind: SegmentKind::Thin { .. }, .. }] = lv.segments.as_slice() {
        let len = lv.len().sectors(current.extent_size);
        let len = len.ok_or_else(|| Unfit::new(format!("LV {name} is larger than any device")))?;
        let from = ContentFrom::Thin(Arc::new(thin_content(now, current, lv, origins)?));
        return Ok(Content { vg, lv: lv.uuid, name, len, from });
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

/// Where a thin LV lies, by the metadata of its pool, which is not active.
fn thin_content(now: &Inventory, vg: &Vg, lv: &Lv, origins: u32) -> Result<ThinContent, Unfit> {
    let unfit = |why: &str| Unfit::new(format!("LV {}: {why}", lv.name));
    let [Segment { kind, .. }] = lv.segments.as_slice() else {
        return Err(unfit("it has several segments, which no thin LV has"));
    };
    let SegmentKind::Thin { pool: pool_name, device_id, transaction_id, external_origin, .. } =
        kind
    else {
        return Err(unfit("BUG: it is not thin"));
    };
    let found = vg.lv(pool_name).and_then(|lv| pool(now, vg, lv));
    let found = found.ok_or_else(|| unfit("its pool is not there"))?;
    let unread = "the metadata of its pool cannot be read";
    let on_disk = found.on_disk.ok_or_else(|| unfit(unread))?;
    let superblock = on_disk.superblock().ok_or_else(|| unfit(unread))?;
    let details = on_disk.details.as_ref().map_err(|why| unfit(&format!("{unread}: {why}")))?;
    let device = details.get(device_id).ok_or_else(|| unfit("its pool does not have it"))?;
    if device.transaction_id != *transaction_id {
        return Err(unfit("its device in the pool is another one than LVM knows by that number"));
    }
    if superblock.data_block != found.chunk_size || found.chunk_size.is_zero() {
        return Err(unfit("LVM and its pool differ in the size of blocks"));
    }
    let origin = match external_origin.as_ref().map(|name| vg.lv(name)) {
        None => None,
        Some(None) => return Err(unfit("its external origin is not there")),
        Some(Some(origin)) => {
            let left = origins.checked_sub(1);
            let left = left.ok_or_else(|| unfit("its external origins lead in a circle"))?;
            Some(content_at(now, vg.uuid, origin.uuid, left)?)
        }
    };
    let part = |lv: &Lv| content_at(now, vg.uuid, lv.uuid, 0);
    Ok(ThinContent {
        metadata: part(found.metadata)?,
        data: part(found.data)?,
        block: found.chunk_size,
        mapping_root: superblock.mapping_root,
        device: *device_id,
        seen: on_disk.digest,
        origin,
    })
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
