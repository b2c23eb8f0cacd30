//! The `lvmend` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    lvmend::cli::run(std::env::args_os())
}
