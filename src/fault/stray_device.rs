//! A live device of this VG, or of one that is nowhere to be found, whose LV the metadata does not
//! know: the kernel's table is then what tells where its data lies.

use crate::fault::live::{commands, shown, vg_shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::ids::{LvUuid, VgUuid};
use crate::model::derived_tables::derived_tables;
use crate::model::inventory::{Inventory, VgOnDisk};
use crate::model::live::{Live, LvmLayer, MappedDevice};
use crate::model::off_tree::{OffTree, off_tree};
use crate::model::table_alike::Numbers;
use crate::text::search::{Wanted, versions_with};

const KIND: Kind = Kind {
    kind: FaultKind::StrayDevice,
    severity: Severity::Critical,
    matters: "LVM counts its extents as free and may give them to others; its table is gone with \
              a reboot, and may be the only description left of where its data lies",
    plan: None,
};

/// A stray that leads to no data.
const EMPTY: Kind = Kind {
    severity: Severity::Warning,
    matters: "it leads to no data, but keeps its name taken: an LV of that name cannot be activated",
    ..KIND
};

/// Tables of more lines are not printed.
const LINES_SHOWN: usize = 4;

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let Some(live) = inventory.live.as_deref() else { return Vec::new() };
    let stray = |mapped: &MappedDevice| {
        let layer = mapped.layer.as_ref()?;
        let on_disk = inventory.vgs.get(&layer.vg);
        if on_disk.is_some_and(|on_disk| counts(on_disk, layer.lv))
            || shares_parts(inventory, live, mapped)
        {
            return None;
        }
        Some(fault(inventory, live, mapped, layer))
    };
    live.mapped.iter().filter_map(stray).collect()
}

/// Whether it is a layer that left the tree of an LV, which `layer_off_tree` tells.
fn shares_parts(inventory: &Inventory, live: &Live, mapped: &MappedDevice) -> bool {
    let on_disk = mapped.layer.as_ref().and_then(|layer| inventory.vgs.get(&layer.vg));
    let Some(vg) = on_disk.and_then(|on_disk| on_disk.current.as_deref()) else { return false };
    let numbers = Numbers::of(inventory, live, vg);
    let off = off_tree(vg, &derived_tables(vg), &numbers, mapped);
    matches!(off, Some(OffTree::SharesPartsOf(_)))
}

/// Whether the metadata that counts knows this LV; where branches contradict each other, whether
/// one of them does.
fn counts(on_disk: &VgOnDisk, lv: LvUuid) -> bool {
    match &on_disk.current {
        Some(vg) => vg.lv_by_uuid(lv).is_some(),
        None => versions_with(&on_disk.timeline, Wanted::Uuid(lv))
            .any(|(version, _)| version.is_committed()),
    }
}

fn fault(inventory: &Inventory, live: &Live, mapped: &MappedDevice, layer: &LvmLayer) -> Fault {
    let object = format!("device {}", shown(mapped));
    let mut found = format!(
        "live, of LV {}, which the metadata of {} does not know",
        layer.lv,
        vg_shown(inventory, layer.vg)
    );
    if !inventory.vgs.contains_key(&layer.vg) {
        found = format!("live, of LV {}, and nothing is left of {}", layer.lv, unknown(layer.vg));
    }
    found.push_str(&older(inventory, layer));
    found.push_str(&table(mapped));
    let uses: Vec<String> =
        live.uses_of(mapped.number, layer.vg).iter().map(ToString::to_string).collect();
    if !uses.is_empty() {
        found.push_str("; ");
        found.push_str(&uses.join(", "));
    }
    let leads_to_data =
        mapped.live.iter().any(|line| !matches!(line.target.as_str(), "error" | "zero"));
    let fault = if leads_to_data {
        KIND.fault(object, found).advise(format!(
            "do not reboot, and do not deactivate or remove it; keep a copy of its table on \
             another machine: {}; a plan can bring the LV back from it: `recover_from: \
             device_table`",
            commands("table", [mapped])
        ))
    } else {
        EMPTY
            .fault(object, found)
            .advise(format!("when nobody uses it: {}", commands("remove", [mapped])))
    };
    fault.of_vg(layer.vg)
}

fn unknown(vg: VgUuid) -> String {
    format!("VG {vg}: no metadata of it was found on any device")
}

/// The newest version of the metadata that still knows the LV.
fn older(inventory: &Inventory, layer: &LvmLayer) -> String {
    let on_disk = inventory.vgs.get(&layer.vg);
    let wanted = Wanted::Uuid(layer.lv);
    let newest = on_disk.and_then(|on_disk| versions_with(&on_disk.timeline, wanted).next());
    newest
        .and_then(|(version, vg)| Some((version.seqno(), vg.lv_by_uuid(layer.lv)?.name.clone())))
        .map_or_else(
            || "; no version of the metadata that still stands knows it".to_owned(),
            |(seqno, name)| format!("; seqno {seqno} knows it as LV {name}"),
        )
}

fn table(mapped: &MappedDevice) -> String {
    match mapped.live.as_slice() {
        [] => "; it has no table".to_owned(),
        lines if lines.len() > LINES_SHOWN => format!("; its table has {} lines", lines.len()),
        lines => {
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            format!("; its table: {}", lines.join("; "))
        }
    }
}
