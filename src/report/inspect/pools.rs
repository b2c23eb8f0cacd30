//! Thin pools, as `lvmend inspect` shows them: what the pool says, beside what LVM says of it.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::extent_map::taken_by;
use crate::model::inventory::Inventory;
use crate::model::parts::pool_metadata_spare;
use crate::model::pools::{Pool, pools};
use crate::model::thin_pool::{METADATA_BLOCK, PoolMetadata, SpaceUsed};
use crate::model::vg::{Lv, Vg};
use crate::report::table::table;
use crate::units::Bytes;

/// A thin pool.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ThinPoolJson {
    /// Its name.
    name: String,
    /// Its UUID.
    uuid: String,
    /// `inactive`; active, what the kernel still does with it; `unknown` where its metadata cannot be
    /// reached; `damaged` where what is read of it at once cannot be right.
    state: String,
    /// Whether it is flagged `needs_check`.
    needs_check: bool,
    /// Its metadata, what the kernel holds back counted as used.
    metadata: PoolSpaceJson,
    /// Its data.
    data: PoolSpaceJson,
    /// The transaction id in its metadata, where that is known.
    transaction_id: Option<u64>,
    /// The one in LVM's text.
    lvm_transaction_id: u64,
    /// How many devices its metadata lists; not known while it is active.
    devices: Option<usize>,
    /// How many thin LVs LVM has in it.
    lvm_devices: usize,
}

/// Metadata or data of a pool.
#[derive(Debug, Serialize, JsonSchema)]
struct PoolSpaceJson {
    /// The size of the LV, in bytes.
    size: u64,
    /// In bytes, where it is known.
    used: Option<u64>,
    /// The same in whole percents, rounded down.
    used_percent: Option<u8>,
}

/// The spare for pool metadata.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PoolSpareJson {
    /// Its name.
    name: String,
    /// In bytes.
    size: u64,
    /// PVs it lies on, by UUID.
    on: Vec<String>,
}

/// The pools of a VG.
pub fn pools_json(inventory: &Inventory, vg: &Vg) -> Vec<ThinPoolJson> {
    pools(inventory, vg).iter().map(pool_json).collect()
}

fn pool_json(pool: &Pool<'_>) -> ThinPoolJson {
    let block = pool.chunk_size.bytes().unwrap_or(Bytes::ZERO);
    let damage = pool.on_disk.map(PoolMetadata::damage).unwrap_or_default();
    let state = match (pool.status, pool.on_disk) {
        (Some(status), _) => status.mode.shown(),
        (None, Some(_)) if damage.is_empty() => "inactive",
        (None, Some(_)) => "damaged",
        (None, None) => "unknown",
    };
    let details = pool.on_disk.and_then(|found| found.details.as_ref().ok());
    ThinPoolJson {
        name: pool.lv.name.to_string(),
        uuid: pool.lv.uuid.to_string(),
        state: state.to_owned(),
        needs_check: pool.needs_check(),
        metadata: space(pool.vg, pool.metadata, pool.metadata_used(), METADATA_BLOCK),
        data: space(pool.vg, pool.data, pool.data_used(), block),
        transaction_id: pool.own_transaction_id(),
        lvm_transaction_id: pool.transaction_id,
        devices: details.map(std::collections::BTreeMap::len),
        lvm_devices: pool.thin_lvs().len(),
    }
}

fn space(vg: &Vg, lv: &Lv, used: Option<SpaceUsed>, block: Bytes) -> PoolSpaceJson {
    PoolSpaceJson {
        size: lv.len().bytes_shown(vg.extent_size).get(),
        used: used.map(|used| used.bytes(block).get()),
        used_percent: used.map(SpaceUsed::percent),
    }
}

/// The spare of a VG.
pub fn spare_json(vg: &Vg) -> Option<PoolSpareJson> {
    let lv = pool_metadata_spare(vg)?;
    Some(PoolSpareJson {
        name: lv.name.to_string(),
        size: lv.len().bytes_shown(vg.extent_size).get(),
        on: taken_by(vg, std::iter::once(lv)).keys().map(ToString::to_string).collect(),
    })
}

/// For people. `place` says where a PV is.
pub fn pools_text(
    out: &mut String,
    pools: &[ThinPoolJson],
    spare: Option<&PoolSpareJson>,
    place: &dyn Fn(&String) -> String,
) {
    if pools.is_empty() {
        return;
    }
    let head = ["Thin pool", "Metadata", "Data", "Transaction", "Devices", "State"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(pools.iter().map(pool_row));
    out.push_str(&table(2, &rows));
    // Writing to a string cannot fail.
    let _ = match spare {
        Some(PoolSpareJson { name, size, on }) => {
            let on: Vec<String> = on.iter().map(place).collect();
            let size = Bytes::new(*size).lvm();
            writeln!(out, "  spare for pool metadata: {name}, {size}, on {}", on.join(" "))
        }
        None => writeln!(out, "  no spare for pool metadata"),
    };
}

fn pool_row(pool: &ThinPoolJson) -> Vec<String> {
    let space = |space: &PoolSpaceJson| {
        let size = Bytes::new(space.size).lvm();
        space.used_percent.map_or(format!("{size}"), |percent| format!("{size} {percent}%"))
    };
    let beside = |own: Option<String>, lvm: String| match own {
        Some(own) if own == lvm => own,
        Some(own) => format!("{own} (LVM {lvm})"),
        None => format!("? (LVM {lvm})"),
    };
    let flag = if pool.needs_check { ", needs_check" } else { "" };
    vec![
        pool.name.clone(),
        space(&pool.metadata),
        space(&pool.data),
        beside(pool.transaction_id.map(|id| id.to_string()), pool.lvm_transaction_id.to_string()),
        beside(pool.devices.map(|count| count.to_string()), pool.lvm_devices.to_string()),
        format!("{}{flag}", pool.state),
    ]
}
