//! Mounting and unmounting file systems of LVs: plainly, in this mount namespace, never by force.

use crate::diff::{MountedLv, refuse_file_users};
use crate::ids::{ForeignText, LvUuid, VgUuid};
use crate::model::inventory::Inventory;
use crate::model::live::{Live, Mount};
use crate::operation::act::Act;
use crate::operation::activation::with_live;
use crate::operation::command::{CommandLine, live_of};
use crate::operation::{Lowered, Probe, Unfit};

/// Places, for a title.
pub fn places(mounts: &[MountedLv]) -> String {
    let places: Vec<String> = mounts.iter().map(|mount| mount.at.to_string()).collect();
    places.join(", ")
}

/// What is mounted where.
pub fn whats(mounts: &[MountedLv]) -> Vec<String> {
    let what = |m: &MountedLv| format!("{}: LV {}, {} ({})", m.at, m.name, m.fs_type, m.options);
    mounts.iter().map(what).collect()
}

/// Whether this LV is mounted there.
fn is_mounted(live: &Live, vg: VgUuid, wanted: &MountedLv) -> bool {
    let here = |mount: &&Mount| mount.at == wanted.at;
    live.mounts.iter().filter(here).any(|m| live.lv_of_mount(vg, m) == Some(wanted.lv))
}

/// `umount` of what is still mounted, in this order.
pub fn unmount(now: &Inventory, vg: VgUuid, mounts: &[MountedLv]) -> Result<Lowered, Unfit> {
    let live = live_of(now)?;
    let mut next = live.clone();
    let mut acts = Vec::new();
    for mounted in mounts.iter().filter(|mounted| is_mounted(live, vg, mounted)) {
        let is_here = |mount: &Mount| mount.is_ours && mount.at == mounted.at;
        if live.mounts.iter().filter(|mount| is_here(mount)).count() > 1 {
            let why = format!("several file systems are mounted at {}", mounted.at);
            return Err(Unfit::new(why));
        }
        let mut users = live.mounts.iter().filter(|mount| is_here(mount));
        let lv = format!("LV {}", mounted.name);
        if let Some(refusal) = users.find_map(|mount| refuse_file_users(live, mount, &lv)) {
            return Err(Unfit::in_use(format!("{lv}: {}", refusal.why)));
        }
        next.mounts.retain(|mount| !is_here(mount));
        predict_closed(&mut next, vg, mounted.lv);
        let args = vec!["--".to_owned(), mounted.at.raw().to_owned()];
        acts.push(Act::Run(CommandLine { program: live.program("umount"), args }));
    }
    Ok(Lowered { acts, predicted: with_live(now, next) })
}

/// A file system keeps its device open once, however often it is mounted.
fn predict_closed(next: &mut Live, vg: VgUuid, lv: LvUuid) {
    let Some(number) = next.top_of(vg, lv).map(|top| top.number) else { return };
    if next.mounts.iter().any(|mount| mount.device == number) {
        return;
    }
    for mapped in next.mapped.iter_mut().filter(|mapped| mapped.number == number) {
        mapped.open_count = mapped.open_count.saturating_sub(1);
    }
}

/// `mount` of what is not mounted, in the opposite order, as it was.
pub fn mount(now: &Inventory, vg: VgUuid, mounts: &[MountedLv]) -> Result<Lowered, Unfit> {
    let live = live_of(now)?;
    let mut next = live.clone();
    let mut acts = Vec::new();
    for mounted in mounts.iter().rev().filter(|mounted| !is_mounted(live, vg, mounted)) {
        let MountedLv { at, name, fs_type, options, .. } = mounted;
        if live.mounts.iter().any(|mount| mount.is_ours && mount.at == *at) {
            return Err(Unfit::new(format!("something else is mounted at {at} meanwhile")));
        }
        let top = live.top_of(vg, mounted.lv).filter(|_| live.is_up(vg, mounted.lv));
        let top = top.ok_or_else(|| {
            Unfit::new(format!("LV {name} is not active, so it cannot be mounted at {at} again"))
        })?;
        let source = top.path();
        let words = ["--source", source.as_str(), "--target", at.raw(), "-t", fs_type.raw(), "-o"];
        let args = words.into_iter().chain([options.raw()]).map(str::to_owned).collect();
        acts.push(Act::Run(CommandLine { program: live.program("mount"), args }));
        next.mounts.push(Mount {
            device: top.number,
            at: at.clone(),
            root: ForeignText::from("/"),
            fs_type: fs_type.clone(),
            options: options.clone(),
            source: source.into(),
            is_ours: true,
            seen_by: None,
        });
    }
    next.mounts.sort();
    Ok(Lowered { acts, predicted: with_live(now, next) })
}

/// Whether all are mounted, or none is. What is half done can simply be done again: only what is
/// left is done.
pub fn probe(now: &Inventory, vg: VgUuid, mounts: &[MountedLv], wanted: bool) -> Probe {
    let Ok(live) = live_of(now) else { return Probe::Neither };
    let is_done = |mounted: &MountedLv| is_mounted(live, vg, mounted) == wanted;
    if mounts.iter().all(is_done) { Probe::After } else { Probe::Before }
}
