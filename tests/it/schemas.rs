//! The JSON Schemas in `schemas/`: generated from the types, and true of what the program says.
//!
//! Run with `UPDATE=1` to write them anew, and read the difference.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lvmend::report::{json, schemas};
use serde_json::Value;

use crate::support::program::Desk;

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

#[test]
fn committed_schemas_are_the_generated_ones() {
    let mut expected = BTreeMap::new();
    for (name, schema) in schemas::all() {
        expected.insert(format!("{name}.schema.json"), json::to_text(&schema));
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(directory()).unwrap();
        for (name, text) in &expected {
            fs::write(directory().join(name), text).unwrap();
        }
    }
    let committed: BTreeMap<String, String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    for (name, text) in &expected {
        assert!(committed.get(name) == Some(text), "schemas/{name} is not the generated one");
    }
    assert_eq!(committed.len(), expected.len(), "{:?}", committed.keys());
}

#[test]
fn every_json_output_fits_its_schema() {
    let by_name: BTreeMap<&str, Value> = schemas::all().into_iter().collect();
    let check = |name: &str, stdout: &str| {
        let value: Value = serde_json::from_str(stdout).unwrap_or_else(|e| panic!("{e}: {stdout}"));
        let validator = jsonschema::validator_for(&by_name[name]).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}\n{stdout}");
        assert_eq!(value["format_version"], 1, "{name}");
        assert!(value["changed"].is_boolean(), "{name}");
    };
    let desk = Desk::with("deleted-lv");
    desk.put("plan.yaml", "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes:\n  precious: {state: present}\n");
    desk.put("bad.yaml", "version: 1\nnam: p\n");
    let run = |arguments: &[&str]| {
        let all: Vec<&str> = arguments.iter().copied().chain(["--format", "json"]).collect();
        desk.run(&all).stdout
    };
    check("inspect", &run(&["inspect"]));
    check("history-list", &run(&["history", "list", "vg"]));
    check("history-lv", &run(&["history", "list", "vg", "--lv", "precious"]));
    check("history-show", &run(&["history", "show", "vg", "5"]));
    check("history-diff", &run(&["history", "diff", "vg", "1", "current"]));
    check("validate", &run(&["validate", "plan.yaml"]));
    check("validate", &run(&["validate", "bad.yaml"]));
    check("plan", &run(&["plan", "plan.yaml"]));
    check("run", &run(&["apply", "plan.yaml", "--yes"]));
    check("runs-list", &run(&["runs", "list"]));
    check("plan", &run(&["apply", "plan.yaml", "--yes"]));
    let legs = Desk::with("missing-legs");
    legs.put("plan.yaml", "version: 1\nname: p\nvolume_group: {name: vg}\nphysical_volumes:\n  '*': {state: attached}\n");
    check("plan", &legs.run(&["plan", "plan.yaml", "--format", "json"]).stdout);
    check("inspect", &legs.run(&["inspect", "--format", "json"]).stdout);
}

#[test]
fn ready_plans_are_valid_and_name_their_schema() {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let mut count = 0;
    for entry in fs::read_dir(plans).unwrap() {
        let path = entry.unwrap().path();
        let source = fs::read_to_string(&path).unwrap();
        assert!(
            source.starts_with(
                "# yaml-language-server: $schema=../schemas/recovery-plan.schema.json\n"
            ),
            "{}: name the schema in the first line",
            path.display()
        );
        lvmend::plan::load(source.as_bytes())
            .unwrap_or_else(|p| panic!("{}: {p:#?}", path.display()));
        count += 1;
    }
    assert!(count >= 3, "only {count} ready plans");
}
