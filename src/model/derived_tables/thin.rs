//! Thin pools and thin LVs.

use crate::ids::LvName;
use crate::model::derived_tables::targets::Target;
use crate::model::derived_tables::{DerivedDevice, DerivedTable, Deriving};
use crate::model::flags::LvFlag;
use crate::model::segment::{Discards, SegmentKind};
use crate::model::table::Word;
use crate::model::vg::Lv;

impl Deriving<'_> {
    pub(super) fn thin(
        &self,
        pool: &LvName,
        device_id: u32,
        external_origin: Option<&LvName>,
    ) -> Option<Target> {
        let pool = Word::Layer(self.layer(self.vg.lv(pool)?, "tpool"));
        let mut args = vec![pool, Word::number(device_id.into())];
        if let Some(origin) = external_origin {
            args.push(Word::Layer(self.layer(self.vg.lv(origin)?, "real")));
        }
        Some(Target::whole("thin", args))
    }

    /// The devices of a thin pool; none when the LV is no such.
    ///
    /// # Source
    /// LVM2 `device_mapper/libdm-deptree.c`, `_thin_pool_emit_segment_line`.
    #[expect(clippy::option_option, reason = "no such LV, and devices that cannot be told")]
    pub(super) fn of_pool(&self, lv: &Lv) -> Option<Option<Vec<DerivedDevice>>> {
        let [segment] = lv.segments.as_slice() else { return None };
        let SegmentKind::ThinPool { metadata, data, chunk_size, zero_new_blocks, discards, .. } =
            &segment.kind
        else {
            return None;
        };
        let args = || {
            let (metadata, data) = (self.vg.lv(metadata)?, self.vg.lv(data)?);
            let mut features: Vec<&str> = Vec::new();
            if lv.flags.has(LvFlag::ErrorWhenFull) {
                features.push("error_if_no_space");
            }
            if !lv.is_writable() {
                features.push("read_only");
            }
            match discards {
                Discards::Passdown => {}
                Discards::NoPassdown => features.push("no_discard_passdown"),
                Discards::Ignore => features.push("ignore_discard"),
                Discards::Unknown => return None,
            }
            if !zero_new_blocks {
                features.push("skip_block_zeroing");
            }
            let mut args = vec![
                Word::Layer(self.layer(metadata, "tmeta")),
                Word::Layer(self.layer(data, "tdata")),
                Word::number(chunk_size.get()),
                Word::number(0),
                Word::number(u64::try_from(features.len()).ok()?),
            ];
            args.extend(features.into_iter().map(Word::text));
            Some(args)
        };
        let pool = args().and_then(|args| self.whole(lv, "thin-pool", args));
        let over = vec![Word::Layer(self.layer(lv, "tpool")), Word::number(0)];
        let top = self.whole(lv, "linear", over).map(DerivedTable::from);
        let pool = self.device(lv, "tpool", pool.map(DerivedTable::from));
        Some(Some(vec![pool, self.device(lv, "pool", top)]))
    }
}
