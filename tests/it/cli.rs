//! The program as a user sees it: text, errors and exit codes, as snapshots.
//!
//! `INSTA_UPDATE=always cargo test` writes them anew; read the difference.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::program::{Desk, Ended};

const RETURNED: &str = "version: 1\nname: returned-pv\nsummary: The late controller's disk is back.\nreference: OPS-4711\nvolume_group: {name: vg}\nphysical_volumes:\n  '*': {state: attached}\n";
const RECOVER: &str = "version: 1\nname: deleted-lv\nvolume_group: {name: vg}\nlogical_volumes:\n  precious: {state: present}\ntasks:\n  - copy: {from: precious, to: {file: $DESK/precious.img}}\n";

/// Compares with the snapshot of this name; times of runs and digests of graphs that hold paths
/// are left out.
fn snapshot(name: &str, ended: &Ended) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.add_filter(r"\d{8}T\d{6}Z", "[TIME]");
    settings.add_filter(r"began \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "began [TIME]");
    settings.add_filter(r"Graph [0-9a-f]{12}", "Graph [DIGEST]");
    settings.add_filter(r"metadata text \(\d+ of \d+ bytes\)", "metadata text ([LEN])");
    settings.add_filter(r"bytes \d+ to \d+: metadata text", "bytes [PLACE]: metadata text");
    settings.bind(|| insta::assert_snapshot!(name, ended.shown()));
}

#[test]
fn inspecting() {
    for scenario in ["plain", "missing-pv", "outdated-pv", "odd-names"] {
        snapshot(&format!("inspect-{scenario}"), &Desk::with(scenario).run(&["inspect"]));
    }
    let all = Desk::with("deleted-lv");
    snapshot("inspect-one", &all.run(&["inspect", "vg"]));
    snapshot("inspect-unknown", &all.run(&["inspect", "nowhere"]));
    snapshot("inspect-hidden", &Desk::with("thin").run(&["inspect", "-a"]));
}

#[test]
fn inspecting_damage() {
    let desk = Desk::with("plain");
    let mut disk = fs::read(desk.image(1)).unwrap();
    disk[512..1024].fill(0);
    fs::write(desk.image(1), &disk).unwrap();
    let mut disk = fs::read(desk.image(0)).unwrap();
    disk[4096 + 5] ^= 1;
    fs::write(desk.image(0), &disk).unwrap();
    snapshot("inspect-damage", &desk.run(&["inspect"]));
}

#[test]
fn history() {
    let desk = Desk::with("deleted-lv");
    snapshot("history-list", &desk.run(&["history", "list", "vg"]));
    snapshot("history-lv", &desk.run(&["history", "list", "vg", "--lv", "precious"]));
    snapshot("history-lv-unknown", &desk.run(&["history", "list", "vg", "--lv", "never"]));
    snapshot("history-diff", &desk.run(&["history", "diff", "vg", "6", "current"]));
    snapshot("history-diff-unknown", &desk.run(&["history", "diff", "vg", "6", "99"]));
    snapshot("history-show", &desk.run(&["history", "show", "vg", "1"]));
    // What wraps around the end of the ring goes on at its start: without that, a part is left.
    let wrapped = Desk::with("wrapped-ring");
    let mut disk = fs::read(wrapped.image(0)).unwrap();
    disk[4096 + 512..4096 + 600].fill(0);
    fs::write(wrapped.image(0), &disk).unwrap();
    let list = wrapped.run(&["history", "list", "vg"]).with_code(0).stdout;
    assert!(list.contains("only a part of seqno 129 stands at byte"), "{list}");
}

#[test]
fn planning_and_applying() {
    let desk = Desk::with("missing-pv");
    desk.put("plan.yaml", RETURNED);
    let before = desk.digests();
    snapshot("plan-returned-pv", &desk.run(&["plan", "plan.yaml"]));
    snapshot("plan-mermaid", &desk.run(&["plan", "plan.yaml", "--format", "mermaid"]));
    snapshot("plan-dot", &desk.run(&["plan", "plan.yaml", "--format", "dot"]));
    snapshot("apply-without-yes", &desk.run(&["apply", "plan.yaml"]));
    assert_eq!(desk.digests(), before, "nothing was written");
    snapshot("apply-returned-pv", &desk.run(&["apply", "plan.yaml", "--yes"]));
    snapshot("apply-again", &desk.run(&["apply", "plan.yaml", "--yes"]));
    snapshot("runs-list", &desk.run(&["runs", "list"]));
    let run = desk.only_run();
    snapshot("runs-show", &desk.run(&["runs", "show", &run]));
    snapshot("resume-finished", &desk.run(&["resume", &run]));
    snapshot("rollback", &desk.run_bare(&["rollback", &run]));
    assert_eq!(desk.digests(), before, "byte-identical");
    snapshot("rollback-again", &desk.run(&["rollback", &run]));
    snapshot("prune", &desk.run(&["runs", "prune", "--keep", "0"]));
    snapshot("runs-list-empty", &desk.run(&["runs", "list"]));
}

#[test]
fn recovering() {
    let desk = Desk::with("deleted-lv");
    desk.put("plan.yaml", RECOVER);
    snapshot("plan-deleted-lv", &desk.run(&["plan", "plan.yaml"]));
    snapshot("apply-deleted-lv", &desk.run(&["apply", "plan.yaml", "--yes"]));
    assert!(desk.path().join("precious.img.lvmend.json").exists());
}

#[test]
fn refusing() {
    let reused = Desk::with("deleted-reused");
    reused.put("plan.yaml", RECOVER);
    let before = reused.digests();
    snapshot("refused-extents", &reused.run(&["plan", "plan.yaml"]));
    reused.run(&["apply", "plan.yaml", "--yes"]).with_code(3);
    assert_eq!(reused.digests(), before, "nothing was written");
    let legs = Desk::with("missing-legs");
    legs.put("plan.yaml", RETURNED);
    snapshot("refused-hazard", &legs.run(&["plan", "plan.yaml"]));
    let parts = Desk::with("deleted-parts");
    parts.put("plan.yaml", &RECOVER.replace("precious", "snap"));
    snapshot("refused-snapshot", &parts.run(&["plan", "plan.yaml"]));
    parts.put("plan.yaml", &RECOVER.replace("precious", "preciuos"));
    snapshot("unknown-lv", &parts.run(&["plan", "plan.yaml"]));
}

#[test]
fn wrong_arguments() {
    let desk = Desk::empty();
    desk.put("plan.yaml", RETURNED);
    snapshot("usage-unknown-command", &desk.run_bare(&["mend"]));
    snapshot("usage-missing-image", &desk.run_bare(&["inspect", "--image", "nowhere.img"]));
    snapshot("usage-directory", &desk.run_bare(&["inspect", "--image", "."]));
    desk.put("empty.img", "");
    snapshot("usage-empty-image", &desk.run_bare(&["inspect", "--image", "empty.img"]));
    desk.put("a.img", "x");
    let twice = ["inspect", "--image", "a.img", "--image", "./a.img"];
    snapshot("usage-twice", &desk.run_bare(&twice));
    snapshot("foreign-image", &desk.run_bare(&["inspect", "--image", "a.img"]));
    snapshot("usage-no-plan", &desk.run_bare(&["plan", "nowhere.yaml", "--image", "a.img"]));
    snapshot("unknown-vg", &desk.run_bare(&["plan", "plan.yaml", "--image", "a.img"]));
    snapshot("unknown-run", &desk.run_bare(&["runs", "show", "../../etc"]));
    snapshot("unknown-schema", &desk.run_bare(&["schema", "plans"]));
}

#[test]
fn json_errors_carry_the_exit_code() {
    let desk = Desk::empty();
    let ended = desk.run_bare(&["inspect", "--image", "nowhere.img", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((json["exit"].as_i64(), ended.code), (Some(1), 1));
    assert_eq!(json["changed"], false);
}

#[test]
fn help_manual_and_completions_are_complete() {
    let desk = Desk::empty();
    let bare = |arguments: &[&str]| desk.run_bare(arguments).with_code(0).stdout;
    let help = bare(&["--help"]);
    for command in [
        "inspect",
        "history",
        "validate",
        "plan",
        "show",
        "apply",
        "runs",
        "resume",
        "rollback",
        "abandon",
        "schema",
        "completions",
        "man",
    ] {
        assert!(help.contains(command), "{command}");
        bare(&[command, "--help"]);
    }
    assert!(bare(&["man"]).contains(".TH lvmend"));
    assert!(bare(&["man", "apply"]).contains("evidence"));
    assert!(bare(&["completions", "bash"]).contains("lvmend"));
}

#[test]
fn a_state_directory_that_others_may_enter_is_refused() {
    let desk = Desk::with("missing-pv");
    desk.put("plan.yaml", RETURNED);
    let state = desk.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    snapshot("state-directory-open", &desk.run(&["apply", "plan.yaml", "--yes"]));
}

#[test]
fn images_in_use_are_refused() {
    let desk = Desk::with("missing-pv");
    desk.put("plan.yaml", RETURNED);
    let before = desk.digests();
    {
        let _lvm = crate::support::lvm::Lvm::attach(&desk.images()[..1]);
        let ended = desk.run(&["apply", "plan.yaml", "--yes"]).with_code(3);
        assert!(ended.stderr.contains("is behind loop device /dev/loop"), "{}", ended.stderr);
    }
    let held = fs::File::open(desk.image(1)).unwrap();
    let ended = desk.run(&["apply", "plan.yaml", "--yes"]).with_code(3);
    assert!(ended.stderr.contains("is open elsewhere"), "{}", ended.stderr);
    held.lock().unwrap();
    let ended = desk.run(&["apply", "plan.yaml", "--yes"]).with_code(9);
    assert!(ended.stderr.contains("is locked by another process"), "{}", ended.stderr);
    drop(held);
    assert_eq!(desk.digests(), before, "nothing was written");
    desk.run(&["apply", "plan.yaml", "--yes"]).with_code(0);
}

#[test]
fn an_unfinished_run_is_named() {
    let desk = Desk::with("missing-pv");
    desk.put("plan.yaml", RETURNED);
    desk.run(&["apply", "plan.yaml", "--yes"]).with_code(0);
    // Without its last line the run is not over.
    let run = desk.only_run();
    let journal = desk.path().join("state/runs").join(&run).join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let cut = text.trim_end().rfind('\n').unwrap() + 1;
    fs::write(&journal, &text[..cut]).unwrap();
    let other = Desk::with("missing-pv");
    desk.put("again.yaml", RETURNED);
    fs::copy(other.image(1), desk.image(1)).unwrap();
    fs::copy(other.image(0), desk.image(0)).unwrap();
    fs::copy(other.image(2), desk.image(2)).unwrap();
    let named = desk.run(&["apply", "again.yaml", "--yes"]).with_code(7);
    assert!(named.stderr.contains(&format!("lvmend resume {run}")), "{}", named.stderr);
    let given_up = desk.run_bare(&["abandon", &run, "--because", "the disks were replaced"]);
    assert_eq!(given_up.code, 0, "{}", given_up.shown());
    desk.run(&["apply", "again.yaml", "--yes"]).with_code(0);
}
