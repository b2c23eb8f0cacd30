//! A live table that is not what the metadata says: a command died after it wrote the metadata and
//! before it resumed the devices, metadata was restored under an active LV, or somebody loaded a table
//! by hand.
//!
//! Only tables that follow from the metadata word by word are compared. What maps a device that is none
//! of the VG's is told by `stale_device_number`.

use crate::fault::live::{is_of_vg, numbers_of, shown};
use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::derived_tables::{DerivedDevice, DerivedLine, Word, derived_tables};
use crate::model::inventory::Inventory;
use crate::model::live::{DevNumber, Live, LvmLayer, MappedDevice, TargetLine};
use crate::model::parts::Roles;
use crate::model::vg::Vg;

const KIND: Kind = Kind {
    kind: FaultKind::StaleTable,
    severity: Severity::Critical,
    matters: "reads and writes go where the metadata does not say; what is written may be another LV's, \
              and is not found where it is looked for after a reboot",
    plan: None,
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
        if live.mapped_of_vg(vg.uuid).any(|mapped| mapped.suspended || mapped.has_inactive) {
            continue;
        }
        let look = Look { inventory, live, vg };
        let roles = Roles::of(vg);
        for derived in derived_tables(vg) {
            faults.extend(look.fault(&roles, &derived));
        }
    }
    faults
}

struct Look<'i> {
    inventory: &'i Inventory,
    live: &'i Live,
    vg: &'i Vg,
}

impl Look<'_> {
    fn fault(&self, roles: &Roles<'_>, derived: &DerivedDevice) -> Option<Fault> {
        let mapped = self.mapped(&derived.layer).filter(|mapped| !mapped.live.is_empty())?;
        let should = self.shown_lines(derived)?;
        if self.is_as_derived(mapped, derived) || self.maps_foreign(mapped) {
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
             written since went where the live table says. If no command of LVM is at work, \
             `lvchange --refresh {}/{}` loads what the metadata says",
            mapped.name,
            self.vg.name,
            roles.top_of(lv).name
        );
        Some(KIND.fault(format!("LV {}", lv.name), found).of_vg(self.vg.uuid).advise(advice))
    }

    fn mapped(&self, layer: &LvmLayer) -> Option<&MappedDevice> {
        self.live.mapped_of_vg(layer.vg).find(|mapped| mapped.layer.as_ref() == Some(layer))
    }

    fn is_as_derived(&self, mapped: &MappedDevice, derived: &DerivedDevice) -> bool {
        mapped.live.len() == derived.table.len()
            && mapped.live.iter().zip(&derived.table).all(|(found, line)| self.is_line(found, line))
    }

    fn is_line(&self, found: &TargetLine, line: &DerivedLine) -> bool {
        let words: Vec<&str> = found.args.raw().split_whitespace().collect();
        (found.start, found.len, found.target.as_str()) == (line.start, line.len, line.target)
            && words.len() == line.args.len()
            && words.iter().zip(&line.args).all(|(word, derived)| self.is_word(word, derived))
    }

    fn is_word(&self, word: &str, derived: &Word) -> bool {
        let is_one_of = |numbers: &[DevNumber]| {
            DevNumber::parse(word).is_some_and(|number| numbers.contains(&number))
        };
        match derived {
            Word::Text(text) => text == word,
            Word::Pv(pv) => is_one_of(&numbers_of(self.inventory, *pv)),
            Word::Layer(layer) => {
                self.mapped(layer).is_some_and(|mapped| is_one_of(&[mapped.number]))
            }
        }
    }

    /// Whether it lies on what is no PV of the VG and no device of LVM.
    fn maps_foreign(&self, mapped: &MappedDevice) -> bool {
        let is_ours = |number: &DevNumber| is_of_vg(self.inventory, self.live, self.vg, *number);
        !mapped.lies_on().iter().all(is_ours)
    }

    /// As `dmsetup` would print it; none while a device of it is not there.
    fn shown_lines(&self, derived: &DerivedDevice) -> Option<Vec<String>> {
        let word = |word: &Word| match word {
            Word::Text(text) => Some(text.clone()),
            Word::Pv(pv) => numbers_of(self.inventory, *pv).first().map(ToString::to_string),
            Word::Layer(layer) => self.mapped(layer).map(|mapped| mapped.number.to_string()),
        };
        let line = |line: &DerivedLine| {
            let args: Vec<String> = line.args.iter().map(word).collect::<Option<_>>()?;
            let DerivedLine { start, len, target, .. } = line;
            let head = format!("{} {} {target}", start.get(), len.get());
            Some(std::iter::once(head).chain(args).collect::<Vec<_>>().join(" "))
        };
        derived.table.iter().map(line).collect()
    }
}

fn lines_shown(lines: impl ExactSizeIterator<Item = String>) -> String {
    if lines.len() > LINES_SHOWN {
        return format!("{} lines", lines.len());
    }
    lines.collect::<Vec<_>>().join("; ")
}
