//! Who uses block devices: mounts in every mount namespace, swap, and processes.
//!
//! # Source
//! proc(5): `/proc/PID/mountinfo`, `/proc/swaps`, `/proc/PID/fd`, `/proc/PID/ns/mnt`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::unistd::{Uid, User};

use crate::host::linux::block::block_number;
use crate::host::linux::read::number_of;
use crate::ids::ForeignText;
use crate::model::live::{DevNumber, Mount, Opener};

/// Everybody who uses a block device.
#[derive(Debug, Default)]
pub struct Uses {
    /// Mounted file systems.
    pub mounts: Vec<Mount>,
    /// Devices that are swapped to.
    pub swaps: Vec<DevNumber>,
    /// Processes with a device open.
    pub openers: Vec<Opener>,
    /// What every process is called, for recognising services.
    pub names: BTreeSet<String>,
}

/// Looks at every process. One that ends meanwhile is passed over.
pub fn look() -> Uses {
    let mut found = Uses { swaps: swaps(), ..Uses::default() };
    let own = std::process::id();
    let own_namespace = namespace_of(own);
    let mut namespaces = BTreeSet::new();
    let mut mounts = BTreeSet::new();
    for pid in processes() {
        found.names.extend(name_of(pid));
        if let Some(namespace) = namespace_of(pid)
            && namespaces.insert(namespace)
        {
            let text = fs::read(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
            let is_ours = own_namespace == Some(namespace);
            let seen_by = (!is_ours).then_some(pid);
            let of_namespace = parse_mountinfo(&String::from_utf8_lossy(&text));
            mounts.extend(of_namespace.into_iter().map(|m| Mount { is_ours, seen_by, ..m }));
        }
        if pid != own {
            found.openers.extend(openers_of(pid));
        }
    }
    found.mounts = mounts.into_iter().collect();
    found.openers.sort();
    found.openers.dedup();
    found
}

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // This process first, so that what is mounted in its namespace is known as that.
    let own = std::process::id();
    pids.sort_by_key(|pid| (*pid != own, *pid));
    pids
}

fn namespace_of(pid: u32) -> Option<(u64, u64)> {
    let found = fs::metadata(format!("/proc/{pid}/ns/mnt")).ok()?;
    Some((found.dev(), found.ino()))
}

fn name_of(pid: u32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end().to_owned())
}

fn openers_of(pid: u32) -> Vec<Opener> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut devices = BTreeSet::new();
    for descriptor in descriptors {
        let path = descriptor.path();
        // Asking what lies behind a link to the network or to a dead server could hang.
        let leads_to_dev = fs::read_link(&path).is_ok_and(|to| to.starts_with("/dev"));
        if let (true, Ok(found)) = (leads_to_dev, fs::metadata(&path))
            && found.file_type().is_block_device()
        {
            devices.insert(number_of(found.rdev()));
        }
    }
    let name = || ForeignText::from(name_of(pid).unwrap_or_else(|| "a process".to_owned()));
    let opener = |device| Opener { device, pid, name: name(), owner: owner_of(pid) };
    devices.into_iter().map(opener).collect()
}

fn owner_of(pid: u32) -> ForeignText {
    let Ok(found) = fs::metadata(format!("/proc/{pid}")) else {
        return ForeignText::from("unknown");
    };
    let user = User::from_uid(Uid::from_raw(found.uid())).ok().flatten();
    user.map_or_else(|| found.uid().to_string(), |user| user.name).into()
}

/// Lines of `mountinfo`, as far as a block device is mounted.
fn parse_mountinfo(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_mount).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_mount(line: &str) -> Option<Mount> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut words = mount.split(' ').skip(2);
    let device = DevNumber::parse(words.next()?)?;
    let at = unescaped(words.nth(1)?);
    let options = words.next()?;
    let mut words = file_system.split(' ');
    let (fs_type, source) = (words.next()?, words.next().unwrap_or_default());
    Some(Mount {
        device,
        at: at.into(),
        fs_type: unescaped(fs_type).into(),
        options: options.into(),
        source: unescaped(source).into(),
        is_ours: false,
        seen_by: None,
    })
}

/// Blank, tab, newline and backslash stand as `\` and three octal digits.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..3).filter(|_| *first == b'\\');
        let code = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { behind.get(3..).unwrap_or_default() } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn swaps() -> Vec<DevNumber> {
    let text = fs::read("/proc/swaps").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let paths = text.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    let numbers = paths.filter_map(|path| {
        let path = unescaped(path);
        block_number(Path::new(std::ffi::OsStr::from_bytes(path.as_bytes())))
    });
    let numbers: BTreeSet<DevNumber> = numbers.collect();
    numbers.into_iter().collect()
}

/// Which of these names belong to services that act on volumes by themselves.
pub fn services(names: &BTreeSet<String>) -> Vec<ForeignText> {
    let known: BTreeMap<&str, &str> = BTreeMap::from([
        ("blkdeactivate", "blkdeactivate"),
        ("corosync", "corosync"),
        ("dmeventd", "dmeventd"),
        ("lvmlockd", "lvmlockd"),
        ("lvmpolld", "lvmpolld"),
        ("multipathd", "multipathd"),
        ("pacemakerd", "pacemaker"),
        ("pvestatd", "Proxmox VE (pvestatd)"),
        ("pvedaemon", "Proxmox VE (pvedaemon)"),
        ("stratisd", "stratisd"),
        ("udisksd", "udisksd"),
        ("vdsmd", "oVirt (vdsmd)"),
        ("xapi", "XenServer (xapi)"),
    ]);
    let found: BTreeSet<&str> =
        names.iter().filter_map(|name| known.get(name.as_str()).copied()).collect();
    found.into_iter().map(ForeignText::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read() {
        let text = "36 35 253:4 / /mnt/with\\040blank rw,noatime shared:1 master:2 - ext4 \
                    /dev/mapper/vg-a rw,errors=remount-ro\n\
                    22 1 0:21 / /proc rw - proc proc rw\n\
                    torn line\n";
        let mounts = parse_mountinfo(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[0].device, DevNumber { major: 253, minor: 4 });
        assert_eq!(mounts[0].at.raw(), "/mnt/with blank");
        assert_eq!(mounts[0].fs_type.raw(), "ext4");
        assert_eq!(mounts[0].options.raw(), "rw,noatime");
        assert_eq!(mounts[0].source.raw(), "/dev/mapper/vg-a");
    }

    #[test]
    fn escapes_that_are_none_stay() {
        for (text, plain) in [("a\\011b", "a\tb"), ("\\134", "\\"), ("\\9", "\\9"), ("\\", "\\")] {
            assert_eq!(unescaped(text), plain);
        }
    }
}
