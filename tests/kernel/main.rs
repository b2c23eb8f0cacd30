//! Scenarios on a kernel with device-mapper: `README.md` beside this file says how to write one.
//!
//! This program is three programs. Run by `cargo test`, it boots user-mode Linux. There it is
//! the init of the machine, and runs itself once more for each scenario.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs,
    reason = "a test that meets what it does not expect is to end there and then"
)]
#![allow(clippy::format_push_string, reason = "what a test says is to be seen at a glance")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the results and the transcripts are what this program is run for"
)]

mod inside;
mod lab;
mod outside;
mod scenario;
mod scenarios;
mod shared;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if inside::is_init() {
        inside::init();
    }
    if inside::is_here() {
        return inside::tell(&words);
    }
    outside::main(&words)
}
