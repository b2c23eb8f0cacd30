//! Faults of layers: those that left the tree of an LV, names that are taken, nodes that are not there.

use lvmend::fault::{self, Fault, FaultKind};
use lvmend::model::inventory::Inventory;
use lvmend::model::live::{LvmLayer, MappedDevice};

use crate::support::kernel::activate;
use crate::support::machine::{dm, edit, line, machine};

/// What is told of devices; the fixture's unfinished commands are of no consequence.
fn faults(inventory: &Inventory) -> Vec<Fault> {
    let mut found = fault::find(inventory);
    found.retain(|fault| fault.kind != FaultKind::UnfinishedCommand);
    found
}

#[test]
fn two_mirrors_on_one_log() {
    let mut inventory = machine("all-types");
    activate(&mut inventory, &["vg-mir", "vg-mir_mimage_0", "vg-mir_mimage_1", "vg-mir_mlog"]);
    let of = |inventory: &Inventory| -> Vec<FaultKind> {
        faults(inventory).iter().map(|f| f.kind).collect()
    };
    assert_eq!(of(&inventory), []);
    let mirror = inventory.live.as_ref().unwrap().mapped[0].clone();
    assert_eq!(mirror.name.raw(), "vg-mir");
    let layer = |lv: &str, suffix: &str| LvmLayer {
        lv: lv.parse().unwrap(),
        suffix: suffix.to_owned(),
        ..mirror.layer.clone().unwrap()
    };
    let as_layer = |name: &str, layer: LvmLayer, minor| MappedDevice {
        name: name.into(),
        uuid: layer.to_string().into(),
        layer: Some(layer),
        number: dm(minor),
        ..mirror.clone()
    };
    let gone = "AAAAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAAAA";
    let left = as_layer("vg-mir_mimagetmp_2", layer(gone, ""), 20);
    let mut with = inventory.clone();
    edit(&mut with, |live| live.mapped.push(left.clone()));
    assert_eq!(of(&with), [FaultKind::SharedLog, FaultKind::LayerOffTree]);
    let found = faults(&with);
    assert!(found[0].found.contains("written by vg-mir (253:0) and vg-mir_mimagetmp_2 (253:20)"));
    assert!(found[1].found.contains("all it lies on are parts of LV mir"), "{}", found[1].found);
    // A layer that a known LV does not have.
    let mut with = inventory.clone();
    let own = mirror.layer.as_ref().unwrap().lv.to_string();
    let real = as_layer("vg-mir-real", layer(&own, "real"), 20);
    edit(&mut with, |live| {
        live.mapped.push(MappedDevice { live: vec![line("0 8 error")], ..real });
    });
    assert_eq!(of(&with), [FaultKind::LayerOffTree]);
    // One whose content nothing else leads to is a stray.
    edit(&mut inventory, |live| {
        live.mapped.push(MappedDevice { live: vec![line("0 8 linear 8:0 4096")], ..left });
    });
    assert_eq!(of(&inventory), [FaultKind::StrayDevice]);
}

#[test]
fn names_and_nodes() {
    let mut inventory = machine("all-types");
    activate(&mut inventory, &["vg-lin"]);
    edit(&mut inventory, |live| {
        let mut foreign = live.mapped[0].clone();
        (foreign.name, foreign.uuid, foreign.layer) = ("vg-ro".into(), "CRYPT-x".into(), None);
        foreign.number = dm(9);
        live.mapped.push(foreign);
        live.mapped[0].has_node = false;
    });
    let found = faults(&inventory);
    let kinds: Vec<FaultKind> = found.iter().map(|fault| fault.kind).collect();
    assert_eq!(kinds, [FaultKind::NameTaken, FaultKind::MissingNode]);
    assert_eq!(found[0].object, "LV ro");
    assert!(found[0].found.contains("vg-ro (253:9), with UUID CRYPT-x"), "{}", found[0].found);
    assert!(found[1].advice.contains("`vgmknodes vg`"), "{}", found[1].advice);
}
