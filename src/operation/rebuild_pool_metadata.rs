//! Rebuilds the metadata of a thin pool in the LV that was made for it.
//!
//! Effect: the old metadata is copied into the scratch directory, dumped there, and restored into
//! the new LV; then that is checked, and held to what LVM and the old metadata know of devices and
//! mappings. On images it is restored into the scratch directory, held to all that there, and written
//! to the extents of the new LV. The old metadata LV is only read, through the extents it lies on:
//! nothing is activated. Half way: the new LV holds anything; it can simply be written again. Undo:
//! none needed, as the pool does not have it yet; on images what the evidence has of those extents.
//! Equivalent: `thin_dump`, `thin_restore`, `thin_check`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::diff::{Claim, RebuiltDevice, RebuiltPool, extents_of, refuse_in_use};
use crate::ids::{PvUuid, VgName, VgUuid};
use crate::model::extent_map::{ExtentRange, joined};
use crate::model::inventory::{Inventory, Realm};
use crate::model::live::{LvmLayer, lvm_device_name};
use crate::model::vg::Lv;
use crate::operation::act::{Act, CopyDevice, RebuildThin, RebuildTo};
use crate::operation::activation::{current, predict_active, with_live};
use crate::operation::content::content_of;
use crate::operation::pools::{change_active, check_inactive, check_seen, pool_of};
use crate::operation::{Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit};
use crate::plan::hazard::Hazard;
use crate::units::Sectors;

/// Rebuilds the metadata of a thin pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildPoolMetadata {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The pool, and what its new metadata is like.
    pub pool: RebuiltPool,
}

impl RebuildPoolMetadata {
    /// The LV that was made for it; none where it is not there yet.
    fn made<'a>(&self, now: &'a Inventory) -> Result<Option<&'a Lv>, Unfit> {
        let vg = current(now, self.vg)?;
        let name = &self.pool.beside;
        let Some(lv) = vg.lv(name) else { return Ok(None) };
        let is_it =
            lv.len() == self.pool.size && lv.has_visible() && extents_of(vg, lv) != self.pool.old;
        if !is_it {
            return Err(Unfit::new(format!("LV {name} is not the one that was made")));
        }
        let Some(live) = now.live.as_deref() else { return Ok(Some(lv)) };
        if let Some(refusal) = refuse_in_use(live, vg, lv, &[]) {
            return Err(Unfit::in_use(format!("LV {name} is not written: {}", refusal.why)));
        }
        if live.is_active(self.vg, lv.uuid) && !live.is_up(self.vg, lv.uuid) {
            return Err(Unfit::new(format!("LV {name} is suspended, or a part of it is active")));
        }
        Ok(Some(lv))
    }

    /// Whether the LV that was made is there, on the very extents that were chosen.
    pub fn has_its_extents(&self, now: &Inventory) -> bool {
        let Ok(vg) = current(now, self.vg) else { return false };
        let Some(lv) = vg.lv(&self.pool.beside) else { return false };
        let mut ranges: BTreeMap<PvUuid, Vec<ExtentRange>> = BTreeMap::new();
        for (pv, range) in self.pool.place.iter().flat_map(Claim::ranges) {
            ranges.entry(pv).or_default().push(range);
        }
        let chosen: Vec<Claim> =
            ranges.into_iter().map(|(pv, ranges)| Claim::new(pv, &joined(ranges))).collect();
        lv.len() == self.pool.size && extents_of(vg, lv) == chosen
    }

    /// Where the new metadata goes: on a machine its device, as the kernel names it once it is active.
    fn to(
        &self,
        now: &Inventory,
        lv: Option<&Lv>,
        extent_size: Sectors,
    ) -> Result<RebuildTo, Unfit> {
        if let (Realm::Images, Some(lv)) = (now.realm, lv) {
            return content_of(now, self.vg, lv.uuid).map(RebuildTo::Extents);
        }
        Ok(RebuildTo::Device(CopyDevice {
            path: format!("/dev/mapper/{}", lvm_device_name(&self.name, &self.pool.beside)),
            dm_uuid: lv.map_or_else(String::new, |lv| {
                LvmLayer { vg: self.vg, lv: lv.uuid, suffix: String::new() }.to_string()
            }),
            size: self.pool.size.bytes_shown(extent_size),
        }))
    }
}

impl Contract for RebuildPoolMetadata {
    fn object(&self) -> String {
        self.pool.uuid.to_string()
    }

    fn title(&self) -> String {
        let RebuiltPool { name, beside, .. } = &self.pool;
        format!("rebuild the metadata of thin pool {}/{name} in LV {beside}", self.name)
    }

    fn reasons(&self) -> Vec<String> {
        let mut why: Vec<String> =
            self.pool.mend.map(|mend| mend.shown().to_owned()).into_iter().collect();
        let devices: Vec<String> = self.pool.devices.iter().map(RebuiltDevice::shown).collect();
        why.push(match devices.as_slice() {
            [] => "the pool has no devices".to_owned(),
            devices => format!("held to what the old metadata says of {}", devices.join(", ")),
        });
        why
    }

    fn touches(&self) -> Touches {
        Touches {
            reads: vec![Resource::Evidence, Resource::Metadata(self.vg)],
            writes: vec![Resource::Content(self.pool.uuid)],
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::Reversible,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => "what stood in the extents before is put back from the evidence",
            Realm::Live => "none needed: the pool has not got it yet, and the LV is removed",
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        self.pool.hazards.clone()
    }

    fn lower(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        let pool = pool_of(now, self.vg, self.pool.uuid, &self.pool.name)?;
        check_inactive(now, &pool)?;
        check_seen(&pool, self.pool.seen)?;
        let content = content_of(now, self.vg, pool.metadata.uuid)?;
        // In the dry run it is not there yet; after a power cut it is there, and not active.
        let made = self.made(now)?;
        let to = self.to(now, made, pool.vg.extent_size)?;
        let (mut acts, mut predicted) = (Vec::new(), now.clone());
        let live = now.live.as_deref();
        let asleep = live.zip(made).filter(|(live, lv)| !live.is_up(self.vg, lv.uuid));
        if let Some((live, lv)) = asleep {
            acts.push(change_active(now, self.vg, &self.pool.beside, "-ay")?);
            let mut live = live.clone();
            predict_active(&mut live, pool.vg, lv, false);
            predicted = with_live(now, live);
        }
        let act = Act::RebuildThin(RebuildThin {
            content,
            to,
            text: pool.by_text(),
            mend: self.pool.mend,
            devices: self.pool.devices.clone(),
            expected: self.pool.expected,
        });
        acts.push(act);
        Ok(Lowered { acts, predicted })
    }

    fn writes_over(&self) -> &[Claim] {
        &self.pool.place
    }

    fn probe(&self, _: &Inventory) -> Probe {
        // It leaves no trace in an inventory, and may be done again.
        Probe::Before
    }

    fn lower_undo(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        Ok(Lowered { acts: Vec::new(), predicted: now.clone() })
    }
}
