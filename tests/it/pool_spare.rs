//! The spare for pool metadata: made, made longer, taken out again; judged by real LVM2 elsewhere.

use std::sync::Arc;

use lvmend::ids::PvUuid;
use lvmend::model::allocation::allocate;
use lvmend::model::flags::PvStatus;
use lvmend::model::inventory::Inventory;
use lvmend::model::parts::is_pool_metadata_spare;
use lvmend::model::vg::Vg;
use lvmend::operation::{Operation, Probe};
use lvmend::simulate::lower;
use lvmend::text::parser::parse;
use lvmend::units::Extents;

use crate::live_pools::asks;
use crate::support::live_story::story;
use crate::support::machine::{edit_vg, machine, planned, snapshot, told, vg};
use crate::support::world::signature;

const SPARE: &str = "metadata: {state: sound, spare: present}";

fn sound() -> Inventory {
    let mut inventory = machine("thin");
    crate::live_pools::judged(&mut inventory, Ok(()));
    inventory
}

fn reindex(vg: &mut Vg) {
    let names = vg.lvs.iter().enumerate().map(|(at, lv)| (lv.name.clone(), at));
    vg.by_name = Arc::new(names.collect());
}

/// The model says that there is none; the text, which is what is edited, still has it.
fn spare_is(len: Option<u64>) -> Inventory {
    let mut inventory = sound();
    edit_vg(&mut inventory, |vg| {
        match len {
            None => vg.lvs.retain(|lv| !is_pool_metadata_spare(lv)),
            Some(len) => {
                let spare = vg.lvs.iter_mut().find(|lv| is_pool_metadata_spare(lv)).unwrap();
                spare.segments[0].len = Extents::new(len);
            }
        }
        reindex(vg);
    });
    inventory
}

/// A VG without a spare.
pub fn none() -> Inventory {
    spare_is(None)
}

#[test]
fn what_is_planned() {
    let mut all = String::new();
    for (what, inventory) in
        [("there", sound()), ("none", spare_is(None)), ("too short", spare_is(Some(3)))]
    {
        let told = told(&planned(&inventory, &asks(SPARE)));
        all += &format!("# {what}\n{told}\n");
    }
    let larger = asks("metadata: {state: sound, min_size: 4MiB, spare: present}");
    all += &format!("# for larger metadata\n{}\n", story(&sound(), &larger));
    snapshot("pool-spare", &all);
}

/// Nothing is free: LVM takes extents from no PV.
fn full(mut inventory: Inventory) -> Inventory {
    edit_vg(&mut inventory, |vg| {
        for pv in &mut vg.pvs {
            pv.status.remove(PvStatus::Allocatable);
        }
    });
    inventory
}

#[test]
fn the_spare_becomes_new_metadata_where_there_is_no_room() {
    let mut all = String::new();
    let damaged = full(crate::live_pools::damaged());
    all += &story(&damaged, &asks("metadata: {state: sound}"));
    for of_pool in
        ["metadata: {state: sound, min_size: 4MiB}", "metadata: {state: sound, spare: present}"]
    {
        all += &format!("# {of_pool}\n{}\n", told(&planned(&damaged, &asks(of_pool))));
    }
    snapshot("pool-no-room", &all);
}

fn spare(vg: &Vg) -> Option<u64> {
    vg.lvs.iter().find(|lv| is_pool_metadata_spare(lv)).map(|lv| lv.len().get())
}

#[test]
fn whoever_made_another_spare_keeps_it() {
    let larger = asks("metadata: {state: sound, min_size: 4MiB, spare: present}");
    let planned = planned(&sound(), &larger);
    let is_spare = |operation: &&Operation| operation.kind() == "make_pool_spare";
    let operation = planned.graph.operations.iter().find(is_spare).unwrap();
    assert_eq!(operation.contract().probe(&sound()), Probe::Before);
    let after = lower(operation, &sound(), &signature()).unwrap().predicted;
    assert_eq!(spare(&vg(&after)), Some(16));
    assert_eq!(operation.contract().probe(&after), Probe::After);
    assert_eq!(operation.contract().probe(&spare_is(None)), Probe::Neither);
    assert_eq!(operation.contract().probe(&spare_is(Some(9))), Probe::Neither);
}

/// PV 0 is none that LVM takes extents from, PV 1 has an LV on extents 3 to 6.
fn three_pvs() -> Vg {
    let pv = |name: &str, uuid: &str, status: &str| {
        format!(
            "{name} {{\nid = \"{uuid}\"\nstatus = [{status}]\nflags = []\ndev_size = 999424\n\
             pe_start = 2048\npe_count = 10\n}}\n"
        )
    };
    let text = format!(
        "id = \"8fTn9p-6H5Y-wj6P-cWkC-i2Fp-W1fD-G1bBvv\"\nseqno = 1\nextent_size = 8192\n\
         status = [\"READ\", \"WRITE\"]\nflags = []\nphysical_volumes {{\n{}{}{}}}\n\
         logical_volumes {{\nlv {{\nid = \"yLMfFb-9yOk-vf1N-FTmz-5NiL-F5lx-NNmkuN\"\n\
         status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = 1\nsegment1 {{\n\
         start_extent = 0\nextent_count = 4\ntype = \"striped\"\nstripe_count = 1\n\
         stripes = [\"pv1\", 3]\n}}\n}}\n}}\n",
        pv("pv0", "Aes61U-OJhv-INj7-lwSa-khQZ-KDkL-aFEBcd", ""),
        pv("pv1", "Bes61U-OJhv-INj7-lwSa-khQZ-KDkL-aFEBcd", "\"ALLOCATABLE\""),
        pv("pv2", "Ces61U-OJhv-INj7-lwSa-khQZ-KDkL-aFEBcd", "\"ALLOCATABLE\""),
    );
    lvmend::text::read::read_vg(b"vg", &parse(text.as_bytes()).unwrap()).unwrap()
}

#[test]
fn one_run_where_there_is_one_and_else_the_first() {
    let vg = three_pvs();
    let found = |needed: u64| -> Option<Vec<(usize, String)>> {
        let taken = allocate(&vg, Extents::new(needed), &[])?;
        let at = |pv: PvUuid| vg.pvs.iter().position(|known| known.uuid == pv).unwrap();
        Some(taken.into_iter().map(|(pv, range)| (at(pv), range.to_string())).collect())
    };
    let one = |pv: usize, range: &str| Some(vec![(pv, range.to_owned())]);
    assert_eq!(found(3), one(1, "0-2"));
    assert_eq!(found(9), one(2, "0-8"));
    let several = [(1, "0-2"), (1, "7-9"), (2, "0-6")];
    let several = several.map(|(pv, range)| (pv, range.to_owned())).to_vec();
    assert_eq!(found(13), Some(several));
    assert_eq!(found(17), None);
}
