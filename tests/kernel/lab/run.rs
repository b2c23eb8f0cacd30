//! Runs programs and writes down what came of them.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use tempfile::tempfile;

use crate::shared::{INSIDE, LVMEND};

/// Where `lvmend` keeps its runs unless the scenario says otherwise. It does not outlive the
/// machine.
pub const STATE: &str = "/run/state";

/// A program that has ended.
pub struct Ran {
    pub command: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Holds it to this exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(
            self.code == code,
            "`{}` exited with {} instead of {code}:\n{}{}",
            self.command,
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Holds it to having said this, on either stream.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let said = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(
            said,
            "`{}` does not say {text:?} but:\n{}{}",
            self.command, self.stdout, self.stderr
        );
        self
    }

    /// What it answered, without the blanks around it.
    pub fn answer(&self) -> &str {
        self.stdout.trim()
    }
}

/// A shell script that must succeed, in every part of a pipe.
#[track_caller]
pub fn sh(script: &str) -> Ran {
    try_sh(script).exits(0)
}

/// A shell script that may fail.
pub fn try_sh(script: &str) -> Ran {
    run(program("bash").args(["-euo", "pipefail", "-c", script]), script)
}

/// An LVM2 command that must succeed: words between blanks, no quoting.
#[track_caller]
pub fn lvm(command: &str) -> Ran {
    try_lvm(command).exits(0)
}

/// An LVM2 command that may fail.
pub fn try_lvm(command: &str) -> Ran {
    let words: Vec<&str> = command.split_whitespace().collect();
    run(program("lvm").args(words), command)
}

/// `lvmend` with these words, whatever comes of it.
pub fn lvmend(words: &str) -> Ran {
    lvmend_with_state(STATE, &format!("--volatile-state {words}"))
}

/// The same with its runs kept in this directory.
pub fn lvmend_with_state(directory: &str, words: &str) -> Ran {
    let program_inside = format!("{INSIDE}/{LVMEND}");
    let words = format!("--state-dir {directory} {words}");
    run(program(&program_inside).args(words.split_whitespace()), &format!("lvmend {words}"))
}

/// A program with nothing of the surroundings but what is said here.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("HOME", "/root")
        .env("LVM_SUPPRESS_FD_WARNINGS", "1")
        .stdin(Stdio::null());
    command
}

fn run(command: &mut Command, shown: &str) -> Ran {
    write_down(&format!("$ {shown}\n"));
    // Files rather than pipes: what a script leaves in the background may hold them for ever.
    let (out, err) = (tempfile().unwrap(), tempfile().unwrap());
    command.stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
    let status = command.status().unwrap_or_else(|e| panic!("{shown}: {e}"));
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    let ran = Ran { command: shown.to_owned(), code, stdout: content(out), stderr: content(err) };
    let mut text = format!("{}{}", ran.stdout, ran.stderr);
    if code != 0 {
        let _ = writeln!(text, "(exit code {code})");
    }
    write_down(&text);
    ran
}

fn content(mut file: File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Through to the outside: what was run last is to be seen even if the machine dies of it.
fn write_down(text: &str) {
    print!("{text}");
    let out = std::io::stdout();
    out.lock().flush().unwrap();
    nix::unistd::fsync(out.as_fd()).unwrap();
}
