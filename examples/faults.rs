//! Prints what is wrong with the volume groups on some disk images: lvmend as a library.
//!
//! ```console
//! $ cargo run --example faults -- a.img b.img
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

use std::process::ExitCode;

use lvmend::discover::{self, Depth, Scope};
use lvmend::fault;
use lvmend::host::image::{ImageFile, open_for_reading};

fn main() -> ExitCode {
    let paths = std::env::args().skip(1);
    let images: Vec<ImageFile> = paths.filter_map(|path| ImageFile::named(&path)).collect();
    match open_for_reading(&images) {
        Ok(host) => {
            let inventory = discover::take(&host, &Scope::disks(Depth::History));
            for found in fault::find(&inventory) {
                println!("{}: {}: {}", found.kind.name(), found.object, found.found);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
