//! Active LVs that the metadata does not know: their tables, as versions to recover from.

use std::collections::BTreeMap;

use crate::ids::{ForeignText, PvUuid};
use crate::model::device::Device;
use crate::model::inventory::Inventory;
use crate::model::live::{DevNumber, Live, MappedDevice};
use crate::model::timeline::{MetadataText, Source};
use crate::model::vg::Vg;
use crate::text::frame::Frame;
use crate::text::from_table::{LiveLv, lv_name_of, section_with};
use crate::text::write::{FrameText, write_text};
use crate::text::{parser, read_text};

/// Adds a version for every active LV that its VG does not know any more.
pub fn add_live_lvs(inventory: &mut Inventory) {
    let Some(live) = inventory.live.clone() else { return };
    let pvs = pv_numbers(&inventory.devices);
    let texts = &inventory.texts;
    for on_disk in inventory.vgs.values_mut() {
        let text = on_disk.standing.text().and_then(|key| texts.get(&key)).cloned();
        let (Some(text), Some(vg)) = (text, on_disk.current.clone()) else { continue };
        for device in unknown_to(&vg, &live) {
            if let Some(made) = version_of(&text, &vg, device, &pvs) {
                on_disk.timeline.insert(made, source(device));
            }
        }
    }
}

fn source(device: &MappedDevice) -> Source {
    Source::DeviceTable(ForeignText::from(device.name.raw()))
}

fn pv_numbers(devices: &[Device]) -> BTreeMap<DevNumber, PvUuid> {
    devices.iter().filter_map(|device| Some((device.number?, device.pv()?.uuid))).collect()
}

/// Devices that stand for an LV as a whole, of which the VG has none with that UUID.
fn unknown_to<'a>(vg: &'a Vg, live: &'a Live) -> impl Iterator<Item = &'a MappedDevice> {
    live.mapped_of_vg(vg.uuid).filter(|mapped| {
        let layer = mapped.layer.as_ref();
        layer.is_some_and(|l| l.suffix.is_empty() && vg.lv_by_uuid(l.lv).is_none())
    })
}

/// The text that describes this device; none when its table is not one that a text can describe.
fn version_of(
    current: &MetadataText,
    vg: &Vg,
    device: &MappedDevice,
    pvs: &BTreeMap<DevNumber, PvUuid>,
) -> Option<MetadataText> {
    let lv = LiveLv { device, uuid: device.layer.as_ref()?.lv, name: lv_name_of(device, vg)? };
    let tree = parser::parse(&current.bytes).ok()?;
    let frame = Frame::of(&tree).ok()?;
    let section = section_with(frame.vg, vg, &lv, pvs).ok()?;
    let frame = FrameText {
        generated_by: "Read off a live table".to_owned(),
        description: format!("the live table of {}", device.name),
        creation_host: current.creation_host.clone().unwrap_or_else(|| ForeignText::from("")),
        machine: ForeignText::from(""),
        creation_time: current.creation_time.unwrap_or(0),
        time_shown: String::new(),
    };
    let bytes = write_text(vg.name.as_str().as_bytes(), &section, &frame);
    read_text(&bytes.into()).ok().map(|read| read.text)
}
