//! What each device of a stack should be.

mod refuse;

use std::collections::BTreeSet;

use crate::diff::tables::WrongStack;
use crate::diff::tables::stacks::Stack;
use crate::diff::tables::verdict::refuse::{changes_table, refuse_cut_off, refuse_under_strays};
use crate::model::derived_tables::{Derived, DerivedDevice, derived_tables};
use crate::model::inventory::Inventory;
use crate::model::live::{Live, LvmLayer, MappedDevice, Use};
use crate::model::off_tree::{is_newer_part, off_tree};
use crate::model::parts::Roles;
use crate::model::place::{moved_below_state, shows_the_same, tables_of};
use crate::model::table::{TableLine, Word};
use crate::model::table_alike::{Numbers, is_as_derived};
use crate::model::table_goal::{DeviceNow, StackDevice, Then, UdevRules, named};
use crate::model::vg::{Lv, Vg};

/// What all stacks are judged by.
pub(super) struct Look<'a> {
    /// Devices that may go although no metadata describes them, by UUID.
    removable: &'a BTreeSet<String>,
    live: &'a Live,
    vg: &'a Vg,
    roles: Roles<'a>,
    pub derived: Derived,
    pub numbers: Numbers<'a>,
}

/// What comes of a stack.
pub(super) struct Verdict {
    pub wrong: WrongStack,
    pub notes: Vec<String>,
}

/// What is said of one device.
enum Of {
    /// It should be so.
    Then(Then),
    /// It may be the only map to data.
    Stray,
    /// Nobody here can tell; why not, where it is seen to be another than it should be.
    Unknown(Option<&'static str>),
}

const NOT_EXACTLY: &str =
    "is not what the metadata says, and what it should be cannot be told exactly";

impl<'a> Look<'a> {
    pub fn new(
        inventory: &'a Inventory,
        live: &'a Live,
        vg: &'a Vg,
        removable: &'a BTreeSet<String>,
    ) -> Self {
        let numbers = Numbers::of(inventory, live, vg);
        Self { removable, live, vg, roles: Roles::of(vg), derived: derived_tables(vg), numbers }
    }

    /// # Errors
    /// Why the stack is left alone, for people.
    pub fn stack(&self, stack: &Stack<'_>, is_wanted: bool) -> Result<Verdict, String> {
        if let Some(mapped) = stack.devices.iter().find(|mapped| is_newer_part(self.vg, mapped)) {
            return Err(format!("{} is named as only LVM 2.03.36 and newer do", mapped.name));
        }
        let (mut devices, mut notes) = (Vec::new(), Vec::new());
        let mut strays = BTreeSet::new();
        for mapped in &stack.devices {
            let Some(layer) = &mapped.layer else { continue };
            let then = match self.of(layer, mapped) {
                Of::Then(then) => then,
                Of::Stray => {
                    strays.insert(layer.clone());
                    Then::Stay
                }
                Of::Unknown(_) if mapped.suspended => {
                    return Err(format!(
                        "{} is suspended, and what its table should be cannot be told",
                        mapped.name
                    ));
                }
                Of::Unknown(why) => {
                    let left = |why: &str| format!("{} {why}: it is left alone", mapped.name);
                    notes.extend(why.map(left));
                    Then::Stay
                }
            };
            devices.push(self.device(mapped, layer, then));
        }
        self.add_missing(&mut devices)?;
        drop_unneeded(&mut devices);
        let removed = self.accept_removals(&strays, &mut devices, &mut notes);
        self.keep_what_is_held(&strays, &mut devices, &mut notes)?;
        refuse_under_strays(&devices, &strays)?;
        refuse_cut_off(&devices, &strays)?;
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        if !is_wanted && devices.iter().any(changes_table) {
            return Err("tables in it are not what the metadata says either: set that right first, by a plan \
                        with `device_tables: {state: matching}`"
                .to_owned());
        }
        self.refuse_moved(&devices)?;
        let wrong = self.wrong(stack, devices, removed).ok_or("it has no devices")?;
        Ok(Verdict { wrong, notes })
    }

    /// The stack as it is, with nothing suspended and nothing that waits.
    pub fn as_it_is(&self, stack: &Stack<'_>) -> Option<WrongStack> {
        let device =
            |mapped: &&MappedDevice| Some(self.device(mapped, mapped.layer.as_ref()?, Then::Stay));
        let mut devices: Vec<StackDevice> = stack.devices.iter().filter_map(device).collect();
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        self.wrong(stack, devices, Vec::new())
    }

    fn of(&self, layer: &LvmLayer, mapped: &MappedDevice) -> Of {
        if self.vg.lv_by_uuid(layer.lv).is_none() || self.derived.device(layer).is_none() {
            return match off_tree(self.vg, &self.derived, &self.numbers, mapped) {
                Some(_) => Of::Then(Then::Gone),
                None if self.vg.lv_by_uuid(layer.lv).is_none() => Of::Stray,
                None => Of::Unknown(None),
            };
        }
        let table = self.derived.device(layer).and_then(|device| device.table.as_ref());
        let Some(table) = table else { return Of::Unknown(None) };
        let live = self.numbers.live(mapped);
        if is_as_derived(&live, table) {
            return Of::Then(Then::Stay);
        }
        if !table.is_whole || table.or.is_some() {
            return Of::Unknown(Some(NOT_EXACTLY));
        }
        let lines = with_choices_of(&live, table.lines.clone());
        Of::Then(Then::Table { lines, read_only: mapped.read_only })
    }

    fn device(&self, mapped: &MappedDevice, layer: &LvmLayer, then: Then) -> StackDevice {
        let now = DeviceNow {
            live: self.numbers.live(mapped),
            waiting: mapped.has_inactive.then(|| self.numbers.waiting(mapped)),
            suspended: mapped.suspended,
            read_only: mapped.read_only,
        };
        StackDevice {
            layer: layer.clone(),
            name: mapped.name.raw().to_owned(),
            rules: self.rules(layer),
            now: Some(now),
            then,
        }
    }

    fn rules(&self, layer: &LvmLayer) -> UdevRules {
        let lv = self.vg.lv_by_uuid(layer.lv);
        let is_shown = lv.is_some_and(|lv| self.roles.is_shown(lv));
        let is_snapshot =
            lv.is_some_and(|lv| self.roles.is(&lv.name, crate::model::parts::Role::SnapshotStore));
        match layer.suffix.as_str() {
            "pool" => UdevRules::Pool,
            "" if is_shown && is_snapshot => UdevRules::Snapshot,
            "" if is_shown => UdevRules::Volume,
            _ => UdevRules::Hidden,
        }
    }

    /// Devices that a table to come names, and that are not there.
    fn add_missing(&self, devices: &mut Vec<StackDevice>) -> Result<(), String> {
        loop {
            let there: BTreeSet<&LvmLayer> = devices.iter().map(|device| &device.layer).collect();
            let tables = devices.iter().filter(|device| device.then != Then::Gone);
            let mut wanted = tables.flat_map(|device| named(device.table_then()));
            let missing = wanted.find(|layer| !there.contains(layer)).cloned();
            drop(wanted);
            let Some(missing) = missing else { return Ok(()) };
            devices.push(self.missing(&missing)?);
        }
    }

    fn missing(&self, layer: &LvmLayer) -> Result<StackDevice, String> {
        let cannot = |why: &str| format!("device {layer} is not there, and {why}");
        let derived = self.derived.device(layer);
        let DerivedDevice { name, table, .. } =
            derived.ok_or_else(|| cannot("no LV is to have it"))?;
        let table = table.as_ref().filter(|table| table.is_whole && table.or.is_none());
        let table = table.ok_or_else(|| cannot("what its table should be cannot be told"))?;
        if let Some(other) = self.live.mapped.iter().find(|mapped| mapped.name.raw() == name) {
            let uuid = if other.uuid.raw().is_empty() { "no UUID" } else { other.uuid.raw() };
            return Err(cannot(&format!("its name is taken by a device with {uuid}")));
        }
        let lv = self.vg.lv_by_uuid(layer.lv);
        // LVM2 keeps parts writable, whatever is on top.
        let is_content = matches!(layer.suffix.as_str(), "" | "real");
        let is_read_only =
            |lv: &Lv| is_content && !lv.is_writable() && !self.roles.is_part(&lv.name);
        let read_only = layer.suffix == "pool" || lv.is_some_and(is_read_only);
        Ok(StackDevice {
            layer: layer.clone(),
            name: name.clone(),
            rules: self.rules(layer),
            now: None,
            then: Then::Table { lines: table.lines.clone(), read_only },
        })
    }

    /// Strays go only where the plan accepts it, and only while nobody has them open.
    fn accept_removals(
        &self,
        strays: &BTreeSet<LvmLayer>,
        devices: &mut [StackDevice],
        notes: &mut Vec<String>,
    ) -> Vec<(String, Vec<String>)> {
        let mut removed = Vec::new();
        for device in devices.iter_mut().filter(|device| strays.contains(&device.layer)) {
            let uuid = device.layer.to_string();
            let is_accepted = self.removable.contains(&uuid);
            if !is_accepted {
                notes.push(format!(
                    "{} ({uuid}) is live and no metadata describes it: it may be the only map to \
                     somebody's data, and is left alone. `recover_from: device_table` brings its LV \
                     back; hazard `remove-device` takes it away",
                    device.name
                ));
                continue;
            }
            let shown = |line: &TableLine| line.shown_by(|word| Some(word.to_string()));
            removed.push((uuid, device.live().iter().filter_map(shown).collect()));
            device.then = Then::Gone;
        }
        removed
    }

    /// Nothing goes that anybody has open but devices that go as well, or will have another table.
    /// A layer that goes on running beside its stack would share what that gets.
    fn keep_what_is_held(
        &self,
        strays: &BTreeSet<LvmLayer>,
        devices: &mut [StackDevice],
        notes: &mut Vec<String>,
    ) -> Result<(), String> {
        loop {
            let held =
                |device: &&StackDevice| device.then == Then::Gone && self.is_held(device, devices);
            let Some(place) = devices.iter().position(|device| held(&device)) else {
                return Ok(());
            };
            let Some(device) = devices.get_mut(place) else { return Ok(()) };
            let why = format!("{} is no device of any LV, but somebody has it open", device.name);
            let is_layer = !strays.contains(&device.layer) && device.is_reloaded();
            if is_layer {
                return Err(why);
            }
            notes.push(format!("{why}: it is left alone"));
            device.then = Then::Stay;
        }
    }

    /// Nobody's content changes its place while it is used: what is in memory of it would be written over
    /// what stands there.
    fn refuse_moved(&self, devices: &[StackDevice]) -> Result<(), String> {
        if let Some((moved, over)) = moved_below_state(devices) {
            return Err(format!(
                "what {} maps lies elsewhere by the metadata, and {}, which runs over it, keeps a state of what \
                 it wrote there: deactivate the LV first",
                moved.name, over.name
            ));
        }
        let is_used = devices.iter().any(|device| !self.uses(&device.layer).is_empty());
        let old = tables_of(devices, StackDevice::live);
        let new = tables_of(devices, StackDevice::table_then);
        let is_moved = |device: &&StackDevice| {
            matches!(device.then, Then::Table { .. })
                && !shows_the_same((device.live(), &old), (device.table_then(), &new))
        };
        match devices.iter().find(is_moved) {
            Some(device) if is_used => Err(format!(
                "what {} maps lies elsewhere by the metadata, and somebody uses the stack: with another table \
                 they would read and write other content. Copy what is seen through the live table out \
                 first; then unmount or close it, and plan again",
                device.name
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn is_held(&self, device: &StackDevice, devices: &[StackDevice]) -> bool {
        let by_table =
            devices.iter().any(|other| named(other.table_then()).contains(&device.layer));
        by_table || !self.uses(&device.layer).is_empty()
    }

    fn uses(&self, layer: &LvmLayer) -> Vec<Use> {
        let mapped = self.live.mapped_of_layer(layer);
        mapped.map_or_else(Vec::new, |mapped| self.live.uses_of(mapped.number, self.vg.uuid))
    }

    fn wrong(
        &self,
        stack: &Stack<'_>,
        devices: Vec<StackDevice>,
        mut removed: Vec<(String, Vec<String>)>,
    ) -> Option<WrongStack> {
        let mut tops: Vec<&Lv> = stack.lvs().filter_map(|lv| self.vg.lv_by_uuid(lv)).collect();
        tops = tops.into_iter().map(|lv| self.roles.top_of(lv)).collect();
        tops.sort_by(|a, b| a.name.cmp(&b.name));
        let (lv, name) = match tops.first() {
            Some(lv) => (lv.uuid, lv.name.to_string()),
            None => devices.first().map(|device| (device.layer.lv, device.name.clone()))?,
        };
        let is_used = |device: &StackDevice| !self.uses(&device.layer).is_empty();
        let in_use = devices.iter().any(is_used);
        removed.retain(|(uuid, _)| {
            let mut gone = devices.iter().filter(|device| device.then == Then::Gone);
            gone.any(|device| device.layer.to_string() == *uuid)
        });
        Some(WrongStack { lv, name, devices, in_use, removed })
    }
}

/// What was only made, and nobody needs.
fn drop_unneeded(devices: &mut [StackDevice]) {
    let is_running = |device: &&StackDevice| !device.live().is_empty() && device.then != Then::Gone;
    let mut needed: BTreeSet<LvmLayer> = BTreeSet::new();
    let mut next: Vec<&StackDevice> = devices.iter().filter(is_running).collect();
    while let Some(device) = next.pop() {
        for layer in named(device.table_then()) {
            if needed.insert(layer.clone()) {
                next.extend(devices.iter().find(|other| other.layer == *layer));
            }
        }
    }
    for device in devices.iter_mut() {
        let was_only_made = device.now.as_ref().is_none_or(|now| now.live.is_empty());
        if was_only_made && !needed.contains(&device.layer) {
            device.then = Then::Gone;
        }
    }
}

/// What stands in no metadata is taken from the live table, where it has the same target: when a pool
/// speaks up, whether a mirror is taken to be in sync.
fn with_choices_of(live: &[TableLine], mut lines: Vec<TableLine>) -> Vec<TableLine> {
    let ([was], [is]) = (live, lines.as_mut_slice()) else { return lines };
    if was.target != is.target {
        return lines;
    }
    match is.target.as_str() {
        "thin-pool" => {
            if let (Some(low), Some(word)) = (was.args.get(3), is.args.get_mut(3)) {
                *word = low.clone();
            }
        }
        "mirror" => {
            let is_nosync = |word: &Word| matches!(word, Word::Text(text) if text == "nosync");
            let log = if was.args.first() == Some(&Word::text("core")) { 1 } else { 2 };
            let had = was.args.get(log + 2).is_some_and(is_nosync);
            if had && was.args.first() == is.args.first() {
                is.args.insert(log + 2, Word::text("nosync"));
                if let Some(count) = is.args.get_mut(1) {
                    *count = Word::number(if log == 1 { 2 } else { 3 });
                }
            }
        }
        _ => {}
    }
    lines
}
