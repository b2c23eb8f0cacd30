//! Disks that can be pulled and plugged back with their content.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::program;
use super::udevd::Udevd;

const PATIENCE: Duration = Duration::from_secs(20);
const HOSTS: &str = "/sys/class/scsi_host";

/// A disk of the kernel's `scsi_debug`. Each hangs on a SCSI host of its own, by which it is
/// known: its name may change when it comes back.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Disk {
    host: u32,
}

/// So many new disks of so many MiB: `let [a, b] = disks(64);`. They live in the machine's
/// memory, so 64 to 128 MiB each are plenty. All disks of a scenario have the same size.
pub fn disks<const N: usize>(mib: u64) -> [Disk; N] {
    let before = hosts();
    let size = Path::new("/sys/module/scsi_debug/parameters/dev_size_mb");
    if size.exists() {
        let there = fs::read_to_string(size).unwrap();
        assert_eq!(there.trim(), mib.to_string(), "all disks of a scenario have the same size");
        fs::write("/sys/bus/pseudo/drivers/scsi_debug/add_host", N.to_string()).unwrap();
    } else {
        let status = program("modprobe")
            .args(["scsi_debug", "per_host_store=1", "delay=0"])
            .args([format!("add_host={N}"), format!("dev_size_mb={mib}")])
            .status();
        assert!(status.unwrap().success(), "modprobe scsi_debug");
    }
    let new: Vec<Disk> = hosts().difference(&before).map(|host| Disk { host: *host }).collect();
    for disk in &new {
        disk.wait();
        println!("# a disk of {mib} MiB: {disk}");
    }
    let count = new.len();
    new.try_into().unwrap_or_else(|_| panic!("{count} disks came instead of {N}"))
}

impl Disk {
    /// As when somebody pulls it out: whoever uses it gets errors.
    pub fn pull(&self) {
        let node = self.node().unwrap_or_else(|| panic!("{self:?} is not plugged in"));
        println!("# {} is pulled", node.display());
        let name = node.file_name().unwrap().to_str().unwrap().to_owned();
        fs::write(format!("/sys/block/{name}/device/delete"), "1").unwrap();
        wait_until("the disk is gone", || self.node().is_none() && !node.exists());
        Udevd::settle();
    }

    /// It is back, with the content it had, perhaps under another name.
    pub fn plug_back(&self) {
        assert!(self.node().is_none(), "{self} was not pulled");
        fs::write(format!("{HOSTS}/host{}/scan", self.host), "- - -").unwrap();
        self.wait();
        println!("# plugged back: {self}");
    }

    fn wait(&self) {
        // The node of a disk that had this name before may still be there, and lead nowhere.
        let opens = |node: PathBuf| fs::File::open(node).is_ok();
        wait_until("the disk has a node", || self.node().is_some_and(opens));
        Udevd::settle();
    }

    /// `/dev/sdX`, as long as it is plugged in.
    fn node(&self) -> Option<PathBuf> {
        let targets = fs::read_dir(format!("{HOSTS}/host{}/device", self.host)).ok()?;
        let target = targets.filter_map(|entry| Some(entry.ok()?.path())).find(|path| {
            path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"target"))
        })?;
        let unit = target.join(format!("{}:0:0:0/block", self.host));
        let name = fs::read_dir(unit).ok()?.next()?.ok()?.file_name();
        Some(Path::new("/dev").join(name))
    }
}

impl fmt::Display for Disk {
    /// The path it has now.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node() {
            Some(node) => write!(f, "{}", node.display()),
            None => panic!("{self:?} is not plugged in and has no path"),
        }
    }
}

/// The disk of this number among those the scenario has declared.
pub fn ubd(number: u8) -> String {
    let path = format!("/dev/ubd{}", char::from(b'a' + number));
    assert!(Path::new(&path).exists(), "the scenario declares no disk {number}");
    path
}

/// Waits for something that the kernel does in the background.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "after {PATIENCE:?} it does not hold that {what}");
        sleep(Duration::from_millis(20));
    }
}

fn hosts() -> BTreeSet<u32> {
    let Ok(entries) = fs::read_dir(HOSTS) else { return BTreeSet::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| name.strip_prefix("host").unwrap().parse().unwrap()).collect()
}
