//! PVs of the VG as a whole plan needs them: each there, once, writable, and claimed by no other VG.

use crate::diff::{Base, Change, Context, Diff, Refusal, RefusalCode, live};
use crate::ids::PvUuid;

/// A PV that stands on two devices: which one is meant cannot be guessed.
pub(super) fn refuse_duplicates(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    for pv in &base.vg.pvs {
        let devices = context.inventory.devices_of(pv.uuid);
        if devices.len() > 1 {
            let names: Vec<String> = devices.iter().map(|d| d.name.to_string()).collect();
            let why = format!("its label stands on {}", names.join(" and "));
            let images = || "leave out the copy, or the device that is not meant".to_owned();
            let live = context.inventory.live.as_deref();
            let help = live.map_or_else(images, |live| live::help_with_duplicates(live, &devices));
            let refusal = Refusal::new(RefusalCode::DuplicatePv, format!("PV {}", pv.uuid), why);
            diff.refusals.push(refusal.with_help(help));
        }
    }
}

/// A PV that is not there and not flagged MISSING may hold a newer text: what is written without
/// it may get the same number, or a higher one, and outvote what happened since. LVM refuses too.
pub(super) fn refuse_absent(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    let is_labelled = |pv: PvUuid| {
        let is_it = |change: &Change| matches!(change, Change::WriteLabel(lost) if lost.pv == pv);
        diff.changes.iter().any(is_it)
    };
    let absent: Vec<PvUuid> = base
        .vg
        .pvs
        .iter()
        .filter(|pv| !pv.is_missing() && context.inventory.devices_of(pv.uuid).is_empty())
        .map(|pv| pv.uuid)
        .filter(|pv| !is_labelled(*pv))
        .collect();
    for pv in absent {
        let is_told = |refusal: &Refusal| refusal.object == format!("PV {pv}");
        if diff.refusals.iter().any(is_told) {
            continue;
        }
        let why = "no device carries it, and the metadata does not flag it MISSING: a newer text \
                   may stand on it, which this plan would outvote";
        let help = context.advice(
            "give its image with --image as well. Contents of LVs on the other PVs can be \
             copied without it: a plan with only `tasks` writes no metadata",
            "connect it, and see what the kernel says of it: `lsblk`, `dmesg`. Contents of LVs on \
             the other PVs can be copied without it: a plan with only `tasks` writes no metadata",
        );
        let refusal = Refusal::new(RefusalCode::PvAbsent, format!("PV {pv}"), why);
        diff.refusals.push(refusal.with_help(help));
    }
}

/// A PV that another VG claims as well: the texts of this VG are out of date, or the other's.
pub(super) fn refuse_disputed(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    for pv in &base.vg.pvs {
        let is_wanted = context.goals.attached.iter().any(|goal| goal.uuid == pv.uuid);
        if pv.is_missing() && !is_wanted {
            continue;
        }
        let mut others = context.inventory.claims_on(pv.uuid);
        others.remove(&base.vg.uuid);
        if let Some(other) = others.first() {
            let name = context.inventory.vgs.get(other).and_then(|on_disk| on_disk.name());
            let name = name.map(ToString::to_string).unwrap_or_default();
            let why =
                format!("VG {name} ({other}) claims it as well: one of the two is out of date");
            let help = context.advice(
                "give the newest image of every disk of both volume groups; `lvmend inspect` \
                 shows which of them the PV's own areas name",
                "connect every disk of both volume groups, and let LVM look at all of them; \
                 `lvmend inspect` shows which of them the PV's own areas name",
            );
            let refusal = Refusal::new(RefusalCode::PvNotInVg, format!("PV {}", pv.uuid), why);
            diff.refusals.push(refusal.with_help(help));
        }
    }
}

/// A change writes to every PV of the VG, so each that is there must be writable.
pub(super) fn refuse_read_only(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    let of_vg = base.vg.pvs.iter().flat_map(|pv| context.inventory.devices_of(pv.uuid));
    for device in of_vg.filter(|device| device.read_only) {
        let why = format!("{} can only be read", device.name);
        let help = context.advice(
            "make the image writable, or work on a copy of it",
            "find out why before you change it: `dmesg` may tell of a disk that protects itself. \
             `blockdev --setrw` makes a device writable",
        );
        let refusal = Refusal::new(RefusalCode::ReadOnlyDevice, &device.name, why);
        diff.refusals.push(refusal.with_help(help));
    }
}
