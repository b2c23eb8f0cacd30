//! Metadata areas are damaged: on one of two PVs, then on both.

use crate::lab::{disks, fill, lvm, lvmend, mend, plan, sh, sha256, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("bad_areas", story);

fn story() {
    let [a, b] = disks(64);
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("lvcreate -n data -L 32M vg");
    fill("/dev/vg/data");
    let data = sha256("/dev/vg/data");
    let sound = plan("sound", "volume_group: {name: vg, metadata: {state: sound}}");

    // A flipped byte in a header, which LVM2 mends itself; then no header at all, which it does not.
    for damage in ["bs=1 seek=4396 if=/dev/urandom", "bs=512 seek=8 if=/dev/zero"] {
        sh(&format!("dd of={b} count=1 conv=notrunc,fsync {damage}; blockdev --flushbufs {b}"));
        lvmend("inspect vg").exits(2).says("damaged-area");
        mend(&sound);
        lvm("vgck vg");
    }

    for disk in [&a, &b] {
        sh(&format!("dd of={disk} if=/dev/zero bs=512 seek=8 count=1 oflag=direct conv=notrunc"));
    }
    try_lvm("vgs vg").exits(5);
    lvmend("inspect").exits(2).says("no-metadata");
    mend(&sound);
    lvm("vgck vg");

    // Headers that are sound, over texts that are not.
    for disk in [&a, &b] {
        sh(&format!(
            "at=$(pvck --dump headers {disk} | sed -n 's/.*metadata text at \\([0-9]*\\) .*/\\1/p'); \
             printf X | dd of={disk} bs=1 seek=$((at+100)) conv=notrunc,fsync; \
             blockdev --flushbufs {disk}"
        ));
    }
    try_lvm("vgs vg").exits(5);
    mend(&sound);
    lvm("vgck vg");
    assert_eq!(sha256("/dev/vg/data"), data);
}
