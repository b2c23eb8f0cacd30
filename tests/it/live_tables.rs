//! Tables that are not what the metadata says: what a plan does about them, and in which order.

use lvmend::diff::RefusalCode;
use lvmend::model::inventory::Inventory;
use lvmend::model::live::{LvmLayer, MappedDevice};
use lvmend::operation::{Operation, ReloadTree};
use lvmend::report::plan::{gather, text};
use lvmend::simulate::lower;
use lvmend::simulate::planned::Planned;
use lvmend::units::Sectors;

use crate::support::kernel::{activate, mapped};
use crate::support::live_story::story;
use crate::support::machine::{
    codes, dm, edit, line, machine, mount, opener, planned, snapshot, vg,
};
use crate::support::world::{plan, signature};

const MATCHING: &str =
    "version: 1\nname: p\nvolume_group: {name: vg}\ndevice_tables: {state: matching}\n";

const SNAPSHOTS: [&str; 5] = ["vg-org", "vg-org-real", "vg-snp", "vg-snp-cow", "vg-lin"];
const MIRROR: [&str; 5] = ["vg-mir", "vg-mir_mimage_0", "vg-mir_mimage_1", "vg-mir_mlog", "vg-lin"];

fn with(names: &[&str]) -> Inventory {
    let mut inventory = machine("all-types");
    activate(&mut inventory, names);
    inventory
}

fn touch(inventory: &mut Inventory, name: &str, change: impl FnOnce(&mut MappedDevice)) {
    edit(inventory, |live| {
        let mut mapped = live.mapped.iter_mut();
        change(mapped.find(|m| m.name.raw() == name).unwrap_or_else(|| panic!("{name}")));
    });
}

fn suspend(inventory: &mut Inventory, names: &[&str]) {
    for name in names {
        touch(inventory, name, |mapped| mapped.suspended = true);
    }
}

fn wait(inventory: &mut Inventory, name: &str, table: &str) {
    touch(inventory, name, |mapped| {
        mapped.inactive = vec![line(table)];
        mapped.has_inactive = true;
    });
}

fn give(inventory: &mut Inventory, name: &str, table: &str) {
    touch(inventory, name, |mapped| mapped.live = vec![line(table)]);
}

/// A device of an LV that the metadata does not know.
fn unknown(inventory: &mut Inventory, name: &str, minor: u32, table: &str) -> String {
    let layer = LvmLayer {
        vg: vg(inventory).uuid,
        lv: "AAAAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAAAA".parse().unwrap(),
        suffix: String::new(),
    };
    let device = mapped(name, &layer, dm(minor), &[table.to_owned()]);
    edit(inventory, |live| live.mapped.push(device));
    layer.to_string()
}

fn reloads(inventory: &Inventory, text: &str) -> Vec<ReloadTree> {
    let operations = planned(inventory, text).graph.operations.into_iter();
    let reload = |operation| {
        let Operation::ReloadTree(reload) = operation else { return None };
        Some(*reload)
    };
    operations.filter_map(reload).collect()
}

#[test]
fn everything_as_derived_is_nothing_to_do() {
    for names in [&SNAPSHOTS[..], &MIRROR[..]] {
        let inventory = with(names);
        assert_eq!(codes(&inventory, MATCHING), []);
        assert_eq!(planned(&inventory, MATCHING).graph.operations, []);
    }
}

#[test]
fn stale_tables_of_a_stack() {
    let mut inventory = with(&SNAPSHOTS);
    give(&mut inventory, "vg-org-real", "0 2048 linear 8:0 30000");
    suspend(&mut inventory, &["vg-org", "vg-snp"]);
    wait(&mut inventory, "vg-snp-cow", "0 2048 linear 8:16 2048");
    snapshot("tables-stale", &story(&inventory, MATCHING));
    let found = planned(&inventory, MATCHING);
    let plan = plan(MATCHING);
    snapshot("tables-stale-text", &text(&plan, &gather(&plan, &found, &inventory)));
    snapshot("tables-stale-dot", &lvmend::report::graph::dot(&found.graph, found.realm));
    snapshot("tables-stale-mermaid", &lvmend::report::graph::mermaid(&found.graph, found.realm));
}

#[test]
fn only_what_is_named_is_touched() {
    let mut inventory = with(&SNAPSHOTS);
    give(&mut inventory, "vg-lin", "0 1536 linear 8:0 4096");
    give(&mut inventory, "vg-org-real", "0 1024 linear 8:0 30000");
    let names = |text: &str| -> Vec<String> {
        reloads(&inventory, text).into_iter().map(|reload| reload.lv_name).collect()
    };
    assert_eq!(names(MATCHING), ["lin", "org"]);
    let only = |lv: &str| MATCHING.replace("matching", &format!("matching, only: [{lv}]"));
    assert_eq!(names(&only("lin")), ["lin"]);
    assert_eq!(names(&only("snp")), ["org"]);
    assert_eq!(names(&only("ro")), [""; 0]);
}

/// A mirror's layer that was taken out of the tree and went on with its old table: two mirrors on one log.
fn shared_log() -> Inventory {
    let mut inventory = with(&MIRROR);
    let table = inventory.live.as_ref().unwrap();
    let table = table.mapped.iter().find(|m| m.name.raw() == "vg-mir").unwrap().live[0].to_string();
    unknown(&mut inventory, "vg-mir_mimagetmp_2", 20, &table);
    inventory
}

#[test]
fn a_layer_that_left_is_emptied_first_and_goes() {
    let inventory = shared_log();
    snapshot("tables-shared-log", &story(&inventory, MATCHING));
    // Nobody's but the stack's own.
    let mut open = inventory.clone();
    edit(&mut open, |live| live.openers.push(opener(dm(20), 77, "dd")));
    snapshot("tables-shared-log-open", &story(&open, MATCHING));
    // The top runs over it: it is given what it should have, and the layer goes.
    let mut under = inventory;
    give(&mut under, "vg-mir", "0 1024 linear 253:20 0");
    snapshot("tables-over-a-layer", &story(&under, MATCHING));
}

#[test]
fn a_layer_that_was_emptied_already_only_has_to_go() {
    let mut inventory = with(&MIRROR);
    unknown(&mut inventory, "vg-mir_mimagetmp_2", 20, "0 1024 error");
    // That it was not done before is part of the story.
    assert!(story(&inventory, MATCHING).contains("> remove vg-mir_mimagetmp_2\n"));
}

#[test]
fn strays_stay_until_their_removal_is_accepted() {
    let mut inventory = with(&["vg-lin"]);
    let uuid = unknown(&mut inventory, "vg-lost", 20, "0 2048 linear 8:0 40000");
    assert_eq!(reloads(&inventory, MATCHING), []);
    assert!(story(&inventory, MATCHING).contains("may be the only map"));
    let accepts = format!(
        "{MATCHING}policy: {{accept: [{{hazard: remove-device, object: {uuid}, because: gone}}]}}\n"
    );
    snapshot("tables-stray", &story(&inventory, &accepts));
    edit(&mut inventory, |live| live.mounts.push(mount(dm(20), "/mnt/x", "ext4")));
    assert_eq!(reloads(&inventory, &accepts), []);
    // Held by another stray.
    edit(&mut inventory, |live| live.mounts.clear());
    let other = LvmLayer {
        lv: "BBBBBB-BBBB-BBBB-BBBB-BBBB-BBBB-BBBBBB".parse().unwrap(),
        ..LvmLayer::parse(&uuid).unwrap()
    };
    let over = mapped("vg-over", &other, dm(21), &["0 2048 linear 253:20 0".to_owned()]);
    edit(&mut inventory, |live| live.mapped.push(over));
    assert_eq!(reloads(&inventory, &accepts), []);
}

#[test]
fn a_lost_thin_lv_is_no_layer_that_left() {
    let mut inventory = machine("thin");
    activate(&mut inventory, &["vg-pool-tpool", "vg-pool_tdata", "vg-pool_tmeta", "vg-thin1"]);
    let pool = inventory.live.as_ref().unwrap().mapped.iter();
    let pool = pool.clone().find(|m| m.name.raw() == "vg-pool-tpool").unwrap().number;
    unknown(&mut inventory, "vg-lost", 20, &format!("0 4096 thin {pool} 9"));
    assert_eq!(reloads(&inventory, MATCHING), []);
    // What lies under it is not suspended for the sake of others.
    give(&mut inventory, "vg-pool-tpool", "0 8192 error");
    assert_eq!(reloads(&inventory, MATCHING), []);
    assert!(story(&inventory, MATCHING).contains("vg-lost lies on vg-pool-tpool"));
}

#[test]
fn what_was_only_made_goes() {
    let mut inventory = with(&["vg-lin"]);
    let layer = inventory.live.as_ref().unwrap().mapped[0].layer.clone().unwrap();
    let layer = LvmLayer { suffix: "real".to_owned(), ..layer };
    let mut made = mapped("vg-lin-real", &layer, dm(20), &[]);
    (made.has_inactive, made.inactive) = (true, vec![line("0 1536 linear 8:0 2048")]);
    edit(&mut inventory, |live| live.mapped.push(made));
    snapshot("tables-only-made", &story(&inventory, MATCHING));
}

#[test]
fn what_a_table_needs_is_made() {
    let mut inventory = with(&SNAPSHOTS);
    edit(&mut inventory, |live| live.mapped.retain(|m| !m.name.raw().starts_with("vg-org-real")));
    edit(&mut inventory, |live| live.mapped.retain(|m| !m.name.raw().starts_with("vg-snp")));
    let real = "0 1024 linear 8:0 20000";
    give(&mut inventory, "vg-org", real);
    snapshot("tables-made", &story(&inventory, MATCHING));
    let mut taken = inventory.clone();
    edit(&mut taken, |live| {
        let mut foreign = live.mapped[0].clone();
        (foreign.name, foreign.uuid, foreign.layer) =
            ("vg-org-real".into(), "CRYPT-x".into(), None);
        foreign.number = dm(30);
        live.mapped.push(foreign);
    });
    assert_eq!(reloads(&taken, MATCHING), []);
    assert!(story(&taken, MATCHING).contains("its name is taken by a device with CRYPT-x"));
}

#[test]
fn who_uses_a_stack_decides_whether_there_is_a_way_back() {
    let mut inventory = with(&["vg-lin"]);
    // It is longer by the metadata: nothing that it shows changes its place.
    touch(&mut inventory, "vg-lin", |mapped| mapped.live.truncate(1));
    assert!(!reloads(&inventory, MATCHING)[0].in_use);
    edit(&mut inventory, |live| live.mounts.push(mount(dm(0), "/mnt/x", "ext4")));
    let reload = &reloads(&inventory, MATCHING)[0];
    assert!(reload.in_use);
    let planned = planned(&inventory, MATCHING);
    assert_eq!(planned.graph.point_of_no_return(planned.realm), Some(1));
    // Somebody came to use it since.
    let mut idle = inventory.clone();
    edit(&mut idle, |live| live.mounts.clear());
    let reload = Operation::ReloadTree(Box::new(reloads(&idle, MATCHING).remove(0)));
    let unfit = lower(&reload, &inventory, &signature()).unwrap_err();
    assert!(unfit.may_pass && unfit.why.contains("vg-lin is in use"), "{}", unfit.why);
}

#[test]
fn content_that_is_used_does_not_change_its_place() {
    let mut inventory = with(&["vg-lin"]);
    give(&mut inventory, "vg-lin", "0 1536 linear 8:0 4096");
    assert_eq!(reloads(&inventory, MATCHING).len(), 1);
    edit(&mut inventory, |live| live.mounts.push(mount(dm(0), "/mnt/x", "ext4")));
    assert_eq!(reloads(&inventory, MATCHING), []);
    assert!(story(&inventory, MATCHING).contains("would read and write other content"));
}

#[test]
fn nothing_moves_below_what_keeps_a_state_of_it() {
    let mut inventory = with(&SNAPSHOTS);
    give(&mut inventory, "vg-snp-cow", "0 1024 linear 8:0 30000");
    assert_eq!(reloads(&inventory, MATCHING), []);
    assert!(story(&inventory, MATCHING).contains("vg-snp, which runs over it, keeps a state"));
    let mut inventory = machine("thin");
    activate(&mut inventory, &["vg-pool-tpool", "vg-pool_tdata", "vg-pool_tmeta", "vg-thin1"]);
    give(&mut inventory, "vg-pool_tmeta", "0 2048 linear 8:16 40000");
    assert_eq!(reloads(&inventory, MATCHING), []);
    // Longer metadata the pool takes when it is resumed.
    activate(&mut inventory, &["vg-pool-tpool", "vg-pool_tdata", "vg-pool_tmeta", "vg-thin1"]);
    touch(&mut inventory, "vg-pool_tmeta", |mapped| mapped.live[0].len = Sectors::new(1024));
    snapshot("tables-longer-metadata", &story(&inventory, MATCHING));
}

#[test]
fn what_may_be_nowhere_else_is_not_cut_off() {
    let mut inventory = with(&["vg-lin"]);
    unknown(&mut inventory, "vg-lost", 20, "0 2048 linear 8:0 40000");
    give(&mut inventory, "vg-lin", "0 1536 linear 253:20 0");
    assert_eq!(reloads(&inventory, MATCHING), []);
    assert!(story(&inventory, MATCHING).contains("what it shows may be nowhere else"));
    let mut inventory = with(&["vg-lin"]);
    give(&mut inventory, "vg-lin", "0 1536 cache 8:0 8:16 8:32 128 1 writeback smq 0");
    assert_eq!(reloads(&inventory, MATCHING), []);
    assert!(story(&inventory, MATCHING).contains("may be in the cache alone"));
}

#[test]
fn work_on_the_vg_begins_with_what_is_half_done() {
    let sound = "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes: {lin: {activation: active}}\n";
    let mut inventory = with(&MIRROR);
    edit(&mut inventory, |live| live.mapped.retain(|m| m.name.raw() != "vg-lin"));
    assert_eq!(reloads(&inventory, sound).len(), 0);
    suspend(&mut inventory, &["vg-mir"]);
    let kinds: Vec<&str> =
        planned(&inventory, sound).graph.operations.iter().map(Operation::kind).collect();
    assert_eq!(kinds, ["save_evidence", "reload_tree", "activate_lvs"]);
    // Another table is nothing that a plan gives by the way.
    give(&mut inventory, "vg-mir_mlog", "0 1024 linear 8:0 40000");
    assert_eq!(codes(&inventory, sound), [RefusalCode::SuspendedDevices]);
    // Of what nobody can tell what it should be the plan is refused as ever.
    let mut inventory = with(&["vg-lin"]);
    edit(&mut inventory, |live| live.mapped.clear());
    unknown(&mut inventory, "vg-lost", 20, "0 2048 linear 8:0 40000");
    suspend(&mut inventory, &["vg-lost"]);
    assert_eq!(codes(&inventory, sound), [RefusalCode::SuspendedDevices]);
}

/// Plans with a reload of each risk.
pub fn every_risk() -> Vec<Planned> {
    let mut idle = with(&["vg-lin"]);
    let uuid = unknown(&mut idle, "vg-lost", 20, "0 2048 linear 8:0 40000");
    let accepts = format!(
        "{MATCHING}policy: {{accept: [{{hazard: remove-device, object: {uuid}, because: gone}}]}}\n"
    );
    let mut waiting = with(&["vg-lin"]);
    wait(&mut waiting, "vg-lin", "0 1536 error");
    let mut stale = with(&["vg-lin"]);
    give(&mut stale, "vg-lin", "0 1536 linear 8:0 4096");
    let mut used = with(&["vg-lin"]);
    touch(&mut used, "vg-lin", |mapped| mapped.live.truncate(1));
    edit(&mut used, |live| live.mounts.push(mount(dm(0), "/mnt/x", "ext4")));
    let mut grown = machine("thin");
    activate(&mut grown, &["vg-pool-tpool", "vg-pool_tdata", "vg-pool_tmeta"]);
    touch(&mut grown, "vg-pool-tpool", |pool| pool.live[0].len = Sectors::new(4096));
    let matching = [waiting, stale, used, shared_log(), grown];
    let plans = matching.iter().map(|inventory| planned(inventory, MATCHING));
    plans.chain([planned(&idle, &accepts)]).collect()
}

#[test]
fn images_have_no_tables() {
    use crate::support::world::World;
    let planned = World::of("all-types").plan(&plan(MATCHING));
    assert_eq!(planned.refusals[0].code, RefusalCode::NeedsKernel);
}
