//! Looking for a PV on one device.

use crate::discover::TextStore;
use crate::discover::areas::{look_at_area, stray_areas};
use crate::host::{DeviceInfo, HostError, ReadHost};
use crate::model::device::{Content, LabelRemains, LostLabel, MetadataArea, PvOnDevice};
use crate::model::signature::ForeignSignature;
use crate::ondisk::bytes::sector_at;
use crate::ondisk::label::{LABEL_SECTORS, Label, LabelSector, parse_label};
use crate::ondisk::placement::{Surroundings, misplacement};
use crate::ondisk::signature::{self, Ends};
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

/// What stands on a device that is not LVM's.
pub fn foreign_on(host: &dyn ReadHost, info: &DeviceInfo) -> Vec<ForeignSignature> {
    let head = read_what_can_be(host, info, Bytes::ZERO, signature::HEAD_SIZE.min(info.size));
    let len = signature::TAIL_SIZE.min(info.size);
    let tail = read_what_can_be(host, info, info.size.saturating_sub(len), len);
    signature::signatures(&Ends { size: info.size, head: &head, tail: &tail })
}

/// These bytes, with zeros for sectors that cannot be read: a bad sector where no signature stands
/// must not hide what else is on the device.
fn read_what_can_be(host: &dyn ReadHost, info: &DeviceInfo, offset: Bytes, len: Bytes) -> Vec<u8> {
    if let Ok(bytes) = host.read(&info.name, offset, len) {
        return bytes;
    }
    let size = usize::try_from(SECTOR_BYTES).unwrap_or(512);
    let mut bytes = vec![0; len.to_usize().unwrap_or(0)];
    for (index, place) in bytes.chunks_mut(size).enumerate() {
        let at = offset.saturating_add(Bytes::new(index as u64 * SECTOR_BYTES));
        if let Ok(sector) = host.read(&info.name, at, Bytes::of_len(place.len())) {
            place.copy_from_slice(&sector);
        }
    }
    bytes
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
