//! udev, for scenarios in which it makes the links and LVM2 waits for it.

use std::path::Path;

use super::disk::wait_until;
use super::{lvm_conf, program, sh};

const CONTROL: &str = "/run/udev/control";

pub struct Udevd;

impl Udevd {
    /// Starts it, lets it know the devices that are there, and tells LVM2 to rely on it. It ends
    /// with the scenario.
    pub fn start() {
        println!("# udevd is started");
        let daemon = program("/usr/lib/systemd/systemd-udevd").spawn();
        drop(daemon.unwrap_or_else(|e| panic!("systemd-udevd: {e}")));
        wait_until("udevd listens", || Path::new(CONTROL).exists());
        sh("udevadm trigger --action=add --subsystem-match=block");
        lvm_conf::set(&[
            ("activation/udev_sync", "1"),
            ("activation/udev_rules", "1"),
            ("devices/obtain_device_list_from_udev", "1"),
        ]);
        Self::settle();
    }

    /// Waits until it has dealt with all events, if it runs.
    pub fn settle() {
        if Path::new(CONTROL).exists() {
            let status = program("udevadm").args(["settle", "--timeout=20"]).status();
            assert!(status.unwrap().success(), "udev does not settle");
        }
    }
}
