//! LVM's checksum.
//!
//! # Source
//! Reflected CRC-32 with polynomial 0xedb88320, start value 0xf597a6cf, no final inversion:
//! LVM2 `lib/misc/crc.h`, `INITIAL_CRC`; `lib/misc/crc.c`, `calc_crc`.

/// What an empty input sums up to, and where every sum starts.
pub const INITIAL_CRC: u32 = 0xf597_a6cf;

/// The checksum of these bytes, as labels, metadata area headers and texts carry it.
pub fn lvm_crc(bytes: &[u8]) -> u32 {
    lvm_crc_continued(INITIAL_CRC, bytes)
}

/// The checksum of what `before` sums up and these bytes behind it: texts that wrap are summed
/// piece by piece.
pub fn lvm_crc_continued(before: u32, bytes: &[u8]) -> u32 {
    // crc32fast inverts at both ends, LVM at neither.
    let mut hasher = crc32fast::Hasher::new_with_initial(!before);
    hasher.update(bytes);
    !hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(lvm_crc(b"123456789"), 0x4991_cf02);
        assert_eq!(lvm_crc(b""), 0xf597_a6cf);
        assert_eq!(lvm_crc(&[0; 492]), 0x02c8_1f10);
        assert_eq!(lvm_crc_continued(lvm_crc(b"1234"), b"56789"), 0x4991_cf02);
    }
}
