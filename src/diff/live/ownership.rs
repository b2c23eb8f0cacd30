//! VGs that are not this host's to work on, or that a command cannot name.

use crate::diff::live::Subject;
use crate::diff::{Diff, Refusal, RefusalCode};
use crate::ids::ForeignText;
use crate::model::flags::VgStatus;
use crate::model::inventory::VgOnDisk;

pub(super) fn check(subject: &Subject<'_>, diff: &mut Diff) {
    let found = [shared(subject), exported(subject), foreign(subject), read_only(subject)];
    diff.refusals.extend(found.into_iter().flatten());
    diff.refusals.extend(ambiguous(subject));
}

/// A VG behind a lock manager: the locks that LVM's files give do not keep other hosts out.
fn shared(subject: &Subject<'_>) -> Option<Refusal> {
    let vg = subject.vg();
    let manager = vg.lock_type.as_ref().filter(|t| !t.is_empty() && t.raw() != "none");
    let is_clustered = vg.status.has(VgStatus::Clustered);
    let found = match (manager, is_clustered, vg.status.has(VgStatus::Shared)) {
        (Some(manager), _, _) => format!("its lock type is {manager}"),
        (None, true, _) => "it is flagged CLUSTERED".to_owned(),
        (None, false, true) => "it is flagged SHARED".to_owned(),
        (None, false, false) => return None,
    };
    let why = format!(
        "{found}: other hosts may use it now, and lvmend does not take the locks of a lock manager"
    );
    let help = format!(
        "stop it on every other host, then make it local: `vgchange --lock-type none {0}`, or, where \
         the lock manager does not run any more, `vgchange --lock-type none --lock-opt force {0}`. \
         Then plan again",
        vg.name
    );
    Some(Refusal::new(RefusalCode::VgShared, subject.object(), why).with_help(help))
}

fn exported(subject: &Subject<'_>) -> Option<Refusal> {
    let vg = subject.vg();
    if !vg.status.has(VgStatus::Exported) {
        return None;
    }
    let why = "it is flagged EXPORTED: it was handed over to another host, and LVM touches none of \
               its LVs until it is imported";
    let help = format!("once no other host has its disks: `vgimport {}`, then plan again", vg.name);
    Some(Refusal::new(RefusalCode::VgExported, subject.object(), why).with_help(help))
}

/// A system ID that is not this host's. LVM refuses it too, but only in the middle of the run.
fn foreign(subject: &Subject<'_>) -> Option<Refusal> {
    let owner = subject.vg().system_id.as_ref().filter(|id| !id.is_empty())?;
    let lvm = &subject.live.lvm;
    let own = lvm.system_id.as_ref().filter(|id| !id.is_empty());
    if own == Some(owner) || lvm.extra_system_ids.contains(owner) {
        return None;
    }
    let here = own.map_or_else(
        || "this host has no system ID".to_owned(),
        |own| format!("this host's is {own}"),
    );
    let why = format!("its system ID is {owner}, {here}: another host may use it now");
    let help = format!(
        "make sure that the other host has none of its LVs active, and will not come back. Then let \
         this host in: `extra_system_ids = [ \"{owner}\" ]` under `local` in {}/lvmlocal.conf",
        ForeignText::from(lvm.system_dir.as_str())
    );
    Some(Refusal::new(RefusalCode::ForeignSystemId, subject.object(), why).with_help(help))
}

fn read_only(subject: &Subject<'_>) -> Option<Refusal> {
    if !subject.writes || subject.vg().is_writable() {
        return None;
    }
    let name = &subject.vg().name;
    let why = "its metadata lacks the flag WRITE: somebody made it read-only, and LVM does not \
               change it";
    let help = format!(
        "ask who did that, and why. LVM has no command to take it back: `vgcfgbackup -f FILE {name}`, \
         add \"WRITE\" to the VG's `status` in FILE, `vgcfgrestore -f FILE {name}`"
    );
    Some(Refusal::new(RefusalCode::ReadOnlyVg, subject.object(), why).with_help(help))
}

/// Another VG of this name, on devices where LVM looks. One that only old texts tell of, or of
/// which LVM sees no device, is nothing that a command could mean.
fn ambiguous(subject: &Subject<'_>) -> Option<Refusal> {
    let inventory = subject.context.inventory;
    let vg = subject.vg();
    let seen_on = |other: &VgOnDisk| {
        let devices = inventory.devices.iter();
        let mut seen = devices.filter(|device| subject.live.left_out(device).is_none());
        seen.find(|device| inventory.committed_vgs(device).contains(&other.uuid))
    };
    let named = inventory.vgs_named(&vg.name).into_iter();
    let mut others = named.filter(|other| other.uuid != vg.uuid);
    let (other, device) = others.find_map(|other| Some((other, seen_on(other)?)))?;
    let why = format!(
        "VG {} has this name as well, on {}: commands of LVM name a VG, and could mean either",
        other.uuid, device.name
    );
    let help = format!(
        "rename one by its UUID, `vgrename {} NEWNAME`; where a host boots from it, its fstab, boot \
         loader and initramfs must follow. A clone, or the disk of a guest, is better left out of \
         LVM: `lvm lvmdevices --deldev`, or `devices/global_filter`",
        other.uuid
    );
    Some(Refusal::new(RefusalCode::AmbiguousVgName, subject.object(), why).with_help(help))
}
