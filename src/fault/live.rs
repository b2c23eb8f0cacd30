//! What the faults of a running machine have in common.

use crate::ids::{ForeignText, PvUuid, VgUuid};
use crate::model::inventory::Inventory;
use crate::model::live::{DevNumber, Live, MappedDevice};
use crate::model::vg::Vg;

/// What people call a VG: its name, or its UUID when no text tells a name.
pub(super) fn vg_shown(inventory: &Inventory, vg: VgUuid) -> String {
    let name = inventory.vgs.get(&vg).and_then(|on_disk| on_disk.name());
    name.map_or_else(|| format!("VG {vg}"), |name| format!("VG {name}"))
}

/// The numbers of the devices that carry a PV.
pub(super) fn numbers_of(inventory: &Inventory, pv: PvUuid) -> Vec<DevNumber> {
    inventory.devices_of(pv).into_iter().filter_map(|device| device.number).collect()
}

/// Whether a PV of this VG, or any device of LVM, has this number.
pub(super) fn is_of_vg(inventory: &Inventory, live: &Live, vg: &Vg, number: DevNumber) -> bool {
    vg.pvs.iter().any(|pv| numbers_of(inventory, pv.uuid).contains(&number))
        || live.mapped_by_number(number).is_some_and(|mapped| mapped.layer.is_some())
}

/// A device with its number, as `dmsetup` knows it.
pub(super) fn shown(mapped: &MappedDevice) -> String {
    format!("{} ({})", mapped.name, mapped.number)
}

/// A command of `dmsetup` for each of these devices, in backquotes.
pub(super) fn commands<'m>(
    verb: &str,
    devices: impl IntoIterator<Item = &'m MappedDevice>,
) -> String {
    let command = |mapped: &MappedDevice| format!("`dmsetup {verb} {}`", word(&mapped.name));
    let all: Vec<String> = devices.into_iter().map(command).collect();
    all.join(", ")
}

/// A name as one word for a shell. LVM's own need no quotes.
fn word(name: &ForeignText) -> String {
    let shown = name.to_string();
    let is_plain =
        !shown.is_empty() && shown.chars().all(|c| c.is_ascii_alphanumeric() || "+_.-".contains(c));
    if is_plain { shown } else { format!("'{}'", shown.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_word() {
        for (name, expected) in [
            ("vg-lv_tmeta", "vg-lv_tmeta"),
            ("a b", "'a b'"),
            ("a'; reboot", r"'a'\''; reboot'"),
            ("", "''"),
        ] {
            assert_eq!(word(&name.into()), expected);
        }
    }
}
