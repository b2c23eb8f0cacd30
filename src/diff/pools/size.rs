//! How large metadata and data of a pool have to be.

use crate::diff::pools::{LargerPool, Subject};
use crate::diff::{Refusal, RefusalCode};
use crate::model::thin_pool::{METADATA_BLOCK, METADATA_MAX, metadata_for};
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
    ) -> Result<Option<(Extents, String)>, Refusal> {
        let used = self.pool.metadata_used();
        // After a commit that failed for lack of room the last one that did not is what stands.
        let nearly = if self.pool.needs_check() { NEARLY_FULL } else { 100 };
        let is_full = used.is_some_and(|used| used.percent() >= nearly);
        let percent = wanted.max_used_percent.or(is_full.then_some(USED_PERCENT));
        let allocated = self.pool.metadata_allocated();
        let by_percent =
            percent.zip(allocated).map(|(percent, allocated)| metadata_for(allocated, percent));
        let size = wanted.min_size.max(by_percent);
        let used = used.map(|used| used.bytes(METADATA_BLOCK));
        let aim = self.aim(size, used, self.pool.metadata, "metadata");
        if let Some((size, _)) = &aim {
            self.refuse_beyond_max(*size)?;
        }
        Ok(aim)
    }

    /// What is longer the kernel does not use.
    pub(super) fn refuse_beyond_max(&self, size: Extents) -> Result<(), Refusal> {
        let extent_size = self.vg().extent_size;
        let last = Extents::new(1).bytes_shown(extent_size);
        if size.bytes_shown(extent_size) <= METADATA_MAX.saturating_add(last) {
            return Ok(());
        }
        let why = format!(
            "its metadata would have to be larger than {METADATA_MAX}, which the kernel does not use"
        );
        Err(self
            .refuse(RefusalCode::NoRoom, why)
            .with_help("a larger `max_used_percent`; or make the pool's data in larger chunks"))
    }

    pub(super) fn data(&self, wanted: &PoolData, larger: &mut LargerPool) -> Result<(), Refusal> {
        let used = self.pool.data_used().map(|used| used.bytes(self.block()));
        let by_percent = match (wanted.max_used_percent, used) {
            (Some(_), None) => {
                let why = "how much of its data is used is not known";
                return Err(self.refuse(RefusalCode::Unfit, why));
            }
            (Some(percent), Some(used)) => Some(used.of_percent(percent)),
            (None, _) => None,
        };
        let size = wanted.min_size.max(by_percent);
        if let Some((size, why)) = self.aim(size, used, self.pool.data, "data") {
            larger.data = Some(size);
            larger.why.push(why);
        }
        Ok(())
    }

    fn aim(
        &self,
        size: Option<Bytes>,
        used: Option<Bytes>,
        lv: &Lv,
        what: &str,
    ) -> Option<(Extents, String)> {
        let extents = size?.in_extents(self.vg().extent_size);
        if extents <= lv.len() {
            return None;
        }
        let now = lv.len().bytes_shown(self.vg().extent_size);
        let used = used.map(|used| format!(", {used} of it are used")).unwrap_or_default();
        let to = extents.bytes_shown(self.vg().extent_size);
        Some((extents, format!("its {what} is {now} large{used}; it becomes {to}")))
    }
}
