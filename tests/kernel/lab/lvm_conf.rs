//! How LVM2 is set up in the machine. It sees every disk there is: all belong to the scenario.

use std::fs::OpenOptions;
use std::io::Write as _;

pub const PATH: &str = "/etc/lvm/lvm.conf";

/// What each scenario begins with: LVM2 looks itself, and makes the nodes itself.
pub const WITHOUT_UDEV: &str = r#"
devices {
    dir = "/dev"
    scan = [ "/dev" ]
    use_devicesfile = 0
    hints = "none"
    obtain_device_list_from_udev = 0
    external_device_info_source = "none"
}
activation {
    udev_sync = 0
    udev_rules = 0
    verify_udev_operations = 0
    monitoring = 0
}
global {
    use_lvmpolld = 0
    event_activation = 0
}
"#;

/// Adds settings, as `section/name = value`. What comes later in the file counts.
pub fn set(settings: &[&str]) {
    let mut file = OpenOptions::new().append(true).open(PATH).unwrap();
    for setting in settings {
        println!("# lvm.conf: {setting}");
        writeln!(file, "{setting}").unwrap();
    }
}
