//! How LVM2 is set up in the machine. It sees every disk there is: all belong to the scenario.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

const PATH: &str = "/etc/lvm/lvm.conf";

/// What each scenario begins with: LVM2 looks itself, makes the nodes itself, needs no daemon.
const WITHOUT_UDEV: &[(&str, &str)] = &[
    ("devices/scan", "[ \"/dev\" ]"),
    ("devices/use_devicesfile", "0"),
    ("devices/hints", "\"none\""),
    ("devices/obtain_device_list_from_udev", "0"),
    ("devices/external_device_info_source", "\"none\""),
    ("activation/udev_sync", "0"),
    ("activation/udev_rules", "0"),
    ("activation/verify_udev_operations", "0"),
    ("activation/monitoring", "0"),
    ("global/use_lvmpolld", "0"),
    ("global/event_activation", "0"),
];

/// As each scenario finds it.
pub fn reset() {
    write(&WITHOUT_UDEV.iter().map(owned).collect());
}

/// Changes settings, or adds them: `("section/name", "value")`.
pub fn set(settings: &[(&str, &str)]) {
    let mut all = read();
    for (key, value) in settings {
        println!("# lvm.conf: {key} = {value}");
        all.insert((*key).to_owned(), (*value).to_owned());
    }
    write(&all);
}

fn owned((key, value): &(&str, &str)) -> (String, String) {
    ((*key).to_owned(), (*value).to_owned())
}

/// The file as `write` leaves it.
fn read() -> BTreeMap<String, String> {
    let text = fs::read_to_string(PATH).unwrap();
    let mut section = "";
    let mut all = BTreeMap::new();
    for line in text.lines() {
        if let Some(name) = line.strip_suffix(" {") {
            section = name;
        } else if let Some((name, value)) = line.trim().split_once(" = ") {
            all.insert(format!("{section}/{name}"), value.to_owned());
        }
    }
    all
}

fn write(all: &BTreeMap<String, String>) {
    let mut text = String::new();
    let mut section = "";
    for (key, value) in all {
        let (its_section, name) = key.split_once('/').unwrap();
        if its_section != section {
            let close = if section.is_empty() { "" } else { "}\n" };
            let _ = writeln!(text, "{close}{its_section} {{");
            section = its_section;
        }
        let _ = writeln!(text, "    {name} = {value}");
    }
    fs::write(PATH, text + "}\n").unwrap();
}
