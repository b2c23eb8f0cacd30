//! A command that was interrupted left stacks suspended at different levels, with tables that wait, good
//! ones and bad ones: the ready plan sets them right, with and without udev.

use crate::lab::{
    DeviceMapper, FileSystem, Udevd, disks, fill, lvm, lvmend, sh, sha256, try_sh, wait_until,
};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("suspended_devices", story);

const PLAN: &str = include_str!("../../../plans/suspended-devices.yaml");

fn story() {
    let all = disks(64);
    let [a, b] = &all;
    lvm(&format!("vgcreate vg0 {a} {b}"));
    lvm(&format!("lvcreate -n other -L 8M vg0 {b}"));
    fill("/dev/vg0/other");
    let of_other = sha256("/dev/vg0/other");
    lvm(&format!("lvcreate -n origin -L 8M vg0 {a}"));
    lvm("lvcreate -n snap -s -L 4M vg0/origin");
    let origin = FileSystem::make("/dev/vg0/origin");
    let files = origin.digest();
    lvm("lvcreate --type thin-pool -L 16M --poolmetadatasize 2M -n pool vg0");
    lvm("lvcreate -V 8M --thinpool vg0/pool -n thin");
    fill("/dev/vg0/thin");
    let of_thin = sha256("/dev/vg0/thin");
    lvm("lvcreate --type raid1 -m 1 -L 8M -n raid vg0");
    wait_until("raid in sync", || {
        lvm("lvs --noheadings -o sync_percent vg0/raid").answer() == "100.00"
    });
    fill("/dev/vg0/raid");
    let of_raid = sha256("/dev/vg0/raid");
    std::fs::write("/tmp/plan.yaml", PLAN).unwrap();
    lvmend("plan /tmp/plan.yaml").exits(0);

    waiting_tables();
    suspended_stacks();
    // Its content was written over in the middle.
    fill("/dev/vg0/raid");
    println!("# with udev");
    Udevd::start();
    sh("dmsetup suspend --nolockfs vg0-origin && dmsetup suspend vg0-origin-real");
    sh(&bad("vg0-origin-real"));
    mended(&["vg0-origin", "vg0-origin-real"]);

    assert_eq!(sha256("/dev/vg0/other"), of_other);
    assert_eq!(sha256("/dev/vg0/thin"), of_thin);
    assert_eq!(sha256("/dev/vg0/raid"), of_raid);
    assert_eq!(origin.digest(), files);
    origin.unmount();
}

/// A table that waits, over the extents of another LV.
fn bad(device: &str) -> String {
    format!(
        "dmsetup table {device} | sed \"s/linear .*/linear $(dmsetup table vg0-other | cut -d' ' -f4,5)/\" \
         | dmsetup load {device}"
    )
}

fn waiting_tables() {
    println!("# a table that waits over another LV's extents, and one that is the right one");
    sh(&bad("vg0-origin-real"));
    sh("dmsetup table vg0-raid_rimage_0 | dmsetup load vg0-raid_rimage_0");
    mended(&["vg0-origin-real", "vg0-raid_rimage_0"]);

    println!("# what was only made and never ran");
    let vg = lvm("vgs --noheadings -o vg_uuid vg0").answer().replace('-', "");
    let lv = lvm("lvs --noheadings -o lv_uuid vg0/other").answer().replace('-', "");
    sh(&format!("dmsetup create vg0-other-real --notable -u LVM-{vg}{lv}-real"));
    sh("dmsetup table vg0-other | dmsetup load vg0-other-real");
    mended(&["vg0-other-real"]);
    assert_eq!(DeviceMapper::named("vg0-other-real"), None);
}

fn suspended_stacks() {
    println!("# tops suspended, what lies below running");
    sh("dmsetup suspend --noflush vg0-thin && dmsetup suspend --nolockfs vg0-origin");
    mended(&["vg0-thin", "vg0-origin"]);

    println!("# everything suspended from the top, tables of all kinds in between");
    sh("dmsetup suspend --nolockfs vg0-origin && dmsetup suspend vg0-snap && \
        dmsetup suspend vg0-origin-real && dmsetup suspend vg0-snap-cow && \
        dmsetup suspend --noflush vg0-thin && dmsetup suspend --noflush vg0-pool-tpool && \
        dmsetup suspend vg0-pool_tdata && dmsetup suspend vg0-pool_tmeta");
    sh(&bad("vg0-snap-cow"));
    sh(&bad("vg0-pool_tdata"));
    sh("dmsetup table vg0-origin-real | dmsetup load vg0-origin-real");
    sh("echo 0 16384 error | dmsetup load vg0-thin");
    mended(&["vg0-origin-real", "vg0-snap-cow", "vg0-pool-tpool", "vg0-thin"]);

    println!("# only the lowest suspended, with somebody's write stuck half way");
    sh("dmsetup suspend --noflush vg0-raid_rimage_1");
    sh(
        "(dd if=/dev/urandom of=/dev/vg0/raid bs=4k count=1 seek=2000 oflag=direct; echo $? > /tmp/wrote) \
        > /dev/null 2>&1 & sleep 0.3",
    );
    mended(&["vg0-raid_rimage_1"]);
    wait_until("the write is through", || try_sh("test -s /tmp/wrote").code == 0);
    assert_eq!(sh("cat /tmp/wrote").answer(), "0");
}

/// The plan says what is wrong with these, sets it right, and has nothing to do then.
fn mended(devices: &[&str]) {
    let mut planned = lvmend("plan /tmp/plan.yaml").exits(2).says("reload_tree");
    for device in devices {
        planned = planned.says(device);
    }
    lvmend("apply --yes /tmp/plan.yaml").exits(0);
    let wrong = |device: &DeviceMapper| device.suspended;
    assert!(!DeviceMapper::all().iter().any(wrong));
    assert_eq!(
        sh("dmsetup info -c --noheadings -o name,tables_loaded | grep -v Live || true").answer(),
        ""
    );
    lvmend("apply --yes /tmp/plan.yaml").exits(0).says("Nothing to do");
}
