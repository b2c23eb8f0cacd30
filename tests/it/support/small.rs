//! File systems with little room.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A small file system, for as long as this lives.
pub struct Small {
    path: PathBuf,
    _own: Option<TempDir>,
}

impl Small {
    /// In a directory of its own.
    pub fn of(size: &str) -> Self {
        let own = TempDir::new().unwrap();
        let path = own.path().to_owned();
        mount(&path, size);
        Self { path, _own: Some(own) }
    }

    /// In a new directory at this place.
    pub fn at(path: PathBuf, size: &str) -> Self {
        fs::create_dir(&path).unwrap();
        mount(&path, size);
        Self { path, _own: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it more room.
    pub fn grow(&self, size: &str) {
        let options = format!("remount,size={size}");
        let grown = Command::new("mount").args(["-o", &options]).arg(&self.path).status();
        assert!(grown.unwrap().success(), "a small file system can grow");
    }
}

fn mount(path: &Path, size: &str) {
    let options = format!("mode=700,size={size}");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(path).status();
    assert!(mounted.unwrap().success(), "a small file system can be mounted");
}

impl Drop for Small {
    fn drop(&mut self) {
        // Nothing can be done about one that will not go; its directory would not go either.
        let _ = Command::new("umount").arg(&self.path).status();
    }
}
