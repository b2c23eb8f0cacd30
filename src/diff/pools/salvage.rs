//! What of a pool is in its metadata once that is rebuilt, and what may be lost.

use std::collections::BTreeMap;

use crate::diff::pools::Subject;
use crate::diff::pools::loss::{
    Expected, Loss, RebuiltDevice, losses, other_trees, uncovered, unusable,
};
use crate::diff::{Change, Refusal, RefusalCode};
use crate::model::thin_pool::{Mend, Rebuilt, ThinDevice, ThinSuperblock, Told};
use crate::plan::document;
use crate::plan::hazard::{Hazard, HazardKind};
use crate::units::Bytes;

/// What is in rebuilt metadata, and what may not be.
pub(super) struct Salvaged {
    /// Thin LVs that it has no device of.
    pub lost_lvs: Vec<Change>,
    pub expected: Expected,
    pub devices: Vec<RebuiltDevice>,
    pub hazards: Vec<Hazard>,
    pub why: Vec<String>,
}

/// How sure it is that the trees that were found are those that counted.
fn of_several(others: u32) -> String {
    let taken = match others {
        0 => "the only trees that are left and have LVM's devices were taken".to_owned(),
        others => format!(
            "of {} states of the pool that are left and have LVM's devices the one that looks latest \
             was taken",
            others.saturating_add(1)
        ),
    };
    format!("its superblock is gone, and {taken}")
}

impl Subject<'_> {
    pub(super) fn salvaged(
        &self,
        wanted: &document::PoolMetadata,
        rebuilt: &Rebuilt,
    ) -> Result<Salvaged, Refusal> {
        if let Some(why) = unusable(rebuilt) {
            let why = format!("what a rebuild makes of it cannot be used: {why}");
            return Err(self.refuse(RefusalCode::UnknownLoss, why).with_help(
                "save the metadata LV as it is, and ask those who make thin-provisioning-tools; do not \
                 activate the pool",
            ));
        }
        let old = match &rebuilt.old {
            Ok(old) => old,
            Err(why) => return self.unknown(rebuilt, why),
        };
        if let Some(Mend::Superblock { others }) = rebuilt.mend {
            return self.unknown(rebuilt, &of_several(others));
        }
        self.refuse_known_elsewhere(&old.devices, None)?;
        let mut salvaged = self.of(old, rebuilt);
        if let Some(why) = other_trees(salvaged.expected, &salvaged.devices, rebuilt) {
            return self.unknown(rebuilt, &why);
        }
        let lost = losses(&salvaged.devices, &rebuilt.new.devices);
        self.refuse_gone(&lost)?;
        let all = lost.iter().fold(0, |sum: u64, loss| sum.saturating_add(loss.lost));
        // What was read as it stands has the right trees, and its space map may be what is damaged. Of
        // a superblock any byte may have been the wrong one.
        let needs_proof = matches!(rebuilt.mend, Some(Mend::Repair | Mend::SuperblockChecksum));
        if let Some(why) = uncovered(&rebuilt.compared.coverage, all).filter(|_| needs_proof) {
            return self.unknown(rebuilt, &why);
        }
        if old.superblock.held_root.is_some() {
            let why = "the metadata snapshot that the pool holds is not kept: whoever compares with it \
                       (thin_delta) begins anew";
            salvaged.why.push(why.to_owned());
        }
        self.weigh(wanted, &lost, &mut salvaged);
        Ok(salvaged)
    }

    /// All that metadata tells.
    fn of(&self, told: &Told, rebuilt: &Rebuilt) -> Salvaged {
        Salvaged {
            lost_lvs: self.lost_lvs(&told.devices),
            expected: Expected::of(&told.superblock, rebuilt.compared.coverage.clone().ok()),
            devices: self.devices(&told.devices),
            hazards: Vec::new(),
            why: Vec::new(),
        }
    }

    fn devices(&self, found: &BTreeMap<u32, ThinDevice>) -> Vec<RebuiltDevice> {
        let lvs = self.pool.thin_lvs();
        let device = |(device, found): (&u32, &ThinDevice)| RebuiltDevice {
            device: *device,
            lv: lvs.get(device).map(|lv| (*lv).clone()),
            mapped_blocks: found.mapped_blocks,
            transaction_id: found.transaction_id,
            creation_time: found.creation_time,
            snapshot_time: found.snapshot_time,
            lost: 0,
        };
        found.iter().map(device).collect()
    }

    /// Losses within the budget are told; beyond it each LV has to be named.
    fn weigh(&self, wanted: &document::PoolMetadata, lost: &[Loss], salvaged: &mut Salvaged) {
        let block = self.block();
        let all: u64 = lost.iter().fold(0, |sum, loss| sum.saturating_add(loss.lost));
        let is_allowed = all <= wanted.max_lost_mappings;
        for loss in lost {
            let device = salvaged.devices.iter_mut().find(|device| device.device == loss.device);
            let Some(device) = device else { continue };
            device.lost = loss.lost;
            if is_allowed {
                salvaged.why.push(format!("loses {}, as the plan allows", loss.shown(block)));
                continue;
            }
            let of = Bytes::new(device.mapped_blocks.saturating_mul(block.get()));
            let items = vec![
                format!("{}, of {of} that it maps", loss.shown(block)),
                format!(
                    "all in all {all} blocks; `max_lost_mappings: {}` is what the plan allows",
                    wanted.max_lost_mappings
                ),
            ];
            salvaged.hazards.push(self.hazard(device, items));
        }
    }

    /// A device that LVM's text or the old metadata has, and the rebuilt has not.
    fn refuse_gone(&self, lost: &[Loss]) -> Result<(), Refusal> {
        let gone: Vec<&str> =
            lost.iter().filter(|loss| loss.is_gone).map(|loss| loss.what.as_str()).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let why = format!("a rebuild loses devices as a whole: {}", gone.join(", "));
        Err(self
            .refuse(RefusalCode::UnknownLoss, why)
            .with_help("save the metadata LV as it is, and copy out what can still be read"))
    }

    /// What is found may be of an older transaction: which blocks are not there cannot be told. It
    /// is taken as it is, when the plan accepts that of every thin LV.
    fn unknown(&self, rebuilt: &Rebuilt, why: &str) -> Result<Salvaged, Refusal> {
        let new = &rebuilt.new;
        let text = self.pool.by_text();
        let ThinSuperblock { data, data_block, .. } = new.superblock;
        if data_block != text.data_block || data.blocks > text.data_blocks {
            let why = "what a repair finds is for data of another size, which the kernel refuses";
            return Err(self
                .refuse(RefusalCode::UnknownLoss, why)
                .with_help("save the metadata LV as it is: its space map is damaged as well"));
        }
        if let Some(id) = self.pool.reused_number(&new.devices) {
            let why = format!(
                "what a repair finds is not what counted: its device {id} is another one than LVM \
                 knows by that number"
            );
            return Err(self
                .refuse(RefusalCode::UnknownLoss, why)
                .with_help("save the metadata LV as it is: the tools took older trees"));
        }
        let before = rebuilt.old.as_ref().ok().map(|old| &old.devices);
        self.refuse_known_elsewhere(&new.devices, before)?;
        let mut salvaged = self.of(new, rebuilt);
        let block = self.block();
        for device in &salvaged.devices {
            let found = Bytes::new(device.mapped_blocks.saturating_mul(block.get()));
            let old = rebuilt.old.as_ref().ok().and_then(|old| old.devices.get(&device.device));
            let old = old.map(|old| format!(", of {} that it mapped", old.mapped_blocks));
            let items = vec![
                format!("how much of it cannot be told: {why}"),
                format!(
                    "{} blocks ({found}) are found{}",
                    device.mapped_blocks,
                    old.unwrap_or_default()
                ),
            ];
            salvaged.hazards.push(self.hazard(device, items));
        }
        Ok(salvaged)
    }

    /// What may be lost of each thin LV of a pool that went back in time.
    pub(super) fn went_back(&self) -> Vec<Hazard> {
        let details = self.pool.on_disk.and_then(|found| found.details.as_ref().ok());
        let devices = details.map(|details| self.devices(details)).unwrap_or_default();
        let why = "what was written since the pool's last transaction is not in it, and how much that \
                   is cannot be told";
        devices.iter().map(|device| self.hazard(device, vec![why.to_owned()])).collect()
    }

    fn hazard(&self, device: &RebuiltDevice, loss: Vec<String>) -> Hazard {
        let object = device.lv.as_ref().map_or_else(
            || format!("{} device {}", self.pool.lv.name, device.device),
            ToString::to_string,
        );
        Hazard { kind: HazardKind::LoseThinMappings, object, loss }
    }
}
