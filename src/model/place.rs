//! Where the content of a device lies, by tables: whether another table shows the same content.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::live::LvmLayer;
use crate::model::table::{TableLine, Word, size_of};
use crate::model::table_alike::essence;
use crate::model::table_goal::{StackDevice, Then};

/// The tables of all devices there are.
pub type Tables<'t> = BTreeMap<&'t LvmLayer, &'t [TableLine]>;

/// No stack is deeper.
const DEPTH_MAX: usize = 16;

/// Whether everything that `old` leads to shows in the same place through `new`: who writes through one
/// finds it through the other. What fails every access leads to nothing.
pub fn shows_the_same(
    (old, of): (&[TableLine], &Tables<'_>),
    (new, then): (&[TableLine], &Tables<'_>),
) -> bool {
    if old.iter().all(|line| line.target == "error") {
        return true;
    }
    let len = size_of(old).min(size_of(new));
    if len < size_of(old) {
        return false;
    }
    let (old, new) = (places((old, of), true, 0), places((new, then), false, 0));
    old.iter().any(|old| new.iter().any(|new| begins_as(new, old)))
}

/// A stretch: where it begins, how long it is, and what it is made of.
type Piece = (u64, u64, Vec<TableLine>);

/// Each way to read the content, as pieces that follow each other. What a mirror shows is on each leg; but
/// a new one may be read by any, and only shows the same where it was that very mirror before.
fn places(
    (table, tables): (&[TableLine], &Tables<'_>),
    by_legs: bool,
    depth: usize,
) -> BTreeSet<Vec<Piece>> {
    let mut ways = match table {
        [only] if depth < DEPTH_MAX => through(only, tables, by_legs, depth),
        _ => BTreeSet::new(),
    };
    // As it is.
    let piece = |line: &TableLine| {
        let (start, len) = (line.start.get(), line.len.get());
        (start, len, vec![TableLine { len: crate::units::Sectors::ZERO, ..essence(line) }])
    };
    ways.insert(table.iter().map(piece).collect());
    ways
}

/// What lies below a single line that shows the whole of it.
fn through(
    line: &TableLine,
    tables: &Tables<'_>,
    by_legs: bool,
    depth: usize,
) -> BTreeSet<Vec<Piece>> {
    let zero = |word: &Word| *word == Word::number(0);
    let shown: Vec<&LvmLayer> = match (line.target.as_str(), line.args.as_slice()) {
        ("linear", [Word::Layer(layer), at]) if zero(at) => vec![layer],
        ("snapshot-origin", [Word::Layer(real)]) => vec![real],
        ("mirror", args) if by_legs => {
            let pairs = args.windows(2).filter(|pair| pair.last().is_some_and(zero));
            let log = args.iter().take(3).find_map(Word::layer);
            pairs.filter_map(|pair| pair.first()?.layer()).filter(|leg| Some(*leg) != log).collect()
        }
        ("raid", [Word::Text(level), ..]) if by_legs && level == "raid1" => {
            line.layers().skip(1).step_by(2).collect()
        }
        _ => Vec::new(),
    };
    let below = shown.into_iter().filter_map(|layer| tables.get(layer));
    below.flat_map(|table| places((table, tables), by_legs, depth + 1)).collect()
}

/// A device whose content changes its place below a live target that keeps a state of what it wrote there:
/// it would write that over what stands at the new place.
pub fn moved_below_state(devices: &[StackDevice]) -> Option<(&StackDevice, &StackDevice)> {
    let (old, new) =
        (tables_of(devices, StackDevice::live), tables_of(devices, StackDevice::table_then));
    let is_moved = |device: &&StackDevice| {
        matches!(device.then, Then::Table { .. })
            && !shows_the_same((device.live(), &old), (device.table_then(), &new))
    };
    devices.iter().filter(is_moved).find_map(|moved| {
        let mut below = devices.iter().map(|over| (over, stateful_below(over, &old)));
        below.find(|(_, below)| below.contains(&moved.layer)).map(|(over, _)| (moved, over))
    })
}

/// The tables of devices, of which there is one of each layer.
pub fn tables_of(devices: &[StackDevice], of: fn(&StackDevice) -> &[TableLine]) -> Tables<'_> {
    devices.iter().map(|device| (&device.layer, of(device))).collect()
}

/// Everything below the targets of a device that keep a state.
fn stateful_below<'t>(device: &'t StackDevice, tables: &Tables<'t>) -> BTreeSet<&'t LvmLayer> {
    let mut next: Vec<&LvmLayer> = Vec::new();
    for line in device.live() {
        match line.target.as_str() {
            "thin-pool" | "cache" | "writecache" | "raid" | "mirror" | "integrity" | "era" => {
                next.extend(line.layers());
            }
            // Of an origin it keeps nothing.
            "snapshot" | "snapshot-merge" => next.extend(line.layers().nth(1)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    while let Some(layer) = next.pop() {
        if found.insert(layer) {
            let lines = tables.get(layer).copied().unwrap_or_default();
            next.extend(lines.iter().flat_map(TableLine::layers));
        }
    }
    found
}

/// Whether the pieces of the one are where those of the other begin.
fn begins_as(new: &[Piece], old: &[Piece]) -> bool {
    let Some((last, before)) = old.split_last() else { return true };
    let Some((begin, rest)) = new.split_at_checked(before.len()) else { return false };
    let goes_on = |piece: &Piece| (piece.0, &piece.2) == (last.0, &last.2) && piece.1 >= last.1;
    begin == before && rest.first().is_some_and(goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Sectors;

    fn layer(letter: char) -> LvmLayer {
        let uuid = format!("{letter}00000-0000-0000-0000-0000-0000-000000");
        LvmLayer { vg: uuid.parse().unwrap(), lv: uuid.parse().unwrap(), suffix: String::new() }
    }

    /// Words in capitals are devices of LVs.
    fn table(lines: &[&str]) -> Vec<TableLine> {
        let word = |word: &str| match word.chars().next() {
            Some(letter) if letter.is_ascii_uppercase() => Word::Layer(layer(letter)),
            _ => Word::text(word),
        };
        let line = |line: &&str| {
            let words: Vec<&str> = line.split(' ').collect();
            TableLine {
                start: Sectors::new(words[0].parse().unwrap()),
                len: Sectors::new(words[1].parse().unwrap()),
                target: words[2].to_owned(),
                args: words[3..].iter().map(|text| word(text)).collect(),
            }
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn what_shows_the_same() {
        let (one, other) = (table(&["0 8 linear 8:0 100"]), table(&["0 8 linear 8:16 100"]));
        let mirror = table(&["0 8 mirror disk 2 L 4 2 A 0 B 0 1 handle_errors"]);
        let (a, b, l, m) = (layer('A'), layer('B'), layer('L'), layer('M'));
        let log = table(&["0 8 linear 8:32 0"]);
        let tables: Tables<'_> =
            [(&a, &one[..]), (&b, &other[..]), (&l, &log[..]), (&m, &mirror[..])].into();
        for (old, new, expected) in [
            (&["0 8 linear 8:0 100"][..], &["0 8 linear 8:0 100"][..], true),
            (&["0 8 linear 8:0 100"], &["0 16 linear 8:0 100"], true),
            (&["0 8 linear 8:0 100"], &["0 8 linear 8:0 100", "8 8 linear 8:16 0"], true),
            (&["0 16 linear 8:0 100"], &["0 8 linear 8:0 100"], false),
            (&["0 8 linear 8:0 100"], &["0 8 linear 8:0 108"], false),
            (&["0 8 error"], &["0 8 linear 8:0 108"], true),
            (&["0 8 zero"], &["0 8 linear 8:0 108"], false),
            // Through layers.
            (&["0 8 linear M 0"], &["0 8 mirror disk 2 L 4 2 A 0 B 0 1 handle_errors"], true),
            (&["0 8 linear M 0"], &["0 8 linear 8:16 100"], true),
            (&["0 8 linear M 0"], &["0 8 linear 8:32 0"], false),
            // Which leg of a mirror that was not running holds what was written nobody knows.
            (&["0 8 linear 8:16 100"], &["0 8 mirror disk 2 L 4 2 A 0 B 0 1 handle_errors"], false),
            (&["0 8 linear M 4"], &["0 8 linear 8:16 100"], false),
            (&["0 8 linear 8:0 100"], &["0 8 snapshot-origin A"], true),
            (&["0 8 raid raid1 1 0 2 L A L B"], &["0 8 linear 8:16 100"], true),
            (&["0 8 raid raid5_ls 1 8 2 L A L B"], &["0 8 linear 8:16 100"], false),
            (&["0 8 thin A 1"], &["0 8 thin A 2"], false),
            (&["0 8 cache L B A 8 0 smq 0"], &["0 8 linear A 0"], false),
        ] {
            let (of_old, of_new) = (table(old), table(new));
            let same = shows_the_same((&of_old, &tables), (&of_new, &tables));
            assert_eq!(same, expected, "{old:?} and {new:?}");
        }
    }
}
