//! Device-mapper devices as the kernel has them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ForeignText, LvName, LvUuid, VgName, VgUuid};
use crate::units::Sectors;

/// Major and minor number of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DevNumber {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

impl DevNumber {
    /// As text from the world.
    pub fn shown(self) -> ForeignText {
        self.to_string().into()
    }

    /// A number that no device has: of one that is predicted, whose number the kernel will choose.
    pub const fn predicted(index: u32) -> Self {
        Self { major: 0, minor: index }
    }

    /// Whether the kernel has still to choose it.
    pub const fn is_predicted(self) -> bool {
        self.major == 0
    }

    /// Reads `major:minor`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for DevNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// A device-mapper device.
#[expect(clippy::struct_excessive_bools, reason = "the kernel has a flag for each")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedDevice {
    /// Its name, as `dmsetup` prints it.
    pub name: ForeignText,
    /// Its UUID, as `dmsetup` prints it; empty when it has none.
    pub uuid: ForeignText,
    /// What its UUID says of LVM, when it is one of LVM's.
    pub layer: Option<LvmLayer>,
    /// Its number.
    pub number: DevNumber,
    /// How often it is open, devices upon it included.
    pub open_count: u32,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Whether it is read-only.
    pub read_only: bool,
    /// Its live table.
    pub live: Vec<TargetLine>,
    /// The table that waits in the inactive slot; empty when none does.
    pub inactive: Vec<TargetLine>,
    /// Whether the inactive slot is taken; an empty table can wait there too.
    pub has_inactive: bool,
    /// Whether `/dev/mapper` has its node, under its name and with its number.
    pub has_node: bool,
    /// What each live target says of itself; same order as [`MappedDevice::live`].
    pub status: Vec<ForeignText>,
}

/// What the UUID of a device-mapper device says of LVM: `LVM-`, VG, LV, and a suffix for layers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LvmLayer {
    /// The VG.
    pub vg: VgUuid,
    /// The LV.
    pub lv: LvUuid,
    /// The layer: `real`, `cow`, `tpool`, `tmeta` …; empty for the LV itself.
    pub suffix: String,
}

impl LvmLayer {
    /// Reads the UUID of a device-mapper device.
    ///
    /// # Source
    /// LVM2 `lib/activate/dev_manager.c`, `build_dm_uuid`.
    pub fn parse(uuid: &str) -> Option<Self> {
        let rest = uuid.strip_prefix("LVM-")?;
        let (ids, suffix) = match rest.split_once('-') {
            Some((ids, suffix)) => (ids, suffix),
            None => (rest, ""),
        };
        let (vg, lv) = ids.split_at_checked(32)?;
        let (vg, lv) = (vg.parse().ok()?, lv.parse().ok()?);
        Some(Self { vg, lv, suffix: suffix.to_owned() })
    }
}

impl fmt::Display for LvmLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |uuid: &dyn fmt::Display| uuid.to_string().replace('-', "");
        write!(f, "LVM-{}{}", bare(&self.vg), bare(&self.lv))?;
        if self.suffix.is_empty() { Ok(()) } else { write!(f, "-{}", self.suffix) }
    }
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetLine {
    /// First sector.
    pub start: Sectors,
    /// How many sectors.
    pub len: Sectors,
    /// The target: `linear`, `thin-pool` …
    pub target: String,
    /// Its arguments, device numbers as `major:minor`.
    pub args: ForeignText,
}

impl TargetLine {
    /// The devices its arguments name, also behind the name of an option and a colon.
    pub fn devices(&self) -> Vec<DevNumber> {
        let words = self.args.raw().split_whitespace();
        let number = |word| DevNumber::parse(word).or_else(|| Some(device_of_option(word)?.1));
        words.filter_map(number).collect()
    }
}

/// A word such as `meta_device:253:1`: the option, and the device.
pub fn device_of_option(word: &str) -> Option<(&str, DevNumber)> {
    let (name, number) = word.split_once(':')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic());
    Some((name, DevNumber::parse(number).filter(|_| is_name)?))
}

impl fmt::Display for TargetLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.start.get(), self.len.get(), self.target, self.args)
    }
}

/// The name that LVM gives the device of an LV: hyphens in names are doubled.
pub fn lvm_device_name(vg: &VgName, lv: &LvName) -> String {
    let doubled = |name: &str| name.replace('-', "--");
    format!("{}-{}", doubled(vg.as_str()), doubled(lv.as_str()))
}

impl MappedDevice {
    /// The device of an LV that is about to be activated. What the kernel chooses is left open: its
    /// number, and what it lies on.
    pub fn predicted(vg: &VgName, lv: &LvName, layer: LvmLayer, size: Sectors, index: u32) -> Self {
        Self {
            name: lvm_device_name(vg, lv).into(),
            uuid: layer.to_string().into(),
            number: DevNumber::predicted(index),
            open_count: 0,
            suspended: false,
            read_only: false,
            live: vec![TargetLine {
                start: Sectors::ZERO,
                len: size,
                target: "any".to_owned(),
                args: ForeignText::default(),
            }],
            inactive: Vec::new(),
            has_inactive: false,
            has_node: true,
            status: Vec::new(),
            layer: Some(layer),
        }
    }

    /// Where its node is.
    pub fn path(&self) -> String {
        format!("/dev/mapper/{}", self.name.raw())
    }

    /// Every device its live table lies upon.
    pub fn lies_on(&self) -> Vec<DevNumber> {
        let mut numbers: Vec<DevNumber> = self.live.iter().flat_map(TargetLine::devices).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_of_layers() {
        let ids = "MugB02kCDlSmrps1gPYPgihLe57KmJPIyLMfFb9yOkvf1NFTmz5NiLF5lxNNmkuN";
        let plain = LvmLayer::parse(&format!("LVM-{ids}")).unwrap();
        assert_eq!(plain.vg.to_string(), "MugB02-kCDl-Smrp-s1gP-YPgi-hLe5-7KmJPI");
        assert_eq!(plain.suffix, "");
        assert_eq!(plain.to_string(), format!("LVM-{ids}"));
        let pool = LvmLayer::parse(&format!("LVM-{ids}-tpool")).unwrap();
        assert_eq!(pool.to_string(), format!("LVM-{ids}-tpool"));
        assert_eq!((pool.lv, pool.suffix.as_str()), (plain.lv, "tpool"));
        for foreign in ["", "LVM-", "CRYPT-x", "mpath-360", &format!("part1-LVM-{ids}"), "LVM-äöü"]
        {
            assert_eq!(LvmLayer::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn names_of_devices() {
        let name = lvm_device_name(&"a-b".parse().unwrap(), &"c--d".parse().unwrap());
        assert_eq!(name, "a--b-c----d");
    }

    #[test]
    fn devices_named_by_arguments() {
        let line = |args: &str| TargetLine {
            start: Sectors::ZERO,
            len: Sectors::new(8),
            target: "linear".to_owned(),
            args: args.into(),
        };
        assert_eq!(line("8:16 2048").devices(), [DevNumber { major: 8, minor: 16 }]);
        assert_eq!(line("3 0 region_size 4096 2 - - 253:1 253:2").devices().len(), 2);
        assert!(line("meta_device:x").devices().is_empty());
        let behind = line("253:2 0 4 J 2 meta_device:253:1 internal_hash:crc32c").devices();
        assert_eq!(behind.iter().map(|number| number.minor).collect::<Vec<_>>(), [2, 1]);
        assert!(line("1:2:3").devices().is_empty());
    }
}
