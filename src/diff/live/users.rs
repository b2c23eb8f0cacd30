//! Who uses an LV, its layers and what is built on it.

use std::collections::BTreeSet;
use std::fmt;

use crate::diff::live::Subject;
use crate::diff::{Change, Diff, Refusal, RefusalCode};
use crate::ids::{LvUuid, VgUuid};
use crate::model::live::{DevNumber, Live, MappedDevice, Mount, Opener, TargetLine, Use};

/// A label is written over what a device holds: nobody may use that. LVs of the VG may be active
/// on it; their extents are left alone.
pub(super) fn check(subject: &Subject<'_>, diff: &mut Diff) {
    let mut refusals = Vec::new();
    for change in &diff.changes {
        let Change::WriteLabel(lost) = change else {
            continue;
        };
        let device = subject.context.inventory.device(&lost.device);
        if let Some(number) = device.and_then(|device| device.number) {
            let uses = subject.live.uses_of(number, subject.vg().uuid);
            refusals.extend(refused(format!("device {}", lost.device), &uses, ended));
        }
    }
    diff.refusals.extend(refusals);
}

/// Everybody who uses an LV: its own device, its layers, and every device of the VG that lies on
/// one of them, such as thin LVs on a pool or snapshots on an origin. Devices of the same VG are no
/// users by themselves. Where the kernel counts users and none was found, that is told too.
pub fn users(live: &Live, vg: VgUuid, lv: LvUuid) -> Vec<Use> {
    let mut uses = Vec::new();
    for mapped in built_on(live, vg, lv) {
        uses.extend(live.uses_of(mapped.number, vg));
    }
    uses.sort();
    uses.dedup();
    uses
}

/// The devices of an LV and every device of the VG upon them, tables that wait included: they too
/// keep open what they name.
fn built_on(live: &Live, vg: VgUuid, lv: LvUuid) -> Vec<&MappedDevice> {
    let is_of = |mapped: &&MappedDevice| mapped.layer.as_ref().is_some_and(|l| l.lv == lv);
    let of_lv = live.mapped_of_vg(vg).filter(is_of);
    let mut numbers: BTreeSet<DevNumber> = of_lv.map(|mapped| mapped.number).collect();
    loop {
        let lies_on = |m: &&MappedDevice| named_by(m).any(|below| numbers.contains(&below));
        let above: Vec<DevNumber> = live
            .mapped_of_vg(vg)
            .filter(|mapped| !numbers.contains(&mapped.number))
            .filter(lies_on)
            .map(|mapped| mapped.number)
            .collect();
        if above.is_empty() {
            break;
        }
        numbers.extend(above);
    }
    live.mapped_of_vg(vg).filter(|mapped| numbers.contains(&mapped.number)).collect()
}

/// Devices that its tables name, the live and the waiting one.
fn named_by(mapped: &MappedDevice) -> impl Iterator<Item = DevNumber> + '_ {
    mapped.live.iter().chain(&mapped.inactive).flat_map(TargetLine::devices)
}

/// The uses that a run cannot end by itself. It may unmount what is mounted where the plan says
/// (`unmount`), in this mount namespace.
pub fn in_the_way(uses: &[Use], unmount: &[String]) -> Vec<Use> {
    let may_go = |found: &&Use| match found {
        Use::Mount(mount) => mount.is_ours && unmount.iter().any(|at| at == mount.at.raw()),
        Use::Swap | Use::Device(_) | Use::Process(_) | Use::Unknown(_) => false,
    };
    uses.iter().filter(|found| !may_go(found)).cloned().collect()
}

/// The refusal of an operation that needs an LV free of users; none when nobody is in the way.
pub fn refuse_users(object: impl fmt::Display, in_the_way: &[Use]) -> Option<Refusal> {
    refused(object, in_the_way, |found| match found {
        Use::Mount(Mount { at, is_ours: true, .. }) => {
            let by_plan = format!("policy: {{busy: {{unmount: [{at}]}}}}");
            format!("{}, or let the plan do it: `{by_plan}`", ended(found))
        }
        Use::Mount(_) | Use::Swap | Use::Device(_) | Use::Process(_) | Use::Unknown(_) => {
            ended(found)
        }
    })
}

fn refused(
    object: impl fmt::Display,
    in_the_way: &[Use],
    advice: impl Fn(&Use) -> String,
) -> Option<Refusal> {
    if in_the_way.is_empty() {
        return None;
    }
    let shown: Vec<String> = in_the_way.iter().map(ToString::to_string).collect();
    let why = format!("it is in use: {}", shown.join("; "));
    let mut advice: Vec<String> = in_the_way.iter().map(advice).collect();
    advice.dedup();
    let help = format!("{}. Plan again after that", advice.join("; "));
    Some(Refusal::new(RefusalCode::VolumeInUse, object, why).with_help(help))
}

/// How a use is ended by hand.
fn ended(found: &Use) -> String {
    match found {
        Use::Mount(Mount { at, is_ours: true, .. }) => format!("`umount {}`", at.typed()),
        Use::Mount(Mount { at, seen_by: Some(pid), .. }) => {
            format!(
                "`nsenter -t {pid} -m umount {}`, or stop the container of pid {pid}",
                at.typed()
            )
        }
        Use::Mount(Mount { at, .. }) => format!("stop the container or service that mounts {at}"),
        Use::Swap => "`swapoff` it".to_owned(),
        Use::Device(name) => format!("take down device {name}, which lies on it"),
        Use::Process(Opener { pid, name, .. }) => format!("stop {name} (pid {pid})"),
        Use::Unknown(_) => "look for mounts in other namespaces (`lsns -t mnt`), loop devices \
                            (`losetup -l`), and exports of the kernel (`targetcli ls`, nbd, drbd)"
            .to_owned(),
    }
}
