//! lvmend and LVM2 side by side, on the same images, in one run, process start included. Prints the
//! table of `book/src/speed.md`. Needs root and lvm2.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench that meets what it does not expect is to end there and then"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

mod large;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/support/lvm.rs"]
mod lvm;

const ROUNDS: usize = 7;

/// Median, shortest and longest, in milliseconds.
struct Times(Vec<Duration>);

impl Times {
    fn at(&self, index: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted[index].as_secs_f64() * 1000.0
    }

    fn median(&self) -> f64 {
        self.at(ROUNDS / 2)
    }

    fn shown(&self) -> String {
        format!("{:.0} ({:.0} to {:.0})", self.median(), self.at(0), self.at(ROUNDS - 1))
    }
}

fn lvmend(arguments: &[&str], images: &[String], state: &Path) {
    let status = Command::new(env!("CARGO_BIN_EXE_lvmend"))
        .args(arguments)
        .args(images.iter().flat_map(|image| ["--image", image.as_str()]))
        .args(["--volatile-state", "--state-dir"])
        .arg(state)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(matches!(status.code(), Some(0 | 2)), "{arguments:?}: {status}");
}

/// Runs both in turn, so that neither has the warmer cache.
fn beside(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> (Times, Times) {
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let time = |work: &mut dyn FnMut(), into: &mut Vec<Duration>| {
        let start = Instant::now();
        work();
        into.push(start.elapsed());
    };
    for _ in 0..ROUNDS {
        time(&mut ours, &mut one);
        time(&mut theirs, &mut other);
    }
    (Times(one), Times(other))
}

fn row(what: &str, theirs_name: &str, (ours, theirs): &(Times, Times)) {
    let ratio = theirs.median() / ours.median();
    println!("| {what} | {} | `{theirs_name}` {} | {ratio:.1} |", ours.shown(), theirs.shown());
}

/// The images of a VG, and where they are.
fn images(directory: &Path, name: &str, lvs: usize, pvs: usize, mib: u64) -> Vec<String> {
    let path = directory.join(name).to_str().unwrap().to_owned();
    large::write_images(lvs, pvs, mib, &path).unwrap();
    let further = (1..pvs).map(|pv| format!("{path}.{pv}"));
    std::iter::once(path.clone()).chain(further).collect()
}

fn attach(images: &[String]) -> lvm::Lvm {
    lvm::Lvm::attach(&images.iter().map(PathBuf::from).collect::<Vec<_>>())
}

fn side_by_side(directory: &Path) {
    let state = directory.join("state");
    println!("| what | lvmend, ms | LVM2, ms | ratio |\n|---|---|---|---|");
    let big = images(directory, "big.img", 10_000, 1, 16);
    let system = attach(&big);
    let all = ["lvs", "-a", "--reportformat", "json", "-o", "lv_all,seg_all", "big"];
    let found = beside(
        || lvmend(&["inspect", "-a", "--format", "json"], &big, &state),
        || drop(system.quiet(&all)),
    );
    row("inspect 10,000 LVs, with all their history", "lvs -o lv_all,seg_all", &found);
    drop(system);
    let ring = images(directory, "ring.img", 1000, 10, 128);
    let system = attach(&ring[..1]);
    let device = system.devices[0].to_str().unwrap().to_owned();
    let found = beside(
        || lvmend(&["history", "list", "big"], &ring[..1], &state),
        || drop(system.run(&["pvck", "--dump", "metadata_search", &device])),
    );
    row("history of a metadata area of 128 MiB", "pvck --dump metadata_search", &found);
    drop(system);
    splice(directory, &state);
}

/// One lost LV put back into a VG of 10,000, against the whole VG restored from a file.
fn splice(directory: &Path, state: &Path) {
    let many = images(directory, "many.img", 10_000, 100, 16);
    let plan = directory.join("plan.yaml");
    let document = "version: 1\nname: bench\nvolume_group: {name: big}\nlogical_volumes: {lv9999: {state: present}}\n";
    std::fs::write(&plan, document).unwrap();
    let plan = plan.to_str().unwrap();
    let first = std::fs::read(&many[0]).unwrap();
    let system = attach(&many);
    let backup = directory.join("backup.vg");
    std::fs::write(&backup, system.backup("big")).unwrap();
    let arguments = ["vgcfgrestore", "-f", backup.to_str().unwrap(), "big"];
    let theirs = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        let said = system.run(&arguments);
        assert!(said.success, "{}", said.stderr);
        start.elapsed()
    });
    let theirs = Times(theirs.collect());
    drop(system);
    let ours = (0..ROUNDS).map(|_| {
        std::fs::write(&many[0], &first).unwrap();
        std::fs::remove_dir_all(state).ok();
        let start = Instant::now();
        lvmend(&["apply", plan, "--yes"], &many, state);
        start.elapsed()
    });
    let ours = Times(ours.collect());
    row(
        "plan and apply a splice, 10,000 LVs on 100 PVs, evidence included",
        "vgcfgrestore",
        &(ours, theirs),
    );
}

/// Time and memory from 100 to 100,000 LVs.
fn growth(directory: &Path) {
    println!("\n| LVs | text, MiB | inspect, ms | memory, MiB |\n|---|---|---|---|");
    for lvs in [100, 1000, 10_000, 100_000] {
        let text = large::text(1, lvs, 1, false).len();
        let mib = (text >> 20) as u64 + 2;
        let images = images(directory, &format!("{lvs}.img"), lvs, 1, mib);
        let state = directory.join("state");
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            lvmend(&["inspect"], &images, &state);
            times.push(start.elapsed());
        }
        // The largest of all children so far: sizes grow from row to row.
        let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN);
        let peak = usage.unwrap().max_rss() / 1024;
        println!(
            "| {lvs} | {:.1} | {} | {peak} |",
            text as f64 / f64::from(1 << 20),
            Times(times).shown()
        );
    }
}

fn main() {
    // Memory first: LVM2's would hide ours.
    let directory = TempDir::new().unwrap();
    growth(directory.path());
    println!();
    side_by_side(directory.path());
}
