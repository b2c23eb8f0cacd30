//! A journal of format version 1, as it was written when the format was fixed: every later version
//! reads it, and goes on with its run.

use std::fs;
use std::path::{Path, PathBuf};

use lvmend::execute::Outcome;
use lvmend::execute::journal::{FORMAT_VERSION, Journal};
use lvmend::execute::run_state::{RunState, StepState};
use lvmend::host::RunStore;
use lvmend::host::fake::{FakeStore, Schedule};

use crate::support::world::{World, plan};

const RETURNED: &str =
    "version: 1\nname: p\nvolume_group: {name: vg}\nphysical_volumes:\n  '*': {state: attached}\n";
const RUN: &str = "20270115T080000Z-p";

fn sample(name: &str) -> Vec<u8> {
    let path: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journal-v1").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A store in which the run of the sample was begun.
fn store_with(journal: &[u8]) -> FakeStore {
    let mut store = FakeStore::new(&Schedule::quiet());
    store.create(RUN).unwrap();
    store.put(RUN, "sealed.json", &sample("sealed.json")).unwrap();
    store.set_journal(RUN, journal.to_vec());
    store
}

#[test]
fn a_run_of_version_1_is_read_and_taken_up_where_it_stopped() {
    let bytes = sample("begun.jsonl");
    let (journal, error) = Journal::read(&bytes);
    assert!(error.is_none(), "{error:?}");
    let state = RunState::of(&journal).unwrap();
    assert_eq!((state.started.format_version, state.outcome()), (1, Outcome::Incomplete));
    let steps: Vec<StepState> = state.steps.iter().map(|step| step.state).collect();
    assert_eq!(steps, [StepState::Applied, StepState::Pending]);
    let mut world = World::of("missing-pv");
    let mut undisturbed = world.continued(world.contents(), &Schedule::quiet());
    undisturbed.must_apply(&plan(RETURNED));
    world.store = store_with(&bytes);
    assert_eq!(world.resume(RUN).unwrap().outcome, Outcome::Done);
    assert!(world.contents() == undisturbed.contents());
}

#[test]
fn a_run_of_version_1_that_is_over_is_read() {
    let (journal, error) = Journal::read(&sample("over.jsonl"));
    assert!(error.is_none(), "{error:?}");
    let state = RunState::of(&journal).unwrap();
    assert_eq!(state.outcome(), Outcome::RolledBack);
}

#[test]
fn cut_anywhere_a_journal_is_read_up_to_there_and_its_run_can_be_taken_up() {
    let bytes = sample("begun.jsonl");
    let lines: Vec<usize> =
        bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
    for cut in 0..=bytes.len() {
        let (journal, error) = Journal::read(&bytes[..cut]);
        let whole = lines.iter().filter(|end| **end <= cut).count();
        assert_eq!(journal.records.len(), whole, "cut at {cut}");
        assert_eq!(error.is_some(), whole == 0, "cut at {cut}");
        // Where lines end, and a byte before and behind, the run is taken up.
        let is_tried = lines.iter().any(|end| cut.abs_diff(*end) < 2);
        if whole > 0 && is_tried {
            let mut world = World::of("missing-pv");
            world.store = store_with(&bytes[..cut]);
            assert_eq!(world.resume(RUN).unwrap().outcome, Outcome::Done, "cut at {cut}");
        }
    }
}

#[test]
fn a_journal_of_a_later_version_is_refused() {
    let text = String::from_utf8(sample("begun.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let mut record = first["record"].clone();
    record["format_version"] = (FORMAT_VERSION + 1).into();
    let signed = crate::fuzz::bodies::signed_journal(record.to_string().as_bytes());
    let (_, error) = Journal::read(&signed);
    assert!(error.unwrap().to_string().contains("this lvmend reads up to"), "refused");
}
