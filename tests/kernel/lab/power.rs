//! Power cuts, and what a story remembers across them.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use crate::inside::say;
use crate::shared::{Event, INSIDE, KEPT};

/// The power is cut here and now. The next act finds what had reached the disks.
pub fn cut_power() -> ! {
    cut_power_in(Duration::ZERO);
    loop {
        sleep(Duration::from_secs(60));
    }
}

/// The power will be cut in so long a time, whatever the act does meanwhile.
pub fn cut_power_in(time: Duration) {
    println!("# the power is cut in {time:?}");
    say(&Event::Cut(time));
}

/// Keeps a text for the acts that follow.
pub fn keep(name: &str, text: &str) {
    let path = path_of(name);
    fs::write(&path, text).unwrap();
    fs::File::open(path).unwrap().sync_all().unwrap();
}

/// What an earlier act has kept.
#[track_caller]
pub fn kept(name: &str) -> String {
    fs::read_to_string(path_of(name)).unwrap_or_else(|e| panic!("no act has kept {name}: {e}"))
}

fn path_of(name: &str) -> PathBuf {
    Path::new(INSIDE).join(KEPT).join(name)
}
