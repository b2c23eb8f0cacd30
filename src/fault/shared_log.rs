//! Two live devices that write to one log or one metadata device: each takes it for its own.

use std::collections::BTreeMap;

use crate::fault::live::shown;
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::inventory::Inventory;
use crate::model::live::{DevNumber, MappedDevice, TargetLine};

const KIND: Kind = Kind {
    kind: FaultKind::SharedLog,
    severity: Severity::Critical,
    matters: "what one of them writes there the other writes over: which blocks are in sync, or where they \
              are, is soon wrong",
    plan: Some("plans/stale-tables.yaml"),
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let Some(live) = inventory.live.as_deref() else { return Vec::new() };
    let mut writers: BTreeMap<DevNumber, Vec<&MappedDevice>> = BTreeMap::new();
    for mapped in &live.mapped {
        let mut logs: Vec<DevNumber> = mapped.live.iter().flat_map(logs).collect();
        logs.sort_unstable();
        logs.dedup();
        for log in logs {
            writers.entry(log).or_default().push(mapped);
        }
    }
    let mut faults = Vec::new();
    for (log, devices) in writers.into_iter().filter(|(_, devices)| devices.len() > 1) {
        let known = live.mapped_by_number(log);
        let name = known.map_or_else(|| log.to_string(), shown);
        let names: Vec<String> = devices.iter().map(|mapped| shown(mapped)).collect();
        let found = format!("written by {}", names.join(" and "));
        let advice = "stop who writes to them; `lvmend inspect` says which of them is no device of its LV, and \
                      a plan with `device_tables: {state: matching}` empties that one";
        let fault = KIND.fault(format!("device {name}"), found).advise(advice);
        let vg = devices.iter().find_map(|mapped| mapped.layer.as_ref()).map(|layer| layer.vg);
        faults.push(match vg {
            Some(vg) => fault.of_vg(vg),
            None => fault,
        });
    }
    faults
}

/// Devices that a target keeps its own state on.
///
/// # Source
/// Kernel `Documentation/admin-guide/device-mapper`: `dm-raid`, `thin-provisioning`, `cache`, `snapshot`,
/// `writecache`, `dm-integrity`; `drivers/md/dm-log.c`.
fn logs(line: &TargetLine) -> Vec<DevNumber> {
    let words: Vec<&str> = line.args.raw().split_whitespace().collect();
    let number = |at: usize| words.get(at).and_then(|word| DevNumber::parse(word));
    let found = match line.target.as_str() {
        "mirror" if words.first() == Some(&"disk") => number(2),
        "thin-pool" | "cache" => number(0),
        "snapshot" | "snapshot-merge" => number(1),
        "writecache" => number(2),
        "raid" => return raid(&words),
        _ => None,
    };
    found.into_iter().collect()
}

/// Every other device, behind the parameters and the number of legs.
fn raid(words: &[&str]) -> Vec<DevNumber> {
    let params = words.get(1).and_then(|count| count.parse::<usize>().ok());
    let legs = params.and_then(|params| words.get(params.checked_add(3)?..)).unwrap_or_default();
    legs.iter().step_by(2).filter_map(|word| DevNumber::parse(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Sectors;

    #[test]
    fn where_targets_keep_their_state() {
        for (target, args, expected) in [
            ("mirror", "disk 2 253:7 1024 2 253:1 0 253:2 0 1 handle_errors", &[7][..]),
            ("mirror", "core 1 1024 2 253:1 0 253:2 0 1 handle_errors", &[]),
            ("raid", "raid1 3 0 region_size 4096 2 253:1 253:2 253:3 253:4", &[1, 3]),
            ("raid", "raid0 1 128 2 - 253:2 - 253:4", &[]),
            ("raid", "raid1 99999999999999999999", &[]),
            ("raid", "raid1 18446744073709551615 x", &[]),
            ("thin-pool", "253:1 253:2 128 0 0", &[1]),
            ("snapshot", "253:1 253:2 P 8", &[2]),
            ("writecache", "s 253:1 253:2 4096 0", &[2]),
            ("linear", "253:1 0", &[]),
        ] {
            let (start, len) = (Sectors::ZERO, Sectors::new(8));
            let line = TargetLine { start, len, target: target.to_owned(), args: args.into() };
            let minors: Vec<u32> = logs(&line).iter().map(|number| number.minor).collect();
            assert_eq!(minors, expected, "{target} {args}");
        }
    }
}
