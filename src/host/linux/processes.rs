//! Processes: which have block devices open, and which act on volumes by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::host::linux::links::{Leads, leads};
use crate::ids::ForeignText;
use crate::model::live::{DevNumber, Opener};

/// Services that create, activate, extend, remove or take volumes on their own. The kernel keeps
/// 15 bytes of a name.
const SERVICES: [&str; 18] = [
    "SMGC",
    "blkdeactivate",
    "dlm_controld",
    "dmeventd",
    "iscsid",
    "lvmdbusd",
    "lvmlockd",
    "lvmpolld",
    "multipathd",
    "pacemakerd",
    "pvedaemon",
    "pvestatd",
    "sanlock",
    "stratisd",
    "udisksd",
    "vdsm",
    "vdsmd",
    "xapi",
];

/// What processes have open, sorted by device and process.
#[derive(Debug, Default)]
pub struct Opened {
    /// Block devices.
    pub devices: Vec<Opener>,
    /// Files, by the device of their file system.
    pub files: Vec<Opener>,
}

/// The processes that were there at one moment, kernel threads included.
#[derive(Debug)]
pub struct Processes {
    pids: Vec<u32>,
}

impl Processes {
    /// Lists them; this one is left out.
    pub fn scan() -> Self {
        let own = std::process::id();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        let mut pids: Vec<u32> = entries.filter_map(pid).filter(|pid| *pid != own).collect();
        pids.sort_unstable();
        Self { pids }
    }

    /// Their numbers, in order.
    pub fn pids(&self) -> impl Iterator<Item = u32> {
        self.pids.iter().copied()
    }

    /// What they have open. What lies in one of the `remote` directories is not asked for: that
    /// could wait for another machine.
    pub fn opened(&self, remote: &[String]) -> Opened {
        let users = users(&fs::read("/etc/passwd").unwrap_or_default());
        let mut opened = Opened::default();
        for pid in self.pids() {
            let (devices, files) = opened_by(pid, remote);
            if devices.is_empty() && files.is_empty() {
                continue;
            }
            let (name, owner) = (name_of(pid), owner_of(pid, &users));
            let used_by = |device| Opener { device, pid, name: name.clone(), owner: owner.clone() };
            opened.devices.extend(devices.into_iter().map(used_by));
            opened.files.extend(files.into_iter().map(used_by));
        }
        opened.devices.sort();
        opened.files.sort();
        opened
    }

    /// The services among them that are known to act on volumes, sorted.
    pub fn services(&self) -> Vec<ForeignText> {
        let mut found: Vec<ForeignText> =
            self.pids().map(name_of).filter(|name| SERVICES.contains(&name.raw())).collect();
        found.sort();
        found.dedup();
        found
    }
}

/// The block devices a process has open, and those under the files that it has open, works in or
/// runs.
fn opened_by(pid: u32, remote: &[String]) -> (BTreeSet<DevNumber>, BTreeSet<DevNumber>) {
    let (mut devices, mut files) = (BTreeSet::new(), BTreeSet::new());
    let process = format!("/proc/{pid}");
    // It may have ended, and kernel threads have none.
    let open = fs::read_dir(format!("{process}/fd")).into_iter().flatten().flatten();
    let others = ["cwd", "root", "exe"].map(|name| Path::new(&process).join(name));
    for path in open.map(|entry| entry.path()).chain(others) {
        if !fs::read_link(&path).is_ok_and(|target| may_be_file(&target, remote)) {
            continue;
        }
        match leads(&path) {
            Some(Leads::ToDevice(device)) => drop(devices.insert(device)),
            Some(Leads::ToFileOn(device)) if device.major != 0 => drop(files.insert(device)),
            Some(Leads::ToFileOn(_)) | None => {}
        }
    }
    (devices, files)
}

/// Sockets, pipes and the like have no path.
fn may_be_file(target: &Path, remote: &[String]) -> bool {
    target.is_absolute() && !remote.iter().any(|directory| target.starts_with(directory))
}

fn name_of(pid: u32) -> ForeignText {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    ForeignText::from_bytes(name.strip_suffix(b"\n").unwrap_or(&name))
}

fn owner_of(pid: u32, users: &BTreeMap<u32, String>) -> ForeignText {
    let status = fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    match user_id(&String::from_utf8_lossy(&status)) {
        Some(id) => users.get(&id).cloned().unwrap_or_else(|| format!("user {id}")).into(),
        None => "unknown user".into(),
    }
}

/// The effective user of `/proc/PID/status`.
fn user_id(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Names of users. Read from the file itself: the system's way may ask a directory server, which
/// may lie on the very volumes that are being looked at.
fn users(passwd: &[u8]) -> BTreeMap<u32, String> {
    let text = String::from_utf8_lossy(passwd);
    let user = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    // The first name of a number counts.
    text.lines().rev().filter_map(user).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_of_processes() {
        let status = "Name:\tkvm\nUmask:\t0022\nUid:\t0\t64055\t64055\t64055\nGid:\t1\t1\t1\t1\n";
        assert_eq!(user_id(status), Some(64055));
        for hostile in ["", "Uid:", "Uid:\tx", "Uid:\t1", "Uid:\t1\t99999999999"] {
            assert_eq!(user_id(hostile), None, "{hostile}");
        }
        let users =
            users(b"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\n\xff:x:7:7\nbad\nkvm:x:1\n");
        assert_eq!(users.get(&0).map(String::as_str), Some("root"));
        assert_eq!(users.get(&1).map(String::as_str), Some("kvm"));
        assert_eq!(users.len(), 3);
    }

    #[test]
    fn what_need_not_be_asked_for() {
        let remote = ["/mnt/nfs".to_owned()];
        for (target, may) in [
            ("/dev/sda", true),
            ("/somewhere/else/sda", true),
            ("socket:[123]", false),
            ("pipe:[1]", false),
            ("anon_inode:[eventpoll]", false),
            ("/mnt/nfs/a/file", false),
            ("/mnt/nfs2/file", true),
        ] {
            assert_eq!(may_be_file(Path::new(target), &remote), may, "{target}");
        }
    }
}
