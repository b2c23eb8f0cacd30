//! LVs activated and deactivated on a running machine.

use std::sync::Arc;

use lvmend::model::flags::LvFlag;
use lvmend::model::inventory::Inventory;
use lvmend::plan::problem::Code;
use lvmend::simulate::planned::work_out;

use crate::support::live_story::story;
use crate::support::machine::{
    dm, edit, edit_vg, machine, mapped_lv, mount, opener, planned, snapshot, vg,
};
use crate::support::world::{World, plan, signature};

fn wanting(lvs: &str) -> String {
    format!("version: 1\nname: p\nvolume_group: {{name: vg}}\nlogical_volumes: {{{lvs}}}\n")
}

/// A machine on which these LVs are active, each over one table line.
fn with_active(scenario: &str, lvs: &[(&str, &str)]) -> Inventory {
    let mut inventory = machine(scenario);
    let vg = vg(&inventory);
    edit(&mut inventory, |live| {
        for (minor, (lv, suffix)) in (0..).zip(lvs) {
            live.mapped.push(mapped_lv(&vg, lv, suffix, minor, &["0 8192 linear 8:0 2048"]));
        }
    });
    inventory
}

#[test]
fn one_command_activates_many() {
    let mut inventory = with_active("plain", &[("simple", "")]);
    edit_vg(&mut inventory, |vg| {
        let lv = vg.lvs.iter_mut().find(|lv| lv.name.as_str() == "between").unwrap();
        lv.flags.insert(LvFlag::ActivationSkip);
    });
    let text = wanting("'*': {activation: active}, spread: {activation: unchanged}");
    snapshot("activate", &story(&inventory, &text));
    let met = wanting("simple: {activation: active}");
    assert!(planned(&inventory, &met).graph.is_empty());
}

#[test]
fn what_is_recovered_is_activated_read_only() {
    let inventory = machine("deleted-lv");
    let text =
        wanting("precious: {state: present, activation: active}, before: {activation: active}");
    snapshot("activate-recovered", &story(&inventory, &text));
    // Afterwards it is read-only, and that is as it should be.
    let planned = planned(&inventory, &text);
    let after = planned.simulation.unwrap().last;
    let live = after.live.as_ref().unwrap();
    let precious = vg(&after).lv(&"precious".parse().unwrap()).unwrap().uuid;
    assert!(live.top_of(planned.vg, precious).unwrap().read_only);
    let again = work_out(&plan(&text), &after, &signature()).unwrap();
    assert_eq!((again.refusals, again.graph.operations), (vec![], vec![]));
}

#[test]
fn thin_lvs_go_before_their_pool() {
    let lvs = [("pool", "tpool"), ("pool", "pool"), ("thin1", ""), ("thin2", "")];
    let inventory = with_active("thin", &lvs);
    snapshot("deactivate-thin", &story(&inventory, &wanting("'*': {activation: inactive}")));
    let pool = wanting("pool: {activation: inactive}, thin2: {activation: inactive}");
    snapshot("deactivate-pool-in-use", &story(&inventory, &pool));
}

#[test]
fn the_layer_of_a_pool_goes_with_its_last_thin_lv() {
    let mut inventory = with_active("thin", &[("pool", "tpool"), ("thin1", ""), ("thin2", "")]);
    edit(&mut inventory, |live| {
        for (minor, name) in [(7, "pool_tdata"), (8, "pool_tmeta")] {
            let vg = inventory_vg();
            live.mapped.push(mapped_lv(&vg, name, "x", minor, &["0 8192 linear 8:0 2048"]));
        }
        live.mapped[0].live[0].args = "253:8 253:7 128 0".into();
        for thin in [1, 2] {
            live.mapped[thin].live[0].args = format!("253:0 {thin}").into();
        }
    });
    let left = |lvs: &str| {
        let planned = planned(&inventory, &wanting(lvs));
        let live = planned.simulation.unwrap().last.live.unwrap();
        live.mapped.iter().map(|mapped| mapped.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(left("thin1: {activation: inactive}").len(), 4);
    assert_eq!(left("'thin*': {activation: inactive}"), Vec::<String>::new());
}

fn inventory_vg() -> Arc<lvmend::model::vg::Vg> {
    vg(&machine("thin"))
}

#[test]
fn snapshots_and_their_origin_are_one() {
    let inventory =
        with_active("all-types", &[("org", "real"), ("org", ""), ("snp", "cow"), ("snp", "")]);
    let only = wanting("snp: {activation: inactive}");
    snapshot("deactivate-snapshot-alone", &story(&inventory, &only));
    let both = wanting("snp: {activation: inactive}, org: {activation: inactive}");
    snapshot("deactivate-snapshot", &story(&inventory, &both));
    let up = wanting("snp: {activation: active}");
    snapshot("activate-snapshot", &story(&machine("all-types"), &up));
    let torn = wanting("snp: {activation: active}, org: {activation: inactive}");
    snapshot("activate-snapshot-torn", &story(&inventory, &torn));
}

#[test]
fn what_is_in_use_stays_active() {
    let mut inventory = with_active("plain", &[("simple", ""), ("spread", ""), ("striped", "")]);
    edit(&mut inventory, |live| {
        live.mounts.push(mount(dm(0), "/srv/data", "ext4"));
        live.openers.push(opener(dm(0), 4711, "kvm"));
        live.swaps.push(dm(1));
    });
    let text = wanting("'s*': {activation: inactive}");
    snapshot("deactivate-in-use", &story(&inventory, &text));
}

#[test]
fn pieces_that_are_not_there_are_told() {
    let inventory = machine("missing-pv");
    let text = wanting("on-b: {activation: active}, on-a: {activation: active}");
    snapshot("activate-missing", &story(&inventory, &text));
    let attached = format!("{text}physical_volumes: {{'*': {{state: attached}}}}\n");
    snapshot("activate-returned", &story(&inventory, &attached));
}

#[test]
fn images_have_no_kernel() {
    let planned = World::of("plain").plan(&plan(&wanting("'*': {activation: active}")));
    snapshot("activate-on-images", &crate::support::machine::told(&planned));
    let unchanged = wanting("'*': {activation: unchanged}");
    assert_eq!(World::of("plain").plan(&plan(&unchanged)).refusals, []);
}

#[test]
fn names_that_mean_nothing_or_too_much() {
    let inventory = machine("thin");
    let problems = |lvs: &str| {
        let problems = work_out(&plan(&wanting(lvs)), &inventory, &signature()).unwrap_err();
        let told =
            |p: lvmend::plan::problem::Problem| (p.code, p.message, p.help.unwrap_or_default());
        problems.into_iter().map(told).collect::<Vec<_>>()
    };
    let only = |lvs: &str| {
        let problems = problems(lvs);
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.into_iter().next().unwrap()
    };
    let (code, message, help) = only("thin9: {activation: active}");
    assert_eq!(code, Code::UnknownObject);
    assert_eq!(message, "VG has no LV `thin9`, and the plan does not recover it");
    assert_eq!(help, "did you mean `thin1`?");
    let (code, message, help) = only("pool_tdata: {activation: active}");
    assert_eq!((code, help.as_str()), (Code::BadValue, "name the LV it belongs to: `pool`"));
    assert_eq!(message, "LV `pool_tdata` is a hidden part, which LVM activates by itself");
    let (code, message, help) = only("'thin*': {activation: active}, '*1': {activation: inactive}");
    assert_eq!(code, Code::Contradiction);
    assert_eq!(message, "`*1` and `thin*` say different things of LV `thin1`");
    assert_eq!(help, "say which is meant: `thin1: {activation: …}`");
    let settled = "'thin*': {activation: active}, '*1': {activation: inactive}, thin1: {activation: unchanged}";
    let planned = planned(&inventory, &wanting(settled));
    assert_eq!(planned.refusals, []);
    assert_eq!(planned.diff.notes, Vec::<String>::new());
    let none =
        crate::support::machine::planned(&inventory, &wanting("'vm-*': {activation: active}"));
    assert_eq!(none.diff.notes, ["`vm-*` matches no LV of the VG"]);
    assert!(none.graph.is_empty());
}
