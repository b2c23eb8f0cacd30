//! How a VG's metadata stands on its devices, as one digest.
//!
//! A run writes down how it left the VG. Whoever takes the run up again, or wants it undone, can
//! tell from that whether anybody else wrote the VG since: a label that was put back is no longer
//! only the run's once LVM has used the PV behind it.

use std::fmt::Write as _;

use crate::ids::{Digest, VgUuid};
use crate::model::choice::Standing;
use crate::model::device::{AreaHeader, Content, Device, MetadataArea};
use crate::model::inventory::Inventory;

/// The digest: of the text that counts, and of the labels and headers of the VG's devices. Device
/// names are left out, as images may be moved; old texts in rings are of no consequence.
pub fn standing(inventory: &Inventory, vg: VgUuid) -> Digest {
    let mut lines = vec![text_line(inventory, vg)];
    let ours = inventory.devices.iter().filter(|device| is_of(inventory, device, vg));
    lines.extend(ours.map(device_line));
    lines.sort();
    Digest::of(lines.concat().as_bytes())
}

fn text_line(inventory: &Inventory, vg: VgUuid) -> String {
    match inventory.vgs.get(&vg).map(|on_disk| &on_disk.standing) {
        Some(Standing::Clear { content, .. }) => format!("text {content}\n"),
        Some(Standing::Branches { seqno, .. }) => format!("text branches at {seqno}\n"),
        Some(Standing::None) | None => "text none\n".to_owned(),
    }
}

/// Whether the VG lists this device's PV, or one of its areas holds a text of the VG.
fn is_of(inventory: &Inventory, device: &Device, vg: VgUuid) -> bool {
    let current = inventory.vgs.get(&vg).and_then(|on_disk| on_disk.current.as_ref());
    let is_listed =
        device.pv().is_some_and(|on| current.is_some_and(|vg| vg.pv(on.uuid).is_some()));
    is_listed || inventory.committed_vgs(device).contains(&vg)
}

fn device_line(device: &Device) -> String {
    let mut line = match &device.content {
        Content::Pv(on) => format!("pv {} {} {}", on.uuid, on.label_sector, on.device_size.get()),
        Content::LostLabel(_) => "label lost".to_owned(),
        Content::PartitionTable | Content::Foreign | Content::Unreadable(_) => "other".to_owned(),
    };
    for area in device.areas() {
        // Writing to a string cannot fail.
        let _ = write!(line, " [{}]", area_words(area));
    }
    line.push('\n');
    line
}

fn area_words(area: &MetadataArea) -> String {
    let place = format!("{} {}", area.offset.get(), area.size.get());
    let AreaHeader::Good(slots) = &area.header else { return format!("{place} damaged") };
    let slot = |slot: &crate::model::device::Slot| {
        format!("{} {} {:x} {}", slot.offset.get(), slot.size.get(), slot.checksum, slot.raw_flags)
    };
    format!("{place} {} {}", slot(&slots.committed), slot(&slots.precommitted))
}
