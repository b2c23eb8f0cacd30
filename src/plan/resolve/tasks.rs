//! Whether tasks and checks name LVs that are there, or will be.

use crate::ids::LvName;
use crate::plan::document::{Check, CopyTarget, Task};
use crate::plan::problem::Code;
use crate::plan::resolve::{PresentLv, Resolver};

impl Resolver<'_> {
    /// Tasks and checks work on LVs that are there, or will be.
    pub(super) fn check_lvs_of_tasks(&mut self, present: &[PresentLv]) {
        let document = &self.plan.document;
        let mut named: Vec<(Vec<String>, LvName)> = Vec::new();
        for (index, task) in document.tasks.iter().enumerate() {
            let (kind, key, name) = match task {
                Task::Copy(copy) => {
                    self.check_overwritten(index, &copy.to);
                    ("copy", "from", &copy.from)
                }
                Task::SnapshotBackup(backup) => ("snapshot_backup", "origin", &backup.origin),
            };
            let path = ["tasks", &index.to_string(), kind, key].map(str::to_owned);
            named.push((path.to_vec(), name.clone()));
        }
        for (index, check) in document.checks.iter().enumerate() {
            let Check::Sha256(check) = check;
            let path =
                ["checks", &index.to_string(), "sha256", "logical_volume"].map(str::to_owned);
            named.push((path.to_vec(), check.logical_volume.clone()));
        }
        for (path, name) in named {
            let is_there = self.vg.current.as_ref().is_some_and(|vg| vg.lv(&name).is_some());
            let will_be =
                present.iter().any(|lv| lv.recover_as.as_ref().unwrap_or(&lv.name) == &name);
            let unknown_now = self.vg.current.is_none();
            if is_there || will_be || unknown_now {
                continue;
            }
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let message = format!("VG has no LV `{name}`, and the plan does not recover one");
            let help = format!("add `{name}: {{state: present}}` under `logical_volumes`");
            self.problem(Code::UnknownObject, &path, message, Some(help));
        }
    }

    /// An LV that is overwritten is there now; one that is recovered is nothing to copy over.
    fn check_overwritten(&mut self, task: usize, to: &CopyTarget) {
        let (CopyTarget::LogicalVolume(name), Some(vg)) = (to, &self.vg.current) else { return };
        if vg.lv(name).is_none() {
            let path = ["tasks", &task.to_string(), "copy", "to", "logical_volume"];
            let message = format!("VG has no LV `{name}` to copy over");
            let help = self.suggestion(name).map_or_else(
                || "make one that is large enough: `lvcreate`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            self.problem(Code::UnknownObject, &path, message, Some(help));
        }
    }
}
