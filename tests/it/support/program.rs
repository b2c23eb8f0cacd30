//! The program as a user runs it, in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::fixture::Fixture;
use crate::support::lvm::Lvm;

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

    /// A desk with so many empty disks.
    pub fn blank(disks: usize, size: u64) -> Self {
        let mut desk = Self::empty();
        for index in 0..disks {
            let name = format!("{}.img", char::from(b'a' + u8::try_from(index).unwrap()));
            fs::File::create(desk.path().join(&name)).unwrap().set_len(size).unwrap();
            desk.images.push(name);
        }
        desk
    }

    /// Lets real LVM2 run these commands on these disks alone; `@0` stands for the first disk of
    /// the desk. They must succeed.
    pub fn lvm(&self, disks: &[usize], commands: &[&str]) {
        let images: Vec<PathBuf> = disks.iter().map(|index| self.image(*index)).collect();
        let lvm = Lvm::attach(&images);
        for command in commands {
            let device = |word: &str| match word.strip_prefix('@') {
                Some(index) => {
                    let wanted: usize = index.parse().unwrap();
                    let at = disks.iter().position(|disk| *disk == wanted).unwrap();
                    lvm.devices[at].to_str().unwrap().to_owned()
                }
                None => word.to_owned(),
            };
            let words: Vec<String> = command.split_whitespace().map(device).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let said = lvm.run(&words);
            assert!(said.success, "{command}: {}", said.stderr);
        }
    }

    /// The output of an LVM2 report on these disks alone.
    pub fn lvm_says(&self, disks: &[usize], arguments: &[&str]) -> String {
        let images: Vec<PathBuf> = disks.iter().map(|index| self.image(*index)).collect();
        Lvm::attach(&images).run(arguments).stdout
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

    /// Runs the program with some of the desk's images.
    pub fn run_on(&self, disks: &[usize], arguments: &[&str]) -> Ended {
        let images = disks.iter().flat_map(|index| ["--image", self.images[*index].as_str()]);
        let arguments: Vec<&str> = arguments.iter().copied().chain(images).collect();
        self.run_bare(&arguments)
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
