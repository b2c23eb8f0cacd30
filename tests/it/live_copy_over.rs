//! Contents copied over another LV of a running machine.

use lvmend::diff::RefusalCode;
use lvmend::model::flags::LvStatus;
use lvmend::model::inventory::Inventory;
use lvmend::operation::{CopyLv, CopyTo, Operation};

use crate::support::live_story::story;
use crate::support::machine::{
    dm, edit, edit_vg, machine, mapped_lv, mount, opener, planned, snapshot, told, vg,
};
use crate::support::world::{World, plan};

fn copying(from: &str, over: &str) -> String {
    format!(
        "version: 1\nname: p\nvolume_group: {{name: vg}}\n\
         tasks: [copy: {{from: {from}, to: {{logical_volume: {over}}}}}]\n"
    )
}

/// The LV is active as 253:0.
fn with_active(scenario: &str, lv: &str) -> Inventory {
    let mut inventory = machine(scenario);
    let active = mapped_lv(&vg(&inventory), lv, "", 0, &["0 8192 linear 8:0 2048"]);
    edit(&mut inventory, |live| live.mapped.push(active));
    inventory
}

fn kinds(inventory: &Inventory, text: &str) -> Vec<&'static str> {
    planned(inventory, text).graph.operations.iter().map(Operation::kind).collect()
}

#[test]
fn the_target_is_activated_for_as_long_as_it_takes() {
    let text = copying("simple", "spread");
    snapshot("copy-over", &story(&machine("plain"), &text));
    let planned = planned(&machine("plain"), &text);
    assert!(!planned.graph.changes_state(), "a task is no state");
    assert_eq!(kinds(&with_active("plain", "spread"), &text), ["copy_lv"]);
    let checked = format!(
        "{text}checks: [sha256: {{logical_volume: spread, digest: \"{}\"}}]\n",
        "0".repeat(64)
    );
    let expected = ["activate_lvs", "copy_lv", "deactivate_lvs", "check_sha256"];
    assert_eq!(kinds(&machine("plain"), &checked), expected);
}

#[test]
fn states_of_the_plan_come_first() {
    let text = copying("simple", "spread");
    let active = format!("{text}logical_volumes: {{spread: {{activation: active}}}}\n");
    assert_eq!(kinds(&machine("plain"), &active), ["save_evidence", "activate_lvs", "copy_lv"]);
    let inactive = format!("{text}logical_volumes: {{spread: {{activation: inactive}}}}\n");
    let expected = ["save_evidence", "deactivate_lvs", "activate_lvs", "copy_lv", "deactivate_lvs"];
    assert_eq!(kinds(&with_active("plain", "spread"), &inactive), expected);
    snapshot("copy-over-state", &story(&with_active("plain", "spread"), &inactive));
}

#[test]
fn a_recovered_lv_goes_over_another() {
    let mut inventory = machine("deleted-lv");
    // Large enough.
    edit_vg(&mut inventory, |vg| {
        let lv = vg.lvs.iter_mut().find(|lv| lv.name.as_str() == "after").unwrap();
        let more = lv.segments[0].clone();
        lv.segments.extend([more.clone(), more.clone(), more.clone(), more]);
    });
    let text = copying("precious", "after");
    let text = format!("{text}logical_volumes: {{precious: {{state: present}}}}\n");
    let told = planned(&inventory, &text);
    assert_eq!(told.refusals.iter().filter(|r| r.code != RefusalCode::Unfit).count(), 0);
    let kinds: Vec<&str> = told.graph.operations.iter().map(Operation::kind).collect();
    let expected = ["save_evidence", "splice_lv", "activate_lvs", "copy_lv", "deactivate_lvs"];
    assert_eq!(kinds, expected);
}

#[test]
fn what_is_mounted_there_is_unmounted_where_the_plan_says_so() {
    let mut inventory = with_active("plain", "spread");
    edit(&mut inventory, |live| live.mounts.push(mount(dm(0), "/mnt/x", "ext4")));
    let text = copying("simple", "spread");
    assert_eq!(planned(&inventory, &text).refusals[0].code, RefusalCode::VolumeInUse);
    let freed = format!("{text}policy: {{busy: {{unmount: [/mnt/x]}}}}\n");
    snapshot("copy-over-mounted", &story(&inventory, &freed));
}

#[test]
fn what_must_not_be_overwritten_is_refused() {
    let mut all = String::new();
    let mut refused = |inventory: &Inventory, from: &str, over: &str| {
        let planned = planned(inventory, &copying(from, over));
        assert_eq!(planned.refusals.len(), 1, "{over}");
        assert!(planned.graph.operations.is_empty(), "{over}");
        all += &told(&planned);
    };
    let plain = machine("plain");
    refused(&plain, "spread", "simple");
    let types = machine("all-types");
    refused(&types, "lin", "r1_rimage_0");
    refused(&types, "lin", "org");
    refused(&types, "lin", "snp");
    refused(&types, "lin", "thin1");
    refused(&types, "lin", "pool");
    refused(&types, "lin", "ext");
    refused(&machine("missing-pv"), "on-a", "on-b");
    let mut held = with_active("plain", "spread");
    edit(&mut held, |live| live.openers.push(opener(dm(0), 4711, "kvm")));
    refused(&held, "simple", "spread");
    let mut read_only = with_active("plain", "spread");
    edit(&mut read_only, |live| live.mapped[0].read_only = true);
    refused(&read_only, "simple", "spread");
    let mut fixed = machine("plain");
    edit_vg(&mut fixed, |vg| {
        let lv = vg.lvs.iter_mut().find(|lv| lv.name.as_str() == "spread").unwrap();
        lv.status.remove(LvStatus::Write);
    });
    refused(&fixed, "simple", "spread");
    all += &told(&World::of("plain").plan(&plan(&copying("simple", "spread"))));
    snapshot("copy-over-refused", &all);
}

#[test]
fn copies_to_files_are_written_down_as_they_always_were() {
    let old = r#"{"operation":"copy_lv","vg":"QkFZO2-j1tY-1zRv-044G-B78A-DRPp-CPFGZy","lv":"yLMfFb-9yOk-vf1N-FTmz-5NiL-F5lx-NNmkuN","name":"data","path":"/srv/a.img"}"#;
    let read: Operation = serde_json::from_str(old).unwrap();
    let Operation::CopyLv(CopyLv { to: CopyTo::File { path }, .. }) = &read else {
        panic!("{read:?}")
    };
    assert_eq!(path, "/srv/a.img");
    assert_eq!(serde_json::to_string(&read).unwrap(), old);
}
