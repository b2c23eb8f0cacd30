//! A live table that is not what the metadata says: a command died after it wrote the metadata and
//! before it resumed the devices, metadata was restored under an active LV, or somebody loaded a table
//! by hand.
//!
//! Only tables that follow from the metadata word by word are compared. What maps a device that is none
//! of the VG's is told by `stale_device_number`.

use crate::fault::live::{is_of_vg, numbers_of, shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::derived_tables::{DerivedDevice, DerivedTable, derived_tables};
use crate::model::inventory::Inventory;
use crate::model::live::{DevNumber, Live, LvmLayer, MappedDevice};
use crate::model::off_tree::is_newer_part;
use crate::model::parts::Roles;
use crate::model::table::Word;
use crate::model::table_alike::{Numbers, is_as_derived};
use crate::model::vg::Vg;

const KIND: Kind = Kind {
    kind: FaultKind::StaleTable,
    severity: Severity::Critical,
    matters: "reads and writes go where the metadata does not say; what is written may be another LV's, \
              and is not found where it is looked for after a reboot",
    plan: Some("plans/stale-tables.yaml"),
};

/// Tables of more lines are not printed.
const LINES_SHOWN: usize = 4;

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let Some(live) = inventory.live.as_deref() else { return Vec::new() };
    let mut faults = Vec::new();
    for vg in inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_deref()) {
        // A command is at work, or died at it: what it left is told first, and what it was about to do
        // shows only when that is settled.
        let is_half_done = |mapped: &MappedDevice| mapped.suspended || mapped.has_inactive;
        if live.mapped_of_vg(vg.uuid).any(|m| is_half_done(m) || is_newer_part(vg, m)) {
            continue;
        }
        let look = Look { inventory, live, vg, numbers: Numbers::of(inventory, live, vg) };
        let roles = Roles::of(vg);
        for derived in &derived_tables(vg).devices {
            faults.extend(look.fault(&roles, derived));
        }
    }
    faults
}

struct Look<'i> {
    inventory: &'i Inventory,
    live: &'i Live,
    vg: &'i Vg,
    numbers: Numbers<'i>,
}

impl Look<'_> {
    fn fault(&self, roles: &Roles<'_>, derived: &DerivedDevice) -> Option<Fault> {
        let table = derived.table.as_ref()?;
        let mapped = self.live.mapped_of_layer(&derived.layer)?;
        if mapped.live.is_empty() || is_as_derived(&self.numbers.live(mapped), table) {
            return None;
        }
        let should = self.shown_lines(table)?;
        if self.maps_foreign(mapped) {
            return None;
        }
        let lv = self.vg.lv_by_uuid(derived.layer.lv)?;
        let found = format!(
            "{} has `{}`; the metadata says `{}`",
            shown(mapped),
            lines_shown(mapped.live.iter().map(ToString::to_string)),
            lines_shown(should.into_iter())
        );
        let advice = format!(
            "save the table (`dmsetup table {}`) and stop who writes to it, before anything else: what was \
             written since went where the live table says. A plan loads what the metadata says: \
             `device_tables: {{state: matching, only: [{}]}}`",
            mapped.name,
            roles.top_of(lv).name
        );
        Some(KIND.fault(format!("LV {}", lv.name), found).of_vg(self.vg.uuid).advise(advice))
    }

    /// Whether it lies on what is no PV of the VG and no device of LVM.
    fn maps_foreign(&self, mapped: &MappedDevice) -> bool {
        let is_ours = |number: &DevNumber| is_of_vg(self.inventory, self.live, self.vg, *number);
        !mapped.lies_on().iter().all(is_ours)
    }

    /// As `dmsetup` would print it; none while a device of it is not there.
    fn shown_lines(&self, table: &DerivedTable) -> Option<Vec<String>> {
        let number =
            |layer: &LvmLayer| self.live.mapped_of_layer(layer).map(|mapped| mapped.number);
        let word = |word: &Word| match word {
            Word::Text(text) => Some(text.clone()),
            Word::Pv(pv) => numbers_of(self.inventory, *pv).first().map(ToString::to_string),
            Word::Layer(layer) => Some(number(layer)?.to_string()),
            Word::Option(name, layer) => Some(format!("{name}:{}", number(layer)?)),
        };
        table.lines.iter().map(|line| line.shown_by(word)).collect()
    }
}

fn lines_shown(lines: impl ExactSizeIterator<Item = String>) -> String {
    if lines.len() > LINES_SHOWN {
        return format!("{} lines", lines.len());
    }
    lines.collect::<Vec<_>>().join("; ")
}
