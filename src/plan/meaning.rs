//! What a schema cannot say: goals that contradict each other or would do nothing.
//!
//! Works on the document as it stands, so that its problems are shown together with those of the
//! structure; what is not of the right type is passed over here.

mod tasks;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::ids::LvName;
use crate::plan::glob::LvPattern;
use crate::plan::problem::{Code, Problem};
use crate::plan::yaml::Tree;

/// Everything that cannot be meant.
pub fn problems(tree: &Tree) -> Vec<Problem> {
    let json = tree.json();
    let mut checker = Checker { tree, problems: Vec::new() };
    let metadata = at(&json, "/volume_group/metadata");
    checker.recover_from(metadata, &["volume_group", "metadata"]);
    checker.no_table(metadata);
    checker
        .absolute_paths(at(&json, "/volume_group/extend_with"), &["volume_group", "extend_with"]);
    for (key, pv) in entries(at(&json, "/physical_volumes")) {
        checker.pv(key, pv);
    }
    let lvs = at(&json, "/logical_volumes");
    for (name, lv) in entries(lvs) {
        checker.lv(name, lv);
    }
    checker.recovered_names(lvs);
    checker.tasks(at(&json, "/tasks"));
    for (name, pool) in entries(at(&json, "/thin_pools")) {
        checker.pool(name, pool);
    }
    checker.tables(at(&json, "/device_tables/only"));
    checker.acceptances(at(&json, "/policy/accept"));
    checker.absolute_paths(at(&json, "/policy/busy/unmount"), &["policy", "busy", "unmount"]);
    checker.problems
}

/// A plan that is valid and asks for nothing.
pub fn asks_for_nothing(tree: &Tree) -> Option<Problem> {
    let json = tree.json();
    let asks = |value: &Value| match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    let keys =
        ["physical_volumes", "logical_volumes", "thin_pools", "device_tables", "tasks", "checks"];
    let wants = keys.iter().any(|key| asks(at(&json, &format!("/{key}"))))
        || asks(at(&json, "/volume_group/metadata"))
        || asks(at(&json, "/volume_group/extend_with"));
    let help = "add `physical_volumes`, `logical_volumes`, `thin_pools`, `device_tables`, `tasks`, \
                `checks`, or `volume_group.metadata` or `.extend_with`";
    let span = tree.key_span(&["volume_group"]);
    let problem = Problem::new(Code::NoEffect, "the plan asks for nothing", span);
    (!wants).then(|| problem.with_help(help))
}

/// What stands at this JSON pointer; null where nothing does.
fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

/// The source text of a scalar.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

struct Checker<'a> {
    tree: &'a Tree,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn at_value(&mut self, code: Code, path: &[&str], message: String, help: &str) {
        let span = self.tree.value_span(path);
        self.problems.push(Problem::new(code, message, span).with_help(help));
    }

    fn at_key(&mut self, code: Code, path: &[&str], message: String, help: &str) {
        let span = self.tree.key_span(path);
        self.problems.push(Problem::new(code, message, span).with_help(help));
    }

    fn absolute(&mut self, file: &Value, path: &[&str]) {
        if let Some(file) = text(file).filter(|file| !file.starts_with('/')) {
            let message = format!("`{file}` is not an absolute path");
            let help = "a plan is applied in another directory than it was written in: \
                        write the path from `/` on";
            self.at_value(Code::RelativePath, path, message, help);
        }
    }

    /// A list of LVs with none in it.
    fn tables(&mut self, only: &Value) {
        if only.as_array().is_some_and(Vec::is_empty) {
            let help = "leave out `only` to mean all of the VG, or name LVs";
            let message = "no LV is named".to_owned();
            self.at_value(Code::NoEffect, &["device_tables", "only"], message, help);
        }
    }

    /// A pool of which nothing is asked; what only a rebuild heeds where none may be made.
    fn pool(&mut self, name: &str, pool: &Value) {
        let help = "write `metadata: {state: sound}`, or `data: {max_used_percent: …}`";
        let is_empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
        if is_empty(pool) {
            let message = format!("nothing is asked of thin pool `{name}`");
            self.at_key(Code::NoEffect, &["thin_pools", name], message, help);
        }
        let data = at(pool, "/data");
        if !data.is_null() && is_empty(data) {
            let path = ["thin_pools", name, "data"];
            let message = "nothing is asked of its data".to_owned();
            self.at_key(Code::NoEffect, &path, message, "`min_size` or `max_used_percent`");
        }
        let metadata = at(pool, "/metadata");
        let extends = text(at(metadata, "/method")).as_deref() == Some("extend");
        if extends && !at(metadata, "/max_lost_mappings").is_null() {
            let path = ["thin_pools", name, "metadata", "max_lost_mappings"];
            let message = "`method: extend` never rebuilds, so nothing can be lost".to_owned();
            self.at_key(Code::NoEffect, &path, message, "leave one of them out");
        }
    }

    fn recover_from(&mut self, object: &Value, path: &[&str]) {
        let path: Vec<&str> = path.iter().copied().chain(["recover_from", "file"]).collect();
        self.absolute(at(object, "/recover_from/file"), &path);
    }

    /// A table describes one LV, never a VG.
    fn no_table(&mut self, metadata: &Value) {
        if text(at(metadata, "/recover_from")).as_deref() == Some("device_table") {
            let path = ["volume_group", "metadata", "recover_from"];
            let message = "a device's table describes one LV, not the metadata of a VG".to_owned();
            let help = "write it under the LV: `logical_volumes: {NAME: {state: present, \
                        recover_from: device_table}}`";
            self.at_value(Code::Contradiction, &path, message, help);
        }
    }

    fn pv(&mut self, key: &str, pv: &Value) {
        if key == "*" && !at(pv, "/device").is_null() {
            let message = "`device` cannot stand for every PV".to_owned();
            let help = "name the PV by its UUID";
            self.at_key(Code::Contradiction, &["physical_volumes", "*", "device"], message, help);
        }
    }

    fn lv(&mut self, name: &str, lv: &Value) {
        self.recover_from(lv, &["logical_volumes", name]);
        if !lv.is_object() {
            return;
        }
        if LvPattern::parse(name).is_ok_and(|pattern| pattern.is_glob()) {
            self.glob(name, lv);
        } else {
            self.literal(name, lv);
        }
        let new_name = text(at(lv, "/recover_as")).and_then(|name| name.parse::<LvName>().ok());
        if let Some(reserved) = new_name.filter(LvName::is_reserved) {
            let path = ["logical_volumes", name, "recover_as"];
            let message = format!("LVM keeps names like `{reserved}` for itself");
            self.at_value(Code::BadValue, &path, message, "choose another name");
        }
    }

    /// A glob means LVs that are there, so it says nothing of where one comes from.
    fn glob(&mut self, name: &str, lv: &Value) {
        if !at(lv, "/state").is_null() {
            let message = format!("`{name}` is a glob, which matches only LVs that are there");
            let help = "name the LV to be recovered; a glob cannot bring anything back";
            self.at_key(Code::NoEffect, &["logical_volumes", name], message, help);
        }
        for key in ["uuid", "recover_from", "recover_as"] {
            if !at(lv, &format!("/{key}")).is_null() {
                let message = format!("`{key}` cannot stand for every LV that matches `{name}`");
                let path = ["logical_volumes", name, key];
                self.at_key(Code::Contradiction, &path, message, "name the LV");
            }
        }
        if entries(lv).next().is_none() {
            self.nothing_asked(name);
        }
    }

    fn literal(&mut self, name: &str, lv: &Value) {
        if !at(lv, "/state").is_null() {
            return;
        }
        for key in ["recover_from", "recover_as"] {
            if !at(lv, &format!("/{key}")).is_null() {
                let message = format!("`{key}` without `state: present` recovers nothing");
                let path = ["logical_volumes", name, key];
                self.at_key(Code::NoEffect, &path, message, "add `state: present`");
            }
        }
        if at(lv, "/activation").is_null() {
            self.nothing_asked(name);
        }
    }

    fn nothing_asked(&mut self, name: &str) {
        let message = format!("nothing is asked of LV `{name}`");
        let path = ["logical_volumes", name];
        self.at_key(Code::NoEffect, &path, message, "add `state: present` or `activation:`");
    }

    /// Two LVs cannot come back under one name.
    fn recovered_names(&mut self, lvs: &Value) {
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        for (name, lv) in entries(lvs) {
            let target = text(at(lv, "/recover_as")).unwrap_or_else(|| name.to_owned());
            if let Some(other) = taken.insert(target.clone(), name) {
                let message = format!("LVs `{other}` and `{name}` would both be called `{target}`");
                let path = ["logical_volumes", name];
                self.at_key(Code::Contradiction, &path, message, "give one another `recover_as`");
            }
        }
    }

    fn absolute_paths(&mut self, paths: &Value, place: &[&str]) {
        for (index, path) in paths.as_array().into_iter().flatten().enumerate() {
            let index = index.to_string();
            let place: Vec<&str> = place.iter().copied().chain([index.as_str()]).collect();
            self.absolute(path, &place);
        }
    }

    fn acceptances(&mut self, accepted: &Value) {
        for (index, acceptance) in accepted.as_array().into_iter().flatten().enumerate() {
            if text(at(acceptance, "/because")).is_some_and(|reason| reason.trim().is_empty()) {
                let index = index.to_string();
                let path = ["policy", "accept", index.as_str(), "because"];
                let message = "a loss is accepted without a reason".to_owned();
                self.at_value(Code::BadValue, &path, message, "say why, for the next reader");
            }
        }
    }
}
