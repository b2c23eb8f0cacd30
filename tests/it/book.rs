//! The book says what the program does: every fault, hazard, refusal and problem by its name, every
//! operation with its risk and undo, and every page in the table of contents.

use std::fs;
use std::path::{Path, PathBuf};

use lvmend::host::fake::Schedule;
use lvmend::model::inventory::Realm;
use lvmend::ondisk::thin_superblock::BLOCK_SIZE;
use lvmend::operation::{ExtendVg, MountAgain, Operation};

use crate::live_backup;
use crate::live_pools;
use crate::live_tables;
use crate::pool_spare;
use crate::support::fixture::Fixture;
use crate::support::machine::{dm, edit, machine, mapped_lv, mount, planned, vg};
use crate::support::program::Desk;
use crate::support::world::{World, plan};
use crate::thin_images;
use crate::thin_pools;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The first cells of a page's table rows that are `code`.
fn names_in_tables(page: &str) -> Vec<String> {
    read(&format!("book/src/{page}"))
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned()))
        .collect()
}

/// The variants of an enum, in kebab-case, as serde names them.
fn variants(file: &str, name: &str) -> Vec<String> {
    let source = read(file);
    let body = source.split(&format!("pub enum {name} {{\n")).nth(1).expect("the enum");
    let body = body.split("\n}").next().unwrap();
    let word = |line: &str| line.trim().strip_suffix(',').map(kebab);
    body.lines()
        .filter(|line| !line.contains("//") && !line.contains("#["))
        .filter_map(word)
        .collect()
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.extend(c.to_lowercase());
    }
    out
}

#[test]
fn faults_hazards_and_refusals_are_all_explained() {
    let pages = [
        ("src/fault.rs", "FaultKind", "faults.md"),
        ("src/plan/hazard.rs", "HazardKind", "hazards.md"),
    ];
    for (file, name, page) in pages {
        let mut listed = names_in_tables(page);
        let mut known = variants(file, name);
        listed.sort();
        known.sort();
        assert!(known.len() > 3, "{name}");
        assert_eq!(listed, known, "{page}");
    }
}

#[test]
fn codes_are_all_explained() {
    let mut known = variants("src/diff/refusal.rs", "RefusalCode");
    let problems = read("src/plan/problem.rs");
    let renamed = problems.split("rename = \"").skip(1).filter_map(|rest| rest.split('"').next());
    known.extend(renamed.map(str::to_owned));
    assert_eq!(names_in_tables("codes.md"), known);
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let summary = read("book/src/SUMMARY.md");
    let mut pages: Vec<PathBuf> =
        fs::read_dir(root().join("book/src")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    for page in pages {
        let name = page.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name == "SUMMARY.md" || summary.contains(&format!("({name})")), "{name}");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut documents: Vec<PathBuf> =
        fs::read_dir(root().join("book/src")).unwrap().map(|entry| entry.unwrap().path()).collect();
    for name in ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "ARCHITECTURE.md"] {
        documents.push(root().join(name));
    }
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let target = document.parent().unwrap().join(path);
            assert!(target.exists(), "{}: {link} leads nowhere", document.display());
        }
    }
}

/// YAML documents of the book that are whole plans.
fn plans_of_the_book() -> Vec<(String, String)> {
    let mut plans = Vec::new();
    for entry in fs::read_dir(root().join("book/src")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            if block.contains("version: 1\n") {
                plans.push((path.display().to_string(), block.to_owned()));
            }
        }
    }
    plans
}

#[test]
fn plans_of_the_book_are_valid() {
    let plans = plans_of_the_book();
    assert!(plans.len() >= 4, "{} plans", plans.len());
    for (page, plan) in plans {
        // Dots stand for digits in the pages.
        let whole = plan.replace('…', &"0".repeat(56));
        if let Err(problems) = lvmend::plan::load(whole.as_bytes()) {
            let said: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
            panic!("{page}: {said:?}\n{plan}");
        }
    }
}

/// Kind, risk and undo of every operation that these plans come to.
fn operations_of(scenario: &str, damage: impl Fn(&Desk), document: &str) -> Vec<[String; 3]> {
    let desk = Desk::with(scenario);
    damage(&desk);
    desk.put("plan.yaml", document);
    let scratch = ["--scratch-dir", env!("CARGO_TARGET_TMPDIR")];
    let asked = ["plan", "plan.yaml", "--format", "json"];
    let ended = desk.run(&[&asked[..], &scratch].concat()).with_code(2);
    let plan: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let operations = plan["operations"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let row = |op: &serde_json::Value| [text(&op["kind"]), text(&op["risk"]), text(&op["undo"])];
    operations.iter().map(row).collect()
}

#[test]
fn the_table_of_operations_is_what_plans_say() {
    let lost_label = |desk: &Desk| {
        let mut disk = fs::read(desk.image(1)).unwrap();
        disk[512..1024].fill(0);
        fs::write(desk.image(1), &disk).unwrap();
    };
    let nothing = |_: &Desk| ();
    let sound = "version: 1\nname: x\nvolume_group: {name: vg, metadata: {state: sound}}\n";
    let damaged_area = |desk: &Desk| {
        let mut disk = fs::read(desk.image(1)).unwrap();
        disk[4096 + 5] ^= 1;
        fs::write(desk.image(1), &disk).unwrap();
    };
    let returned = "version: 1\nname: x\nvolume_group: {name: vg}\nphysical_volumes: {'*': {state: attached}}\n";
    let recover = format!(
        "version: 1\nname: x\nvolume_group: {{name: vg}}\nlogical_volumes: {{precious: {{state: present}}}}\n\
         tasks: [copy: {{from: precious, to: {{file: $DESK/out.img}}}}]\n\
         checks: [sha256: {{logical_volume: precious, digest: \"{}\"}}]\n",
        "0".repeat(64)
    );
    let no_spare = |desk: &Desk| desk.lvm(&[0, 1], &["lvremove -y vg/lvol0_pmspare"]);
    let changed = |desk: &Desk, change: fn(&mut [u8; BLOCK_SIZE])| {
        let (disk, start, _) = thin_pools::place(&World::of("thin").look());
        let mut image = fs::read(desk.image(disk)).unwrap();
        thin_pools::superblock(&mut image[start..], change);
        fs::write(desk.image(disk), &image).unwrap();
    };
    let ahead = |desk: &Desk| changed(desk, |block| block[48] += 2);
    let flagged = |desk: &Desk| changed(desk, |block| block[4] |= 1);
    let one_less = |desk: &Desk| {
        let (disk, start, len) = thin_pools::place(&World::of("thin").look());
        let mut image = fs::read(desk.image(disk)).unwrap();
        thin_images::without_device_1(&mut image[start..start + len]);
        fs::write(desk.image(disk), &image).unwrap();
    };
    let flagged_and_small = live_pools::asks("metadata: {state: sound}, data: {min_size: 12MiB}");
    let of_pool = live_pools::asks("metadata: {state: sound, spare: present}");
    let mut rows = Vec::new();
    rows.extend(operations_of("thin", no_spare, &of_pool));
    rows.extend(operations_of("thin", ahead, &of_pool));
    rows.extend(operations_of("thin", one_less, &live_pools::dropping()));
    rows.extend(operations_of("thin", flagged, &flagged_and_small));
    rows.extend(operations_of("plain", lost_label, sound));
    rows.extend(operations_of("plain", damaged_area, sound));
    rows.extend(operations_of("missing-pv", nothing, returned));
    rows.extend(operations_of("deleted-lv", nothing, &recover));
    rows.sort();
    rows.dedup();
    assert_eq!(rows, table_of_operations(0));
}

/// Rows of the first or second table: on images, on a running machine.
fn table_of_operations(table: usize) -> Vec<[String; 3]> {
    let book = read("book/src/operations.md");
    let part = book.split("\n## On a running machine\n").nth(table).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        [cells[1].trim_matches('`').to_owned(), cells[2].to_owned(), cells[3].to_owned()]
    };
    let mut rows: Vec<[String; 3]> =
        part.lines().filter(|line| line.starts_with("| `")).map(row).collect();
    rows.sort();
    rows
}

#[test]
fn the_table_of_operations_on_running_machines_is_what_they_say() {
    let mut rows = Vec::new();
    for operation in live_operations() {
        let contract = operation.contract();
        let risk = contract.risk(Realm::Live).name().to_owned();
        let over = contract.title().contains(" OVER ").then_some("` over an LV");
        let kind = format!("{}{}", operation.kind(), over.unwrap_or_default());
        rows.push([kind, risk, contract.undo(Realm::Live).to_owned()]);
    }
    rows.sort();
    rows.dedup();
    assert_eq!(rows, table_of_operations(1));
    // `SaveEvidence(SaveEvidence)`
    let kinds = variants("src/operation.rs", "Operation").into_iter();
    for kind in kinds.filter_map(|variant| Some(variant.split_once('(')?.0.replace('-', "_"))) {
        assert!(rows.iter().any(|row| row[0] == kind), "{kind} has no row");
    }
}

#[test]
fn the_table_of_operations_on_images_is_what_they_say() {
    let mut rows = Vec::new();
    for operation in live_operations() {
        let contract = operation.contract();
        let undo = contract.undo(Realm::Images);
        // What images cannot do has no row there.
        if undo.starts_with("never done") || contract.title().contains(" OVER ") {
            continue;
        }
        let risk = contract.risk(Realm::Images).name();
        rows.push([operation.kind(), risk, undo].map(str::to_owned));
    }
    rows.sort();
    rows.dedup();
    assert_eq!(rows, table_of_operations(0));
}

/// One of every kind at least.
fn live_operations() -> Vec<Operation> {
    let head = "version: 1\nname: x\nvolume_group: {name: vg";
    let sound = format!("{head}, metadata: {{state: sound}}}}\n");
    let damaged = |at: usize, len: usize| {
        let mut disks = Fixture::new("plain").disks();
        disks[0].1[at..at + len].fill(0);
        World::with(disks, &Schedule::quiet()).plan(&plan(&sound))
    };
    let on_images =
        |fixture: &str, rest: &str| World::of(fixture).plan(&plan(&format!("{head}}}\n{rest}")));
    let live = |fixture: &str, rest: &str| planned(&machine(fixture), &format!("{head}}}\n{rest}"));
    let mut active = machine("plain");
    let simple = mapped_lv(&vg(&active), "simple", "", 0, &["0 8192 linear 8:0 2048"]);
    edit(&mut active, |live| live.mapped.push(simple));
    let inactive = format!("{head}}}\nlogical_volumes: {{simple: {{activation: inactive}}}}\n");
    let zeros = "0".repeat(64);
    let recover = format!(
        "logical_volumes: {{precious: {{state: present}}}}\n\
         tasks: [copy: {{from: precious, to: {{file: /nowhere/out.img}}}}]\n\
         checks: [sha256: {{logical_volume: precious, digest: \"{zeros}\"}}]\n"
    );
    let mut gone = active.clone();
    edit(&mut gone, |live| live.mapped[0].live[0].args = "8:128 2048".into());
    let attached = format!("{head}}}\nphysical_volumes: {{'*': {{state: attached}}}}\n");
    edit(&mut active, |live| live.mounts.push(mount(dm(0), "/mnt/x", "ext4")));
    let inactive = format!("{inactive}policy: {{busy: {{unmount: [/mnt/x]}}}}\n");
    let extend =
        ExtendVg { vg: vg(&active).uuid, name: vg(&active).name.clone(), devices: Vec::new() };
    let again = MountAgain { vg: vg(&active).uuid, mounts: Vec::new(), task_of: None };
    let over = "tasks: [copy: {from: simple, to: {logical_volume: spread}}]\n";
    let sound = "metadata: {state: sound, min_size: 4MiB}";
    let larger = live_pools::asks(sound);
    let used = format!("{larger}logical_volumes: {{thin1: {{activation: active}}}}\n");
    let plans = [
        live("plain", over),
        planned(&gone, &attached),
        damaged(512, 512),
        damaged(4096, 8),
        on_images("missing-pv", "physical_volumes: {'*': {state: attached}}\n"),
        on_images("deleted-lv", &recover),
        live("plain", "logical_volumes: {simple: {activation: active}}\n"),
        planned(&active, &inactive),
        planned(&live_pools::damaged(), &used),
        planned(&live_pools::flagged(), &larger),
        planned(&live_pools::numbered(), &larger),
        planned(&live_pools::one_less(), &live_pools::dropping()),
        planned(
            &live_pools::flagged(),
            &larger.replace("state: sound,", "state: sound, spare: present,"),
        ),
        planned(&pool_spare::none(), &larger.replace("min_size: 4MiB", "spare: present")),
    ];
    let plans = plans.into_iter().chain(live_tables::every_risk());
    let planned = plans.flat_map(|planned| planned.graph.operations);
    let others = [Operation::ExtendVg(extend), Operation::MountAgain(again)];
    planned.chain(others).chain(live_backup::both()).collect()
}
