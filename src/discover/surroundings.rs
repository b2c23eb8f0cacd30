//! What tasks and checks of a plan need of the machine: programs, places to mount on, what stands
//! on LVs.

use crate::discover::Needs;
use crate::host::ReadHost;
use crate::host::copy::head_of;
use crate::model::inventory::Inventory;
use crate::model::surroundings::Surroundings;
use crate::model::vg::{Lv, Vg};
use crate::ondisk::signature::{Ends, HEAD_SIZE, has_journal_elsewhere, signatures};
use crate::operation::content::content_of;
use crate::units::Bytes;

/// Looks at what is needed. An LV that is not there yet has nothing on it.
pub fn look_at(host: &dyn ReadHost, inventory: &Inventory, needs: &Needs) -> Surroundings {
    let mut found = Surroundings::default();
    for name in &needs.programs {
        found.programs.insert(name.clone(), host.find_program(name));
    }
    for at in &needs.mount_points {
        found.mount_points.insert(at.clone(), host.mount_point(at));
    }
    for vg in inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_deref()) {
        for lv in needs.lvs.iter().filter_map(|name| vg.lv(name)) {
            let (key, head) = ((vg.uuid, lv.uuid), head_of_lv(host, inventory, vg, lv));
            if head.as_ref().is_ok_and(|(_, head)| has_journal_elsewhere(head)) {
                found.journals_elsewhere.insert(key);
            }
            let stands =
                head.map(|(size, head)| signatures(&Ends { size, head: &head, tail: &[] }));
            found.signatures.insert(key, stands);
        }
    }
    found
}

/// How large an LV is, and how it begins.
fn head_of_lv(
    host: &dyn ReadHost,
    inventory: &Inventory,
    vg: &Vg,
    lv: &Lv,
) -> Result<(Bytes, Vec<u8>), String> {
    let content = content_of(inventory, vg.uuid, lv.uuid).map_err(|unfit| unfit.why)?;
    let size = content.len.bytes().ok_or("it is larger than any device")?;
    let head = head_of(host, &content, HEAD_SIZE).map_err(|error| error.in_full())?;
    Ok((size, head))
}
