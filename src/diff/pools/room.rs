//! Whether the VG has room for what pools need.

use crate::diff::{Change, Claim, Context, Refusal, RefusalCode};
use crate::ids::PvUuid;
use crate::model::allocation::allocate;
use crate::model::extent_map::{ExtentMap, ExtentRange};
use crate::model::parts::pool_metadata_spare;
use crate::model::vg::{Lv, Pv, Vg};
use crate::units::Extents;

/// Extents that LVM has to find.
pub(super) struct Room<'a> {
    pub vg: &'a Vg,
    pub needed: Extents,
    /// Copies that have to lie on PVs of their own: how many, and how many extents each takes.
    pub mirrored: Vec<(u32, Extents)>,
    /// Whether the spare for pool metadata is taken by now.
    pub spare_is_taken: bool,
    /// The extents that LVs take which are brought back.
    recovered: Vec<(PvUuid, ExtentRange)>,
    /// Those, and the ones that were chosen by now.
    chosen: Vec<(PvUuid, ExtentRange)>,
}

impl<'a> Room<'a> {
    /// The VG as it is, but for what these changes bring back.
    pub fn of(vg: &'a Vg, changes: &[Change]) -> Self {
        let lost = changes.iter().filter_map(Change::recovered);
        let recovered: Vec<(PvUuid, ExtentRange)> =
            lost.flat_map(|lost| lost.claims.iter().flat_map(Claim::ranges)).collect();
        let (needed, mirrored, chosen) = (Extents::ZERO, Vec::new(), recovered.clone());
        Self { vg, needed, mirrored, spare_is_taken: false, recovered, chosen }
    }

    /// So many extents, and which; none where there are too few, which may be so before PVs are added.
    pub fn place(&mut self, needed: Extents) -> Vec<Claim> {
        self.take(needed);
        let pieces = allocate(self.vg, needed, &self.chosen).unwrap_or_default();
        self.chosen.extend(&pieces);
        Claim::in_order(&pieces)
    }

    /// The spare, where it is long enough and there is no other room left.
    pub fn spare_for(&mut self, needed: Extents) -> Option<&'a Lv> {
        let free: Extents = self.free().into_iter().sum();
        if self.needed.saturating_add(needed) <= free || self.spare_is_taken {
            return None;
        }
        let serves = |lv: &&Lv| lv.len() >= needed && lv.is_striped();
        let spare = pool_metadata_spare(self.vg).filter(serves)?;
        self.spare_is_taken = true;
        Some(spare)
    }

    pub fn take(&mut self, extents: Extents) {
        self.needed = self.needed.saturating_add(extents);
    }

    /// Copies on PVs of their own.
    pub fn take_mirrored(&mut self, copies: u32, each: Extents) {
        self.take(Extents::new(each.get().saturating_mul(u64::from(copies))));
        self.mirrored.push((copies, each));
    }

    /// Extents that nobody has, on each PV that LVM takes extents from.
    fn free(&self) -> Vec<Extents> {
        let map = ExtentMap::of(self.vg);
        let recovered = |pv: PvUuid| -> Extents {
            let on = self.recovered.iter().filter(|(on, _)| *on == pv);
            on.map(|(_, range)| range.len()).sum()
        };
        let free = |pv: &Pv| {
            let taken = map.allocated_on(pv.uuid).saturating_add(recovered(pv.uuid));
            pv.pe_count.saturating_sub(taken)
        };
        self.vg.pvs.iter().filter(|pv| pv.gives_extents()).map(free).collect()
    }

    pub fn refusal(&self, context: &Context<'_>) -> Option<Refusal> {
        // How many a new PV will have only LVM knows.
        if !context.goals.extend_with.is_empty() {
            return None;
        }
        let by_pv = self.free();
        let free: Extents = by_pv.iter().copied().sum();
        let shown = |extents: Extents| extents.bytes_shown(self.vg.extent_size);
        let lacks_pvs = |(copies, each): &&(u32, Extents)| {
            let serve = by_pv.iter().filter(|free| *free >= each).count();
            u32::try_from(serve).is_ok_and(|serve| serve < *copies)
        };
        let why = if self.needed > free {
            format!("{} are needed, {} are free", shown(self.needed), shown(free))
        } else {
            let (copies, each) = self.mirrored.iter().find(lacks_pvs)?;
            format!("{} are needed on each of {copies} PVs, as of the old metadata", shown(*each))
        };
        let object = format!("VG {}", self.vg.name);
        Some(Refusal::new(RefusalCode::NoRoom, object, why).with_help(
            "add a disk with `volume_group: {extend_with: [DEVICE]}`, or make room; a file is no \
             place for a PV of this VG. `method: rebuild` packs metadata anew, into the spare \
             where that is large enough",
        ))
    }
}
