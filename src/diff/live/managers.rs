//! Programs that think the VG is theirs, and may undo what a plan does.

use crate::diff::live::Subject;
use crate::diff::{Change, Diff};
use crate::ids::VgName;

pub(super) fn check(subject: &Subject<'_>, diff: &mut Diff) {
    let recovers = diff.changes.iter().any(|change| matches!(change, Change::RecoverLv(_)));
    if let Some(manager) = manager_of(&subject.vg().name).filter(|_| recovers) {
        diff.notes.push(format!(
            "VG {} has the name of one that {manager} manages: it may remove an LV again that it does \
             not know. Stop its clean-up before you apply, or copy the LV out in the same plan",
            subject.vg().name
        ));
    }
    if !subject.live.services.is_empty() {
        let names: Vec<String> = subject.live.services.iter().map(ToString::to_string).collect();
        diff.notes.push(format!(
            "running here, and known to act on volumes by themselves: {}. What they do during a run \
             stays, and a step that it collides with fails; stop them first where you can",
            names.join(", ")
        ));
    }
}

/// Who names VGs like this one.
fn manager_of(name: &VgName) -> Option<&'static str> {
    let name = name.as_str();
    if name.starts_with("VG_XenStorage-") || name.starts_with("XSLocalEXT-") {
        return Some("XenServer or XCP-ng");
    }
    if name == "pve" {
        return Some("Proxmox VE");
    }
    is_uuid(name).then_some("oVirt")
}

/// 8-4-4-4-12 hexadecimal digits, as storage domains are called.
fn is_uuid(name: &str) -> bool {
    let lens: Vec<usize> = name.split('-').map(str::len).collect();
    lens == [8, 4, 4, 4, 12] && name.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_manager() {
        let cases = [
            ("VG_XenStorage-0f3c9a1e-5d6b-4e0a-8c1f-2b7d9e4a6c50", Some("XenServer or XCP-ng")),
            ("XSLocalEXT-0f3c9a1e-5d6b-4e0a-8c1f-2b7d9e4a6c50", Some("XenServer or XCP-ng")),
            ("pve", Some("Proxmox VE")),
            ("pve2", None),
            ("0f3c9a1e-5d6b-4e0a-8c1f-2b7d9e4a6c50", Some("oVirt")),
            ("0f3c9a1e-5d6b-4e0a-8c1f-2b7d9e4a6c5g", None),
            ("data", None),
        ];
        for (name, manager) in cases {
            assert_eq!(manager_of(&name.parse().unwrap()), manager, "{name}");
        }
    }
}
