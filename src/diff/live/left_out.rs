//! PVs that are there, but where LVM does not look; and PVs that stand where it looks twice.

use crate::diff::live::Subject;
use crate::diff::{Change, Diff, Refusal, RefusalCode};
use crate::ids::{ForeignText, PvUuid};
use crate::model::device::Device;
use crate::model::live::{BlockNode, LeftOut, Live};
use crate::model::vg::Pv;

/// A PV whose every device LVM leaves out is as good as missing to LVM, and its next write says so
/// in the metadata. That it is there is what must be told.
pub(super) fn check(subject: &Subject<'_>, diff: &mut Diff) {
    let inventory = subject.context.inventory;
    for (pv, left, is_wanted) in left_out_pvs(subject) {
        if pv.is_missing() && !is_wanted {
            diff.notes.push(format!(
                "PV {} is flagged MISSING, yet stands on {}, where LVM does not look: {}",
                pv.uuid, left.device, left.why
            ));
        } else {
            diff.refusals.push(refusal(pv.uuid, left, "it stands on"));
        }
    }
    for change in &diff.changes {
        if let Change::WriteLabel(lost) = change {
            let device = inventory.device(&lost.device);
            let left = device.and_then(|device| subject.live.left_out(device));
            diff.refusals.extend(left.map(|left| refusal(lost.pv, left, "it is to be")));
        }
    }
}

/// A PV that LVM does not look at is not attached, whatever the metadata says.
pub(super) fn check_attached(subject: &Subject<'_>, diff: &mut Diff) {
    let wanted = left_out_pvs(subject).filter(|(_, _, is_wanted)| *is_wanted);
    diff.refusals.extend(wanted.map(|(pv, left, _)| refusal(pv.uuid, left, "it stands on")));
}

/// PVs of the VG of which LVM leaves out every device, the first of these, and whether the plan
/// wants them attached.
fn left_out_pvs<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = (&'a Pv, &'a LeftOut, bool)> {
    subject.vg().pvs.iter().filter_map(|pv| {
        let devices = subject.context.inventory.devices_of(pv.uuid);
        let all: Option<Vec<&LeftOut>> =
            devices.iter().map(|device| subject.live.left_out(device)).collect();
        let left = all.as_deref().and_then(<[_]>::first).copied()?;
        let is_wanted = subject.context.goals.attached.iter().any(|goal| goal.uuid == pv.uuid);
        Some((pv, left, is_wanted))
    })
}

fn refusal(pv: PvUuid, left: &LeftOut, how: &str) -> Refusal {
    let LeftOut { device, why } = left;
    let why = format!("{how} {device}, where LVM does not look: {why}");
    Refusal::new(RefusalCode::PvLeftOut, format!("PV {pv}"), why).with_help(help(left))
}

/// What lets LVM look again, by what LVM says.
fn help(left: &LeftOut) -> String {
    let says = left.why.raw().to_lowercase();
    let says = |word: &str| says.contains(word);
    let device = left.device.path();
    let device = ForeignText::from(device).typed();
    let list = format!("`lvm lvmdevices --adddev {device}`");
    let filter = "`devices/filter` and `devices/global_filter` in lvm.conf";
    let what = if says("multipath") || says("mpath") {
        "it is a path of a multipath device: start that (`systemctl start multipathd`, then \
         `multipath -ll`), so that LVM finds the PV there"
            .to_owned()
    } else if says("md component") || says("raid component") {
        "it is part of an array: assemble that (`mdadm --assemble --scan`), so that LVM finds the PV \
         there"
            .to_owned()
    } else if says("is an lv") || says("scan_lvs") {
        "it lies on an LV, which LVM does not search for PVs, as it mostly is a guest's disk: mend it \
         in the guest; or shut the guest down, and set `devices/scan_lvs = 1` in lvm.conf for as \
         long as you work on it"
            .to_owned()
    } else if says("devices file") || says("devicesfile") {
        list
    } else if says("filter") {
        format!("let {filter} accept {device}")
    } else {
        format!("{list} where LVM keeps a devices file; else let {filter} accept it")
    };
    format!(
        "{what}. Plan again after that; never `vgreduce --removemissing`: the PV is not missing"
    )
}

/// What to do about a PV that LVM sees on several devices.
pub(in crate::diff) fn help_with_duplicates(live: &Live, devices: &[&Device]) -> String {
    let hide = "`lvm lvmdevices --deldev DEV`, or reject it with `devices/global_filter`";
    for upper in devices {
        let lower = devices.iter().find(|lower| lies_on(live, upper, lower));
        if let Some(lower) = lower {
            return format!(
                "{} lies on {}: hide the lower one from LVM, `lvm lvmdevices --deldev {}`, or reject it \
                 with `devices/global_filter`",
                upper.name,
                lower.name,
                ForeignText::from(lower.name.path()).typed()
            );
        }
    }
    if let Some(identity) = one_identity(live, devices) {
        return format!(
            "they are one disk ({identity}) over several paths: start multipath (`systemctl start \
             multipathd`, then `multipath -ll`), or hide all paths but one from LVM: {hide}"
        );
    }
    format!(
        "one of them is a clone, a snapshot that a storage array made, or a guest's disk. Find out \
         which is meant (`lsblk -o NAME,SIZE,SERIAL,WWN,MOUNTPOINTS`), and hide the others from LVM: \
         {hide}. `vgimportclone` gives a clone UUIDs of its own"
    )
}

fn lies_on(live: &Live, upper: &Device, lower: &Device) -> bool {
    match (upper.number, lower.number) {
        (Some(up), Some(low)) => up != low && live.below(&[up]).contains(&low),
        (Some(_) | None, _) => false,
    }
}

/// What the kernel says each of them is, when it says the same of all.
fn one_identity<'a>(live: &'a Live, devices: &[&Device]) -> Option<&'a ForeignText> {
    let node = |device: &&Device| device.number.and_then(|n| live.node_by_number(n));
    let identities: Option<Vec<_>> = devices
        .iter()
        .map(|device| node(device).and_then(|node: &BlockNode| node.identity.as_ref()))
        .collect();
    let identities = identities?;
    let first = identities.first().copied().filter(|first| !first.is_empty())?;
    identities.iter().all(|other| *other == first).then_some(first)
}
