//! The directory that both sides see, from outside.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::shared::{EVENTS, Event, JOBS, Job, KEPT, LVMEND, PROGRAM, transcript};

pub struct Share {
    directory: TempDir,
}

impl Share {
    /// With the programs in it, which the machine would not find where they are: it has a `/tmp`
    /// of its own, and their paths may have blanks, which a kernel command line cannot carry.
    pub fn new() -> Result<Self, String> {
        let directory = tempfile::Builder::new()
            .prefix("lvmend-kernel-")
            .tempdir()
            .map_err(|e| format!("a temporary directory cannot be made: {e}"))?;
        if directory.path().to_str().is_none_or(|path| path.contains(char::is_whitespace)) {
            return Err("the path of the temporary directory has blanks: set TMPDIR".to_owned());
        }
        let this = std::env::current_exe().map_err(|e| format!("this program: {e}"))?;
        for (from, name) in
            [(this.as_path(), PROGRAM), (Path::new(env!("CARGO_BIN_EXE_lvmend")), LVMEND)]
        {
            let to = directory.path().join(name);
            fs::hard_link(from, &to)
                .or_else(|_| fs::copy(from, &to).map(drop))
                .map_err(|e| format!("{} cannot be copied: {e}", from.display()))?;
        }
        Ok(Self { directory })
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What the next machine is to do; what the last one said is gone. What acts keep lasts as
    /// long as the scenario, so its first act finds nothing.
    pub fn prepare(&self, jobs: &[Job]) {
        let kept = self.path().join(KEPT);
        if jobs.iter().any(|job| job.act == 0) && kept.exists() {
            fs::remove_dir_all(&kept).unwrap();
        }
        fs::create_dir_all(&kept).unwrap();
        fs::write(self.path().join(EVENTS), "").unwrap();
        let lines: Vec<String> = jobs.iter().map(|job| format!("{job}\n")).collect();
        fs::write(self.path().join(JOBS), lines.concat()).unwrap();
    }

    /// All that the machine has said so far. A line that is not finished has not been said yet.
    pub fn events(&self) -> Vec<Event> {
        let text = fs::read_to_string(self.path().join(EVENTS)).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().filter_map(Event::read).collect()
    }

    pub fn transcript(&self, job: &Job) -> String {
        let path = self.path().join(transcript(&job.name, job.act));
        let text = fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    pub fn console(&self) -> PathBuf {
        self.path().join("console")
    }

    /// Sparse files for the disks of a scenario.
    pub fn make_disks(&self, scenario: &str, disks_mib: &[u64]) -> Vec<PathBuf> {
        let make = |(number, mib): (usize, &u64)| {
            let path = self.path().join(format!("{scenario}.{number}.disk"));
            File::create(&path).unwrap().set_len(mib << 20).unwrap();
            path
        };
        disks_mib.iter().enumerate().map(make).collect()
    }
}
