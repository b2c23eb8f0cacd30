//! Who uses an LV, and so keeps it from being deactivated or overwritten.

use crate::diff::{Refusal, RefusalCode};
use crate::ids::{LvName, LvUuid, VgName, VgUuid};
use crate::model::live::{Live, Mount, Opener, Use};

/// Everybody who uses a device of an LV, its layers included.
pub fn users(live: &Live, vg: VgUuid, lv: LvUuid) -> Vec<Use> {
    let of_lv = live.mapped_of_vg(vg);
    let of_lv = of_lv.filter(|mapped| mapped.layer.as_ref().is_some_and(|l| l.lv == lv));
    let mut uses: Vec<Use> = of_lv.flat_map(|mapped| live.uses_of(mapped.number, vg)).collect();
    uses.sort();
    uses.dedup();
    uses
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
pub fn refuse_users(vg: &VgName, lv: &LvName, in_the_way: &[Use]) -> Option<Refusal> {
    if in_the_way.is_empty() {
        return None;
    }
    let shown: Vec<String> = in_the_way.iter().map(ToString::to_string).collect();
    let why = format!("it is in use: {}", shown.join("; "));
    let mut advice: Vec<String> = in_the_way.iter().map(advice).collect();
    advice.dedup();
    let help = format!("{}. Plan again after that", advice.join("; "));
    Some(Refusal::new(RefusalCode::VolumeInUse, format!("LV {vg}/{lv}"), why).with_help(help))
}

/// How a use is ended.
fn advice(found: &Use) -> String {
    match found {
        Use::Mount(Mount { at, is_ours: true, .. }) => {
            format!("`umount {at}`")
        }
        Use::Mount(Mount { at, seen_by: Some(pid), .. }) => {
            format!("`nsenter -t {pid} -m umount {at}`, or stop the container of pid {pid}")
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
