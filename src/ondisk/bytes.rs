//! Reading and writing little-endian fields without ever reaching past the end.

/// The `N` bytes at `offset`, when they are there.
pub fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

/// The 32-bit integer at `offset`.
pub fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

/// The 64-bit integer at `offset`.
pub fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// Puts `field` at `offset`; does nothing where it would not fit, which [`Sector`] rules out.
pub fn put(bytes: &mut [u8], offset: usize, field: &[u8]) {
    let end = offset.saturating_add(field.len());
    if let Some(place) = bytes.get_mut(offset..end) {
        place.copy_from_slice(field);
    }
}

/// One sector: what labels and metadata area headers occupy.
pub type Sector = [u8; 512];

/// The first sector of `bytes`, when it is whole.
pub fn sector_at(bytes: &[u8], offset: usize) -> Option<&Sector> {
    bytes.get(offset..offset.checked_add(512)?)?.try_into().ok()
}
