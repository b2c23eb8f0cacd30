//! What `cargo test` hands on, as far as it means something here.

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
                // Asks for the tests that are switched off; there are none.
                "--ignored" => read.skipped.push(String::new()),
                "--skip" => read.skipped.extend(words.next().cloned()),
                flag if WITH_VALUE.contains(&flag) => drop(words.next()),
                flag if flag.starts_with('-') => {}
                filter => read.filters.push(filter.to_owned()),
            }
        }
        read
    }

    pub fn choose(&self, name: &str) -> bool {
        let meant = |filter: &String| {
            if self.exact { name == filter } else { name.contains(filter.as_str()) }
        };
        (self.filters.is_empty() || self.filters.iter().any(meant))
            && !self.skipped.iter().any(meant)
    }
}
