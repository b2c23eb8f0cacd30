//! Tasks that contradict each other, or cannot be done as they are written.

use serde_json::Value;

use crate::ids::LvName;
use crate::plan::meaning::{Checker, at, text};
use crate::plan::problem::Code;

/// Mount options that a snapshot is not mounted with: it is read-only, and a file system of its own.
const FORBIDDEN: [&str; 9] =
    ["rw", "remount", "bind", "rbind", "move", "loop", "user", "users", "owner"];

impl Checker<'_> {
    pub(super) fn tasks(&mut self, tasks: &Value) {
        self.copies(tasks);
        self.copies_over(tasks);
        self.backups(tasks);
    }

    /// Two copies to one file.
    fn copies(&mut self, tasks: &Value) {
        let mut targets = Vec::new();
        for (index, task) in tasks.as_array().into_iter().flatten().enumerate() {
            let index = index.to_string();
            let path = ["tasks", index.as_str(), "copy", "to", "file"];
            let file = at(task, "/copy/to/file");
            self.absolute(file, &path);
            let Some(file) = text(file) else { continue };
            if targets.contains(&file) {
                let message = format!("two tasks copy to `{file}`");
                self.at_value(Code::Contradiction, &path, message, "write to another file");
            }
            targets.push(file);
        }
    }

    /// What is overwritten is neither read nor overwritten again: which of the two would come first
    /// is nothing to guess about.
    fn copies_over(&mut self, tasks: &Value) {
        let all: Vec<(usize, &Value)> =
            tasks.as_array().into_iter().flatten().enumerate().collect();
        for (index, task) in &all {
            let Some(over) = text(at(task, "/copy/to/logical_volume")) else { continue };
            let index_text = index.to_string();
            let path = ["tasks", index_text.as_str(), "copy", "to", "logical_volume"];
            let is = |task: &Value, pointer: &str| text(at(task, pointer)).as_ref() == Some(&over);
            let reads = |(_, task): &(usize, &Value)| is(task, "/copy/from");
            let again = |(other, task): &(usize, &Value)| {
                other < index && is(task, "/copy/to/logical_volume")
            };
            let why = if is(task, "/copy/from") {
                format!("`{over}` would be copied over itself")
            } else if all.iter().any(reads) {
                format!("`{over}` is overwritten by one task and read by another")
            } else if all.iter().any(again) {
                format!("two tasks overwrite `{over}`")
            } else {
                continue;
            };
            self.at_value(Code::Contradiction, &path, why, "copy over another LV, or to a file");
        }
    }

    fn backups(&mut self, tasks: &Value) {
        let mut snapshots = Vec::new();
        for (index, task) in tasks.as_array().into_iter().flatten().enumerate() {
            let backup = at(task, "/snapshot_backup");
            if !backup.is_object() {
                continue;
            }
            let index = index.to_string();
            let path = ["tasks", index.as_str(), "snapshot_backup"];
            self.snapshot_name(backup, &path, &mut snapshots);
            self.mount(at(backup, "/mount"), &path);
            self.programs(at(backup, "/run"), &path);
        }
    }

    fn snapshot_name(&mut self, backup: &Value, path: &[&str], taken: &mut Vec<String>) {
        let path: Vec<&str> = path.iter().copied().chain(["snapshot"]).collect();
        let Some(name) = text(at(backup, "/snapshot")) else { return };
        let help = "choose another name";
        if name.parse().is_ok_and(|name: LvName| name.is_reserved()) {
            let message = format!("LVM keeps names like `{name}` for itself");
            self.at_value(Code::BadValue, &path, message, help);
        }
        if text(at(backup, "/origin")).as_ref() == Some(&name) {
            let message = format!("`{name}` cannot be a snapshot of itself");
            self.at_value(Code::Contradiction, &path, message, help);
        }
        if taken.contains(&name) {
            let message = format!("two tasks make a snapshot `{name}`");
            self.at_value(Code::Contradiction, &path, message, help);
        }
        taken.push(name);
    }

    fn mount(&mut self, mount: &Value, path: &[&str]) {
        let of = |key| -> Vec<&str> { path.iter().copied().chain(["mount", key]).collect() };
        self.absolute(at(mount, "/at"), &of("at"));
        for (index, option) in at(mount, "/options").as_array().into_iter().flatten().enumerate() {
            let Some(option) = text(option) else { continue };
            let index = index.to_string();
            let place: Vec<&str> = of("options").into_iter().chain([index.as_str()]).collect();
            let is_word = |c: char| !c.is_control() && !c.is_whitespace() && c != ',';
            let name = option.split('=').next().unwrap_or_default();
            if option.is_empty() || !option.chars().all(is_word) {
                let message = format!("`{option}` is not one mount option");
                self.at_value(Code::BadValue, &place, message, "write one option for each item");
            } else if FORBIDDEN.contains(&name) {
                let message = format!("a snapshot is not mounted with `{name}`");
                let help = "it is mounted read-only, from its own device; to replay a journal, \
                            write `journal: replay`";
                self.at_value(Code::Contradiction, &place, message, help);
            }
        }
    }

    fn programs(&mut self, run: &Value, path: &[&str]) {
        for (index, program) in run.as_array().into_iter().flatten().enumerate() {
            let argv = at(program, "/argv");
            let index = index.to_string();
            let place: Vec<&str> =
                path.iter().copied().chain(["run", index.as_str(), "argv"]).collect();
            let Some(words) = argv.as_array() else { continue };
            let Some(first) = words.first().and_then(text).filter(|word| !word.is_empty()) else {
                let message = "no program is named".to_owned();
                self.at_value(Code::BadValue, &place, message, "write `argv: [rsync, -a, …]`");
                continue;
            };
            if first.contains('/') {
                let place: Vec<&str> = place.iter().copied().chain(["0"]).collect();
                self.absolute(&Value::String(first), &place);
            }
            if words.iter().filter_map(text).any(|word| word.contains('\0')) {
                let message = "an argument holds a zero byte".to_owned();
                self.at_value(Code::BadValue, &place, message, "leave it out");
            }
        }
    }
}
