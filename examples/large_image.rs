//! Writes images of a VG with so many LVs and PVs: for measuring.
//!
//! ```console
//! $ cargo run --release --example large_image -- 10000 100 16 big.img
//! ```
//! LVs, PVs, MiB of metadata area, file. The first PV is `big.img`, the others `big.img.1` and so
//! on, without a metadata area. The area is filled with versions, as many as fit; the newest lacks
//! the last LV.

use std::process::ExitCode;

#[path = "../benches/large.rs"]
mod large;

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [lvs, pvs, mib, path] = words.as_slice() else {
        eprintln!("usage: large_image LVS PVS MIB FILE");
        return ExitCode::FAILURE;
    };
    let number = |text: &String| text.parse::<usize>().unwrap_or(1);
    match large::write_images(number(lvs), number(pvs), number(mib) as u64, path) {
        Ok(versions) => {
            println!("{path}: {versions} versions");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}
