//! Live tables read the way derived ones are written, and what of the two counts.
//!
//! The kernel says more in a table than it was told, and LVM2 tells it things that stand in no text:
//! whether a mirror is in sync, when an event is due. None of that decides where data goes.

use std::collections::BTreeMap;

use crate::ids::PvUuid;
use crate::model::derived_tables::DerivedTable;
use crate::model::inventory::Inventory;
use crate::model::live::{DevNumber, Live, LvmLayer, MappedDevice, TargetLine, device_of_option};
use crate::model::table::{TableLine, Word};
use crate::model::vg::Vg;

/// What the numbers in live tables stand for.
#[derive(Debug)]
pub struct Numbers<'i> {
    live: &'i Live,
    pvs: BTreeMap<DevNumber, PvUuid>,
}

impl<'i> Numbers<'i> {
    /// The PVs of this VG, and every device of an LV.
    pub fn of(inventory: &'i Inventory, live: &'i Live, vg: &Vg) -> Self {
        let mut pvs = BTreeMap::new();
        for pv in &vg.pvs {
            let numbers = inventory.devices_of(pv.uuid).into_iter().filter_map(|d| d.number);
            pvs.extend(numbers.map(|number| (number, pv.uuid)));
        }
        Self { live, pvs }
    }

    /// What this number is, where it is known.
    pub fn word(&self, number: DevNumber) -> Option<Word> {
        if let Some(pv) = self.pvs.get(&number) {
            return Some(Word::Pv(*pv));
        }
        self.layer(number).map(Word::Layer)
    }

    fn layer(&self, number: DevNumber) -> Option<LvmLayer> {
        self.live.mapped_by_number(number).and_then(|mapped| mapped.layer.clone())
    }

    /// A line of a table.
    pub fn line(&self, line: &TargetLine) -> TableLine {
        let words = line.args.raw().split_whitespace();
        let word = |word: &str| {
            let known = DevNumber::parse(word).and_then(|number| self.word(number));
            let option = || {
                let (name, number) = device_of_option(word)?;
                Some(Word::Option(name.to_owned(), self.layer(number)?))
            };
            known.or_else(option).unwrap_or_else(|| Word::text(word))
        };
        TableLine {
            start: line.start,
            len: line.len,
            target: line.target.clone(),
            args: words.map(word).collect(),
        }
    }

    /// The live table of a device.
    pub fn live(&self, mapped: &MappedDevice) -> Vec<TableLine> {
        mapped.live.iter().map(|line| self.line(line)).collect()
    }

    /// The table that waits in its inactive slot.
    pub fn waiting(&self, mapped: &MappedDevice) -> Vec<TableLine> {
        mapped.inactive.iter().map(|line| self.line(line)).collect()
    }
}

/// Whether a table is what the metadata says.
pub fn is_as_derived(found: &[TableLine], derived: &DerivedTable) -> bool {
    alike(found, &derived.lines) || derived.or.as_ref().is_some_and(|or| alike(found, or))
}

/// Whether two tables say the same where it counts.
pub fn alike(one: &[TableLine], other: &[TableLine]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| essence(a) == essence(b))
}

/// A line without what does not count, in one order.
pub fn essence(line: &TableLine) -> TableLine {
    let args = match line.target.as_str() {
        "mirror" => mirror(&line.args),
        "raid" => raid(&line.args),
        "thin-pool" => thin_pool(&line.args),
        "cache" => cache(&line.args),
        "writecache" => writecache(&line.args),
        "integrity" => integrity(&line.args),
        _ => None,
    };
    // LVM2 can be told to load the one for the other.
    if let ("striped", [count, _, place @ ..]) = (line.target.as_str(), line.args.as_slice())
        && is(count, "1")
    {
        return TableLine { target: "linear".to_owned(), args: place.to_vec(), ..line.clone() };
    }
    TableLine { args: args.unwrap_or_else(|| line.args.clone()), ..line.clone() }
}

fn count(word: &Word) -> Option<usize> {
    let Word::Text(text) = word else { return None };
    text.parse().ok()
}

fn counted(len: usize) -> Word {
    Word::Text(len.to_string())
}

/// Splits a counted list that begins here off what follows.
fn list(args: &[Word]) -> Option<(&[Word], &[Word])> {
    let (len, rest) = args.split_first()?;
    rest.split_at_checked(count(len)?)
}

fn is(word: &Word, text: &str) -> bool {
    matches!(word, Word::Text(found) if found == text)
}

/// The log's kind, and what it is told: without whether it has to be synchronised.
fn mirror(args: &[Word]) -> Option<Vec<Word>> {
    let (kind, rest) = args.split_first()?;
    let (log, rest) = list(rest)?;
    let log: Vec<Word> =
        log.iter().filter(|w| !is(w, "nosync") && !is(w, "sync")).cloned().collect();
    let mut kept = vec![kind.clone(), counted(log.len())];
    kept.extend(log);
    kept.extend_from_slice(rest);
    Some(kept)
}

/// Without what is being synchronised; what it is told in one order.
fn raid(args: &[Word]) -> Option<Vec<Word>> {
    let (level, rest) = args.split_first()?;
    let (params, rest) = list(rest)?;
    let (chunk, params) = params.split_first()?;
    let mut words = params.iter();
    let mut told: Vec<[Word; 2]> = Vec::new();
    while let Some(key) = words.next() {
        if is(key, "sync") || is(key, "nosync") {
            continue;
        }
        let value = words.next()?;
        let is_near = is(key, "raid10_format") && is(value, "near");
        // How far writes may be behind the kernel reports only while it has a bitmap to go by.
        let is_set_aside = is(key, "rebuild") || is(key, "max_write_behind");
        if !is_set_aside && !is_near {
            told.push([key.clone(), value.clone()]);
        }
    }
    told.sort();
    let mut kept = vec![level.clone(), chunk.clone()];
    kept.extend(told.into_iter().flatten());
    kept.extend_from_slice(rest);
    Some(kept)
}

/// Without the number of blocks at which it speaks up; features in one order.
fn thin_pool(args: &[Word]) -> Option<Vec<Word>> {
    let [metadata, data, chunk, _, rest @ ..] = args else { return None };
    let (features, rest) = list(rest)?;
    let mut features = features.to_vec();
    features.sort();
    let mut kept = vec![metadata.clone(), data.clone(), chunk.clone()];
    kept.extend(features);
    kept.extend_from_slice(rest);
    Some(kept)
}

/// Features, and what the policy is told, in one order.
fn cache(args: &[Word]) -> Option<Vec<Word>> {
    let (devices, rest) = args.split_at_checked(4)?;
    let (features, rest) = list(rest)?;
    let (policy, rest) = rest.split_first()?;
    let (settings, _) = list(rest)?;
    let mut features = features.to_vec();
    features.sort();
    // How much may be moved at a time LVM2 works out from the size of a block.
    let counts = |pair: &&[Word]| !pair.first().is_some_and(|key| is(key, "migration_threshold"));
    let mut settings: Vec<&[Word]> = settings.chunks(2).filter(counts).collect();
    settings.sort();
    let mut kept = devices.to_vec();
    kept.extend(features);
    // The kernel knows one policy by both names; LVM2 loads caches with a cachevol by the old one.
    kept.push(if is(policy, "mq") { Word::text("smq") } else { policy.clone() });
    kept.extend(settings.into_iter().flatten().cloned());
    Some(kept)
}

/// Without the kind of the fast device; what it is told in one order.
fn writecache(args: &[Word]) -> Option<Vec<Word>> {
    let [_, origin, fast, block, rest @ ..] = args else { return None };
    let (options, _) = list(rest)?;
    let mut options: Vec<&[Word]> = options.chunks(2).collect();
    options.sort();
    let mut kept = vec![origin.clone(), fast.clone(), block.clone()];
    kept.extend(options.into_iter().flatten().cloned());
    Some(kept)
}

/// What decides where checksums are and how they are made; not how the journal is laid out.
fn integrity(args: &[Word]) -> Option<Vec<Word>> {
    let (head, rest) = args.split_at_checked(4)?;
    let (options, _) = list(rest)?;
    let decides = |word: &&Word| match word {
        Word::Option(name, _) => name == "meta_device",
        Word::Text(text) => text.starts_with("internal_hash:"),
        Word::Pv(_) | Word::Layer(_) => false,
    };
    Some(head.iter().chain(options.iter().filter(decides)).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Sectors;

    fn table(target: &str, args: &str) -> Vec<TableLine> {
        let args = args.split_whitespace().map(Word::text).collect();
        let (start, len) = (Sectors::ZERO, Sectors::new(16384));
        vec![TableLine { start, len, target: target.to_owned(), args }]
    }

    #[test]
    fn what_counts() {
        for (target, one, other, expected) in [
            ("linear", "8:0 2048", "8:0 2048", true),
            ("linear", "8:0 2048", "8:0 4096", false),
            ("mirror", "core 1 4096 2 a 0 b 0 1 h", "core 2 4096 nosync 2 a 0 b 0 1 h", true),
            ("mirror", "core 1 4096 2 a 0 b 0 1 h", "core 1 8192 2 a 0 b 0 1 h", false),
            ("mirror", "disk 2 l 4096 1 a 0 1 h", "disk 2 k 4096 1 a 0 1 h", false),
            (
                "raid",
                "raid1 3 0 region_size 1 2 a b",
                "raid1 6 0 sync rebuild 1 region_size 1 2 a b",
                true,
            ),
            ("raid", "raid1 3 0 region_size 1 2 a b", "raid1 3 0 region_size 1 2 a c", false),
            (
                "raid",
                "raid10 5 8 region_size 1 raid10_copies 2 2 a b",
                "raid10 7 8 raid10_copies 2 region_size 1 raid10_format near 2 a b",
                true,
            ),
            ("raid", "raid1 3 0 region_size 1 2 a b", "raid1 1 0 2 a b", false),
            ("thin-pool", "m d 128 0 1 a", "m d 128 77 1 a", true),
            ("thin-pool", "m d 128 0 2 a b", "m d 128 0 2 b a", true),
            ("thin-pool", "m d 128 0 2 a b", "m d 128 0 1 a", false),
            ("cache", "m d o 64 2 x y smq 2 k 1", "m d o 64 2 y x smq 2 k 1", true),
            ("cache", "m d o 64 2 x y smq 2 k 1", "m d o 64 2 x y smq 2 k 2", false),
            ("cache", "m d o 64 1 x smq 0", "m d o 64 1 x mq 0", true),
            ("cache", "m d o 64 1 x smq 0", "m d o 64 1 x cleaner 0", false),
            ("cache", "m d o 64 1 x smq 0", "m d o 64 1 x smq 2 migration_threshold 9", true),
            ("writecache", "s o f 4096 0", "p o f 4096 0", true),
            ("writecache", "s o f 4096 0", "s o f 512 0", false),
            ("integrity", "o 0 4 J 1 internal_hash:x", "o 0 4 J 2 y:1 internal_hash:x", true),
            ("integrity", "o 0 4 J 1 internal_hash:x", "o 0 4 B 1 internal_hash:x", false),
            // What cannot be taken apart is compared as it is.
            ("raid", "raid1 9 0", "raid1 9 0", true),
            ("raid", "raid1 9 0", "raid1 9 1", false),
        ] {
            assert_eq!(
                alike(&table(target, one), &table(target, other)),
                expected,
                "{target}: {one} and {other}"
            );
        }
    }
}
