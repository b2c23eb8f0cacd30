//! File systems that a plan lets be unmounted, so that their LV is free.

use std::collections::BTreeMap;

use lvmend::model::inventory::Inventory;
use lvmend::model::live::Mount;
use lvmend::operation::{Contract, MountAgain, Operation, Probe};
use lvmend::simulate::lower;

use crate::support::live_story::story;
use crate::support::machine::{dm, edit, machine, mapped_lv, mount, opener, planned, snapshot, vg};
use crate::support::world::{plan, signature};

fn stopping(unmount: &str) -> String {
    format!(
        "version: 1\nname: p\nvolume_group: {{name: vg}}\n\
         logical_volumes: {{'s*': {{activation: inactive}}}}\n\
         policy: {{busy: {{wait: 5s, unmount: [{unmount}]}}}}\n"
    )
}

/// LVs `simple`, `spread` and `striped` are active as 253:0 to 253:2, and mounted there.
fn mounted(mounts: &[(u32, &str)]) -> Inventory {
    let mut inventory = machine("plain");
    let vg = vg(&inventory);
    edit(&mut inventory, |live| {
        for (minor, lv) in (0..).zip(["simple", "spread", "striped"]) {
            live.mapped.push(mapped_lv(&vg, lv, "", minor, &["0 8192 linear 8:0 2048"]));
        }
        live.mounts.extend(mounts.iter().map(|(minor, at)| mount(dm(*minor), at, "ext4")));
        for (minor, _) in mounts {
            // A file system keeps its device open.
            live.mapped.iter_mut().find(|m| m.number == dm(*minor)).unwrap().open_count = 1;
        }
    });
    inventory
}

#[test]
fn what_may_go_is_unmounted_from_within_outwards() {
    let mut inventory = mounted(&[(0, "/mnt/a"), (1, "/mnt/a/inner place")]);
    let text = stopping("/mnt/a/, /mnt/a/inner place, /mnt/none");
    assert_eq!(plan(&text).document.policy.busy.wait, "5s".parse().unwrap());
    snapshot("unmount", &story(&inventory, &text));
    edit(&mut inventory, |live| {
        live.programs = BTreeMap::from([("umount".to_owned(), "/bin/umount".to_owned())]);
    });
    assert!(story(&inventory, &text).contains("> /bin/umount -- /mnt/a\n"));
}

#[test]
fn what_may_not_go_stays() {
    let refused = |inventory: &Inventory| {
        let told = crate::support::machine::told(&planned(inventory, &stopping("/mnt/a")));
        told.lines().take(2).collect::<Vec<_>>().join("\n")
    };
    let mut told = String::new();
    let mut with = |change: &dyn Fn(&mut Mount)| {
        let mut inventory = mounted(&[(0, "/mnt/a")]);
        edit(&mut inventory, |live| change(&mut live.mounts[0]));
        told += &format!("{}\n", refused(&inventory));
    };
    with(&|mount| mount.at = "/mnt/b".into());
    with(&|mount| mount.root = "/sub".into());
    with(&|mount| mount.fs_type = "fuseblk".into());
    with(&|mount| (mount.is_ours, mount.seen_by) = (false, Some(77)));
    told += &refused(&mounted(&[(0, "/mnt/a"), (1, "/mnt/a")]));
    let mut held = mounted(&[(0, "/mnt/a")]);
    edit(&mut held, |live| live.openers.push(opener(dm(0), 9, "dd")));
    told += &format!("\n{}\n", refused(&held));
    snapshot("unmount-refused", &told);
}

#[test]
fn nothing_is_unmounted_that_nobody_needs_free() {
    let inventory = mounted(&[(0, "/mnt/a")]);
    let text = "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes: {spread: {activation: inactive}}\npolicy: {busy: {unmount: [/mnt/a]}}\n";
    let kinds: Vec<&str> =
        planned(&inventory, text).graph.operations.iter().map(Operation::kind).collect();
    assert_eq!(kinds, ["save_evidence", "deactivate_lvs"]);
}

#[test]
fn mounted_again_as_it_was() {
    let inventory = mounted(&[(0, "/mnt/a"), (1, "/mnt/a/inner")]);
    let planned = planned(&inventory, &stopping("/mnt/a, /mnt/a/inner"));
    let [_, Operation::Unmount(unmount), ..] = planned.graph.operations.as_slice() else {
        panic!("{:?}", planned.graph.operations)
    };
    let gone = unmount.lower(&inventory, &signature()).unwrap().predicted;
    let mounts = unmount.mounts.clone();
    let again = MountAgain { vg: unmount.vg, mounts, task_of: None };
    assert_eq!(again.probe(&gone), Probe::Before);
    let lowered = lower(&Operation::MountAgain(again.clone()), &gone, &signature()).unwrap();
    let shown: Vec<String> = lowered
        .acts
        .iter()
        .map(|act| {
            let lvmend::operation::act::Act::Run(line) = act else { panic!("{act:?}") };
            line.to_string()
        })
        .collect();
    let options = "-t ext4 -o rw,relatime";
    let expected = [("simple", "/mnt/a"), ("spread", "/mnt/a/inner")].map(|(lv, at)| {
        format!("/usr/bin/mount --source /dev/mapper/vg-{lv} --target {at} {options}")
    });
    assert_eq!(shown, expected);
    assert_eq!(again.probe(&lowered.predicted), Probe::After);
    // Half of it was done when the power failed.
    let mut half = gone.clone();
    edit(&mut half, |live| live.mounts.push(mount(dm(0), "/mnt/a", "ext4")));
    assert_eq!(again.probe(&half), Probe::Before);
    assert_eq!(again.lower(&half, &signature()).unwrap().acts.len(), 1);
    // Somebody else was faster.
    let mut taken = gone;
    edit(&mut taken, |live| live.mounts.push(mount(dm(2), "/mnt/a", "ext4")));
    assert!(again.lower(&taken, &signature()).is_err());
}
