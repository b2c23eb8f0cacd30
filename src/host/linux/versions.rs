//! What does not change while a program runs: LVM2, kernel, tools, services.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::linux::block::Block;
use crate::host::linux::lvm_setup::Lvm;
use crate::host::linux::processes::Processes;
use crate::host::linux::program::{Limits, Program};
use crate::host::linux::{left_out, mapped};
use crate::ids::ForeignText;
use crate::model::live::{Live, LvmSetup};
use crate::units::Bytes;

const THIN_CHECK: [&str; 4] =
    ["/usr/sbin/thin_check", "/sbin/thin_check", "/usr/bin/thin_check", "/bin/thin_check"];
const LIMITS: Limits = Limits { time: Duration::from_secs(10), output: Bytes::new(4096) };

/// What is found out once.
#[derive(Debug)]
pub struct Steady {
    /// LVM2 and its configuration.
    pub lvm: LvmSetup,
    /// Release of the kernel.
    pub kernel: ForeignText,
    /// Targets of device-mapper.
    pub targets: BTreeMap<String, (u32, u32, u32)>,
    /// Version of thin-provisioning-tools.
    pub thin_tools: Option<ForeignText>,
    /// Programs that write and are no commands of LVM2, by name.
    pub programs: BTreeMap<String, String>,
    /// Services that act on volumes.
    pub services: Vec<ForeignText>,
    /// What could not be found out.
    pub unknown: Vec<String>,
}

impl Steady {
    /// What is known already.
    pub fn of(known: &Live) -> Self {
        Self {
            lvm: known.lvm.clone(),
            kernel: known.kernel.clone(),
            targets: known.targets.clone(),
            thin_tools: known.thin_tools.clone(),
            programs: known.programs.clone(),
            services: known.services.clone(),
            unknown: known.unknown.clone(),
        }
    }

    /// Finds it out.
    pub fn find(lvm: &Lvm, processes: &Processes, blocks: &[Block]) -> Self {
        let mut unknown = lvm.unknown.clone();
        let left_out = left_out::find(lvm, blocks, &mut unknown);
        Self {
            lvm: LvmSetup { left_out, ..lvm.setup.clone() },
            kernel: kernel(),
            targets: mapped::targets(),
            thin_tools: thin_tools(&mut unknown),
            programs: programs(&mut unknown),
            services: processes.services(),
            unknown,
        }
    }
}

/// Where `mount` and `umount` are, if nobody but root can have put them there.
fn programs(unknown: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, paths) in [
        ("mount", ["/usr/bin/mount", "/bin/mount"]),
        ("umount", ["/usr/bin/umount", "/bin/umount"]),
    ] {
        match Program::find(&paths) {
            Ok(program) => {
                found.extend(program.map(|program| (name.to_owned(), program.path().to_owned())));
            }
            Err(error) => unknown.push(error.to_string()),
        }
    }
    found
}

fn kernel() -> ForeignText {
    let release = nix::sys::utsname::uname();
    release.map_or("unknown".into(), |names| names.release().to_string_lossy().into_owned().into())
}

/// What `thin_check -V` says; none when it is not installed.
fn thin_tools(unknown: &mut Vec<String>) -> Option<ForeignText> {
    let said = match Program::find(&THIN_CHECK) {
        Ok(None) => return None,
        Ok(Some(program)) => program.read(&["-V"], LIMITS),
        Err(error) => Err(error),
    };
    match said {
        Ok(said) => Some(ForeignText::from_bytes(said.stdout.trim_ascii())),
        Err(error) => {
            unknown.push(error.to_string());
            None
        }
    }
}
