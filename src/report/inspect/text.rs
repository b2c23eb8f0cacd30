//! `lvmend inspect`, for people.

use std::fmt::Write as _;

use crate::report::inspect::live::{live_text, warning_text};
use crate::report::inspect::pools::pools_text;
use crate::report::inspect::{FaultJson, InspectJson, LvJson, PvJson, VgJson};
use crate::report::table::table;
use crate::units::Bytes;

/// Whether hidden LVs are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Only those that `lvs` shows.
    Visible,
    /// All, as `lvs -a`.
    All,
}

/// Everything that was found, faults last: they are what is read first from the bottom up.
pub fn text(found: &InspectJson, show: Show) -> String {
    let mut out = String::new();
    warning_text(&mut out, &found.faults);
    if let Some(live) = &found.live {
        live_text(&mut out, live);
    }
    for vg in &found.volume_groups {
        vg_text(&mut out, vg, show);
        out.push('\n');
    }
    if !found.other_devices.is_empty() {
        out.push_str("Other devices\n");
        let rows: Vec<Vec<String>> = found
            .other_devices
            .iter()
            .map(|d| vec![d.name.clone(), Bytes::new(d.size).lvm().to_string(), d.content.clone()])
            .collect();
        out.push_str(&table(2, &rows));
        out.push('\n');
    }
    for bad in &found.bad_files {
        let _ = writeln!(out, "Not metadata: {} ({})", bad.path, bad.why);
    }
    faults_text(&mut out, &found.faults);
    out
}

fn size(bytes: u64) -> String {
    Bytes::new(bytes).lvm().to_string()
}

fn vg_text(out: &mut String, vg: &VgJson, show: Show) {
    let _ = write!(out, "VG {}  {}", vg.name, vg.uuid);
    match (vg.seqno, &vg.attr, vg.size, vg.free) {
        (Some(seqno), Some(attr), Some(all), Some(free)) => {
            let _ = writeln!(
                out,
                "\n  seqno {seqno}  {attr}  {} in all, {} free",
                size(all),
                size(free)
            );
        }
        _ => out.push_str("\n  no text of it counts\n"),
    }
    if let (Some(oldest), Some(newest)) = (vg.oldest_seqno, vg.newest_seqno) {
        let _ = writeln!(out, "  {} versions stand, seqno {oldest} to {newest}", vg.versions);
    }
    if !vg.physical_volumes.is_empty() {
        let mut rows = vec![row(&["PV", "Device", "Attr", "Size", "Free", "Metadata areas"])];
        rows.extend(vg.physical_volumes.iter().map(pv_row));
        out.push_str(&table(2, &rows));
    }
    let shown: Vec<&LvJson> =
        vg.logical_volumes.iter().filter(|lv| show == Show::All || !lv.hidden).collect();
    if !shown.is_empty() {
        let is_live = shown.iter().any(|lv| lv.live.is_some());
        let head: &[&str] = if is_live {
            &["LV", "Attr", "Size", "Type", "State", "On", "Used by"]
        } else {
            &["LV", "Attr", "Size", "Type", "On"]
        };
        let mut rows = vec![row(head)];
        rows.extend(shown.into_iter().map(|lv| lv_row(vg, lv)));
        out.push_str(&table(2, &rows));
    }
    let place = |uuid: &String| place(vg, uuid);
    pools_text(out, &vg.thin_pools, vg.pool_metadata_spare.as_ref(), &place);
}

/// A device says more than a UUID, where there is one.
fn place(vg: &VgJson, uuid: &String) -> String {
    let pv = vg.physical_volumes.iter().find(|pv| pv.uuid == *uuid);
    pv.and_then(|pv| pv.devices.first()).unwrap_or(uuid).clone()
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

fn pv_row(pv: &PvJson) -> Vec<String> {
    let device = match pv.devices.as_slice() {
        [] => "-".to_owned(),
        devices => devices.join(" and "),
    };
    let areas: Vec<String> = pv
        .metadata_areas
        .iter()
        .map(|area| match area.seqno {
            Some(seqno) => format!("{} (seqno {seqno})", area.state),
            None => area.state.to_owned(),
        })
        .collect();
    let areas = if areas.is_empty() { "none".to_owned() } else { areas.join(", ") };
    vec![pv.uuid.clone(), device, pv.attr.clone(), size(pv.size), size(pv.free), areas]
}

fn lv_row(vg: &VgJson, lv: &LvJson) -> Vec<String> {
    let name = if lv.hidden { format!("[{}]", lv.name) } else { lv.name.clone() };
    let on: Vec<String> = lv.on.iter().map(|uuid| place(vg, uuid)).collect();
    let mut cells = vec![name, lv.attr.clone(), size(lv.size), lv.segment_type.clone()];
    match &lv.live {
        None => cells.push(on.join(" ")),
        Some(live) => cells.extend([live.shown(), on.join(" "), live.used_by.join(", ")]),
    }
    cells
}

fn faults_text(out: &mut String, faults: &[FaultJson]) {
    match faults.len() {
        0 => {
            out.push_str("No faults.\n");
            return;
        }
        1 => out.push_str("1 fault\n"),
        n => {
            let _ = writeln!(out, "{n} faults");
        }
    }
    for fault in faults {
        let _ = writeln!(out, "\n  {} {}: {}", fault.severity, fault.kind, fault.object);
        let mut rows = vec![row(&["found", &fault.found])];
        if let Some(device) = &fault.device {
            let place = match fault.offset {
                Some(offset) => format!("{device} at byte {offset} (0x{offset:x})"),
                None => device.clone(),
            };
            rows.push(row(&["where", &place]));
        }
        rows.push(row(&["matters", &fault.matters]));
        rows.push(row(&["advice", &fault.advice]));
        if let Some(plan) = &fault.plan {
            rows.push(row(&["plan", plan]));
        }
        out.push_str(&table(4, &rows));
    }
}
