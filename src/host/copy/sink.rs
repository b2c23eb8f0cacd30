//! Where a copy is written: past the page cache where that can be, and read back from there at once.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use sha2::{Digest as _, Sha256};

use crate::host::copy::HOLE;
use crate::ids::Digest;
use crate::units::Bytes;

/// Memory and places are aligned to this for writes past the page cache.
const ALIGNMENT: usize = 4096;
/// How much is written or read at once.
const AT_ONCE: usize = 8 << 20;

/// A file or a device that a copy goes to.
pub struct Sink<'a> {
    file: &'a File,
    /// The same past the page cache.
    direct: Option<File>,
    /// Whether zeros are left out: nothing stands there before.
    is_sparse: bool,
    /// Whether everything was read back as it was written.
    is_verified: bool,
    written: Bytes,
    out: Vec<u8>,
    back: Vec<u8>,
}

impl<'a> Sink<'a> {
    /// A file that is opened for reading and writing.
    pub fn new(file: &'a File, is_sparse: bool) -> Self {
        let direct = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_DIRECT)
            .open(format!("/proc/self/fd/{}", file.as_raw_fd()))
            .ok();
        let memory = || vec![0; AT_ONCE + ALIGNMENT];
        let (out, back) = (memory(), memory());
        Self { file, direct, is_sparse, is_verified: true, written: Bytes::ZERO, out, back }
    }

    /// How much was written.
    pub const fn written(&self) -> Bytes {
        self.written
    }

    /// Writes what begins there; zeros only where they must be.
    pub fn write(&mut self, start: Bytes, bytes: &[u8]) -> io::Result<()> {
        let mut run: Option<(usize, usize)> = None;
        for (index, block) in bytes.chunks(HOLE).enumerate() {
            let at = index * HOLE;
            if !self.is_sparse || block.iter().any(|byte| *byte != 0) {
                let first = run.map_or(at, |(first, _)| first);
                run = Some((first, at + block.len()));
            } else if let Some((first, end)) = run.take() {
                self.write_run(start, bytes, first, end)?;
            }
        }
        run.map_or(Ok(()), |(first, end)| self.write_run(start, bytes, first, end))
    }

    /// What an earlier try wrote behind this is gone: holes are holes there.
    pub fn begin(&self, done: Bytes) -> io::Result<()> {
        if self.is_sparse { self.file.set_len(done.get()) } else { Ok(()) }
    }

    /// Writes zeros where something may stand.
    pub fn write_zeros(&mut self, start: Bytes, len: Bytes) -> io::Result<()> {
        static ZEROS: [u8; HOLE] = [0; HOLE];
        if self.is_sparse {
            return Ok(());
        }
        let mut done = Bytes::ZERO;
        while done < len {
            let left = len.saturating_sub(done).to_usize().unwrap_or(HOLE).min(HOLE);
            let zeros = ZEROS.get(..left).unwrap_or(&ZEROS);
            self.write(start.saturating_add(done), zeros)?;
            done = done.saturating_add(Bytes::of_len(zeros.len()));
        }
        Ok(())
    }

    fn write_run(
        &mut self,
        start: Bytes,
        bytes: &[u8],
        first: usize,
        end: usize,
    ) -> io::Result<()> {
        let mut at = start.saturating_add(Bytes::of_len(first));
        for piece in bytes.get(first..end).unwrap_or_default().chunks(AT_ONCE) {
            self.write_piece(at, piece)?;
            at = at.saturating_add(Bytes::of_len(piece.len()));
            self.written = self.written.saturating_add(Bytes::of_len(piece.len()));
        }
        Ok(())
    }

    fn write_piece(&mut self, at: Bytes, piece: &[u8]) -> io::Result<()> {
        let alignment = u64::try_from(ALIGNMENT).unwrap_or(u64::MAX);
        let is_aligned =
            at.get().is_multiple_of(alignment) && piece.len().is_multiple_of(ALIGNMENT);
        let Some(direct) = self.direct.as_ref().filter(|_| is_aligned) else {
            self.is_verified = false;
            return self.file.write_all_at(piece, at.get());
        };
        let out = aligned(&mut self.out, piece.len())?;
        out.copy_from_slice(piece);
        match direct.write_all_at(out, at.get()) {
            Ok(()) => {}
            // Not every file system that opens files so also writes them so.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.direct = None;
                self.is_verified = false;
                return self.file.write_all_at(piece, at.get());
            }
            Err(error) => return Err(error),
        }
        let back = aligned(&mut self.back, piece.len())?;
        direct.read_exact_at(back, at.get())?;
        if back == piece { Ok(()) } else { Err(differs(at)) }
    }

    /// Gives a file its length; what was not written is holes.
    pub fn finish(&self, size: Bytes) -> io::Result<()> {
        if self.is_sparse {
            self.file.set_len(size.get())?;
        }
        self.file.sync_all()
    }

    /// Returns when what was written up to there will survive a power cut.
    pub fn sync(&self, done: Bytes) -> io::Result<()> {
        // Holes at the end are no file yet.
        if self.is_sparse && self.file.metadata()?.len() < done.get() {
            self.file.set_len(done.get())?;
        }
        self.file.sync_data()
    }

    /// Holds what stands there now to its digest, where it was not read back before.
    pub fn verify(&mut self, size: Bytes, expected: Digest) -> io::Result<()> {
        if self.is_verified {
            return Ok(());
        }
        self.file.sync_all()?;
        // Best effort: what is in the page cache tells nothing of the disk.
        let _ = posix_fadvise(self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
        let mut hasher = Sha256::new();
        self.read_back(size, &mut |bytes| hasher.update(bytes))?;
        if Digest::from_raw(hasher.finalize().into()) == expected {
            Ok(())
        } else {
            Err(differs(Bytes::ZERO))
        }
    }

    /// Hands on what stands in the first `size` bytes.
    pub fn read_back(&mut self, size: Bytes, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut at = Bytes::ZERO;
        while at < size {
            let left = size.saturating_sub(at).to_usize().unwrap_or(AT_ONCE).min(AT_ONCE);
            let from = self.direct.as_ref().filter(|_| left.is_multiple_of(ALIGNMENT));
            let back = aligned(&mut self.back, left)?;
            let read = from.unwrap_or(self.file).read_exact_at(back, at.get());
            match read {
                // Not every file system that opens files so also reads them so.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput && from.is_some() => {
                    self.direct = None;
                    self.file.read_exact_at(back, at.get())?;
                }
                other => other?,
            }
            take(back);
            at = at.saturating_add(Bytes::of_len(left));
        }
        Ok(())
    }

    /// What was written before counts as well.
    pub fn count(&mut self, written: Bytes) {
        self.written = self.written.saturating_add(written);
    }
}

fn differs(at: Bytes) -> io::Error {
    let at = at.get();
    io::Error::other(format!("what is read back from byte {at} on is not what was written"))
}

/// As many bytes of this memory, from where it is aligned.
fn aligned(memory: &mut [u8], len: usize) -> io::Result<&mut [u8]> {
    let lead = memory.as_ptr().align_offset(ALIGNMENT);
    let end = lead.checked_add(len);
    let found = end.and_then(|end| memory.get_mut(lead..end));
    found.ok_or_else(|| io::Error::other("BUG: a piece is larger than what it is written from"))
}
