//! Plan documents: valid ones are read, invalid ones are refused with every problem at its place.
//!
//! Each `tests/data/plans/invalid/NAME.yaml` has its rendered problems in `NAME.stderr`; run with
//! `UPDATE=1` to write them anew, and read the difference.

use std::fs;
use std::path::{Path, PathBuf};

use lvmend::plan::{self, document::RecoverFrom};
use lvmend::report::problem::{self, Drawing};

fn documents(kind: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/plans").join(kind);
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

#[test]
fn valid_documents_are_read() {
    for path in documents("valid") {
        let source = fs::read(&path).unwrap();
        if let Err(problems) = plan::load(&source) {
            panic!(
                "{}",
                problem::text(&path.to_string_lossy(), &source, &problems, Drawing::Plain)
            );
        }
    }
}

#[test]
fn invalid_documents_are_refused_with_every_problem() {
    let mut stale = Vec::new();
    for path in documents("invalid") {
        let source = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let problems = plan::load(&source).expect_err(name);
        assert!(problems.windows(2).all(|two| two[0].span <= two[1].span), "{name}: not sorted");
        let shown = problem::text(name, &source, &problems, Drawing::Plain);
        let expected = path.with_extension("stderr");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, &shown).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != shown {
            stale.push(shown);
        }
    }
    assert!(stale.is_empty(), "other problems than expected:\n{}", stale.join("\n"));
}

#[test]
fn names_are_the_source_text_of_a_scalar() {
    let text = "
version: 1
name: 1.10
volume_group: {name: 100}
logical_volumes:
  100: {state: present, recover_as: 1e5}
  no: {state: present, recover_from: {seqno: 12, digest: 1234}}
";
    let document = plan::load(text.as_bytes()).unwrap().document;
    assert_eq!(document.name.as_str(), "1.10");
    assert_eq!(document.volume_group.name.as_str(), "100");
    let lvs: Vec<String> = document.logical_volumes.keys().map(ToString::to_string).collect();
    assert_eq!(lvs, ["100", "no"]);
    let lv = document.logical_volumes.values().next().unwrap();
    assert_eq!(lv.recover_as.as_ref().unwrap().as_str(), "1e5");
    let from = &document.logical_volumes.values().last().unwrap().recover_from;
    let RecoverFrom::Version { seqno: 12, digest: Some(digest) } = from else { panic!("{from:?}") };
    assert_eq!(digest.0, "1234");
}

#[test]
fn the_order_of_keys_does_not_matter() {
    let one = "{version: 1, name: a, volume_group: {name: vg}, logical_volumes: {x: {state: present}, y: {state: present}}}";
    let other = "logical_volumes: {y: {state: present}, x: {state: present}}\nvolume_group: {name: vg}\nname: a\nversion: 1\n";
    let read = |text: &str| plan::load(text.as_bytes()).unwrap().document;
    assert_eq!(read(one), read(other));
}
