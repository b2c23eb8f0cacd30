//! Somebody who uses a file system while others work under it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(300);

/// Appends a line to a file and syncs it, again and again. To be held up is fine for it; an
/// error is not.
pub struct Witness {
    stop: Arc<AtomicBool>,
    writer: JoinHandle<io::Result<Testimony>>,
    path: PathBuf,
}

/// What it went through.
pub struct Testimony {
    pub lines: usize,
    /// The longest time that one write took.
    pub held_up: Duration,
}

impl Witness {
    pub fn begin(directory: &Path) -> Self {
        let path = directory.join("witness");
        let stop = Arc::new(AtomicBool::new(false));
        let (its_stop, its_path) = (Arc::clone(&stop), path.clone());
        let writer = spawn(move || write(&its_path, &its_stop));
        Self { stop, writer, path }
    }

    /// Ends it, after one more write. It must have met no error, and each line must be there.
    #[track_caller]
    pub fn end(self) -> Testimony {
        let path = self.path.clone();
        let testimony = self.try_end().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let expected: String = (0..testimony.lines).map(line).collect();
        assert_eq!(fs::read_to_string(&path).unwrap(), expected, "{}", path.display());
        println!("# witness: {} lines, held up for {:?}", testimony.lines, testimony.held_up);
        testimony
    }

    /// Ends it where it may have met an error.
    pub fn try_end(self) -> io::Result<Testimony> {
        self.stop.store(true, Ordering::Relaxed);
        self.writer.join().unwrap()
    }
}

fn line(number: usize) -> String {
    format!("line {number}\n")
}

fn write(path: &Path, stop: &AtomicBool) -> io::Result<Testimony> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let mut testimony = Testimony { lines: 0, held_up: Duration::ZERO };
    loop {
        let last = stop.load(Ordering::Relaxed);
        let begun = Instant::now();
        file.write_all(line(testimony.lines).as_bytes())?;
        file.sync_all()?;
        testimony.lines += 1;
        testimony.held_up = testimony.held_up.max(begun.elapsed());
        if last {
            return Ok(testimony);
        }
        sleep(EVERY);
    }
}
