//! Who uses an LV.

use lvmend::diff::RefusalCode;
use lvmend::diff::live::{in_the_way, refuse_users, users};
use lvmend::model::inventory::Inventory;
use lvmend::model::live::{Live, Use};

use crate::support::machine::{
    dm, edit, line, machine, mapped_lv, mount, node, opener, snapshot, vg,
};

/// An active pool with thin1 and thin2; the open counts are those of the devices upon them.
fn with_pool() -> Inventory {
    let mut inventory = machine("thin");
    let vg = vg(&inventory);
    edit(&mut inventory, |live| {
        live.mapped = vec![
            mapped_lv(&vg, "pool_tmeta", "tmeta", 0, &["0 2048 linear 8:16 2048"]),
            mapped_lv(&vg, "pool_tdata", "tdata", 1, &["0 8192 linear 8:0 6144"]),
            mapped_lv(&vg, "pool", "tpool", 2, &["0 8192 thin-pool 253:0 253:1 128 0 0"]),
            mapped_lv(&vg, "thin1", "", 3, &["0 4096 thin 253:2 1"]),
            mapped_lv(&vg, "thin2", "", 4, &["0 4096 thin 253:2 2"]),
        ];
        for (mapped, count) in live.mapped.iter_mut().zip([1, 1, 2, 0, 0]) {
            mapped.open_count = count;
        }
        live.blocks.extend((0..5).map(|minor| node(dm(minor), &format!("/dev/dm-{minor}"))));
    });
    inventory
}

fn of(inventory: &Inventory, lv: &str) -> Vec<String> {
    let vg = vg(inventory);
    let live = inventory.live.as_deref().unwrap();
    let uuid = vg.lv(&lv.parse().unwrap()).unwrap().uuid;
    users(live, vg.uuid, uuid).iter().map(ToString::to_string).collect()
}

#[test]
fn layers_of_the_vg_are_no_users() {
    let inventory = with_pool();
    for lv in ["pool", "pool_tdata", "pool_tmeta", "thin1", "thin2", "thin3"] {
        assert_eq!(of(&inventory, lv), Vec::<String>::new(), "{lv}");
    }
}

/// What happens, and who then uses thin1, thin2 and the pool.
type Case =
    (fn(&mut Live), &'static [&'static str], &'static [&'static str], &'static [&'static str]);

const CASES: [Case; 8] = [
    (
        |live| {
            live.mapped[3].open_count = 1;
            live.mounts = vec![mount(dm(3), "/srv", "ext4")];
        },
        &["mounted at /srv"],
        &[],
        &["mounted at /srv"],
    ),
    (
        |live| {
            live.mapped[3].open_count = 1;
            live.openers = vec![opener(dm(3), 4711, "kvm")];
        },
        &["kvm (pid 4711, root)"],
        &[],
        &["kvm (pid 4711, root)"],
    ),
    (|live| live.swaps = vec![dm(4)], &[], &["used as swap"], &["used as swap"]),
    (
        |live| {
            live.blocks.push(node(dm(9), "/dev/dm-9"));
            let holder = live.blocks.iter_mut().find(|node| node.number == dm(4)).unwrap();
            holder.holders = vec![dm(9)];
        },
        &[],
        &["under device /dev/dm-9"],
        &["under device /dev/dm-9"],
    ),
    (
        // Nothing found, but the kernel counts.
        |live| live.mapped[3].open_count = 2,
        &["open 2 times, by whom could not be found"],
        &[],
        &["open 2 times, by whom could not be found"],
    ),
    (
        // The pool itself has one user more than the two LVs upon it.
        |live| live.mapped[2].open_count = 3,
        &[],
        &[],
        &["open 1 times, by whom could not be found"],
    ),
    (
        // A table that waits keeps open what it names: thin2 is no user of thin1.
        |live| {
            live.mapped[3].open_count = 1;
            live.mapped[4].inactive = vec![line("0 4096 linear 253:3 0")];
        },
        &[],
        &[],
        &[],
    ),
    (
        |live| {
            let mut elsewhere = mount(dm(3), "/data", "ext4");
            (elsewhere.is_ours, elsewhere.seen_by) = (false, Some(812));
            live.mounts = vec![mount(dm(3), "/srv", "ext4"), elsewhere];
        },
        &["mounted at /data in the mount namespace of pid 812", "mounted at /srv"],
        &[],
        &["mounted at /data in the mount namespace of pid 812", "mounted at /srv"],
    ),
];

#[test]
fn who_uses_what_is_built_on_it() {
    for (number, (change, thin1, thin2, pool)) in CASES.into_iter().enumerate() {
        let mut inventory = with_pool();
        edit(&mut inventory, change);
        assert_eq!(of(&inventory, "thin1"), thin1, "case {number}");
        assert_eq!(of(&inventory, "thin2"), thin2, "case {number}");
        assert_eq!(of(&inventory, "pool"), pool, "case {number}");
        assert_eq!(of(&inventory, "pool_tdata"), pool, "case {number}");
    }
}

#[test]
fn a_snapshot_uses_what_its_origin_lies_on() {
    let mut inventory = machine("plain");
    let vg = vg(&inventory);
    edit(&mut inventory, |live| {
        live.mapped = vec![
            mapped_lv(&vg, "simple", "real", 0, &["0 2048 linear 8:0 2048"]),
            mapped_lv(&vg, "simple", "", 1, &["0 2048 snapshot-origin 253:0"]),
            mapped_lv(&vg, "between", "cow", 2, &["0 512 linear 8:0 9216"]),
            mapped_lv(&vg, "between", "", 3, &["0 2048 snapshot 253:0 253:2 P 8"]),
        ];
        live.mounts = vec![mount(dm(3), "/mnt/snap", "ext4")];
    });
    assert_eq!(of(&inventory, "simple"), ["mounted at /mnt/snap"]);
    assert_eq!(of(&inventory, "between"), ["mounted at /mnt/snap"]);
}

fn every_use() -> Vec<Use> {
    let mut known = mount(dm(3), "/data", "ext4");
    (known.is_ours, known.seen_by) = (false, Some(812));
    let unknown = lvmend::model::live::Mount { seen_by: None, ..known.clone() };
    vec![
        Use::Mount(mount(dm(3), "/srv/my files", "ext4")),
        Use::Mount(known),
        Use::Mount(unknown),
        Use::Swap,
        Use::Device("luks-home".into()),
        Use::Process(opener(dm(3), 4711, "kvm")),
        Use::Unknown(2),
    ]
}

#[test]
fn what_is_in_use_is_refused_with_who_and_what_to_type() {
    assert_eq!(refuse_users("LV vg/thin1", &[]), None);
    let refusal = refuse_users("LV vg/thin1", &every_use()).unwrap();
    assert_eq!(refusal.code, RefusalCode::VolumeInUse);
    snapshot(
        "in-use",
        &format!("{}\n  {}\n  {}\n", refusal.object, refusal.why, refusal.help.unwrap()),
    );
}

#[test]
fn only_mounts_that_the_plan_names_may_be_ended() {
    let uses = every_use();
    assert_eq!(in_the_way(&uses, &[]), uses);
    assert_eq!(in_the_way(&uses, &["/elsewhere".to_owned()]), uses);
    assert_eq!(in_the_way(&uses, &["/srv/my files".to_owned()]), uses[1..]);
    // What another namespace mounted there is not this one's to unmount.
    assert_eq!(in_the_way(&uses, &["/data".to_owned()]), uses);
}
