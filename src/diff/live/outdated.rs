//! PVs that left the VG while they were away. `vgck --updatemetadata` wipes those it sees; so it
//! must not see them.
//!
//! # Source
//! LVM2 `lib/metadata/metadata.c`, `wipe_outdated_pvs`.

use crate::diff::Diff;
use crate::diff::live::{LvmFeature, Subject, lacking};
use crate::ids::ForeignText;
use crate::model::device::Device;

pub(super) fn check(subject: &Subject<'_>, diff: &mut Diff) {
    if !subject.writes {
        return;
    }
    let devices = &subject.context.inventory.devices;
    for device in devices.iter().filter(|device| is_outdated(subject, device)) {
        let Some(pv) = device.pv().map(|on| on.uuid) else {
            continue;
        };
        let object = format!("PV {pv}");
        if let Some(left) = subject.live.left_out(device) {
            diff.notes.push(format!(
                "{object} on {} left the VG, and LVM does not look there ({}): it is not wiped",
                device.name, left.why
            ));
        } else if let Some(mut refusal) = lacking(&subject.live.lvm, LvmFeature::Devices, &object) {
            refusal.why = format!(
                "it left the VG, its label and old metadata stand on {}, and `vgck --updatemetadata` \
                 wipes them if it sees them. To keep it out, {}",
                device.name, refusal.why
            );
            refusal.help = Some(format!(
                "disconnect {0}, or reject it with `devices/global_filter` in {1}/lvm.conf; or update \
                 LVM2. Then plan again",
                device.name,
                ForeignText::from(subject.live.lvm.system_dir.as_str())
            ));
            diff.refusals.push(refusal);
        } else {
            diff.notes.push(format!(
                "{object} on {} left the VG, and `vgck --updatemetadata`, which LVM advises, would \
                 wipe it: do not run that by hand. Commands of this plan are given the VG's own \
                 devices only, and the evidence has its label and areas",
                device.name
            ));
        }
    }
}

/// Whether the newest text on this device is of this VG, which does not have its PV any more.
fn is_outdated(subject: &Subject<'_>, device: &Device) -> bool {
    let vg = subject.vg();
    let Some(on) = device.pv() else { return false };
    let texts = &subject.context.inventory.texts;
    let found = on.areas.iter().filter_map(|area| area.committed.good());
    let newest = found.filter_map(|key| texts.get(&key)).max_by_key(|text| text.seqno);
    newest.is_some_and(|text| text.vg_uuid == vg.uuid) && vg.pv(on.uuid).is_none()
}
