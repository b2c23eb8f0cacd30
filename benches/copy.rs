//! A copy of an LV to a file beside `dd bs=100M`, of the same image to the same file system, in one run: full
//! of data, and nearly empty. Prints the table of `book/src/speed.md`. Needs root and lvm2.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench that meets what it does not expect is to end there and then"
)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/support/lvm.rs"]
mod lvm;

const ROUNDS: usize = 5;
const MIB: u64 = 2048;
/// Where LVM2 puts the first extent of a PV.
const DATA_START_MIB: u64 = 1;

fn shown(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort();
    let ms = |at: usize| sorted[at].as_millis();
    format!("{} ({} to {})", ms(ROUNDS / 2), ms(0), ms(ROUNDS - 1))
}

fn must(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.unwrap().success(), "{command:?}");
}

/// An image with one LV, of which every `nth` MiB is data.
fn image(directory: &Path, name: &str, nth: u64) -> PathBuf {
    let path = directory.join(name);
    let file = File::create(&path).unwrap();
    file.set_len((MIB + 8) << 20).unwrap();
    let system = lvm::Lvm::attach(std::slice::from_ref(&path));
    let device = system.devices[0].to_str().unwrap().to_owned();
    for words in [
        vec!["pvcreate", "-q", &device],
        vec!["vgcreate", "vg", &device],
        vec!["lvcreate", "-an", "-Zn", "-Wn", "-y", "-n", "lv", "-L", &format!("{MIB}m"), "vg"],
    ] {
        let said = system.run(&words);
        assert!(said.success, "{words:?}: {}", said.stderr);
    }
    drop(system);
    let mut word: u64 = 88_172_645_463_325_252;
    for at in (0..MIB).filter(|at| at % nth == 0) {
        let mut bytes = Vec::with_capacity(1 << 20);
        while bytes.len() < 1 << 20 {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            bytes.extend(word.to_le_bytes());
        }
        file.write_all_at(&bytes, (DATA_START_MIB + at) << 20).unwrap();
    }
    file.sync_all().unwrap();
    path
}

/// With nothing of the image in the page cache.
fn cold() {
    fs::write("/proc/sys/vm/drop_caches", "3").unwrap();
}

fn timed(work: impl FnOnce()) -> Duration {
    cold();
    let start = Instant::now();
    work();
    start.elapsed()
}

fn ours(directory: &Path, image: &Path) -> Duration {
    let (out, state) = (directory.join("ours.img"), directory.join("state"));
    let plan = directory.join("plan.yaml");
    let text = format!(
        "version: 1\nname: bench\nvolume_group: {{name: vg}}\ntasks: [{{copy: {{from: lv, to: {{file: {}}}}}}}]\n",
        out.display()
    );
    fs::write(&plan, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lvmend"));
    command.args(["apply", "--yes"]).arg(&plan).arg("--image").arg(image);
    command.args(["--volatile-state", "--state-dir"]).arg(state);
    let took = timed(|| must(&mut command));
    let size = fs::metadata(&out).unwrap().len();
    assert_eq!(size, MIB << 20);
    fs::remove_file(&out).unwrap();
    fs::remove_file(out.with_extension("img.lvmend.json")).unwrap();
    took
}

fn theirs(directory: &Path, image: &Path) -> Duration {
    let out = directory.join("theirs.img");
    // The LV as a device of its own, as `dd if=/dev/vg/lv` would have it.
    let found = Command::new("losetup")
        .args(["--find", "--show", "--read-only", "--offset", &(DATA_START_MIB << 20).to_string()])
        .args(["--sizelimit", &(MIB << 20).to_string()])
        .arg(image)
        .output()
        .unwrap();
    let device = String::from_utf8(found.stdout).unwrap().trim().to_owned();
    let mut command = Command::new("dd");
    command.arg(format!("if={device}")).arg(format!("of={}", out.display()));
    command.args(["bs=100M", "conv=fsync"]);
    let took = timed(|| must(&mut command));
    must(Command::new("losetup").args(["-d", &device]));
    fs::remove_file(out).unwrap();
    took
}

fn main() {
    // Not in memory: what is measured is to reach a disk.
    let directory = TempDir::new_in("/var/tmp").unwrap();
    println!("| what | lvmend, ms | `dd bs=100M conv=fsync`, ms |\n|---|---|---|");
    for (what, nth) in [("2 GiB full of data", 1), ("2 GiB, one MiB in 32 is data", 32)] {
        let image = image(directory.path(), "bench.img", nth);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            one.push(ours(directory.path(), &image));
            other.push(theirs(directory.path(), &image));
        }
        println!("| {what} | {} | {} |", shown(&one), shown(&other));
    }
}
