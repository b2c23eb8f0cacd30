//! LVM2 as it is installed and configured here.
//!
//! # Source
//! lvmconfig(8), lvmsystemid(7); `lvm version` prints `  LVM version:     2.03.16(2) (2022-05-18)`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde::Deserialize;

use crate::host::HostError;
use crate::host::linux::program::{Said, read_from};
use crate::ids::{DeviceName, ForeignText};
use crate::model::live::{LeftOut, LvmSetup, LvmVersion};

/// Where distributions install it.
const PROGRAMS: [&str; 4] = ["/usr/sbin/lvm", "/sbin/lvm", "/usr/bin/lvm", "/bin/lvm"];

/// Finds out how LVM2 is set up.
///
/// # Errors
/// [`HostError`], when it is not installed, not to be trusted, or does not answer.
pub fn look() -> Result<LvmSetup, HostError> {
    let program = find()?;
    let answered = |args: &[&str]| -> Result<String, HostError> {
        let said = read_from(program, args)?;
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    };
    let version = answered(&["version"])?;
    let version = parse_version(&version)
        .ok_or_else(|| HostError::because("ask", program, "it does not tell its version"))?;
    let config = answered(&["lvmconfig", "--typeconfig", "full"])?;
    let setting = |section: &str, key: &str| setting(&config, section, key);
    let text = |section, key, default: &str| {
        setting(section, key).map_or_else(|| default.to_owned(), |value| unquoted(&value))
    };
    let is_on = |section, key, default| setting(section, key).map_or(default, |v| v != "0");
    let system_id = answered(&["systemid"])?;
    let system_id = system_id.trim().strip_prefix("system ID:").map(str::trim);
    let system_dir = std::env::var("LVM_SYSTEM_DIR").unwrap_or_else(|_| "/etc/lvm".to_owned());
    Ok(LvmSetup {
        program: program.to_owned(),
        version,
        locking_dir: text("global", "locking_dir", "/run/lock/lvm"),
        backup_dir: text("backup", "backup_dir", &format!("{system_dir}/backup")),
        archive_dir: text("backup", "archive_dir", &format!("{system_dir}/archive")),
        system_id: system_id.filter(|id| !id.is_empty()).map(ForeignText::from),
        extra_system_ids: list(&setting("local", "extra_system_ids").unwrap_or_default()),
        issue_discards: is_on("devices", "issue_discards", false),
        udev_sync: is_on("activation", "udev_sync", true),
        left_out: Vec::new(),
        system_dir,
    })
}

/// The program: root's, and nobody else's to change.
fn find() -> Result<&'static str, HostError> {
    let here = PROGRAMS.iter().find_map(|path| Some((*path, fs::metadata(path).ok()?)));
    let Some((path, found)) = here else {
        return Err(HostError::because("find", "lvm", "LVM2 is not installed"));
    };
    if found.uid() != 0 || found.permissions().mode() & 0o022 != 0 {
        return Err(HostError::because("trust", path, "others than root can change it"));
    }
    Ok(path)
}

fn parse_version(text: &str) -> Option<LvmVersion> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("LVM version:"))?;
    LvmVersion::parse(line)
}

/// The value of `key` within `section { … }`, as `lvmconfig` prints it.
fn setting(config: &str, section: &str, key: &str) -> Option<String> {
    let opening = format!("{section} {{");
    let within = config.lines().skip_while(|line| line.trim() != opening).skip(1);
    let mut within = within.take_while(|line| line.trim() != "}");
    within.find_map(|line| {
        let (found, value) = line.trim().split_once('=')?;
        (found == key).then(|| value.to_owned())
    })
}

fn unquoted(value: &str) -> String {
    value.trim().trim_matches('"').to_owned()
}

fn list(value: &str) -> Vec<ForeignText> {
    let items = value.trim().trim_start_matches('[').trim_end_matches(']').split(',');
    let items = items.map(unquoted).filter(|item| !item.is_empty());
    items.map(ForeignText::from).collect()
}

#[derive(Deserialize)]
struct Report {
    report: Vec<Reported>,
}

#[derive(Deserialize)]
struct Reported {
    pv: Vec<ReportedPv>,
}

#[derive(Deserialize)]
struct ReportedPv {
    pv_name: String,
}

/// Of these devices, which carry a label, those that LVM2 does not use, and why.
///
/// # Errors
/// [`HostError`], when LVM2 does not answer.
pub fn left_out(setup: &LvmSetup, labelled: &[DeviceName]) -> Result<Vec<LeftOut>, HostError> {
    const ASK: [&str; 9] = [
        "pvs",
        "--all",
        "--readonly",
        "--nohints",
        "--reportformat",
        "json",
        "-o",
        "pv_name",
        "--config=log/level=0",
    ];
    let said = read_from(&setup.program, &ASK)?;
    let report: Report = serde_json::from_slice(&said.stdout)
        .map_err(|error| HostError::because("read what", "lvm pvs", error.to_string()))?;
    let used: Vec<String> =
        report.report.into_iter().flat_map(|part| part.pv).map(|pv| pv.pv_name).collect();
    let mut found = Vec::new();
    for device in labelled.iter().filter(|device| !used.iter().any(|name| name == device.path())) {
        let said = read_from(&setup.program, &["pvs", "--readonly", "--nohints", device.path()])?;
        if !said.success {
            found.push(LeftOut { device: device.clone(), why: why(&said, device) });
        }
    }
    found.sort();
    Ok(found)
}

/// The line in which LVM2 says why it does not use the device.
fn why(said: &Said, device: &DeviceName) -> ForeignText {
    let prefix = format!("Cannot use {}: ", device.path());
    let lines = || said.stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let reason = lines().find_map(|line| line.strip_prefix(prefix.as_str()));
    reason.or_else(|| lines().next_back()).unwrap_or("LVM does not say why").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "global {\n\tlocking_dir=\"/run/lock/lvm\"\n}\nlocal {\n\t\
                          extra_system_ids=[\"a\",\"b\"]\n}\nbackup {\n\tbackup_dir=\"/x\"\n}\n";

    #[test]
    fn settings_are_found_in_their_section() {
        assert_eq!(setting(CONFIG, "global", "locking_dir").as_deref(), Some("\"/run/lock/lvm\""));
        assert_eq!(setting(CONFIG, "backup", "locking_dir"), None);
        assert_eq!(setting(CONFIG, "none", "locking_dir"), None);
        let ids = list(&setting(CONFIG, "local", "extra_system_ids").unwrap());
        assert_eq!(ids, [ForeignText::from("a"), ForeignText::from("b")]);
        assert!(list("[]").is_empty());
    }

    #[test]
    fn the_version_is_read() {
        let text = "  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02.185\n";
        assert_eq!(parse_version(text).map(|v| v.to_string()).as_deref(), Some("2.03.16"));
        assert_eq!(parse_version("nothing"), None);
    }

    #[test]
    fn the_reason_is_found() {
        let device = DeviceName::whole("/dev/sdb");
        let said =
            |stderr: &str| Said { success: false, stdout: Vec::new(), stderr: stderr.to_owned() };
        let filtered = said("  Cannot use /dev/sdb: device is rejected by filter config\n");
        assert_eq!(why(&filtered, &device).raw(), "device is rejected by filter config");
        assert_eq!(why(&said("  odd\n"), &device).raw(), "odd");
        assert_eq!(why(&said(""), &device).raw(), "LVM does not say why");
    }
}
