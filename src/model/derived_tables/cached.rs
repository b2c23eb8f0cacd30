//! Caches.

use crate::ids::LvName;
use crate::model::derived_tables::targets::Target;
use crate::model::derived_tables::{DerivedDevice, DerivedTable, Deriving};
use crate::model::parts::Role;
use crate::model::segment::{CacheHalves, CacheSettings, SegmentKind, WritecacheSettings};
use crate::model::table::{TableLine, Word};
use crate::model::vg::Lv;
use crate::units::Sectors;

/// The kernel's own; LVM2 raises it to eight blocks, and does not name it where it is this.
const MIGRATION_THRESHOLD: u64 = 2048;

impl Deriving<'_> {
    /// # Source
    /// LVM2 `device_mapper/libdm-deptree.c`, `_cache_emit_segment_line`.
    pub(super) fn cache(
        &self,
        pool: &LvName,
        origin: &LvName,
        halves: Option<&CacheHalves>,
    ) -> Option<Target> {
        let (pool, origin) = (self.vg.lv(pool)?, self.vg.lv(origin)?);
        let (metadata, data, settings) = if let Some(halves) = halves {
            (self.layer(pool, "cmeta"), self.layer(pool, "cdata"), &halves.settings)
        } else {
            let kind = pool.segments.first().map(|segment| &segment.kind)?;
            let SegmentKind::CachePool { data, metadata, settings } = kind else { return None };
            let (data, metadata) = (self.vg.lv(data)?, self.vg.lv(metadata)?);
            (self.layer(metadata, "cmeta"), self.layer(data, "cdata"), settings.as_ref()?)
        };
        let CacheSettings { chunk_size, mode, policy, policy_settings, metadata_format } = settings;
        let mut features = vec![Word::text(mode.text())];
        match metadata_format {
            1 => {}
            2 => features.insert(0, Word::text("metadata2")),
            _ => return None,
        }
        let mut args: Vec<Word> =
            [metadata, data, self.layer(origin, "real")].into_iter().map(Word::Layer).collect();
        args.push(Word::number(chunk_size.get()));
        args.push(Word::number(u64::try_from(features.len()).ok()?));
        args.append(&mut features);
        args.push(Word::text(policy));
        let mut told = policy_settings.clone();
        let threshold = told.remove("migration_threshold").unwrap_or(MIGRATION_THRESHOLD);
        let threshold = threshold.max(chunk_size.get().checked_mul(8)?);
        if threshold != MIGRATION_THRESHOLD {
            told.insert("migration_threshold".to_owned(), threshold);
        }
        args.push(Word::number(u64::try_from(told.len().checked_mul(2)?).ok()?));
        for (key, value) in told {
            args.extend([Word::Text(key), Word::number(value)]);
        }
        Some(Target::whole("cache", args))
    }

    /// Compared, never loaded: whether the fast device is persistent memory stands nowhere.
    ///
    /// # Source
    /// LVM2 `device_mapper/libdm-deptree.c`, `_writecache_emit_segment_line`.
    pub(super) fn writecache(
        &self,
        fast: &LvName,
        origin: &LvName,
        settings: &WritecacheSettings,
    ) -> Option<Target> {
        let WritecacheSettings { block_size, options } = settings;
        let (fast, origin) = (self.vg.lv(fast)?, self.vg.lv(origin)?);
        let mut args = vec![
            Word::text("s"),
            Word::Layer(self.layer(origin, "real")),
            Word::Layer(self.layer(fast, "cvol")),
            Word::number(*block_size),
            Word::number(u64::try_from(options.len().checked_mul(2)?).ok()?),
        ];
        for (key, value) in options {
            args.extend([Word::text(key), Word::number(*value)]);
        }
        Some(Target { name: "writecache", args, is_whole: false })
    }

    /// A cache pool has no device of its own; none when the LV is no such.
    #[expect(clippy::option_option, reason = "no such LV, and devices that cannot be told")]
    pub(super) fn of_cache_pool(&self, lv: &Lv) -> Option<Option<Vec<DerivedDevice>>> {
        let [segment] = lv.segments.as_slice() else { return None };
        let SegmentKind::CachePool { .. } = segment.kind else { return None };
        // One that nobody uses can be active by its parts.
        let is_used = self.roles.is(&lv.name, Role::CachePool);
        Some(is_used.then(Vec::new))
    }

    /// The fast LV of a cache without a pool: itself, and a window on each half.
    pub(super) fn cachevol(
        &self,
        lv: &Lv,
        own: Option<DerivedTable>,
    ) -> Option<Vec<DerivedDevice>> {
        let (user, _) = self.roles.users(&lv.name).first()?;
        let SegmentKind::Cache { halves, .. } = &user.segments.first()?.kind else { return None };
        let halves = halves.as_ref()?;
        let window = |suffix: &str, (start, len): (Sectors, Sectors)| {
            let args = vec![Word::Layer(self.layer(lv, "cvol")), Word::number(start.get())];
            let line = TableLine { start: Sectors::ZERO, len, target: "linear".to_owned(), args };
            let mut device = self.device(lv, suffix, Some(vec![line].into()));
            device.name = format!("{}-{suffix}", device.name);
            device
        };
        Some(vec![
            self.device(lv, "cvol", own),
            window("cmeta", halves.metadata),
            window("cdata", halves.data),
        ])
    }
}
