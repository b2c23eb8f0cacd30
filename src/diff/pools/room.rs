//! Whether the VG has room for what pools need.

use crate::diff::{Context, Refusal, RefusalCode};
use crate::model::extent_map::ExtentMap;
use crate::model::flags::PvStatus;
use crate::model::vg::{Pv, Vg};
use crate::units::Extents;

/// Extents that LVM has to find.
pub(super) struct Room<'a> {
    pub vg: &'a Vg,
    pub needed: Extents,
}

impl Room<'_> {
    pub fn take(&mut self, extents: Extents) {
        self.needed = self.needed.saturating_add(extents);
    }

    /// Extents that nobody has, on PVs that LVM takes extents from.
    fn free(&self) -> Extents {
        let map = ExtentMap::of(self.vg);
        let serves = |pv: &&Pv| pv.status.has(PvStatus::Allocatable) && !pv.is_missing();
        let free = |pv: &Pv| {
            let taken: Extents = map.on(pv.uuid).iter().map(|taken| taken.range.len()).sum();
            pv.pe_count.saturating_sub(taken)
        };
        self.vg.pvs.iter().filter(serves).map(free).sum()
    }

    pub fn refusal(&self, context: &Context<'_>) -> Option<Refusal> {
        // How many a new PV will have only LVM knows.
        let free = self.free();
        if self.needed <= free || !context.goals.extend_with.is_empty() {
            return None;
        }
        let shown = |extents: Extents| extents.bytes_shown(self.vg.extent_size);
        let why = format!("{} are needed, {} are free", shown(self.needed), shown(free));
        let object = format!("VG {}", self.vg.name);
        Some(Refusal::new(RefusalCode::NoRoom, object, why).with_help(
            "add a disk with `volume_group: {extend_with: [DEVICE]}`, or make room; a file is no \
             place for a PV of this VG",
        ))
    }
}
