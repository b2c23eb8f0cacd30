#![no_main]

use std::fs::File;
use std::io::Read;

use flate2::read::GzDecoder;
use lvmend::host::fake::DiskImage;

fn disk(name: &str) -> DiskImage {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/wrapped-ring/");
    let packed = File::open(format!("{root}{name}.img.gz")).expect("the fixture is there");
    let mut content = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut content).expect("the fixture is sound");
    content.into()
}

thread_local! {
    static DISKS: [DiskImage; 2] = [disk("a"), disk("b")];
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| DISKS.with(|disks| bodies::image(disks, data)));
