//! Thin pools, as the three that know of them tell: LVM's text, their metadata, and the kernel.

use std::collections::BTreeMap;

use crate::ids::{LvName, LvUuid, VgUuid};
use crate::model::inventory::Inventory;
use crate::model::live::{Live, PoolStatus};
use crate::model::segment::{SegmentKind, ThinMessage};
use crate::model::thin_pool::{PoolByText, PoolMetadata, SpaceUsed, ThinDevice};
use crate::model::vg::{Lv, Vg};
use crate::units::Sectors;

/// A thin pool.
#[derive(Clone, Copy, Debug)]
pub struct Pool<'a> {
    /// The VG, as LVM's text has it.
    pub vg: &'a Vg,
    /// The pool.
    pub lv: &'a Lv,
    /// The LV with its metadata.
    pub metadata: &'a Lv,
    /// The LV with its blocks.
    pub data: &'a Lv,
    /// The transaction id that LVM's text has.
    pub transaction_id: u64,
    /// Sectors per block.
    pub chunk_size: Sectors,
    /// What LVM has still to tell the kernel.
    pub messages: &'a [ThinMessage],
    /// What stands in its metadata; none while it is active, or where that cannot be reached.
    pub on_disk: Option<&'a PoolMetadata>,
    /// What the kernel says; none while it is not active.
    pub status: Option<PoolStatus>,
}

/// The pools of a VG, in the order of its text.
pub fn pools<'a>(inventory: &'a Inventory, vg: &'a Vg) -> Vec<Pool<'a>> {
    vg.lvs.iter().filter_map(|lv| pool(inventory, vg, lv)).collect()
}

/// The pool that this LV is.
pub fn pool<'a>(inventory: &'a Inventory, vg: &'a Vg, lv: &'a Lv) -> Option<Pool<'a>> {
    lv.segments.iter().find_map(|segment| {
        let SegmentKind::ThinPool { metadata, data, transaction_id, chunk_size, messages, .. } =
            &segment.kind
        else {
            return None;
        };
        let status = inventory.live.as_deref().and_then(|live| status_of(live, vg.uuid, lv.uuid));
        Some(Pool {
            vg,
            lv,
            metadata: vg.lv(metadata)?,
            data: vg.lv(data)?,
            transaction_id: *transaction_id,
            chunk_size: *chunk_size,
            messages,
            on_disk: inventory.pools.get(&(vg.uuid, lv.uuid)),
            status,
        })
    })
}

fn status_of(live: &Live, vg: VgUuid, pool: LvUuid) -> Option<PoolStatus> {
    let is_of = |layer: &crate::model::live::LvmLayer| layer.vg == vg && layer.lv == pool;
    let mut devices = live.mapped.iter().filter(|mapped| mapped.layer.as_ref().is_some_and(is_of));
    devices.find_map(PoolStatus::of)
}

/// How LVM's transaction id and that of the pool stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transactions {
    /// LVM takes them as they are.
    Agree,
    /// LVM refuses to activate the pool, or to change it.
    Differ {
        /// That of the pool.
        pool: u64,
        /// That of LVM's text.
        text: u64,
    },
}

impl<'a> Pool<'a> {
    /// The transaction id of the pool itself, where it is known.
    pub fn own_transaction_id(&self) -> Option<u64> {
        let counts = self.status.and_then(|status| status.counts);
        let on_disk = self.on_disk.and_then(PoolMetadata::superblock);
        counts
            .map(|counts| counts.transaction_id)
            .or_else(|| on_disk.map(|superblock| superblock.transaction_id))
    }

    /// How the two transaction ids stand to each other; none where that of the pool is not known.
    ///
    /// # Source
    /// LVM2 `libdm/libdm-deptree.c`, `_node_send_messages`: equal, or the pool one behind; an id of
    /// 0 in the text is not checked.
    pub fn transactions(&self) -> Option<Transactions> {
        self.own_transaction_id().map(|own| self.transactions_of(own))
    }

    /// How LVM's transaction id would stand to this one.
    pub fn transactions_of(&self, pool: u64) -> Transactions {
        let text = self.transaction_id;
        if text == 0 || pool == text || pool.checked_add(1) == Some(text) {
            Transactions::Agree
        } else {
            Transactions::Differ { pool, text }
        }
    }

    /// The blocks of its metadata, where they are counted, with those that the kernel holds back.
    pub fn metadata_used(&self) -> Option<SpaceUsed> {
        let counts = self.status.and_then(|status| status.counts);
        let on_disk = self.on_disk.and_then(PoolMetadata::superblock);
        let on_disk = on_disk.map(|found| found.metadata.with_reserve());
        counts.map(|counts| counts.metadata).or(on_disk)
    }

    /// How many blocks of its metadata are in use, those not counted that the kernel holds back. When
    /// it says that all are in use, all are taken to be.
    pub fn metadata_allocated(&self) -> Option<u64> {
        let counts = self.status.and_then(|status| status.counts);
        let on_disk = self.on_disk.and_then(PoolMetadata::superblock);
        let by_kernel = counts.map(|counts| match counts.metadata {
            full if full.allocated >= full.blocks => full.blocks,
            used => used.without_reserve().allocated,
        });
        by_kernel.or_else(|| on_disk.map(|found| found.metadata.allocated))
    }

    /// The blocks of its data, where they are counted.
    pub fn data_used(&self) -> Option<SpaceUsed> {
        let counts = self.status.and_then(|status| status.counts);
        let on_disk = self.on_disk.and_then(PoolMetadata::superblock);
        counts.map(|counts| counts.data).or_else(|| on_disk.map(|found| found.data))
    }

    /// Whether it is not to be written before a check.
    pub fn needs_check(&self) -> bool {
        let on_disk = self.on_disk.and_then(PoolMetadata::superblock);
        self.status.is_some_and(|status| status.needs_check)
            || on_disk.is_some_and(|superblock| superblock.needs_check)
    }

    /// Its thin LVs by device number, in LVM's text.
    pub fn thin_lvs(&self) -> BTreeMap<u32, &'a LvName> {
        self.made_in().into_iter().map(|(id, (name, _))| (id, name)).collect()
    }

    /// Its thin LVs by device number, in LVM's text, each with the transaction in which it was made.
    pub fn made_in(&self) -> BTreeMap<u32, (&'a LvName, u64)> {
        let of_pool = |lv: &'a Lv| {
            lv.segments.iter().find_map(|segment| {
                let SegmentKind::Thin { pool, device_id, transaction_id, .. } = &segment.kind
                else {
                    return None;
                };
                (*pool == self.lv.name).then_some((*device_id, (&lv.name, *transaction_id)))
            })
        };
        self.vg.lvs.iter().filter_map(of_pool).collect()
    }

    /// Thin LVs of the text whose device the pool lacks; none where the devices are not known.
    pub fn lvs_without_device(&self) -> Option<Vec<(u32, &'a LvName)>> {
        Some(self.lvs_not_in(self.on_disk?.details.as_ref().ok()?))
    }

    /// Thin LVs of the text whose device is not among these, those left out that LVM has yet to tell
    /// the pool of.
    pub fn lvs_not_in(&self, devices: &BTreeMap<u32, ThinDevice>) -> Vec<(u32, &'a LvName)> {
        let is_to_come = |name: &LvName| self.messages.contains(&ThinMessage::Create(name.clone()));
        let all = self.thin_lvs().into_iter();
        all.filter(|(id, name)| !devices.contains_key(id) && !is_to_come(name)).collect()
    }

    /// The number of a device that is another one than LVM knows by it: it was made in another
    /// transaction.
    pub fn reused_number(&self, devices: &BTreeMap<u32, ThinDevice>) -> Option<u32> {
        let made_in = self.made_in();
        let other = devices.iter().find(|(id, found)| {
            made_in.get(id).is_some_and(|(_, transaction)| *transaction != found.transaction_id)
        });
        other.map(|(id, _)| *id)
    }

    /// What LVM's text says of it, for metadata that does not tell all itself.
    pub fn by_text(&self) -> PoolByText {
        let made_in = self.made_in().into_iter();
        let data = self.data.len().sectors(self.vg.extent_size).unwrap_or(Sectors::ZERO);
        PoolByText {
            transaction_id: self.transaction_id,
            data_block: self.chunk_size,
            data_blocks: data.get() / self.chunk_size.get().max(1),
            devices: made_in.map(|(id, (_, transaction))| (id, transaction)).collect(),
        }
    }

    /// Devices of the pool that no thin LV of the text has, those left out that LVM has yet to
    /// delete; none where the devices are not known.
    pub fn devices_without_lv(&self) -> Option<Vec<u32>> {
        let details = self.on_disk?.details.as_ref().ok()?;
        let known = self.thin_lvs();
        let is_to_go = |id: u32| self.messages.contains(&ThinMessage::Delete(id));
        Some(
            details
                .keys()
                .copied()
                .filter(|id| !known.contains_key(id) && !is_to_go(*id))
                .collect(),
        )
    }
}
