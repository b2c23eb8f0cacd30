//! Reading from disks that fail: tried again, then in smaller pieces, until only what really cannot be
//! read is given up.

use std::io;

use nix::errno::Errno;

use crate::host::copy::Stretch;
use crate::host::{HostError, ReadHost};
use crate::ids::DeviceName;
use crate::units::Bytes;

/// How often each piece is tried.
const TRIES: usize = 3;
/// In how many smaller pieces a piece that failed is read.
const PARTS: u64 = 16;
/// What cannot be read in a piece of this size is given up as a whole.
const SMALLEST: Bytes = Bytes::new(4096);

/// Reads a stretch of a device.
///
/// # Errors
/// [`HostError`], when it is not the disk's surface that fails, or the device answers nothing any more.
pub fn read(
    host: &dyn ReadHost,
    (device, offset, len): (&DeviceName, Bytes, Bytes),
    last_good: &mut Option<(DeviceName, Bytes)>,
) -> Result<Vec<Stretch>, HostError> {
    match tried(host, device, offset, len) {
        Ok(bytes) => {
            *last_good = Some((device.clone(), offset));
            Ok(vec![Stretch::Data(bytes)])
        }
        Err(error) if is_of_the_surface(&error) => {
            let mut pieces = Vec::new();
            smaller(host, device, (offset, len), &mut pieces)?;
            // A disk that is gone, perhaps since the middle of this, fails where it was read before as well.
            let (known, at) = last_good.clone().unwrap_or((device.clone(), Bytes::ZERO));
            if host.read(&known, at, SMALLEST).is_err() {
                return Err(error);
            }
            Ok(pieces)
        }
        Err(error) => Err(error),
    }
}

fn smaller(
    host: &dyn ReadHost,
    device: &DeviceName,
    (offset, len): (Bytes, Bytes),
    pieces: &mut Vec<Stretch>,
) -> Result<(), HostError> {
    if len <= SMALLEST {
        pieces.push(Stretch::Bad(len));
        return Ok(());
    }
    let step = Bytes::new(len.get().div_ceil(PARTS).next_multiple_of(SMALLEST.get()));
    let mut done = Bytes::ZERO;
    while done < len {
        let part = len.saturating_sub(done).min(step);
        let at = offset.saturating_add(done);
        match tried(host, device, at, part) {
            Ok(bytes) => pieces.push(Stretch::Data(bytes)),
            Err(error) if is_of_the_surface(&error) => smaller(host, device, (at, part), pieces)?,
            Err(error) => return Err(error),
        }
        done = done.saturating_add(part);
    }
    Ok(())
}

fn tried(
    host: &dyn ReadHost,
    device: &DeviceName,
    offset: Bytes,
    len: Bytes,
) -> Result<Vec<u8>, HostError> {
    let mut last = host.read(device, offset, len);
    // Larger pieces are read again in smaller ones anyway.
    let tries = if len <= SMALLEST { TRIES } else { 1 };
    for _ in 1..tries {
        match &last {
            Err(error) if is_of_the_surface(error) => last = host.read(device, offset, len),
            Ok(_) | Err(_) => return last,
        }
    }
    last
}

/// Whether the device said that it cannot read this place.
fn is_of_the_surface(error: &HostError) -> bool {
    let errno = error.cause.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(Errno::EIO | Errno::ENODATA | Errno::EILSEQ | Errno::EREMOTEIO | Errno::ETIMEDOUT)
    ) && error.cause.kind() != io::ErrorKind::UnexpectedEof
}
