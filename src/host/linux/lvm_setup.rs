//! LVM2 as it is set up here: program, version, configuration.

use std::time::Duration;

use crate::host::linux::program::{LVM_SYSTEM_DIR, Limits, Program, Said};
use crate::ids::ForeignText;
use crate::model::live::{LvmSetup, LvmVersion};
use crate::text::parser;
use crate::text::tree::{Section, Value};
use crate::units::Bytes;

/// Where distributions have it.
const PROGRAMS: [&str; 4] = ["/usr/sbin/lvm", "/sbin/lvm", "/usr/bin/lvm", "/bin/lvm"];
/// LVM2 may have to look at thousands of devices; one that hangs is given up.
pub const LIMITS: Limits = Limits { time: Duration::from_secs(60), output: Bytes::new(64 << 20) };

/// LVM2 without its list of devices, and how it is run.
#[derive(Debug)]
pub struct Lvm {
    /// What was found out.
    pub setup: LvmSetup,
    /// The program; none when it is not there or not to be trusted.
    pub program: Option<Program>,
    /// What could not be found out.
    pub unknown: Vec<String>,
}

/// Looks for LVM2 and asks for its version and configuration.
pub fn find() -> Lvm {
    let without = |why: String| Lvm { setup: defaults(), program: None, unknown: vec![why] };
    match Program::find(&PROGRAMS) {
        Ok(Some(program)) => ask(program),
        Ok(None) => without("LVM2 is not installed: its configuration is not known".to_owned()),
        Err(error) => without(error.to_string()),
    }
}

fn ask(program: Program) -> Lvm {
    let mut unknown = Vec::new();
    let mut setup = LvmSetup { program: program.path().to_owned(), ..defaults() };
    let mut say = |arguments: &[&str]| {
        let said = program.read(arguments, LIMITS);
        said.map_err(|error| unknown.push(error.to_string())).ok()
    };
    let (version, configuration) = (say(&VERSION), say(&CONFIGURATION));
    setup.system_id = say(&["systemid"]).as_ref().and_then(system_id_in);
    match version.as_ref().and_then(version_in) {
        Some(version) => setup.version = version,
        None => unknown.push("the version of LVM2 could not be read".to_owned()),
    }
    if !configuration.is_some_and(|said| configure(&mut setup, &said.stdout)) {
        unknown.push("LVM2 did not tell its configuration: its defaults are taken".to_owned());
    }
    Lvm { setup, program: Some(program), unknown }
}

/// What LVM2 does unless it is told otherwise.
fn defaults() -> LvmSetup {
    let directory = std::env::var(LVM_SYSTEM_DIR).ok().filter(|directory| !directory.is_empty());
    let system_dir = directory.unwrap_or_else(|| "/etc/lvm".to_owned());
    LvmSetup {
        program: String::new(),
        version: LvmVersion { major: 0, minor: 0, patch: 0 },
        locking_dir: "/run/lock/lvm".to_owned(),
        backup_dir: format!("{system_dir}/backup"),
        archive_dir: format!("{system_dir}/archive"),
        system_dir,
        system_id: None,
        extra_system_ids: Vec::new(),
        issue_discards: false,
        udev_sync: true,
        left_out: Vec::new(),
    }
}

/// Without asking the kernel: that would load device-mapper.
const VERSION: [&str; 3] = ["version", "--driverloaded", "n"];

const CONFIGURATION: [&str; 9] = [
    "lvmconfig",
    "--typeconfig",
    "full",
    "global/locking_dir",
    "backup/backup_dir",
    "backup/archive_dir",
    "devices/issue_discards",
    "activation/udev_sync",
    "local/extra_system_ids",
];

fn version_in(said: &Said) -> Option<LvmVersion> {
    let text = String::from_utf8_lossy(&said.stdout);
    let version = text.lines().find_map(|line| line.trim().strip_prefix("LVM version:"))?;
    LvmVersion::parse(version)
}

fn system_id_in(said: &Said) -> Option<ForeignText> {
    let text = String::from_utf8_lossy(&said.stdout);
    let id = text.lines().find_map(|line| line.trim().strip_prefix("system ID:"))?.trim();
    (!id.is_empty()).then(|| id.into())
}

/// Takes what `lvmconfig` printed; tells whether it could be read.
fn configure(setup: &mut LvmSetup, printed: &[u8]) -> bool {
    let Ok(tree) = parser::parse(printed) else { return false };
    let text = |key: &str| {
        let text = String::from_utf8_lossy(tree.value(key)?.as_text()?).into_owned();
        (!text.is_empty()).then_some(text)
    };
    let Some(locking_dir) = text("locking_dir") else { return false };
    setup.locking_dir = locking_dir;
    let default = |name: &str| format!("{}/{name}", setup.system_dir);
    let (backup, archive) = (default("backup"), default("archive"));
    setup.backup_dir = text("backup_dir").unwrap_or(backup);
    setup.archive_dir = text("archive_dir").unwrap_or(archive);
    setup.issue_discards = switch(&tree, "issue_discards").unwrap_or(false);
    setup.udev_sync = switch(&tree, "udev_sync").unwrap_or(true);
    let ids = tree.value("extra_system_ids").map(Value::items).unwrap_or_default();
    setup.extra_system_ids =
        ids.iter().filter_map(Value::as_text).map(ForeignText::from_bytes).collect();
    true
}

fn switch(tree: &Section<'_>, key: &str) -> Option<bool> {
    Some(tree.value(key)?.as_integer()? != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stdout: &str) -> Said {
        Said { code: Some(0), signal: None, stdout: stdout.into(), stderr: Vec::new() }
    }

    #[test]
    fn what_lvm2_prints() {
        let version = "  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02.185 (2022-05-18)\n  Driver version:  4.47.0\n";
        assert_eq!(version_in(&said(version)).unwrap().to_string(), "2.03.16");
        assert_eq!(version_in(&said("  Library version: 1.02\n")), None);
        assert_eq!(system_id_in(&said("  system ID: \n")), None);
        assert_eq!(system_id_in(&said("  system ID: node-7\n")), Some("node-7".into()));
        assert_eq!(system_id_in(&said("")), None);
    }

    #[test]
    fn what_lvmconfig_prints() {
        let mut setup = defaults();
        let printed = b"locking_dir=\"/run/lock/lvm2\"\nbackup_dir=\"/srv/backup\"\n\
            archive_dir=\"/srv/archive\"\nissue_discards=1\nudev_sync=0\n\
            extra_system_ids=[\"a\",\"b c\"]\n";
        assert!(configure(&mut setup, printed));
        assert_eq!(setup.locking_dir, "/run/lock/lvm2");
        assert_eq!(
            (setup.backup_dir.as_str(), setup.archive_dir.as_str()),
            ("/srv/backup", "/srv/archive")
        );
        assert!(setup.issue_discards && !setup.udev_sync);
        assert_eq!(setup.extra_system_ids, ["a".into(), "b c".into()]);
    }

    #[test]
    fn hostile_configurations_leave_the_defaults() {
        for printed in [&b""[..], b"locking_dir", b"locking_dir=[", b"\xff\xfe={", b"locking_dir=5"]
        {
            let mut setup = defaults();
            assert!(!configure(&mut setup, printed), "{printed:?}");
            assert_eq!(setup, defaults());
        }
    }
}
