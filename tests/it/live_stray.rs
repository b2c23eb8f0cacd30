//! Live devices that the metadata does not know.

use std::collections::BTreeMap;

use lvmend::diff::RefusalCode;
use lvmend::diff::live::{Held, refuse_allocation, strays};
use lvmend::ids::LvUuid;
use lvmend::model::device::SlotText;
use lvmend::model::inventory::Inventory;
use lvmend::text::search::{Wanted, versions_with};

use crate::support::machine::{
    CHECK, RECOVER, codes, disk_number, dm, edit, machine, mapped, planned, snapshot, told, vg,
};

const FOREIGN: &str = "Stray0-0000-0000-0000-0000-0000-000000";
/// What maps `precious`: extents 4-9 and 14-16 of disk a, 8-12 of disk b.
const PRECIOUS: [&str; 3] =
    ["0 3072 linear 8:0 4096", "3072 2560 linear 8:16 6144", "5632 1536 linear 8:0 9216"];

fn precious(inventory: &Inventory) -> LvUuid {
    let on_disk = inventory.vgs.values().next().unwrap();
    let name = "precious".parse().unwrap();
    let (_, vg) = versions_with(&on_disk.timeline, Wanted::Name(&name)).next().unwrap();
    vg.lv(&name).unwrap().uuid
}

/// The machine with a stray device that has this table.
fn with_stray(lv: LvUuid, table: &[&str]) -> Inventory {
    let mut inventory = machine("deleted-lv");
    let vg = vg(&inventory).uuid;
    edit(&mut inventory, |live| live.mapped = vec![mapped("vg-lost", 7, (vg, lv, ""), table)]);
    inventory
}

fn foreign() -> LvUuid {
    FOREIGN.parse().unwrap()
}

fn held(inventory: &Inventory) -> Held {
    let live = inventory.live.as_deref().unwrap();
    let vg = vg(inventory);
    let found = strays(inventory, live, &vg);
    assert_eq!(found.len(), 1);
    found[0].held.clone()
}

#[test]
fn tables_tell_extents() {
    // Tables, and the extents of disk a and disk b that they map.
    let cases: [(&[&str], &str, &str); 9] = [
        (&PRECIOUS, "4-9 14-16", "8-12"),
        (&["0 512 linear 8:0 2048"], "0-0", ""),
        // A part of an extent is as good as all of it.
        (&["0 8 linear 8:0 2559", "8 8 linear 8:16 2552"], "0-1", "0-0"),
        (&["0 2048 striped 2 128 8:0 4096 8:16 2048"], "4-5", "0-1"),
        // Before and behind the extents there is nothing to hand out.
        (&["0 2048 linear 8:0 0"], "", ""),
        (&["0 99999999 linear 8:0 2048"], "0-59", ""),
        // What is not known to end somewhere goes on to the end.
        (&["0 2048 mirror core 1 1024 2 8:0 0 8:16 0"], "0-59", "0-59"),
        (&["0 2048 error", "2048 8 zero"], "", ""),
        (&["0 512 linear 8:0 2048", "512 512 linear 8:0 2560"], "0-1", ""),
    ];
    for (table, on_a, on_b) in cases {
        let inventory = with_stray(foreign(), table);
        let held = held(&inventory);
        let shown = |index: usize| {
            let pv = inventory.devices[index].pv().unwrap().uuid;
            let ranges = held.extents.get(&pv).into_iter().flatten();
            ranges.map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!((shown(0).as_str(), shown(1).as_str()), (on_a, on_b), "{table:?}");
        assert!(held.unknown.is_empty());
    }
}

#[test]
fn numbers_that_could_be_a_pv_are_not_taken_for_nothing() {
    // A number that is not there any more.
    let gone = with_stray(foreign(), &["0 512 linear 8:160 2048"]);
    assert_eq!(held(&gone).unknown, [disk_number(10)].into());
    // A path under a PV.
    let mut under = with_stray(foreign(), &["0 512 linear 8:160 2048"]);
    let path = crate::support::machine::node(disk_number(10), "/dev/sdk");
    edit(&mut under, |live| live.blocks.push(path.clone()));
    assert!(held(&under).unknown.is_empty(), "another disk");
    edit(&mut under, |live| live.blocks[0].slaves = vec![disk_number(10)]);
    assert_eq!(held(&under).unknown, [disk_number(10)].into());
    // A device of the same VG is a layer.
    let mut layer = with_stray(foreign(), &["0 512 thin 253:8 1"]);
    let vg = vg(&layer).uuid;
    edit(&mut layer, |live| {
        live.mapped.push(mapped("vg-p", 8, (vg, precious(&machine("deleted-lv")), "tpool"), &[]));
    });
    let live = layer.live.as_deref().unwrap();
    let found = strays(&layer, live, &crate::support::machine::vg(&layer));
    assert!(found.iter().all(|stray| stray.held == Held::default()));
    assert_eq!(found[0].device.number, dm(7));
    // What waits in an inactive slot counts as well.
    let mut waiting = with_stray(foreign(), &[]);
    edit(&mut waiting, |live| {
        live.mapped[0].inactive = vec![crate::support::machine::line("0 512 linear 8:0 2048")];
    });
    assert_eq!(held(&waiting).extents.len(), 1);
}

#[test]
fn extents_that_a_stray_device_maps_are_not_given_away() {
    // On extent 9 of disk a, which precious needs.
    let needed = with_stray(foreign(), &["0 512 linear 8:0 6656"]);
    assert_eq!(codes(&needed, RECOVER), [RefusalCode::StrayDevice]);
    // On a device that is gone: it could be any extent.
    let unknown = with_stray(foreign(), &["0 512 linear 8:160 2048"]);
    assert_eq!(codes(&unknown, RECOVER), [RefusalCode::StrayDevice]);
    snapshot(
        "stray-refused",
        &[told(&planned(&needed, RECOVER)), told(&planned(&unknown, RECOVER))].concat(),
    );
    // Reading takes nothing.
    assert_eq!(codes(&needed, CHECK), []);
}

#[test]
fn elsewhere_it_is_left_alone_and_told() {
    // On extent 50, free; on extent 0, which belongs to LV before.
    let free = with_stray(foreign(), &["0 512 linear 8:0 27648"]);
    let taken = with_stray(foreign(), &["0 512 linear 8:0 2048"]);
    let said = [&free, &taken].map(|inventory| {
        assert_eq!(codes(inventory, RECOVER), []);
        let notes = planned(inventory, RECOVER).diff.notes;
        notes.into_iter().filter(|note| note.contains("vg-lost")).collect::<Vec<_>>().join("\n")
    });
    snapshot("stray-notes", &said.join("\n"));
}

#[test]
fn the_lv_that_comes_back_may_still_be_active() {
    let uuid = precious(&machine("deleted-lv"));
    let same = with_stray(uuid, &PRECIOUS);
    assert_eq!(codes(&same, RECOVER), []);
    let note = told(&planned(&same, RECOVER));
    // Grown since: the version that comes back would give its last extent away.
    let grown = [&PRECIOUS[..], &["7168 512 linear 8:0 27648"]].concat();
    let grown = with_stray(uuid, &grown);
    assert_eq!(codes(&grown, RECOVER), [RefusalCode::StrayDevice]);
    snapshot("stray-own", &[note, told(&planned(&grown, RECOVER))].concat());
    let moved = with_stray(uuid, &["0 512 linear 8:160 2048"]);
    assert_eq!(codes(&moved, RECOVER), [RefusalCode::StrayDevice]);
}

#[test]
fn a_version_that_is_made_to_count_does_not_give_them_away_either() {
    // No area points to a text any more: an older one, in which extent 4 was precious', is named.
    let sound = "version: 1\nname: x\nvolume_group: {name: vg, metadata: {state: sound, recover_from: {seqno: 6}}}\npolicy: {accept: [{hazard: older-metadata, object: vg, because: tested}]}\n";
    let lose = |inventory: &mut Inventory| {
        for device in &mut inventory.devices {
            device.areas_mut()[0].committed = SlotText::Empty;
        }
        let on_disk = inventory.vgs.values_mut().next().unwrap();
        on_disk.standing = lvmend::model::choice::Standing::None;
        on_disk.current = None;
    };
    let mut inventory = with_stray(foreign(), &["0 512 linear 8:0 4096"]);
    lose(&mut inventory);
    assert!(codes(&inventory, sound).contains(&RefusalCode::StrayDevice));
    let mut apart = with_stray(foreign(), &["0 512 linear 8:0 27648"]);
    lose(&mut apart);
    assert!(!codes(&apart, sound).contains(&RefusalCode::StrayDevice));
}

#[test]
fn lvm_is_not_let_choose_among_them() {
    let refused = |table: &[&str]| {
        let inventory = with_stray(foreign(), table);
        let live = inventory.live.as_deref().unwrap();
        let refusals = refuse_allocation(&inventory, live, &vg(&inventory));
        refusals
            .iter()
            .map(|refusal| (refusal.code, refusal.why.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    let free = refused(&["0 512 linear 8:0 27648"]);
    assert!(free[&RefusalCode::StrayDevice].contains("lets LVM choose extents"));
    assert_eq!(refused(&["0 512 linear 8:160 2048"]).len(), 1, "it could be any extent");
    assert_eq!(refused(&["0 512 linear 8:0 2048"]).len(), 0, "it has an owner");
    assert_eq!(refused(&["0 1024 linear 8:0 3584"]).len(), 1, "half of it has");
    assert_eq!(refused(&["0 512 error"]).len(), 0);
}
