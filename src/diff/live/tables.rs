//! Devices of the VG that are suspended, and tables that wait in inactive slots.
//!
//! LVM takes such a table for one that it loaded itself: its next suspend and resume puts it in
//! place, whatever it maps. Nothing is done to the VG before that is cleared away.

use std::collections::BTreeSet;

use crate::diff::live::Subject;
use crate::diff::tables::is_mended;
use crate::diff::{Diff, Refusal, RefusalCode};
use crate::model::live::{DevNumber, Live, MappedDevice, TargetLine};

pub(super) fn check(subject: &Subject<'_>, diff: &mut Diff) {
    if !subject.live.mapped_is_complete {
        let why = "which devices it has in the kernel could not be found out: one of them may be \
                   suspended, or have a table that waits, and LVM would put that in place";
        let help = "see what `dmsetup info` says; what failed stands among the notes";
        let refusal = Refusal::new(RefusalCode::Unfit, subject.object(), why);
        diff.refusals.push(refusal.with_help(help));
    }
    let vg = subject.vg().uuid;
    let of_vg = |mapped: &&MappedDevice| mapped.layer.as_ref().is_some_and(|l| l.vg == vg);
    let devices: Vec<&MappedDevice> = bottom_up(subject.live).into_iter().filter(of_vg).collect();
    // Where the same plan sets them right it does so first.
    let left = |mapped: &&MappedDevice| !is_mended(diff, mapped);
    let devices: Vec<&MappedDevice> = devices.into_iter().filter(left).collect();
    let waiting: Vec<&MappedDevice> = devices.iter().copied().filter(|m| waits(m)).collect();
    let suspended: Vec<&MappedDevice> = devices.into_iter().filter(|m| m.suspended).collect();
    let refusals = [refuse_waiting(subject, &waiting), refuse_suspended(subject, &suspended)];
    diff.refusals.extend(refusals.into_iter().flatten());
}

fn waits(mapped: &MappedDevice) -> bool {
    mapped.has_inactive || !mapped.inactive.is_empty()
}

fn refuse_waiting(subject: &Subject<'_>, waiting: &[&MappedDevice]) -> Option<Refusal> {
    let shown = |mapped: &&MappedDevice| {
        let line = |line: &TargetLine| line.to_string().trim_end().to_owned();
        let lines: Vec<String> = mapped.inactive.iter().map(line).collect();
        let table = if lines.is_empty() { "empty".to_owned() } else { lines.join("; ") };
        format!("{} ({}): {table}", mapped.name, mapped.number)
    };
    let tables: Vec<String> = waiting.iter().map(shown).collect();
    let clear: Vec<String> =
        waiting.iter().map(|m| format!("dmsetup clear {}", m.name.typed())).collect();
    if clear.is_empty() {
        return None;
    }
    let why = format!(
        "tables wait in inactive slots of its devices, left by a command that was interrupted; LVM \
         would put them in place at its next resume, whatever they map. {}",
        tables.join(". ")
    );
    let help = format!(
        "make sure that no command of LVM is running. Keep what `dmsetup table --inactive` prints, \
         then: `{}`. Plan again after that",
        clear.join(" && ")
    );
    Some(Refusal::new(RefusalCode::WaitingTables, subject.object(), why).with_help(help))
}

/// From the bottom up: what is resumed over something suspended only blocks there. A table that
/// waits is cleared before, as a resume would put it in place.
fn refuse_suspended(subject: &Subject<'_>, suspended: &[&MappedDevice]) -> Option<Refusal> {
    let mut names = Vec::new();
    let mut commands = Vec::new();
    for mapped in suspended {
        names.push(format!("{} ({})", mapped.name, mapped.number));
        let name = mapped.name.typed();
        if waits(mapped) {
            commands.push(format!("dmsetup clear {name}"));
        }
        commands.push(format!("dmsetup resume {name}"));
    }
    if commands.is_empty() {
        return None;
    }
    let why = format!(
        "suspended: {}. Whatever reads or writes there waits, and LVM would resume them as a side \
         effect of the next command",
        names.join(", ")
    );
    let help = format!(
        "make sure that no command of LVM is running: it may be about to resume them. If none is, \
         from the bottom up: `{}`. Plan again after that",
        commands.join(" && ")
    );
    Some(Refusal::new(RefusalCode::SuspendedDevices, subject.object(), why).with_help(help))
}

/// Every device-mapper device, each behind all that its live table lies on; by name where that
/// leaves a choice.
pub fn bottom_up(live: &Live) -> Vec<&MappedDevice> {
    let mut left: Vec<&MappedDevice> = live.mapped.iter().collect();
    left.sort_by(|a, b| (&a.name, a.number).cmp(&(&b.name, b.number)));
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let numbers: BTreeSet<DevNumber> = left.iter().map(|mapped| mapped.number).collect();
        let is_free =
            |mapped: &&MappedDevice| mapped.lies_on().iter().all(|below| !numbers.contains(below));
        let (free, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(is_free);
        // The kernel lets no device lie on itself; what claims to goes last.
        let is_circle = free.is_empty();
        ordered.extend(free);
        left = rest;
        if is_circle {
            ordered.append(&mut left);
        }
    }
    ordered
}
