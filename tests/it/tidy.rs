//! The house rules, held by a test: the order of the rooms, the size of files and functions, what
//! pure code must not touch, and that no test file is forgotten.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
/// Names that say nothing about what is in a file.
const EMPTY_NAMES: [&str; 5] = ["util", "utils", "common", "helpers", "manager"];
/// What a pure room must not even mention.
const IMPURE: [&str; 9] = [
    "std::fs",
    "std::io::",
    "std::process",
    "std::env",
    "std::net",
    "std::time",
    "SystemTime",
    "Instant::",
    "std::thread",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The rooms of ARCHITECTURE.md, in order, and whether each is pure.
fn rooms() -> Vec<(String, bool)> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        match cells.next()? {
            "yes" => Some((name, true)),
            "no" => Some((name, false)),
            _ => None,
        }
    };
    text.lines().filter(|line| line.starts_with("| `")).filter_map(row).collect()
}

/// The room a file belongs to; none for `lib.rs` and `main.rs`.
fn room_of(file: &Path) -> Option<String> {
    let within = file.strip_prefix(root().join("src")).ok()?;
    let first = within.components().next()?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib" && name != "main").then(|| name.to_owned())
}

/// Rooms that a source mentions as `crate::ROOM`.
fn mentioned(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in source.split("crate::").skip(1) {
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        found.push(name);
    }
    found
}

#[test]
fn rooms_only_use_rooms_above_them() {
    let rooms = rooms();
    let order: BTreeMap<&str, usize> =
        rooms.iter().enumerate().map(|(index, (name, _))| (name.as_str(), index)).collect();
    assert_eq!(order.len(), 16, "the table in ARCHITECTURE.md: {order:?}");
    let mut seen = BTreeMap::new();
    for file in rust_files(&root().join("src")) {
        let Some(room) = room_of(&file) else { continue };
        let source = fs::read_to_string(&file).unwrap();
        let own = *order.get(room.as_str()).unwrap_or_else(|| panic!("{room} is no room"));
        seen.insert(room.clone(), ());
        for used in mentioned(&source) {
            let Some(other) = order.get(used.as_str()) else {
                panic!("{}: crate::{used} is no room", file.display())
            };
            assert!(*other <= own, "{}: {room} must not use {used}", file.display());
        }
        assert!(!source.contains("super::super"), "{}: name the room", file.display());
    }
    assert_eq!(seen.len(), rooms.len(), "a room of the table has no code");
}

#[test]
fn pure_rooms_touch_nothing() {
    let pure: Vec<String> =
        rooms().into_iter().filter(|(_, pure)| *pure).map(|(name, _)| name).collect();
    for file in rust_files(&root().join("src")) {
        if room_of(&file).is_none_or(|room| !pure.contains(&room)) {
            continue;
        }
        let source = fs::read_to_string(&file).unwrap();
        for word in IMPURE {
            assert!(!source.contains(word), "{}: {word} in a pure room", file.display());
        }
    }
}

#[test]
fn files_and_functions_are_small() {
    let mut all = rust_files(&root().join("src"));
    all.extend(rust_files(&root().join("tests")));
    all.extend(rust_files(&root().join("examples")));
    for file in all {
        let source = fs::read_to_string(&file).unwrap();
        let lines = source.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{}: {lines} lines", file.display());
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert!(!EMPTY_NAMES.contains(&name), "{}: a name that says nothing", file.display());
        for (start, len) in functions(&source) {
            assert!(
                len <= FUNCTION_LINES_MAX,
                "{}:{start}: a function of {len} lines",
                file.display()
            );
        }
    }
}

/// Where functions begin, and how many lines each has. rustfmt puts the closing brace of a
/// function under its `fn`.
fn functions(source: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_fn =
            ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "pub const fn ", "const fn "]
                .iter()
                .any(|start| trimmed.starts_with(start));
        if !is_fn || line.trim_end().ends_with(';') {
            continue;
        }
        let indent = line.len() - trimmed.len();
        let end = format!("{}}}", " ".repeat(indent));
        let len = lines[index..].iter().position(|l| *l == end).unwrap_or(0);
        found.push((index + 1, len + 1));
    }
    found
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    // Spelled in two halves, so that this file does not find itself.
    let banned = [
        concat!("#[ig", "nore"),
        concat!("should_", "panic"),
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("XX", "X:"),
    ];
    let mut all = rust_files(&root().join("src"));
    all.extend(rust_files(&root().join("tests")));
    all.extend(rust_files(&root().join("examples")));
    for file in all {
        let source = fs::read_to_string(&file).unwrap();
        for word in banned {
            assert!(!source.contains(word), "{}: {word}", file.display());
        }
        assert!(source.starts_with("//!"), "{}: say what the file is for", file.display());
    }
}

#[test]
fn every_test_file_is_listed() {
    let main = fs::read_to_string(root().join("tests/it/main.rs")).unwrap();
    for entry in fs::read_dir(root().join("tests/it")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|e| e == "rs") && name != "main" {
            assert!(main.contains(&format!("mod {name};")), "{name}.rs is not run");
        }
    }
}

#[test]
fn every_scenario_is_listed() {
    let directory = root().join("tests/kernel/scenarios");
    let list = fs::read_to_string(root().join("tests/kernel/scenarios.rs")).unwrap();
    let files = rust_files(&directory);
    assert_eq!(files.len(), list.matches("::SCENARIO,").count(), "scenarios.rs");
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert!(list.contains(&format!("mod {name};")), "{name}.rs is not compiled");
        assert!(list.contains(&format!(" {name}::SCENARIO,")), "{name}.rs is not run");
        // Whoever sees it fail finds the file by its name.
        let source = fs::read_to_string(&file).unwrap();
        let named =
            source.contains(&format!("\"{name}\"")) && source.contains("SCENARIO: Scenario");
        assert!(named, "{name}.rs gives its scenario another name");
    }
}

#[test]
fn the_tables_of_sources_are_those_of_the_book() {
    // A layout stands once, in the source; the book includes it from there.
    for name in ["label", "area_header", "raid_superblock"] {
        let source = fs::read_to_string(root().join(format!("src/ondisk/{name}.rs"))).unwrap();
        let table: Vec<&str> =
            source.lines().filter_map(|line| line.strip_prefix("//! |")).collect();
        assert!(table.len() > 5, "{name} has no layout table");
        let book = fs::read_to_string(root().join("book/src/formats.md")).unwrap();
        for row in table {
            assert!(book.contains(&format!("|{row}")), "book/src/formats.md lacks |{row}");
        }
    }
}
