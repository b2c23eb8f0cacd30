//! Looking for a PV on one device.

use crate::discover::TextStore;
use crate::discover::areas::{look_at_area, stray_areas};
use crate::host::{DeviceInfo, HostError, ReadHost};
use crate::model::device::{Content, LabelRemains, LostLabel, MetadataArea, PvOnDevice};
use crate::ondisk::bytes::sector_at;
use crate::ondisk::label::{LABEL_SECTORS, Label, LabelSector, parse_label};
use crate::ondisk::placement::{Surroundings, misplacement};
use crate::units::{Bytes, SECTOR_BYTES};

/// What is on this device: a PV, what is left of one, or nothing of LVM.
pub fn look_for(
    host: &dyn ReadHost,
    info: &DeviceInfo,
    store: &mut TextStore,
) -> Result<Content, HostError> {
    let len = Bytes::new(LABEL_SECTORS * SECTOR_BYTES).min(info.size);
    let sectors = host.read(&info.name, Bytes::ZERO, len)?;
    let mut remains = Vec::new();
    for sector in 0..LABEL_SECTORS {
        let at = Bytes::new(sector * SECTOR_BYTES).to_usize();
        let Some(bytes) = at.and_then(|at| sector_at(&sectors, at)) else {
            break;
        };
        match parse_label(bytes, sector) {
            LabelSector::Sound(label) => return Ok(pv(host, info, label, store)),
            LabelSector::Damaged { uuid, damage } => {
                remains.push(LabelRemains { sector, uuid, damage });
            }
            LabelSector::Other => {}
        }
    }
    let areas = stray_areas(host, info, store)?;
    if remains.is_empty() && areas.is_empty() {
        return Ok(Content::Foreign);
    }
    Ok(Content::LostLabel(Box::new(LostLabel { remains, areas })))
}

fn pv(host: &dyn ReadHost, info: &DeviceInfo, label: Label, store: &mut TextStore) -> Content {
    let areas = areas_of(host, info, &label, store);
    Content::Pv(Box::new(PvOnDevice {
        uuid: label.uuid,
        label_sector: label.sector,
        device_size: label.device_size,
        in_use: label.in_use(),
        extension_version: label.extension_version,
        data_areas: label.data_areas,
        bootloader_areas: label.bootloader_areas,
        areas,
    }))
}

/// The areas that a label names, each held to where an area may lie.
fn areas_of(
    host: &dyn ReadHost,
    info: &DeviceInfo,
    label: &Label,
    store: &mut TextStore,
) -> Vec<MetadataArea> {
    // How far the data reaches only the VG's text tells: its first byte is all a label knows of.
    let data = label.data_areas.first().map(|area| area.offset);
    let around = Surroundings {
        device_size: info.size,
        areas: &label.metadata_areas,
        data: data.map(|start| start..start.saturating_add(Bytes::new(1))),
    };
    let look =
        |(index, place)| look_at_area(host, &info.name, place, misplacement(index, &around), store);
    label.metadata_areas.iter().copied().enumerate().map(look).collect()
}
