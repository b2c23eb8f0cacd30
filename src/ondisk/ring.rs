//! The ring of texts behind a metadata area's header.
//!
//! Positions count from the start of the area, so no text begins before 512. A text that reaches
//! the end of the area goes on at 512. Texts end in a NUL, which size and checksum include.
//!
//! # Source
//! LVM2 `lib/format_text/format-text.c`, `_next_rlocn_offset`, `_raw_write_mda_header`;
//! `tools/pvck.c`, `_dump_meta_area` and `_search_all_metadata` for how texts are found.

use std::ops::Range;

use memchr::{memchr, memmem};

use crate::model::device::{Slot, TextDamage};
use crate::ondisk::area_header::HEADER_SIZE;
use crate::ondisk::checksum::{INITIAL_CRC, lvm_crc_continued};
use crate::units::Bytes;

/// Texts begin at multiples of this.
const ALIGNMENT: u64 = 512;

/// A stretch of a ring, in one piece or, when it wraps, in two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingRange {
    /// From where to where, in bytes from the start of the area.
    pub first: Range<u64>,
    /// How many bytes go on at the start of the ring; zero when it does not wrap.
    pub wrapped: u64,
}

impl RingRange {
    /// The stretch of `size` bytes that begins at `offset`; `None` when it does not lie in the
    /// ring of an area of this size, or would run into itself.
    pub fn new(offset: Bytes, size: Bytes, area_size: Bytes) -> Option<Self> {
        let ring = area_size.checked_sub(HEADER_SIZE)?;
        if size.is_zero() || size > ring || offset < HEADER_SIZE || offset >= area_size {
            return None;
        }
        let end = offset.checked_add(size)?;
        let wrapped = end.saturating_sub(area_size);
        Some(Self { first: offset.get()..end.min(area_size).get(), wrapped: wrapped.get() })
    }

    /// Where the piece at the start of the ring lies; empty when nothing wraps.
    pub fn second(&self) -> Range<u64> {
        HEADER_SIZE.get()..HEADER_SIZE.get().saturating_add(self.wrapped)
    }

    /// Both pieces of an area held in memory.
    pub fn slices<'a>(&self, area: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        Some((area.get(usize_range(&self.first)?)?, area.get(usize_range(&self.second())?)?))
    }

    /// Whether two stretches have a byte in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let pieces = |range: &Self| [range.first.clone(), range.second()];
        pieces(self)
            .iter()
            .any(|a| pieces(other).iter().any(|b| a.start < b.end && b.start < a.end))
    }
}

fn usize_range(range: &Range<u64>) -> Option<Range<usize>> {
    Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

/// Checks the two pieces of a slot's text against its checksum; returns it without the NUL.
///
/// # Errors
/// [`TextDamage::Checksum`], when the sum does not match.
pub fn checked_text(first: &[u8], second: &[u8], slot: &Slot) -> Result<Vec<u8>, TextDamage> {
    let found = lvm_crc_continued(lvm_crc_continued(INITIAL_CRC, first), second);
    if found != slot.checksum {
        return Err(TextDamage::Checksum { expected: slot.checksum, found });
    }
    let mut text = [first, second].concat();
    if let Some(end) = memchr(0, &text) {
        text.truncate(end);
    }
    Ok(text)
}

/// The largest text an area of this size takes, NUL included: half the ring, so that the text
/// that counts is never overwritten by the next.
pub fn text_size_max(area_size: Bytes) -> Bytes {
    let half = area_size.saturating_sub(HEADER_SIZE).get() / 2;
    Bytes::new(half.saturating_sub(ALIGNMENT))
}

/// Where LVM would write the next text, behind the one that ends the ring now.
pub fn next_position(area_size: Bytes, last: Option<&RingRange>) -> Bytes {
    let start = HEADER_SIZE.get();
    let Some(last) = last else { return HEADER_SIZE };
    let last_byte = if last.wrapped > 0 {
        start.saturating_add(last.wrapped).saturating_sub(1)
    } else {
        last.first.end.saturating_sub(1)
    };
    let area = area_size.get();
    if area.saturating_sub(last_byte) < ALIGNMENT {
        return HEADER_SIZE;
    }
    let aligned = last_byte.saturating_add(1).next_multiple_of(ALIGNMENT);
    if aligned > area.saturating_sub(ALIGNMENT) { HEADER_SIZE } else { Bytes::new(aligned) }
}

/// Something that begins like the text of a VG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where it lies, without a NUL.
    pub range: RingRange,
    /// Whether it ends in a NUL, rather than where another text begins.
    pub has_end: bool,
}

/// Finds everything in this area that begins like the text of a VG, sorted by position.
///
/// A candidate reaches to its NUL, across the end of the area if need be, but never into the
/// beginning of another. Texts need not be aligned.
pub fn candidates(area: &[u8]) -> Vec<Candidate> {
    let Some(start) = HEADER_SIZE.to_usize() else {
        return Vec::new();
    };
    let Some(ring) = area.get(start..) else {
        return Vec::new();
    };
    let starts: Vec<usize> = text_starts(ring).map(|at| at + start).collect();
    let first_end = match starts.first() {
        Some(first) => area.get(start..*first).unwrap_or(&[]),
        None => &[],
    };
    let found = starts.iter().enumerate().filter_map(|(index, at)| {
        let next = starts.get(index + 1).copied();
        let own = area.get(*at..next.unwrap_or(area.len()))?;
        let (len, wrapped, has_end) = match (memchr(0, own), next) {
            (Some(end), _) => (end, 0, true),
            (None, Some(_)) => (own.len(), 0, false),
            (None, None) => match memchr(0, first_end) {
                Some(end) => (own.len(), end, true),
                None => (own.len(), first_end.len(), false),
            },
        };
        let first = u64::try_from(*at).ok()?..u64::try_from(at.checked_add(len)?).ok()?;
        Some(Candidate { range: RingRange { first, wrapped: wrapped as u64 }, has_end })
    });
    found.collect()
}

/// Where texts begin: `name {`, `id = "…"` and `seqno = ` on three lines, as LVM writes them.
fn text_starts(ring: &[u8]) -> impl Iterator<Item = usize> + '_ {
    const UUID_SHOWN: usize = 38;
    const OPENING: &[u8] = b" {\nid = \"";
    /// The ring itself begins at a multiple of it.
    const ALIGNED: usize = 512;
    memmem::find_iter(ring, b"\"\nseqno = ").filter_map(move |at| {
        let opening_at = at.checked_sub(UUID_SHOWN + OPENING.len())?;
        if !ring.get(opening_at..)?.starts_with(OPENING) {
            return None;
        }
        let before = ring.get(..opening_at)?;
        let is_name = |b: &u8| b.is_ascii_alphanumeric() || b"._+-".contains(b);
        let name_len = before.iter().rev().take(128).take_while(|b| is_name(b)).count();
        // What an older text left in front may look like a part of the name: LVM aligns texts.
        let name_start = opening_at - name_len;
        let aligned = opening_at.saturating_sub(1) / ALIGNED * ALIGNED;
        (name_len > 0).then(|| name_start.max(aligned))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Bytes = Bytes::new(40960);

    fn range(offset: u64, size: u64) -> RingRange {
        RingRange::new(Bytes::new(offset), Bytes::new(size), AREA).unwrap()
    }

    #[test]
    fn ranges_wrap_to_the_start_of_the_ring() {
        let wrapped = range(38400, 3085);
        assert_eq!((wrapped.first.clone(), wrapped.second()), (38400..40960, 512..1037));
        assert!(wrapped.overlaps(&range(1024, 100)));
        assert!(!wrapped.overlaps(&range(1536, 100)));
        for (offset, size) in
            [(0, 10), (511, 10), (40960, 1), (512, 0), (512, 40449), (u64::MAX, 2)]
        {
            assert_eq!(RingRange::new(Bytes::new(offset), Bytes::new(size), AREA), None);
        }
    }

    #[test]
    fn positions_follow_lvms_rule() {
        let next = |offset, size| next_position(AREA, Some(&range(offset, size))).get();
        assert_eq!(next_position(AREA, None).get(), 512);
        assert_eq!(next(512, 1024), 1536);
        assert_eq!(next(512, 1025), 2048);
        assert_eq!(next(38400, 3085), 1536);
        // The final sector may begin a text, a shorter rest may not.
        assert_eq!(next(39936, 512), 40448);
        assert_eq!(next(40448, 100), 512);
        assert_eq!(text_size_max(AREA).get(), 19712);
        assert_eq!(text_size_max(Bytes::new(1_044_480)).get(), 521_472);
        assert_eq!(text_size_max(Bytes::ZERO).get(), 0);
    }

    fn text(seqno: u32) -> Vec<u8> {
        format!("vg0 {{\nid = \"{}\"\nseqno = {seqno}\n}}\n", "x".repeat(38)).into_bytes()
    }

    #[test]
    fn texts_are_found_whole_cut_and_wrapped() {
        let mut area = vec![0_u8; 4096];
        area[1000..1000 + text(1).len()].copy_from_slice(&text(1));
        let second = text(2);
        area[1536..1536 + second.len()].copy_from_slice(&second);
        area[1536 + second.len()..2048].fill(b'x');
        area[2048..2048 + second.len()].copy_from_slice(&second);
        let third = [text(3), b"x".repeat(100)].concat();
        let split = 4096 - third.len() + 10;
        area[split..].copy_from_slice(&third[..third.len() - 10]);
        area[512..522].copy_from_slice(&third[third.len() - 10..]);
        let found = candidates(&area);
        let places: Vec<_> =
            found.iter().map(|c| (c.range.first.start, c.range.wrapped, c.has_end)).collect();
        let split = split as u64;
        assert_eq!(places, [(1000, 0, true), (1536, 0, false), (2048, 0, true), (split, 10, true)]);
        let (one, two) = found[3].range.slices(&area).unwrap();
        assert_eq!([one, two].concat(), third);
        assert_eq!(candidates(&[]), []);
    }
}
