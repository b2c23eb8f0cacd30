//! Writing metadata on a running machine: LVM2's own commands do it.
//!
//! What comes of it is predicted as on images ([`crate::operation::commit`]); only the acts are
//! others.
//!
//! - `vgcfgrestore` takes a whole text. It writes the number of its file plus one, whatever stands
//!   on the disks, so the file gets a number that makes the result the highest anywhere.
//! - `vgck --updatemetadata` writes the text that counts to every area whose header it can read.
//! - `pvck --repair` writes to one device, whether that is in use or not: its label, or its first
//!   metadata area, exactly as the file has it. It never empties a pointer on its way, as
//!   `pvcreate --restorefile` does.
//!
//! # Source
//! LVM2 `tools/vgcfgrestore.c`, `lib/format_text/archiver.c` (`backup_restore_vg`),
//! `tools/pvck.c` (`_repair_metadata`, `_repair_pv_header`), `tools/vgck.c`.

use std::sync::Arc;

use crate::ids::{DeviceName, LvName, PvUuid, VgName, VgUuid};
use crate::model::device::DiskArea;
use crate::model::inventory::Inventory;
use crate::model::parts::snapshot_link;
use crate::model::segment::SegmentKind;
use crate::model::timeline::MetadataText;
use crate::model::vg::{Lv, Pv, Vg};
use crate::ondisk::placement::AREA_START;
use crate::operation::act::Act;
use crate::operation::command::{
    CommandLine, DeviceStamp, LockedWrite, Pointers, SCRATCH_DIR, devices_of_vg, devices_option,
    lvm, lvm_of, private_locks,
};
use crate::operation::commit::{Built, frame_text};
use crate::operation::{Lowered, Signature, Unfit};
use crate::text::edit::set_seqno;
use crate::text::frame::vg_mut;
use crate::text::write::write_text;

/// Lets `vgcfgrestore` write a text that was built upon the one that counts.
pub fn restore(now: &Inventory, built: Built, signature: &Signature) -> Result<Lowered, Unfit> {
    let setup = lvm_of(now)?;
    let new = vg_of(&built.text)?;
    refuse_absent(now, &new)?;
    let seqno = new.seqno.checked_sub(1).ok_or_else(|| Unfit::new("BUG: seqno 0"))?;
    let bytes = renumbered(&built.text, seqno, signature)?;
    let path = scratch_file(&new.name, new.seqno, signature);
    let mut args: Vec<String> = ["vgcfgrestore", "--yes"].map(str::to_owned).to_vec();
    if has_thin(&new) {
        // Without it LVM2 refuses any text with thin volumes, whatever is changed in it.
        args.push("--force".to_owned());
    }
    args.extend(["--file".to_owned(), path.clone()]);
    args.extend(private_locks());
    args.extend(devices_option(setup, &devices_of_vg(now, new.uuid)));
    args.push(new.name.to_string());
    let write = locked(now, &new, None, (path, bytes), lvm(setup, args))?;
    let acts = vec![Act::WriteLocked(write)];
    Ok(Lowered { acts, predicted: built.lowered.predicted })
}

/// Lets `pvck --repair` write this text, as it stands, into the first area of a device. What the
/// same operation wrote before it, on the devices in `written`, is no sign of somebody else.
pub fn repair_area(
    now: &Inventory,
    text: &MetadataText,
    device: &DeviceName,
    written: &[DeviceName],
    signature: &Signature,
) -> Result<Act, Unfit> {
    let setup = lvm_of(now)?;
    let vg = vg_of(text)?;
    let path = scratch_file(&vg.name, vg.seqno, signature);
    let mut args: Vec<String> =
        ["pvck", "--yes", "--repairtype", "metadata", "--file"].map(str::to_owned).to_vec();
    args.push(path.clone());
    args.extend(private_locks());
    args.push(device.path().to_owned());
    let mut act =
        locked(now, &vg, Some(device), (path, Arc::clone(&text.bytes)), lvm(setup, args))?;
    act.unchanged.retain(|pointers| !written.contains(&pointers.device));
    Ok(Act::WriteLocked(act))
}

/// Lets `pvck --repair` write the label of a PV that this text describes.
pub fn repair_label(
    now: &Inventory,
    text: &MetadataText,
    pv: PvUuid,
    device: &DeviceName,
    signature: &Signature,
) -> Result<Act, Unfit> {
    let setup = lvm_of(now)?;
    let vg = vg_of(text)?;
    let path = scratch_file(&vg.name, vg.seqno, signature);
    let mut args: Vec<String> =
        ["pvck", "--yes", "--repairtype", "pv_header", "--file"].map(str::to_owned).to_vec();
    args.extend([path.clone(), "--settings".to_owned(), format!("pv_uuid={pv}")]);
    args.extend(private_locks());
    args.push(device.path().to_owned());
    locked(now, &vg, Some(device), (path, Arc::clone(&text.bytes)), lvm(setup, args))
        .map(Act::WriteLocked)
}

/// `vgck --updatemetadata`, with exactly the PVs of the VG: it would wipe others that it takes for
/// outdated.
pub fn update_areas(now: &Inventory, vg: VgUuid, name: &VgName) -> Result<CommandLine, Unfit> {
    let setup = lvm_of(now)?;
    let mut args = vec!["vgck".to_owned(), "--updatemetadata".to_owned()];
    args.extend(devices_option(setup, &devices_of_vg(now, vg)));
    args.push(name.to_string());
    Ok(lvm(setup, args))
}

fn locked(
    now: &Inventory,
    vg: &Vg,
    on: Option<&DeviceName>,
    file: (String, Arc<[u8]>),
    command: CommandLine,
) -> Result<LockedWrite, Unfit> {
    Ok(LockedWrite {
        on: on.map(|device| DeviceStamp::of(now, device)).transpose()?,
        vg: vg.name.clone(),
        locking_dir: lvm_of(now)?.locking_dir.clone(),
        unchanged: pointers(now, vg),
        file,
        command,
    })
}

/// The headers of all areas of the VG's PVs that are good.
pub fn pointers(now: &Inventory, vg: &Vg) -> Vec<Pointers> {
    let devices = vg.pvs.iter().flat_map(|pv| now.devices_of(pv.uuid));
    let areas = devices.flat_map(|device| device.areas().iter().map(move |area| (device, area)));
    let good = areas.filter_map(|(device, area)| {
        let slots = *area.header.good()?;
        Some(Pointers { device: device.name.clone(), area: area.place(), slots })
    });
    good.collect()
}

fn vg_of(text: &MetadataText) -> Result<Vg, Unfit> {
    crate::text::vg_of(text)
        .map_err(|error| Unfit::new(format!("the metadata cannot be read: {error}")))
}

/// A name that no other run, and no other text of this one, has.
fn scratch_file(vg: &VgName, seqno: u32, signature: &Signature) -> String {
    format!("{SCRATCH_DIR}/{vg}-{}-seqno-{seqno}.vg", signature.time)
}

/// `vgcfgrestore` writes nothing while a PV of the text is absent or flagged MISSING.
fn refuse_absent(now: &Inventory, new: &Vg) -> Result<(), Unfit> {
    let is_absent = |pv: &&Pv| pv.is_missing() || now.devices_of(pv.uuid).is_empty();
    match new.pvs.iter().find(is_absent) {
        None => Ok(()),
        Some(pv) => Err(Unfit::new(format!(
            "LVM2 restores no metadata while PV {} is absent or flagged MISSING; attach it first: \
             `physical_volumes: {{{}: {{state: attached}}}}`",
            pv.uuid, pv.uuid
        ))),
    }
}

fn has_thin(vg: &Vg) -> bool {
    let mut kinds = vg.lvs.iter().flat_map(|lv| &lv.segments).map(|segment| &segment.kind);
    kinds.any(|kind| matches!(kind, SegmentKind::Thin { .. } | SegmentKind::ThinPool { .. }))
}

/// The text with another number.
fn renumbered(text: &MetadataText, seqno: u32, signature: &Signature) -> Result<Arc<[u8]>, Unfit> {
    let bug = |error: &dyn std::fmt::Display| Unfit::new(format!("BUG: {error}"));
    let mut tree = crate::text::parser::parse(&text.bytes).map_err(|e| bug(&e))?;
    let section = vg_mut(&mut tree).ok_or_else(|| bug(&"it describes no VG"))?;
    set_seqno(section, seqno);
    let description = text.description.as_ref().map_or("", |text| text.raw());
    let frame = frame_text(signature, description);
    Ok(Arc::from(write_text(text.vg_name.as_str().as_bytes(), section, &frame)))
}

/// LVM2 writes the text once more than was predicted: its number is one higher.
pub fn count_up(predicted: &mut Inventory, vg: VgUuid) {
    let current = predicted.vgs.get_mut(&vg).and_then(|on_disk| on_disk.current.as_mut());
    if let Some(vg) = current {
        let next = vg.seqno.saturating_add(1);
        Arc::make_mut(vg).seqno = next;
    }
}

/// An LV is gone, with what ties it to its origin where it is a classic snapshot.
pub fn without(predicted: &mut Inventory, vg: VgUuid, name: &LvName) {
    let current = predicted.vgs.get_mut(&vg).and_then(|on_disk| on_disk.current.as_mut());
    let Some(vg) = current else { return };
    let is_link = |lv: &&Lv| snapshot_link(lv).is_some_and(|link| link.store == name);
    let link = vg.lvs.iter().find(is_link).map(|lv| lv.name.clone());
    let rest = vg.without(name);
    *vg = Arc::new(link.map_or(rest.clone(), |link| rest.without(&link)));
}

/// Where `pvck --repair` puts the first metadata area: from byte 4096 to the data.
pub fn first_area(pv: &Pv) -> Option<DiskArea> {
    let size = pv.pe_start.bytes()?.checked_sub(AREA_START)?;
    Some(DiskArea { offset: AREA_START, size })
}
