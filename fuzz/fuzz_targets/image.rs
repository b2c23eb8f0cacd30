#![no_main]

use lvmend::host::fake::DiskImage;

thread_local! {
    static DISKS: [DiskImage; 2] = bodies::small_disks();
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| DISKS.with(|disks| bodies::image(disks, data)));
