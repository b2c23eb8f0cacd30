//! Disks that real LVM2 wrote; see `tests/fixtures/README.md`.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;

/// Every scenario, so that a forgotten one is noticed.
pub fn all() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("expected").is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// One scenario.
#[derive(Clone, Debug)]
pub struct Fixture {
    directory: PathBuf,
}

impl Fixture {
    /// The scenario with this name.
    pub fn new(name: &str) -> Self {
        let directory = root().join(name);
        assert!(directory.is_dir(), "there is no scenario {name}");
        Self { directory }
    }

    /// Its disks: name and content.
    pub fn disks(&self) -> Vec<(String, Vec<u8>)> {
        let mut disks = Vec::new();
        for entry in fs::read_dir(&self.directory).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap();
            if let Some(name) = file.strip_suffix(".img.gz") {
                let mut content = Vec::new();
                GzDecoder::new(File::open(&path).unwrap()).read_to_end(&mut content).unwrap();
                disks.push((name.to_owned(), content));
            }
        }
        disks.sort();
        assert!(!disks.is_empty(), "{} has no disks", self.directory.display());
        disks
    }

    /// Writes its disks into a directory as sparse files; returns their paths.
    pub fn unpack(&self, into: &Path) -> Vec<PathBuf> {
        let write = |(name, content): (String, Vec<u8>)| {
            let path = into.join(format!("{name}.img"));
            write_sparse(&path, &content);
            path
        };
        self.disks().into_iter().map(write).collect()
    }

    /// A file under `expected/`.
    pub fn expected(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.directory.join("expected").join(name)).ok()
    }

    /// Rows of a report of LVM2, such as `lvs`.
    pub fn report(&self, kind: &str) -> Vec<Value> {
        let json = self.expected(&format!("{kind}s.json")).unwrap();
        let report: Value = serde_json::from_slice(&json).unwrap();
        report["report"][0][kind].as_array().unwrap().clone()
    }

    /// SHA-256 and size of the content of an LV, by UUID.
    pub fn content_of(&self, uuid: &str) -> Option<(String, u64)> {
        let list = String::from_utf8(self.expected("lvs.sha256").unwrap()).unwrap();
        list.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [digest, _, size, found] = fields[..] else { panic!("odd line {line}") };
            (found == uuid).then(|| (digest.to_owned(), size.parse().unwrap()))
        })
    }

    /// SHA-256 and size of the content of the first LV of this name.
    pub fn content_named(&self, lv: &str) -> (String, u64) {
        let list = String::from_utf8(self.expected("lvs.sha256").unwrap()).unwrap();
        let of = |line: &str| line.split_whitespace().nth(1) == Some(lv);
        let line = list.lines().find(|line| of(line)).unwrap();
        self.content_of(line.split_whitespace().last().unwrap()).unwrap()
    }
}

/// Writes a file whose zeros are holes.
pub fn write_sparse(path: &Path, content: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = File::create(path).unwrap();
    file.set_len(content.len() as u64).unwrap();
    for (index, block) in content.chunks(4096).enumerate() {
        if block.iter().any(|b| *b != 0) {
            file.write_all_at(block, index as u64 * 4096).unwrap();
        }
    }
}
