//! How far a copy has come: a map file of GNU ddrescue, which `ddrescue` and `ddrescueview` read.
//!
//! # Source
//! GNU ddrescue manual, "Mapfile structure".

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::unistd::geteuid;

use crate::ids::Digest;
use crate::units::Bytes;

/// No map is larger: each range is a line.
const SIZE_MAX: u64 = 64 << 20;

/// A stretch of the content: where it begins, and how long it is.
pub type Range = (Bytes, Bytes);

/// How far a copy has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyMap {
    /// What is copied: another source is begun anew.
    pub source: Digest,
    /// How long it is.
    pub total: Bytes,
    /// Everything before is done.
    pub done: Bytes,
    /// What of that could not be read, and is zeros; in order, and none touches the next.
    pub bad: Vec<Range>,
    /// The digest of what was read so far: what stands there must still be that.
    pub sha256: Option<Digest>,
}

impl CopyMap {
    /// A copy that has not begun.
    pub fn new(source: Digest, total: Bytes) -> Self {
        Self { source, total, done: Bytes::ZERO, bad: Vec::new(), sha256: None }
    }

    /// The next stretch is done.
    pub fn advance(&mut self, len: Bytes, is_bad: bool) {
        let start = self.done;
        self.done = start.saturating_add(len);
        if !is_bad {
            return;
        }
        match self.bad.last_mut() {
            Some((first, before)) if first.saturating_add(*before) == start => {
                *before = before.saturating_add(len);
            }
            Some(_) | None => self.bad.push((start, len)),
        }
    }

    /// What is not done yet.
    pub fn left(&self) -> Bytes {
        self.total.saturating_sub(self.done)
    }

    fn text(&self) -> String {
        let mut out = format!("# Mapfile. Created by lvmend {}\n", env!("CARGO_PKG_VERSION"));
        let _ = writeln!(out, "# Source {}", self.source);
        if let Some(sha256) = self.sha256 {
            let _ = writeln!(out, "# Sha256 {sha256}");
        }
        let status = if self.left().is_zero() { '+' } else { '?' };
        let _ = writeln!(out, "# current_pos  current_status  current_pass");
        let _ = writeln!(out, "0x{:08X}     {status}               1", self.done.get());
        let _ = writeln!(out, "#      pos        size  status");
        let mut line = |start: Bytes, end: Bytes, status: char| {
            if start < end {
                let len = end.saturating_sub(start);
                let _ = writeln!(out, "0x{:08X}  0x{:08X}  {status}", start.get(), len.get());
            }
        };
        let mut at = Bytes::ZERO;
        for (start, len) in &self.bad {
            line(at, *start, '+');
            at = start.saturating_add(*len);
            line(*start, at, '-');
        }
        line(at, self.done, '+');
        line(self.done, self.total, '?');
        out
    }

    /// Reads a map that [`Self::save`] wrote; none where it is anything else.
    fn parse(text: &str) -> Option<Self> {
        let (mut source, mut sha256) = (None, None);
        let mut rows = Vec::new();
        for line in text.lines() {
            if let Some(digest) = line.strip_prefix("# Source ") {
                source = Some(digest.trim().parse().ok()?);
            } else if let Some(digest) = line.strip_prefix("# Sha256 ") {
                sha256 = Some(digest.trim().parse().ok()?);
            } else if !line.starts_with('#') {
                rows.push(line.split_whitespace().collect::<Vec<&str>>());
            }
        }
        let mut map = Self { sha256, ..Self::new(source?, Bytes::ZERO) };
        let mut is_behind = false;
        for row in rows.get(1..)? {
            let [start, len, status] = row.as_slice() else { return None };
            let (start, len) = (hexadecimal(start)?, hexadecimal(len)?);
            if start != map.total || is_behind {
                return None;
            }
            map.total = start.checked_add(len)?;
            match *status {
                "+" => map.advance(len, false),
                "-" => map.advance(len, true),
                "?" => is_behind = true,
                _ => return None,
            }
        }
        Some(map)
    }

    /// What stands at this path, where it is the map of this very copy.
    pub fn load(path: &str, source: Digest, total: Bytes) -> Option<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
            .open(path)
            .ok()?;
        // In a directory of all, somebody else could have put one there.
        let found = file.metadata().ok()?;
        if !found.is_file() || found.uid() != geteuid().as_raw() {
            return None;
        }
        let mut text = String::new();
        file.take(SIZE_MAX).read_to_string(&mut text).ok()?;
        Self::parse(&text).filter(|map| map.source == source && map.total == total)
    }

    /// Writes it, as a whole or not at all, and returns when it will survive a power cut.
    pub fn save(&self, path: &str) -> io::Result<()> {
        let new = format!("{path}.new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(&new)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        match Path::new(path).parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn hexadecimal(text: &str) -> Option<Bytes> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok().map(Bytes::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pieces: &[(u64, bool)], total: u64) -> CopyMap {
        let mut map = CopyMap::new(Digest::of(b"content"), Bytes::new(total));
        for (len, is_bad) in pieces {
            map.advance(Bytes::new(*len), *is_bad);
        }
        map
    }

    #[test]
    fn as_ddrescue_reads_it() {
        let text =
            map(&[(0x1000, false), (0x200, true), (0x200, true), (0x400, false)], 0x4000).text();
        let rows: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "0x00001800     ?               1",
            "0x00000000  0x00001000  +",
            "0x00001000  0x00000400  -",
            "0x00001400  0x00000400  +",
            "0x00001800  0x00002800  ?",
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let maps = [
            map(&[], 0x4000),
            map(&[(0x4000, false)], 0x4000),
            map(&[(0x200, true), (0x1000, false), (0x2e00, true)], 0x4000),
        ];
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("map").to_str().unwrap().to_owned();
        for map in maps {
            map.save(&path).unwrap();
            assert_eq!(CopyMap::load(&path, map.source, map.total), Some(map.clone()));
            assert_eq!(CopyMap::load(&path, Digest::of(b"other"), map.total), None);
            assert_eq!(CopyMap::load(&path, map.source, Bytes::new(1)), None);
            // Damaged at any place it is another copy's, or the same.
            let text = map.text();
            for at in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = b'9';
                let _ = CopyMap::parse(&String::from_utf8(bytes).unwrap());
                let _ = CopyMap::parse(text.get(..at).unwrap());
            }
        }
        let gap = map(&[(0x1000, false)], 0x4000)
            .text()
            .replace("0x00001000  0x00003000", "0x00002000  0x00002000");
        assert_eq!(CopyMap::parse(&gap), None);
    }
}
