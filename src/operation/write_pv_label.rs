//! Writes the label of a PV again.
//!
//! Effect: one sector. Half way: the sector is written as a whole or not at all. Undo: the sector
//! is put back as it was. Equivalent: `pvcreate --uuid … --restorefile …`, which however empties
//! the metadata areas as well.

use serde::{Deserialize, Serialize};

use crate::diff::LostPv;
use crate::ids::VgUuid;
use crate::model::device::{Content, DiskArea, MetadataArea, PvOnDevice, SlotText};
use crate::model::inventory::{Inventory, Realm};
use crate::ondisk::label::Label;
use crate::operation::act::{Act, Write, WriteOf};
use crate::operation::{Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit};
use crate::plan::hazard::Hazard;
use crate::units::{Bytes, SECTOR_BYTES};

/// Writes the label of a PV again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WritePvLabel {
    /// The VG it belongs to.
    pub vg: VgUuid,
    /// The PV, its device and its layout.
    pub lost: LostPv,
}

impl WritePvLabel {
    fn label(&self) -> Result<Label, Unfit> {
        let lost = &self.lost;
        let data_start =
            lost.data_start.bytes().ok_or_else(|| Unfit::new("data would begin past the end"))?;
        let bootloader = lost.bootloader.into_iter().collect();
        Ok(Label::of_member(lost.pv, lost.device_size, data_start, lost.areas.clone(), bootloader))
    }

    fn on_device(&self, label: &Label, standing: &[MetadataArea]) -> PvOnDevice {
        // Of what stands there only those that the label names: others were not the PV's.
        let area = |place: &DiskArea| {
            let found = standing.iter().find(|area| area.place() == *place);
            found.filter(|_| self.lost.areas_found).cloned().unwrap_or_else(|| new_area(place))
        };
        let areas = self.lost.areas.iter().map(area).collect();
        PvOnDevice {
            uuid: label.uuid,
            label_sector: label.sector,
            device_size: label.device_size,
            data_areas: label.data_areas.clone(),
            in_use: label.in_use(),
            extension_version: label.extension_version,
            bootloader_areas: label.bootloader_areas.clone(),
            areas,
        }
    }
}

/// An area that the label names and that nothing was written to yet: its header is whatever
/// stands there.
fn new_area(area: &DiskArea) -> MetadataArea {
    use crate::model::device::{AreaHeader, HeaderDamage, Slots};
    MetadataArea {
        offset: area.offset,
        size: area.size,
        header: AreaHeader::Damaged { damage: vec![HeaderDamage::Magic], slots: Slots::default() },
        committed: SlotText::Empty,
        precommitted: SlotText::Empty,
        ring: Vec::new(),
    }
}

impl Contract for WritePvLabel {
    fn object(&self) -> String {
        self.lost.pv.to_string()
    }

    fn title(&self) -> String {
        format!("write the label of PV {} to {}", self.lost.pv, self.lost.device)
    }

    fn reasons(&self) -> Vec<String> {
        let areas = match (self.lost.areas_found, self.lost.areas.len()) {
            (true, 1) => "its metadata area still stands".to_owned(),
            (true, n) => format!("its {n} metadata areas still stand"),
            (false, _) => "its metadata areas are gone too and are made anew".to_owned(),
        };
        vec![format!("linked to this device by: {}", self.lost.link), areas]
    }

    fn touches(&self) -> Touches {
        Touches { reads: vec![Resource::Evidence], writes: vec![Resource::Label(self.lost.pv)] }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images => Risk::Reversible,
            Realm::Live => Risk::OneWay,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => "the label sector is put back byte by byte",
            Realm::Live => {
                "none: what stood there is in the evidence, but a PV that LVM2 may be using by \
                 then is not taken away from it"
            }
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        self.lost.hazards.clone()
    }

    fn lower(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        let lost = &self.lost;
        if !now.devices_of(lost.pv).is_empty() {
            return Err(Unfit::new(format!("PV {} has a label already", lost.pv)));
        }
        let gone = || Unfit::new(format!("{} is not there any more", lost.device));
        let device = now.device(&lost.device).ok_or_else(gone)?;
        let standing = match &device.content {
            Content::LostLabel(found) => found.areas.as_slice(),
            Content::Foreign => &[],
            Content::Pv(other) => {
                return Err(Unfit::new(format!("{} is PV {} now", lost.device, other.uuid)));
            }
            Content::PartitionTable | Content::Unreadable(_) => return Err(gone()),
        };
        let label = self.label()?;
        let bytes = label.encode().ok_or_else(|| Unfit::new("the label does not fit a sector"))?;
        let mut predicted = now.clone();
        if let Some(device) = predicted.devices.iter_mut().find(|d| d.name == lost.device) {
            device.content = Content::Pv(Box::new(self.on_device(&label, standing)));
            device.signatures.clear();
        }
        recount(&mut predicted, self.vg);
        let write = Write {
            device: lost.device.clone(),
            offset: Bytes::new(label.sector * SECTOR_BYTES),
            bytes: bytes.to_vec(),
            of: WriteOf::Label,
        };
        let acts = vec![Act::Write(write), Act::Sync(vec![lost.device.clone()])];
        Ok(Lowered { acts, predicted })
    }

    fn probe(&self, now: &Inventory) -> Probe {
        match now.devices_of(self.lost.pv).as_slice() {
            [] => Probe::Before,
            [device] if device.name == self.lost.device => Probe::After,
            _ => Probe::Neither,
        }
    }
}

/// Copies in areas behind the new label count again.
fn recount(inventory: &mut Inventory, vg: VgUuid) {
    use crate::model::choice::Standing;
    use std::sync::Arc;
    let standing = Standing::of(inventory.committed_copies(vg));
    let texts = &inventory.texts;
    if let Some(on_disk) = inventory.vgs.get_mut(&vg) {
        let text = match &standing {
            Standing::Clear { text, .. } => texts.get(text),
            Standing::None | Standing::Branches { .. } => None,
        };
        on_disk.current = text.and_then(|t| crate::text::vg_of(t).ok()).map(Arc::new);
        on_disk.standing = standing;
    }
}
