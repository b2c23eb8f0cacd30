//! What is mounted, in every mount namespace, and what is swapped to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::host::linux::links::leads_to;
use crate::host::linux::processes::Processes;
use crate::ids::ForeignText;
use crate::model::live::{DevNumber, Mount};

/// Of each namespace so many processes are asked: one that has changed its root sees only a part.
const WITNESSES: usize = 3;
/// Types whose files may be on another machine or behind a program: asking for one may wait.
const REMOTE: [&str; 9] =
    ["nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "afs", "glusterfs", "autofs"];

/// What is mounted.
#[derive(Debug, Default)]
pub struct Mounts {
    /// File systems on block devices, sorted by device and place; each place once for this
    /// namespace and once for others.
    pub on_devices: Vec<Mount>,
    /// Where file systems are mounted whose files must not be asked for.
    pub remote: Vec<String>,
}

/// One line of `/proc/PID/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    device: DevNumber,
    root: Vec<u8>,
    at: Vec<u8>,
    options: ForeignText,
    fs_type: ForeignText,
    source: Vec<u8>,
}

/// Reads the mounts of every namespace.
pub fn mounts(processes: &Processes) -> Mounts {
    let mut found = Mounts::default();
    let own = fs::read_link("/proc/self/ns/mnt").ok();
    let mut namespaces: BTreeMap<std::path::PathBuf, Vec<u32>> = BTreeMap::new();
    for pid in processes.pids() {
        // A process may end at any time; kernel threads are in the first namespace.
        if let Ok(namespace) = fs::read_link(format!("/proc/{pid}/ns/mnt")) {
            let witnesses = namespaces.entry(namespace).or_default();
            if witnesses.len() < WITNESSES {
                witnesses.push(pid);
            }
        }
    }
    let mut by_place = BTreeMap::new();
    add(&mut found, &mut by_place, "/proc/self/mountinfo", true, None);
    for (namespace, pids) in namespaces {
        let is_ours = own.as_ref() == Some(&namespace);
        for pid in pids {
            let seen_by = (!is_ours).then_some(pid);
            add(&mut found, &mut by_place, &format!("/proc/{pid}/mountinfo"), is_ours, seen_by);
        }
    }
    found.on_devices = by_place.into_values().collect();
    found.on_devices.sort();
    found.remote.sort();
    found.remote.dedup();
    found
}

fn add(
    found: &mut Mounts,
    by_place: &mut BTreeMap<(DevNumber, Vec<u8>, bool), Mount>,
    path: &str,
    is_ours: bool,
    seen_by: Option<u32>,
) {
    let Ok(text) = fs::read(path) else { return };
    for line in text.split(|byte| *byte == b'\n').filter_map(mount_line) {
        if is_remote(line.fs_type.raw()) {
            found.remote.push(String::from_utf8_lossy(&line.at).into_owned());
        }
        let Some(device) = device_of(&line) else { continue };
        let place = (device, line.at.clone(), is_ours);
        by_place.entry(place).or_insert_with(|| Mount {
            device,
            at: ForeignText::from_bytes(&line.at),
            root: ForeignText::from_bytes(&line.root),
            fs_type: line.fs_type,
            options: line.options,
            source: ForeignText::from_bytes(&line.source),
            is_ours,
            seen_by,
        });
    }
}

/// The block device below; file systems such as btrfs, which may have several, show a number of
/// their own, and one of the devices as their source.
fn device_of(line: &Line) -> Option<DevNumber> {
    if line.device.major != 0 {
        return Some(line.device);
    }
    let source = std::str::from_utf8(&line.source).ok()?;
    if source.starts_with("/dev/") { leads_to(Path::new(source)) } else { None }
}

fn is_remote(fs_type: &str) -> bool {
    REMOTE.contains(&fs_type) || fs_type.starts_with("fuse.") || fs_type == "fuse"
}

/// # Source
/// Linux `Documentation/filesystems/proc.rst`, 3.5.
fn mount_line(line: &[u8]) -> Option<Line> {
    let mut words = line.split(|byte| *byte == b' ');
    let mut word = || words.next();
    let (_id, _parent, number) = (word()?, word()?, word()?);
    let device = DevNumber::parse(std::str::from_utf8(number).ok()?)?;
    let (root, at) = (unescaped(word()?), unescaped(word()?));
    let of_place = word()?;
    // Any number of optional fields, and a lone hyphen.
    while word()? != b"-" {}
    let fs_type = ForeignText::from_bytes(word()?);
    let source = unescaped(word()?);
    let options = ForeignText::from_bytes(&options(of_place, word().unwrap_or_default()));
    Some(Line { device, root, at, options, fs_type, source })
}

/// What `mount -o` takes to mount it so again: the options of the place, and those of the file
/// system itself. Read-only is what either says; `seclabel` is shown, and not taken.
fn options(of_place: &[u8], of_file_system: &[u8]) -> Vec<u8> {
    fn listed(text: &[u8]) -> impl Iterator<Item = &[u8]> {
        text.split(|byte| *byte == b',').filter(|option| !option.is_empty())
    }
    let is_read_only = [of_place, of_file_system].into_iter().flat_map(listed).any(|o| o == b"ro");
    let mut all: Vec<&[u8]> = vec![if is_read_only { b"ro" } else { b"rw" }];
    for option in listed(of_place).chain(listed(of_file_system)) {
        if !matches!(option, b"rw" | b"ro" | b"seclabel") && !all.contains(&option) {
            all.push(option);
        }
    }
    all.join(&b',')
}

/// Undoes the kernel's `\040` for blank, tab, newline and backslash.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, after)) = rest.split_first() {
        let code = after.split_first_chunk::<3>().filter(|_| *first == b'\\');
        let value = code.and_then(|(digits, after)| Some((octal(*digits)?, after)));
        let (byte, after) = value.unwrap_or((*first, after));
        out.push(byte);
        rest = after;
    }
    out
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    let text = std::str::from_utf8(&digits).ok()?;
    u8::from_str_radix(text, 8).ok().filter(|_| digits.iter().all(u8::is_ascii_digit))
}

/// Devices that are swapped to. A swap file lies on a file system, which is mounted.
pub fn swaps() -> Vec<DevNumber> {
    let text = fs::read("/proc/swaps").unwrap_or_default();
    let paths = swap_paths(&text);
    let mut numbers: Vec<DevNumber> =
        paths.iter().filter_map(|path| leads_to(Path::new(path))).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn swap_paths(text: &[u8]) -> Vec<String> {
    let path = |line: &[u8]| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let path = unescaped(words.next()?);
        let is_device = words.next()? == b"partition";
        String::from_utf8(path).ok().filter(|_| is_device)
    };
    text.split(|byte| *byte == b'\n').filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(String, String, String, String)> {
        let line = mount_line(line.as_bytes())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (device, fs_type) = (line.device.to_string(), line.fs_type.to_string());
        Some((device, text(&line.at), fs_type, text(&line.source)))
    }

    #[test]
    fn lines_of_mountinfo() {
        let check = |line: &str, found: [&str; 4]| {
            let [a, b, c, d] = found.map(str::to_owned);
            assert_eq!(read(line), Some((a, b, c, d)), "{line}");
        };
        check(
            "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
            ["98:0", "/mnt2", "ext3", "/dev/root"],
        );
        check(
            "611 29 253:5 / /srv/a\\040b\\134c rw,relatime shared:1 master:2 unbindable - xfs /dev/mapper/vg-a\\040b rw",
            ["253:5", "/srv/a b\\c", "xfs", "/dev/mapper/vg-a b"],
        );
        check("22 27 0:21 / /proc rw - proc proc rw", ["0:21", "/proc", "proc", "proc"]);
        // A source may be empty: then two blanks follow each other.
        check("22 27 0:21 / /x rw - tmpfs  rw", ["0:21", "/x", "tmpfs", ""]);
    }

    #[test]
    fn options_to_mount_with_again() {
        for (of_place, of_file_system, given) in [
            ("rw,relatime", "rw", "rw,relatime"),
            ("rw,noatime", "rw,seclabel,errors=remount-ro", "rw,noatime,errors=remount-ro"),
            ("rw", "ro,norecovery,nouuid", "ro,norecovery,nouuid"),
            ("ro,nodev", "rw,nodev", "ro,nodev"),
            ("", "", "rw"),
        ] {
            let found = options(of_place.as_bytes(), of_file_system.as_bytes());
            assert_eq!(String::from_utf8(found).unwrap(), given);
        }
        let line = "1 2 8:0 / /a rw,nosuid - ext4 /dev/a rw,discard";
        assert_eq!(mount_line(line.as_bytes()).unwrap().options.raw(), "rw,nosuid,discard");
    }

    #[test]
    fn hostile_lines_of_mountinfo() {
        for line in ["", "1", "1 2 3", "1 2 8:x / /a rw - ext4 /dev/a rw", "1 2 8:0 / /a rw - ext4"]
        {
            assert_eq!(read(line), None, "{line}");
        }
        let deep = format!("1 2 8:0 / /a rw {}- ext4 /dev/a rw", "shared:1 ".repeat(1000));
        assert!(read(&deep).is_some());
        assert_eq!(unescaped(b"\\"), b"\\");
        assert_eq!(unescaped(b"\\04"), b"\\04");
        assert_eq!(unescaped(b"\\999\\040"), b"\\999 ");
        assert_eq!(unescaped(b"\\777\\+12"), b"\\777\\+12");
    }

    #[test]
    fn file_systems_that_may_hang() {
        for (fs_type, remote) in [
            ("nfs4", true),
            ("fuse.sshfs", true),
            ("fuse", true),
            ("ext4", false),
            ("fusectl", false),
        ] {
            assert_eq!(is_remote(fs_type), remote, "{fs_type}");
        }
    }

    #[test]
    fn swap_devices() {
        let text = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
            /dev/dm-1                               partition\t8388604\t\t0\t\t-2\n\
            /swap\\040file                           file\t\t8388604\t\t0\t\t-3\n\
            /dev/my\\040swap partition 1 0 -4\nrubbish\n";
        assert_eq!(swap_paths(text), ["/dev/dm-1", "/dev/my swap"]);
        assert!(swap_paths(b"").is_empty());
    }
}
