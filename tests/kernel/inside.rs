//! Inside the machine: its init, and the program that tells one act.

mod clean;
mod init;
mod root;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::scenarios::ALL;
use crate::shared::{EVENTS, Event, INSIDE, WORD};

pub use self::init::init;

/// Whether this is the first process of a machine that was booted by this program. The kernel
/// puts words of its command line that it does not know into the environment of its init.
pub fn is_init() -> bool {
    std::process::id() == 1 && std::env::var_os(WORD).is_some()
}

/// Whether this runs in such a machine. What scenarios do must never be done to another one.
pub fn is_here() -> bool {
    share_outside().is_some() && Path::new(INSIDE).join(EVENTS).exists()
}

/// The directory that both sides see, as the outside calls it.
fn share_outside() -> Option<String> {
    let line = std::fs::read_to_string("/proc/cmdline").ok()?;
    line.split_whitespace()
        .find_map(|word| word.strip_prefix(WORD)?.strip_prefix('='))
        .map(str::to_owned)
}

/// Tells one act: `NAME ACT`. Ends with a panic when it goes wrong.
pub fn tell(words: &[String]) -> ExitCode {
    let [name, act] = words else { panic!("{words:?} is not a name and an act") };
    let scenario = ALL.iter().find(|scenario| scenario.name == name).unwrap();
    let act = scenario.act(act.parse().unwrap()).unwrap();
    act();
    ExitCode::SUCCESS
}

/// Tells the outside what happened. It may act upon it at once, so it is written through.
pub fn say(event: &Event) {
    let path = Path::new(INSIDE).join(EVENTS);
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(format!("{event}\n").as_bytes()).unwrap();
    file.sync_all().unwrap();
}
