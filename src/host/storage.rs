//! What an image is stored in: a file, or memory in tests.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::units::Bytes;

/// Bytes that can be read at any place.
pub trait Storage {
    /// How many there are.
    fn size(&self) -> Bytes;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// The system's, `UnexpectedEof` past the end included.
    fn read_at(&self, offset: Bytes, buffer: &mut [u8]) -> io::Result<()>;

    /// Where the next bytes that may differ from zero begin and end, from `offset` on; `None`
    /// when only zeros follow. Storage that cannot tell says that everything may differ.
    ///
    /// # Errors
    /// The system's.
    fn next_data(&self, offset: Bytes) -> io::Result<Option<(Bytes, Bytes)>> {
        Ok((offset < self.size()).then(|| (offset, self.size())))
    }
}

/// Bytes that can also be written.
pub trait WritableStorage: Storage {
    /// Writes all of `bytes` at `offset`; never past the end.
    ///
    /// # Errors
    /// The system's.
    fn write_at(&mut self, offset: Bytes, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything written before will survive a power cut.
    ///
    /// # Errors
    /// The system's.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file opened for reading only: there is no way to write through it.
#[derive(Debug)]
pub struct ReadOnlyFile {
    file: File,
    size: Bytes,
}

impl ReadOnlyFile {
    /// Takes a file that was opened for reading.
    ///
    /// # Errors
    /// The system's, when its size cannot be told.
    pub fn new(file: File) -> io::Result<Self> {
        let size = Bytes::new(file.metadata()?.len());
        Ok(Self { file, size })
    }
}

impl Storage for ReadOnlyFile {
    fn size(&self) -> Bytes {
        self.size
    }

    fn read_at(&self, offset: Bytes, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset.get())
    }

    fn next_data(&self, offset: Bytes) -> io::Result<Option<(Bytes, Bytes)>> {
        next_data_of(&self.file, offset, self.size)
    }
}

/// A file opened for writing and locked for as long as this lives.
#[derive(Debug)]
pub struct LockedFile {
    file: nix::fcntl::Flock<File>,
    size: Bytes,
}

impl LockedFile {
    /// Takes a file that was opened for reading and writing, and locked.
    ///
    /// # Errors
    /// The system's, when its size cannot be told.
    pub fn new(file: nix::fcntl::Flock<File>) -> io::Result<Self> {
        let size = Bytes::new(file.metadata()?.len());
        Ok(Self { file, size })
    }
}

impl Storage for LockedFile {
    fn size(&self) -> Bytes {
        self.size
    }

    fn read_at(&self, offset: Bytes, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset.get())
    }

    fn next_data(&self, offset: Bytes) -> io::Result<Option<(Bytes, Bytes)>> {
        next_data_of(&self.file, offset, self.size)
    }
}

impl WritableStorage for LockedFile {
    fn write_at(&mut self, offset: Bytes, bytes: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(Bytes::of_len(bytes.len()));
        if end.is_none_or(|end| end > self.size) {
            return Err(io::Error::other("the write would reach past the end of the image"));
        }
        self.file.write_all_at(bytes, offset.get())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// Asks the file system where data begins and ends; one that cannot tell has data everywhere.
fn next_data_of(file: &File, offset: Bytes, size: Bytes) -> io::Result<Option<(Bytes, Bytes)>> {
    use nix::errno::Errno;
    use nix::unistd::{Whence, lseek};

    if offset >= size {
        return Ok(None);
    }
    let from = i64::try_from(offset.get()).map_err(io::Error::other)?;
    let position = |at: i64| u64::try_from(at).map(Bytes::new).map_err(io::Error::other);
    let start = match lseek(file, from, Whence::SeekData) {
        Ok(start) => start,
        Err(Errno::ENXIO) => return Ok(None),
        Err(Errno::EINVAL | Errno::EOPNOTSUPP) => return Ok(Some((offset, size))),
        Err(errno) => return Err(errno.into()),
    };
    let end = lseek(file, start, Whence::SeekHole)?;
    Ok(Some((position(start)?, position(end)?)))
}
