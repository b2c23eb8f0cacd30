//! The program as a user runs it, in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::fixture::Fixture;

/// A directory with images and plans in it.
pub struct Desk {
    directory: TempDir,
    images: Vec<String>,
}

/// What the program said, and how it ended.
pub struct Ended {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl Desk {
    /// A desk with nothing on it.
    pub fn empty() -> Self {
        Self { directory: TempDir::new().unwrap(), images: Vec::new() }
    }

    /// A desk with the disks of a scenario.
    pub fn with(fixture: &str) -> Self {
        let mut desk = Self::empty();
        let paths = Fixture::new(fixture).unpack(desk.directory.path());
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        desk.images = paths.iter().map(name).collect();
        desk
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Puts a file there.
    pub fn put(&self, name: &str, content: &str) {
        fs::write(self.directory.path().join(name), content.replace("$DESK", self.shown()))
            .unwrap();
    }

    fn shown(&self) -> &str {
        self.directory.path().to_str().unwrap()
    }

    /// Runs the program with all images of the desk.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.run_bare(&self.with_images(arguments))
    }

    /// These arguments, and all images of the desk.
    pub fn with_images<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let images = self.images.iter().flat_map(|image| ["--image", image.as_str()]);
        arguments.iter().copied().chain(images).collect()
    }

    /// The program with these arguments, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lvmend"));
        command
            .current_dir(self.directory.path())
            .env_clear()
            .env("LC_ALL", "C")
            .args(arguments)
            .args(["--state-dir", "state", "--volatile-state"]);
        command
    }

    /// Runs the program with these arguments alone.
    pub fn run_bare(&self, arguments: &[&str]) -> Ended {
        self.ended(&self.command(arguments).output().unwrap())
    }

    /// What an ended program said.
    pub fn ended(&self, output: &Output) -> Ended {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(self.shown(), "$DESK");
        Ended {
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// The only run there is.
    pub fn only_run(&self) -> String {
        let runs = fs::read_dir(self.path().join("state/runs")).unwrap();
        let mut names: Vec<String> =
            runs.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(names.len(), 1);
        names.pop().unwrap()
    }

    /// Digests of every image.
    pub fn digests(&self) -> Vec<(String, lvmend::ids::Digest)> {
        let digest = |name: &String| {
            let content = fs::read(self.directory.path().join(name)).unwrap();
            (name.clone(), lvmend::ids::Digest::of(&content))
        };
        self.images.iter().map(digest).collect()
    }

    pub fn image(&self, index: usize) -> PathBuf {
        self.directory.path().join(&self.images[index])
    }

    pub fn images(&self) -> Vec<PathBuf> {
        self.images.iter().map(|name| self.directory.path().join(name)).collect()
    }
}

impl Ended {
    /// Everything in one text, for snapshots.
    pub fn shown(&self) -> String {
        format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }

    /// Insists on an exit code.
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.shown());
        self
    }
}
