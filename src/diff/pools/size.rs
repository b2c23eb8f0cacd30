//! How large metadata and data of a pool have to be.

use crate::diff::pools::{LargerPool, Subject};
use crate::diff::{Refusal, RefusalCode};
use crate::model::thin_pool::{METADATA_BLOCK, METADATA_MAX, SpaceUsed};
use crate::model::vg::Lv;
use crate::plan::document::{PoolData, PoolMetadata};
use crate::units::{Bytes, Extents};

/// Where usage is brought when the plan does not say.
pub(super) const USED_PERCENT: u8 = 80;

/// With the flag `needs_check`, a pool that is so full was flagged for that.
const NEARLY_FULL: u8 = 90;

impl Subject<'_> {
    /// How long the metadata has to be, when it is too short, and why.
    pub(super) fn metadata_size(
        &self,
        wanted: &PoolMetadata,
        used: Option<SpaceUsed>,
    ) -> Result<Option<(Extents, String)>, Refusal> {
        // After a commit that failed for lack of room the last one that did not is what stands.
        let nearly = if self.pool.needs_check() { NEARLY_FULL } else { 100 };
        let is_full = used.is_some_and(|used| used.percent() >= nearly);
        let percent = wanted.max_used_percent.or(is_full.then_some(USED_PERCENT));
        let used = used.map(|used| used.allocated.saturating_mul(METADATA_BLOCK.get()));
        let size = Size { min: wanted.min_size, percent, used: used.map(Bytes::new) };
        let what = "metadata";
        let aim = self.aim(&size, self.pool.metadata, what);
        if aim.as_ref().is_some_and(|(size, _)| {
            size.bytes_shown(self.vg().extent_size) > METADATA_MAX.saturating_add(self.extent())
        }) {
            let why = format!(
                "its metadata would have to be larger than {METADATA_MAX}, which the kernel does not use"
            );
            return Err(self
                .refuse(RefusalCode::NoRoom, why)
                .with_help("make the pool's data in larger chunks, or several pools"));
        }
        Ok(aim)
    }

    pub(super) fn extent(&self) -> Bytes {
        Extents::new(1).bytes_shown(self.vg().extent_size)
    }

    pub(super) fn data(&self, wanted: &PoolData, larger: &mut LargerPool) -> Result<(), Refusal> {
        let block = self.pool.chunk_size.bytes().unwrap_or(Bytes::ZERO);
        let used = self.pool.data_used().map(|used| used.allocated.saturating_mul(block.get()));
        let size = Size {
            min: wanted.min_size,
            percent: wanted.max_used_percent,
            used: used.map(Bytes::new),
        };
        if size.percent.is_some() && size.used.is_none() {
            return Err(
                self.refuse(RefusalCode::Unfit, "how much of its data is used is not known")
            );
        }
        if let Some((size, why)) = self.aim(&size, self.pool.data, "data") {
            larger.data = Some(size);
            larger.why.push(why);
        }
        Ok(())
    }

    fn aim(&self, size: &Size, lv: &Lv, what: &str) -> Option<(Extents, String)> {
        let aim = size.aim()?;
        let extent = self.extent();
        let extents = Extents::new(aim.get().div_ceil(extent.get().max(1)));
        if extents <= lv.len() {
            return None;
        }
        let now = lv.len().bytes_shown(self.vg().extent_size);
        let used = size.used.map(|used| format!(", {used} of it are used")).unwrap_or_default();
        let to = extents.bytes_shown(self.vg().extent_size);
        Some((extents, format!("its {what} is {now} large{used}; it becomes {to}")))
    }
}

/// What decides how large something has to be.
pub(super) struct Size {
    pub min: Option<Bytes>,
    pub percent: Option<u8>,
    pub used: Option<Bytes>,
}

impl Size {
    pub fn aim(&self) -> Option<Bytes> {
        let by_percent = self.percent.zip(self.used).map(|(percent, used)| {
            let bytes = u128::from(used.get()) * 100;
            let bytes = bytes.div_ceil(u128::from(percent.max(1)));
            Bytes::new(u64::try_from(bytes).unwrap_or(u64::MAX))
        });
        self.min.max(by_percent)
    }
}
