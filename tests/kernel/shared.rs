//! What the two sides tell each other, through a directory that both see: jobs one way, events
//! the other. Each is a line of text.

use std::fmt;
use std::time::Duration;

/// Where the machine sees the directory.
pub const INSIDE: &str = "/lab";
/// The word of the kernel command line that says where the directory is outside.
pub const WORD: &str = "lvmend_lab";

/// Files in it. `PROGRAM` is this program.
pub const PROGRAM: &str = "scenarios";
pub const LVMEND: &str = "lvmend";
pub const JOBS: &str = "jobs";
pub const EVENTS: &str = "events";
/// A directory of what one act keeps for the next.
pub const KEPT: &str = "kept";

/// The file of all that an act ran and said.
pub fn transcript(name: &str, act: usize) -> String {
    format!("{name}.{act}.transcript")
}

/// One act that the machine is to perform.
pub struct Job {
    pub name: String,
    pub act: usize,
    pub limit: Duration,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.act, self.limit.as_secs())
    }
}

impl Job {
    pub fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        Some(Self {
            name: words.next()?.to_owned(),
            act: words.next()?.parse().ok()?,
            limit: Duration::from_secs(words.next()?.parse().ok()?),
        })
    }
}

pub enum Event {
    /// The machine is ready for its first job.
    Booted,
    /// The next job begins.
    Begun,
    /// It ended: nothing to complain about, or why it failed.
    Ended(Result<(), String>),
    /// The act asks for the power to be cut in so long a time.
    Cut(Duration),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Booted => write!(f, "booted"),
            Self::Begun => write!(f, "begun"),
            Self::Ended(Ok(())) => write!(f, "ok"),
            Self::Ended(Err(why)) => write!(f, "failed {}", why.replace('\n', " ")),
            Self::Cut(after) => write!(f, "cut {}", after.as_millis()),
        }
    }
}

impl Event {
    pub fn read(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        Some(match kind {
            "booted" => Self::Booted,
            "begun" => Self::Begun,
            "ok" => Self::Ended(Ok(())),
            "failed" => Self::Ended(Err(rest.to_owned())),
            "cut" => Self::Cut(Duration::from_millis(rest.parse().ok()?)),
            _ => return None,
        })
    }
}
