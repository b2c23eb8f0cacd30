//! Content that can be recognised.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc::O_DIRECT;
use sha2::{Digest as _, Sha256};

use super::sh;

const PIECE: usize = 1 << 20;
const ALIGNMENT: usize = 4096;
const SECTOR: usize = 512;
const FILES: usize = 20;

/// Writes a pattern over the whole of a device. Every sector names the device and the place, so
/// no two are equal and a wrong extent is noticed.
pub fn fill(device: &str) {
    let mut file = OpenOptions::new().write(true).open(device).unwrap();
    let size = file.seek(SeekFrom::End(0)).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let sectors = usize::try_from(size).unwrap() / SECTOR;
    let mut piece = Vec::with_capacity(PIECE);
    for sector in 0..sectors {
        let name = format!("{device} sector {sector}\n");
        piece.extend(name.bytes().cycle().take(SECTOR));
        if piece.len() == PIECE || sector + 1 == sectors {
            file.write_all(&piece).unwrap();
            piece.clear();
        }
    }
    file.sync_all().unwrap();
    println!("# filled {device}, {sectors} sectors");
}

/// The digest of a file, or of all that a device holds: past the page cache, which may be older
/// than what is on the disks.
pub fn sha256(path: &str) -> String {
    let mut options = OpenOptions::new();
    options.read(true);
    if fs::metadata(path).unwrap_or_else(|e| panic!("{path}: {e}")).file_type().is_block_device() {
        options.custom_flags(O_DIRECT);
    }
    let mut file = options.open(path).unwrap();
    let mut digest = Sha256::new();
    let mut space = vec![0; PIECE + ALIGNMENT];
    let offset = space.as_ptr().align_offset(ALIGNMENT);
    let piece = &mut space[offset..offset + PIECE];
    loop {
        let read = file.read(piece).unwrap_or_else(|e| panic!("{path}: {e}"));
        if read == 0 {
            break;
        }
        digest.update(&piece[..read]);
    }
    let digest = hex(&digest.finalize());
    println!("# sha256 of {path}: {digest}");
    digest
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An ext4 file system on a device, mounted in a directory of its own.
pub struct FileSystem {
    device: String,
    directory: PathBuf,
}

impl FileSystem {
    /// Makes one, with files in it.
    pub fn make(device: &str) -> Self {
        sh(&format!("mkfs.ext4 -q {device}"));
        let made = Self::mount(device);
        for number in 0..FILES {
            let text = format!("file {number} of {device}\n").repeat(100 * number);
            let mut file = File::create(made.directory.join(format!("file{number}"))).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.sync_all().unwrap();
        }
        made
    }

    /// Mounts one that is there.
    pub fn mount(device: &str) -> Self {
        let directory = Path::new("/run/mounted").join(device.trim_start_matches('/'));
        fs::create_dir_all(&directory).unwrap();
        sh(&format!("mount {device} {}", directory.display()));
        Self { device: device.to_owned(), directory }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// One digest over the names and the content of the files it was made with.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for number in 0..FILES {
            let name = format!("file{number}");
            digest.update(name.as_bytes());
            digest.update(fs::read(self.directory.join(&name)).unwrap());
        }
        let digest = hex(&digest.finalize());
        println!("# sha256 of the files on {}: {digest}", self.device);
        digest
    }

    /// Unmounts it; fsck must find nothing.
    pub fn unmount(self) {
        sh(&format!("umount {} && fsck.ext4 -fn {}", self.directory.display(), self.device));
    }
}
