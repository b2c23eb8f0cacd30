//! A precommitted text: a command was interrupted before it committed.

use crate::fault::{Fault, FaultKind, Kind, Severity};
use crate::model::device::SlotText;
use crate::model::inventory::Inventory;

const KIND: Kind = Kind {
    kind: FaultKind::InterruptedCommit,
    severity: Severity::Note,
    matters: "a command was interrupted before its change counted; LVM ignores the rest of it, \
              the next one overwrites it",
    plan: Some("plans/metadata-areas.yaml"),
};

/// Finds them.
pub(super) fn find(inventory: &Inventory) -> Vec<Fault> {
    let mut faults = Vec::new();
    for device in &inventory.devices {
        let Some(pv) = device.pv() else { continue };
        for (index, area) in pv.areas.iter().enumerate() {
            let found = match &area.precommitted {
                SlotText::Empty | SlotText::Ignored => continue,
                SlotText::Good(key) => match inventory.texts.get(key) {
                    Some(text) => format!("a text with seqno {} was precommitted", text.seqno),
                    None => "a text was precommitted".to_owned(),
                },
                SlotText::Damaged(why) => format!("a text was precommitted, and is damaged: {why}"),
            };
            let object = format!("PV {} metadata area {index}", pv.uuid);
            faults.push(
                KIND.fault(object, found)
                    .on(&device.name)
                    .at(area.offset)
                    .advise("look at what the command was doing: `lvmend history list`"),
            );
        }
    }
    faults
}
