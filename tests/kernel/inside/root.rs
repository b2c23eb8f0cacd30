//! A root file system that belongs to the machine alone.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::utsname::uname;
use nix::unistd::{chdir, pivot_root, sethostname};

use super::share_outside;
use crate::lab::{lvm_conf, program};
use crate::shared::INSIDE;

/// Where the host's packages put the modules of user-mode Linux.
const MODULES: &str = "/usr/lib/uml/modules";
/// What the kernel does not load by itself when it is asked for it, or later than LVM2 looks.
const WANTED: &[&str] = &[
    "sd_mod",
    "loop",
    "dm-mod",
    "dm-snapshot",
    "dm-mirror",
    "dm-raid",
    "raid1",
    "raid10",
    "raid456",
    "dm-thin-pool",
    "dm-cache",
    "dm-cache-smq",
    "dm-writecache",
    "dm-integrity",
    "dm-zero",
];

/// The host's root file system is mounted read-only. An overlay in memory lets the machine
/// change everything without the host noticing.
pub fn make() {
    plain_mount("proc", "/proc");
    let share = share_outside().unwrap();
    plain_mount("tmpfs", "/mnt");
    for directory in ["upper", "work", "root"] {
        fs::create_dir(Path::new("/mnt").join(directory)).unwrap();
    }
    // Before there is a /lib/modules, modprobe has nothing to look into.
    let release = uname().unwrap().release().to_str().unwrap().to_owned();
    let overlay = format!("{MODULES}/{release}/kernel/fs/overlayfs/overlay.ko");
    assert!(program("insmod").arg(&overlay).status().unwrap().success(), "insmod {overlay}");
    let layers = "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work";
    full_mount("overlay", "/mnt/root", MsFlags::empty(), layers);
    let lab = format!("/mnt/root{INSIDE}");
    for directory in [lab.as_str(), "/mnt/root/mnt", "/mnt/root/lib/modules"] {
        fs::create_dir_all(directory).unwrap();
    }
    full_mount("hostfs", &lab, MsFlags::empty(), &share);
    chdir("/mnt/root").unwrap();
    pivot_root(".", "mnt").unwrap();
    chdir("/").unwrap();
    plain_mount("proc", "/proc");
    plain_mount("sysfs", "/sys");
    plain_mount("devtmpfs", "/dev");
    for directory in ["/run", "/tmp", "/etc/lvm"] {
        plain_mount("tmpfs", directory);
    }
    mount(Some(MODULES), "/lib/modules", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    // The overlay keeps the old root; the table of mounts need not show it.
    umount2("/mnt", MntFlags::MNT_DETACH).unwrap();
    // This name goes into every metadata text as creation_host.
    sethostname("lab").unwrap();
    load_modules();
    furnish();
}

/// What each scenario finds: empty directories, LVM2 without udev and without daemons.
pub fn furnish() {
    for directory in ["/run/lock/lvm", "/run/lvm", "/etc/lvm/backup", "/etc/lvm/archive"] {
        fs::create_dir_all(directory).unwrap();
    }
    lvm_conf::reset();
}

fn load_modules() {
    let mut modprobe = program("modprobe");
    let status = modprobe.arg("-a").args(WANTED).process_group(0).status().unwrap();
    assert!(status.success(), "not every module can be loaded: {WANTED:?}");
}

pub fn plain_mount(kind: &str, to: &str) {
    mount(Some(kind), to, Some(kind), MsFlags::empty(), None::<&str>)
        .unwrap_or_else(|e| panic!("mount {kind} {to}: {e}"));
}

fn full_mount(kind: &str, to: &str, flags: MsFlags, options: &str) {
    mount(Some(kind), to, Some(kind), flags, Some(options))
        .unwrap_or_else(|e| panic!("mount {kind} {to} {options}: {e}"));
}
