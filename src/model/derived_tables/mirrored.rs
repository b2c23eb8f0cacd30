//! Mirrors, RAID, and the layer of checksums below RAID images.

use crate::ids::LvName;
use crate::model::derived_tables::Deriving;
use crate::model::derived_tables::targets::Target;
use crate::model::flags::LvStatus;
use crate::model::segment::{Area, IntegritySettings, RaidLeg, RaidLevel, RaidSettings};
use crate::model::table::Word;
use crate::model::vg::Lv;
use crate::units::{Extents, Sectors};

impl Deriving<'_> {
    /// # Source
    /// LVM2 `lib/mirror/mirrored.c`, `_mirrored_add_target_line`.
    pub(super) fn mirror(
        &self,
        lv: &Lv,
        log: Option<&LvName>,
        region_size: Sectors,
        images: &[Area],
    ) -> Option<Target> {
        // A pvmove copies segment after segment; its table follows what it has done so far.
        if lv.status.has(LvStatus::Pvmove) || lv.status.has(LvStatus::Locked) {
            return None;
        }
        let mut args = match log {
            Some(log) => vec![Word::text("disk"), Word::number(2), self.part(log)?],
            None => vec![Word::text("core"), Word::number(1)],
        };
        args.push(Word::number(region_size.get()));
        args.push(Word::number(u64::try_from(images.len()).ok()?));
        for image in images {
            let Area::Lv { lv, first: Extents::ZERO } = image else { return None };
            args.extend([self.part(lv)?, Word::number(0)]);
        }
        args.extend([Word::number(1), Word::text("handle_errors")]);
        Some(Target::whole("mirror", args))
    }

    /// # Source
    /// LVM2 `device_mapper/libdm-deptree.c`, `_raid_emit_segment_line`.
    pub(super) fn raid(
        &self,
        level: RaidLevel,
        stripe_size: Sectors,
        legs: &[RaidLeg],
        data_copies: Option<u64>,
        settings: &RaidSettings,
    ) -> Option<Target> {
        if settings.is_reshaping {
            return None;
        }
        let (name, is_plain) = match level {
            RaidLevel::Raid0 | RaidLevel::Raid0Meta => ("raid0", true),
            RaidLevel::Raid1 => ("raid1", false),
            RaidLevel::Raid4 => ("raid4", false),
            // What the kernel makes of these it does not say by that name.
            RaidLevel::Raid5("raid5") | RaidLevel::Raid6("raid6") => return None,
            RaidLevel::Raid5(name) | RaidLevel::Raid6(name) => (name, false),
            RaidLevel::Raid10("raid10") => ("raid10", false),
            RaidLevel::Raid10(_) => return None,
        };
        let mut params = vec![Word::number(stripe_size.get())];
        let mut tell = |key: &str, value: Option<u64>| {
            if let Some(value) = value {
                params.extend([Word::text(key), Word::number(value)]);
            }
        };
        tell("min_recovery_rate", settings.min_recovery_rate.filter(|rate| *rate != 0));
        tell("max_recovery_rate", settings.max_recovery_rate.filter(|rate| *rate != 0));
        for (index, leg) in legs.iter().enumerate() {
            let image = self.vg.lv(&leg.image)?;
            if image.status.has(LvStatus::WriteMostly) {
                tell("write_mostly", u64::try_from(index).ok());
            }
        }
        tell("max_write_behind", settings.write_behind.filter(|behind| *behind != 0));
        if !is_plain {
            tell("region_size", Some(settings.region_size.filter(|size| !size.is_zero())?.get()));
        }
        if name == "raid10" {
            tell("raid10_copies", Some(data_copies.unwrap_or(2)));
        }
        let mut args = vec![Word::text(name), Word::number(u64::try_from(params.len()).ok()?)];
        args.append(&mut params);
        args.push(Word::number(u64::try_from(legs.len()).ok()?));
        for leg in legs {
            args.push(match &leg.meta {
                Some(meta) => self.part(meta)?,
                None => Word::text("-"),
            });
            args.push(self.part(&leg.image)?);
        }
        Some(Target::whole("raid", args))
    }

    /// Compared, never loaded: the kernel lays out the journal by what it is told, and a text does not
    /// say all of that.
    ///
    /// # Source
    /// LVM2 `device_mapper/libdm-deptree.c`, `_integrity_emit_segment_line`.
    pub(super) fn integrity(
        &self,
        origin: &LvName,
        metadata: &LvName,
        settings: &IntegritySettings,
    ) -> Option<Target> {
        let IntegritySettings { mode, tag_size, internal_hash } = settings;
        let (origin, metadata) = (self.vg.lv(origin)?, self.vg.lv(metadata)?);
        let args = vec![
            Word::Layer(self.layer(origin, "")),
            Word::number(0),
            Word::number((*tag_size)?),
            Word::Text(mode.clone()?),
            Word::number(2),
            Word::Option("meta_device".to_owned(), self.layer(metadata, "")),
            Word::Text(format!("internal_hash:{}", internal_hash.as_deref()?)),
        ];
        Some(Target { name: "integrity", args, is_whole: false })
    }

    /// A leg or a log. LVM maps something else where it is not whole, or is being rebuilt.
    fn part(&self, name: &LvName) -> Option<Word> {
        let lv = self.vg.lv(name)?;
        // One that people see was split off, and is tracked: the array does without it meanwhile.
        let is_apart = lv.has_visible() || lv.status.has(LvStatus::Rebuild);
        if is_apart || lv.status.has(LvStatus::Locked) {
            return None;
        }
        self.lines(lv)?;
        Some(Word::Layer(self.layer(lv, "")))
    }
}
