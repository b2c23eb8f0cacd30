//! What tasks and checks of a plan need of the machine: programs, places to mount on, what stands
//! on LVs.

use crate::discover::Needs;
use crate::host::ReadHost;
use crate::host::copy::head_of;
use crate::model::inventory::Inventory;
use crate::model::signature::ForeignSignature;
use crate::model::surroundings::Surroundings;
use crate::model::vg::{Lv, Vg};
use crate::ondisk::signature::{Ends, HEAD_SIZE, signatures};
use crate::operation::content::content_of;

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
            found.signatures.insert((vg.uuid, lv.uuid), on_lv(host, inventory, vg, lv));
        }
    }
    found
}

fn on_lv(
    host: &dyn ReadHost,
    inventory: &Inventory,
    vg: &Vg,
    lv: &Lv,
) -> Result<Vec<ForeignSignature>, String> {
    let content = content_of(inventory, vg.uuid, lv.uuid).map_err(|unfit| unfit.why)?;
    let size = content.len.bytes().ok_or("it is larger than any device")?;
    let head = head_of(host, &content, HEAD_SIZE).map_err(|error| error.in_full())?;
    Ok(signatures(&Ends { size, head: &head, tail: &[] }))
}
