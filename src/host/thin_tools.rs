//! The thin-provisioning tools: `thin_check`, `thin_dump`, `thin_restore`. Of a pool's metadata they
//! are only ever given a copy; what `thin_restore` writes is a file, or the LV that was made for it.

use std::time::Duration;

use crate::host::linux::program::{Limits, Program, ProgramError, Said};
use crate::ids::ForeignText;
use crate::units::Bytes;

/// Metadata of 16 GiB on a slow disk takes its time.
const LIMITS: Limits = Limits { time: Duration::from_secs(4 * 3600), output: Bytes::new(4 << 20) };
/// No more than this of what a tool said goes into a verdict.
const SHOWN: usize = 600;

/// The tools, as they are installed.
#[derive(Clone, Debug)]
pub struct ThinTools {
    check: Program,
    dump: Program,
    restore: Program,
    version: (u32, u32, u32),
}

impl ThinTools {
    /// Looks for them where systems have them.
    ///
    /// # Errors
    /// Why they cannot be used, for people.
    pub fn find() -> Result<Self, String> {
        Self::find_in(&["/usr/sbin", "/sbin", "/usr/bin", "/bin"])
    }

    /// Looks for them in these directories.
    ///
    /// # Errors
    /// Why they cannot be used, for people.
    pub fn find_in(directories: &[&str]) -> Result<Self, String> {
        let tool = |name: &str| tool(directories, name);
        let check = tool("thin_check")?;
        let said = check.read(&["-V"], LIMITS).map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = version_in(&text).ok_or_else(|| {
            format!("the version of thin_check could not be read: {}", ForeignText::from(text))
        })?;
        Ok(Self { check, dump: tool("thin_dump")?, restore: tool("thin_restore")?, version })
    }

    /// Why these tools must not repair anything; none when they may.
    fn refuse_repair(&self) -> Option<String> {
        let (major, minor, patch) = self.version;
        let is_bad = major == 1 && minor == 0 && patch < 13;
        is_bad.then(|| {
            format!(
                "thin-provisioning-tools {major}.{minor}.{patch} lose shared mappings or cannot \
                 repair the list of devices: update them to 1.0.13 or newer, or use 0.9"
            )
        })
    }

    /// What `thin_check` says: nothing when all is well.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub fn check(&self, metadata: &str) -> Result<Result<(), String>, String> {
        judged(self.check.read(&[metadata], LIMITS))
    }

    /// Dumps metadata to a file; repairs on the way when asked to.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub fn dump(
        &self,
        metadata: &str,
        to: &str,
        repair: bool,
    ) -> Result<Result<(), String>, String> {
        if let Some(why) = self.refuse_repair().filter(|_| repair) {
            return Ok(Err(why));
        }
        let repair: &[&str] = if repair { &["-r"] } else { &[] };
        let arguments: Vec<&str> = repair.iter().copied().chain(["-o", to, metadata]).collect();
        judged(self.dump.read(&arguments, LIMITS))
    }

    /// Makes metadata of a dump, in a file that has its size already.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub fn restore(&self, from: &str, to: &str) -> Result<Result<(), String>, String> {
        judged(self.restore.read(&["-i", from, "-o", to], LIMITS))
    }

    /// The program that makes metadata of a dump.
    pub fn restore_path(&self) -> &str {
        self.restore.path()
    }
}

fn tool(directories: &[&str], name: &str) -> Result<Program, String> {
    let paths: Vec<String> = directories.iter().map(|dir| format!("{dir}/{name}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let missing = || format!("{name} is not there: install thin-provisioning-tools");
    Program::find(&paths).map_err(|error| error.to_string())?.ok_or_else(missing)
}

fn version_in(text: &str) -> Option<(u32, u32, u32)> {
    let word =
        text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = word.split(['.', '-', '+']).map(str::parse);
    let mut number = || numbers.next()?.ok();
    Some((number()?, number()?, number().unwrap_or(0)))
}

fn judged(said: Result<Said, ProgramError>) -> Result<Result<(), String>, String> {
    let said = said.map_err(|error| error.to_string())?;
    if said.code == Some(0) {
        return Ok(Ok(()));
    }
    let text = [said.stdout, said.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    // Lines that only tell what it is doing are no news.
    let is_news = |line: &&str| {
        !line.is_empty()
            && !["examining", "checking", "TRANSACTION_ID", "METADATA_FREE"]
                .iter()
                .any(|begin| line.starts_with(begin))
    };
    let lines: Vec<&str> = text.lines().map(str::trim).filter(is_news).collect();
    let text = lines.join("; ");
    let end = text.char_indices().nth(SHOWN).map_or(text.len(), |(at, _)| at);
    let text = text.get(..end).unwrap_or_default();
    let ended = match (said.code, said.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("it crashed (signal {signal})"),
        (None, None) => "it ended without an exit code".to_owned(),
    };
    let text = if text.is_empty() { ended } else { text.to_owned() };
    Ok(Err(ForeignText::from(text).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, version) in [
            ("0.9.0\n", Some((0, 9, 0))),
            ("thin_check 1.0.12\n", Some((1, 0, 12))),
            ("1.1\n", Some((1, 1, 0))),
            ("0.7.0-rc6\n", Some((0, 7, 0))),
            ("", None),
            ("thin_check", None),
        ] {
            assert_eq!(version_in(text), version, "{text}");
        }
    }

    #[test]
    fn what_a_tool_says() {
        let said = |code, stdout: &str| Said {
            code: Some(code),
            signal: None,
            stdout: stdout.into(),
            stderr: b"bad checksum in superblock\n".to_vec(),
        };
        assert_eq!(judged(Ok(said(0, "x"))), Ok(Ok(())));
        let bad = judged(Ok(said(1, "examining superblock\n  superblock is corrupt\n")));
        assert_eq!(bad, Ok(Err("superblock is corrupt; bad checksum in superblock".to_owned())));
    }
}
