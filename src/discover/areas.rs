//! Reading metadata areas: header, the texts it points to, and the ring.

use crate::discover::TextStore;
use crate::discover::texts::Pieces;
use crate::host::{DeviceInfo, HostError, ReadHost};
use crate::ids::{DeviceName, Digest, ForeignText};
use crate::model::device::{
    AreaHeader, DiskArea, HeaderDamage, MetadataArea, RingContent, RingText, Slot, SlotText, Slots,
    TextDamage,
};
use crate::ondisk::area_header::{AREA_STARTS, HEADER_SIZE, has_magic, parse_area_header, size_of};
use crate::ondisk::bytes::{Sector, sector_at};
use crate::ondisk::placement::{Surroundings, misplacement};
use crate::ondisk::ring::{Candidate, RingRange, candidates, checked_text};
use crate::text::TEXT_SIZE_MAX;
use crate::units::Bytes;

/// How far from the end of a device a second area is looked for, page by page.
const TAIL_SIZE: Bytes = Bytes::new(2 << 20);
const PAGE: usize = 4096;

/// Reads the header of the metadata area at this place, and the texts that it points to; those of
/// an area that must not lie there do not count, and are not looked for.
pub fn look_at_area(
    host: &dyn ReadHost,
    device: &DeviceName,
    area: DiskArea,
    misplaced: Option<HeaderDamage>,
    store: &mut TextStore,
) -> MetadataArea {
    let unreadable =
        || AreaHeader::Damaged { damage: vec![HeaderDamage::Unreadable], slots: Slots::default() };
    let sector = host.read(device, area.offset, HEADER_SIZE).ok();
    let header = match sector.as_deref().and_then(|bytes| sector_at(bytes, 0)) {
        Some(sector) => parse_area_header(sector, area),
        None => unreadable(),
    };
    let DiskArea { offset, size } = area;
    let (committed, precommitted, ring) = (SlotText::Empty, SlotText::Empty, Vec::new());
    let mut found = MetadataArea { offset, size, header, committed, precommitted, ring };
    if let Some(why) = misplaced {
        found.misplace(why);
    }
    let mut reader = AreaReader { host, device, area, store };
    if let Some(slots) = found.header.good() {
        found.committed = reader.slot(&slots.committed);
        found.precommitted = reader.slot(&slots.precommitted);
    }
    found
}

/// Reads the whole ring of an area, unless it lies where no area may.
pub fn read_ring(
    host: &dyn ReadHost,
    device: &DeviceName,
    area: &mut MetadataArea,
    store: &mut TextStore,
) {
    if area.is_misplaced() {
        return;
    }
    let mut ring = AreaReader { host, device, area: area.place(), store }.ring();
    if let Some(slots) = area.header.good() {
        disbelieve(&mut ring, &slots.committed, &area.committed, store);
        disbelieve(&mut ring, &slots.precommitted, &area.precommitted, store);
    }
    area.ring = ring;
}

/// A text that a pointer leads to and that fails its checksum is no version, however well it reads:
/// one flipped digit of an extent maps other blocks.
fn disbelieve(ring: &mut [RingText], slot: &Slot, found: &SlotText, store: &TextStore) {
    let SlotText::Damaged(why) = found else { return };
    for text in ring.iter_mut().filter(|text| text.offset == slot.offset) {
        let (vg_name, seqno) = match &text.text {
            RingContent::Cut { vg_name, seqno, .. } => (vg_name.clone(), *seqno),
            RingContent::Whole(key) => {
                let read = store.text(*key);
                let name = read.map(|text| ForeignText::from(text.vg_name.as_str()));
                (name, read.map(|text| text.seqno))
            }
        };
        text.text = RingContent::Cut { vg_name, seqno, why: why.clone() };
    }
}

struct AreaReader<'a, 'k> {
    host: &'a dyn ReadHost,
    device: &'a DeviceName,
    area: DiskArea,
    store: &'a mut TextStore<'k>,
}

impl AreaReader<'_, '_> {
    fn read(&self, start: u64, end: u64) -> Result<Vec<u8>, TextDamage> {
        let offset =
            self.area.offset.checked_add(Bytes::new(start)).ok_or(TextDamage::OutOfArea)?;
        let len = Bytes::new(end.saturating_sub(start));
        if len.is_zero() {
            return Ok(Vec::new());
        }
        let unreadable = |error: HostError| TextDamage::Unreadable(error.in_full().into());
        self.host.read(self.device, offset, len).map_err(unreadable)
    }

    fn slot(&mut self, slot: &Slot) -> SlotText {
        if slot.offset.is_zero() {
            return SlotText::Empty;
        }
        if slot.ignored {
            return SlotText::Ignored;
        }
        match self.slot_text(slot) {
            Ok(key) => SlotText::Good(key),
            Err(damage) => SlotText::Damaged(damage),
        }
    }

    fn slot_text(&mut self, slot: &Slot) -> Result<Digest, TextDamage> {
        let range = RingRange::new(slot.offset, slot.size, self.area.size)
            .filter(|_| slot.size <= TEXT_SIZE_MAX)
            .ok_or(TextDamage::OutOfArea)?;
        let first = self.read(range.first.start, range.first.end)?;
        let second = self.read(range.second().start, range.second().end)?;
        let text = checked_text(&first, &second, slot)?;
        self.store.add(text)
    }

    fn ring(&mut self) -> Vec<RingText> {
        let Ok(bytes) = self.read(0, self.area.size.get()) else {
            return Vec::new();
        };
        let found = candidates(&bytes);
        let pieces: Vec<Pieces<'_>> =
            found.iter().map(|f| f.range.slices(&bytes).unwrap_or((&[], &[]))).collect();
        let keys = self.store.add_all(&pieces);
        found
            .iter()
            .zip(&pieces)
            .zip(keys)
            .map(|((f, text), key)| ring_text(f, text, key))
            .collect()
    }
}

fn ring_text(
    found: &Candidate,
    (first, second): &Pieces<'_>,
    key: Result<Digest, TextDamage>,
) -> RingText {
    let len = Bytes::of_len(first.len() + second.len());
    let text = match key {
        Ok(key) => RingContent::Whole(key),
        Err(why) => {
            let (vg_name, seqno) = opening_of(first);
            RingContent::Cut { vg_name, seqno, why }
        }
    };
    RingText {
        offset: Bytes::new(found.range.first.start),
        size: if found.has_end { len.saturating_add(Bytes::new(1)) } else { len },
        wrapped: found.range.wrapped > 0,
        text,
    }
}

/// What the opening lines of a text that cannot be read as a whole still tell.
fn opening_of(text: &[u8]) -> (Option<ForeignText>, Option<u32>) {
    let mut lines = text.split(|b| *b == b'\n');
    let name = lines.next().and_then(|line| line.strip_suffix(b" {")).map(ForeignText::from_bytes);
    let seqno = lines
        .take(2)
        .find_map(|line| line.strip_prefix(b"seqno = "))
        .and_then(|number| std::str::from_utf8(number).ok())
        .and_then(|number| number.parse().ok());
    (name, seqno)
}

/// Metadata areas on a device without a label: where LVM puts the first, and near the end.
pub fn stray_areas(
    host: &dyn ReadHost,
    info: &DeviceInfo,
    store: &mut TextStore,
) -> Result<Vec<MetadataArea>, HostError> {
    let mut places = Vec::new();
    for start in AREA_STARTS.map(Bytes::new) {
        let fits = start.checked_add(HEADER_SIZE).is_some_and(|end| end <= info.size);
        if !fits {
            continue;
        }
        let bytes = host.read(&info.name, start, HEADER_SIZE)?;
        places.extend(sector_at(&bytes, 0).and_then(|sector| stray_area(info, start, sector)));
    }
    let tail_start = info.size.saturating_sub(TAIL_SIZE).get() / PAGE as u64 * PAGE as u64;
    let tail_start = Bytes::new(tail_start.max(AREA_STARTS.into_iter().max().unwrap_or(0) + 512));
    if let Some(len) = info.size.checked_sub(tail_start) {
        let tail = host.read(&info.name, tail_start, len)?;
        for at in
            (0..tail.len()).filter(|at| (tail_start.get() + *at as u64).is_multiple_of(PAGE as u64))
        {
            let start = tail_start.saturating_add(Bytes::of_len(at));
            places.extend(sector_at(&tail, at).and_then(|sector| stray_area(info, start, sector)));
        }
    }
    // Strays may overlap: which of them are areas of the PV shows when it is known which PV it is.
    let look = |place: DiskArea| {
        let around = Surroundings { device_size: info.size, areas: &[place], data: None };
        look_at_area(host, &info.name, place, misplacement(0, &around), store)
    };
    Ok(places.into_iter().map(look).collect())
}

/// The area whose header this sector is. The header's own word on its size is all there is.
fn stray_area(info: &DeviceInfo, start: Bytes, sector: &Sector) -> Option<DiskArea> {
    let size = size_of(sector).filter(|_| has_magic(sector))?;
    let area = DiskArea { offset: start, size };
    let is_good = parse_area_header(sector, area).good().is_some();
    (is_good && area.end()? <= info.size).then_some(area)
}
