//! Writes the label of a PV again.
//!
//! Effect: one sector. Half way: the sector is written as a whole or not at all. Undo: on
//! images the sector is put back as it was, on a running machine there is none. There
//! `pvck --repair` does it: `pvcreate --uuid … --restorefile …` empties the metadata areas as well.

use serde::{Deserialize, Serialize};

use crate::diff::{LostPv, identity_of};
use crate::ids::VgUuid;
use crate::model::device::{Content, DiskArea, MetadataArea, PvOnDevice, SlotText};
use crate::model::inventory::{Inventory, Realm};
use crate::model::timeline::MetadataText;
use crate::ondisk::label::Label;
use crate::ondisk::placement::AREA_START;
use crate::operation::act::{Act, Write, WriteOf};
use crate::operation::{
    Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit, live_commit,
};
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

    /// `pvck --repair` writes the label to sector 1, one metadata area from byte 4096 to the data,
    /// and no boot loader's area. Any other layout is refused: the data would not be where it is.
    fn check_layout(&self) -> Result<(), Unfit> {
        let lost = &self.lost;
        let refuse = |why: &str| {
            Err(Unfit::new(format!(
                "LVM2 has no command that writes this label again: {why}; lvmend itself can, on an \
                 image of the disk (`--image`)"
            )))
        };
        let end = lost.data_start.bytes();
        let has_one = match lost.areas.as_slice() {
            [area] => area.offset == AREA_START && area.end() == end,
            _ => false,
        };
        match (has_one, lost.bootloader) {
            (true, None) => Ok(()),
            (_, Some(_)) => refuse("the PV has an area for a boot loader"),
            (false, None) => refuse(
                "its metadata areas are not one that begins at byte 4096 and ends at the data",
            ),
        }
    }

    /// The newest text that describes the PV as it is to be: `pvck` takes the layout from there.
    fn text<'a>(&self, now: &'a Inventory) -> Result<&'a MetadataText, Unfit> {
        let fits = |text: &MetadataText| {
            let vg = crate::text::vg_of(text).ok();
            let pv = vg.as_ref().and_then(|vg| vg.pv(self.lost.pv));
            pv.is_some_and(|pv| pv.pe_start == self.lost.data_start)
        };
        let versions = now.vgs.get(&self.vg).map(|on_disk| on_disk.timeline.versions());
        let mut newest = versions.into_iter().flatten().rev().map(|version| &version.text);
        newest
            .find(|text| fits(text))
            .ok_or_else(|| Unfit::new("no version of the metadata describes this PV any more"))
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

    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let lost = &self.lost;
        if !now.devices_of(lost.pv).is_empty() {
            return Err(Unfit::new(format!("PV {} has a label already", lost.pv)));
        }
        let gone = || Unfit::new(format!("{} is not there any more", lost.device));
        let device = now.device(&lost.device).ok_or_else(gone)?;
        if identity_of(now, device) != lost.identity {
            let name = &lost.device;
            return Err(Unfit::new(format!("{name} is another disk than when it was planned")));
        }
        let standing = match &device.content {
            Content::LostLabel(found) => found.areas.as_slice(),
            Content::Foreign => &[],
            Content::Pv(other) => {
                return Err(Unfit::new(format!("{} is PV {} now", lost.device, other.uuid)));
            }
            Content::PartitionTable | Content::Unreadable(_) => return Err(gone()),
        };
        if now.realm == Realm::Live {
            self.check_layout()?;
        }
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
        let acts = match now.realm {
            Realm::Images => vec![Act::Write(write), Act::Sync(vec![lost.device.clone()])],
            Realm::Live => {
                let text = self.text(now)?;
                vec![live_commit::repair_label(now, text, lost.pv, &lost.device, signature)?]
            }
        };
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
