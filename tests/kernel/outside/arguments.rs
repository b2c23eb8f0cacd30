//! What `cargo test` hands on, as far as it means something here.

use crate::scenario::Scenario;

/// Flags of the usual test runner that take a value, which is no filter.
const WITH_VALUE: [&str; 5] = ["--test-threads", "--format", "--color", "--logfile", "-Z"];

#[derive(Default)]
pub struct Arguments {
    pub list: bool,
    /// Transcripts of scenarios that passed, too.
    pub show_all: bool,
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    long: Long,
}

/// Whether scenarios are run that are too long for every day.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Long {
    #[default]
    Not,
    Too,
    Only,
}

impl Arguments {
    pub fn read(words: &[String]) -> Self {
        let mut read = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => read.list = true,
                "--nocapture" | "--no-capture" | "--show-output" => read.show_all = true,
                "--exact" => read.exact = true,
                "--ignored" => read.long = Long::Only,
                "--include-ignored" => read.long = Long::Too,
                "--skip" => read.skipped.extend(words.next().cloned()),
                flag if WITH_VALUE.contains(&flag) => drop(words.next()),
                flag if flag.starts_with('-') => {}
                filter => read.filters.push(filter.to_owned()),
            }
        }
        read
    }

    pub fn choose(&self, scenario: &Scenario) -> bool {
        let name = scenario.name;
        let is_asked_for = match self.long {
            Long::Not => !scenario.is_long,
            Long::Too => true,
            Long::Only => scenario.is_long,
        };
        let meant = |filter: &String| {
            if self.exact { name == filter } else { name.contains(filter.as_str()) }
        };
        is_asked_for
            && (self.filters.is_empty() || self.filters.iter().any(meant))
            && !self.skipped.iter().any(meant)
    }
}
