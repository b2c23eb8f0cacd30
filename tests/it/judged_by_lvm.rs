//! Real LVM2 reads what we wrote, and finds nothing to warn about.
//!
//! Runs without device-mapper, on loop devices; needs root and lvm2, and fails without them.

use std::fs;
use std::sync::{Arc, Mutex};

use lvmend::host::fake::DiskImage;
use lvmend::text::read_text;
use lvmend::text::write::{DeviceHints, write_vg};
use tempfile::TempDir;

use crate::support::fixture::{Fixture, write_sparse};
use crate::support::lvm::Lvm;
use crate::support::world::{World, current, plan};

/// Loop devices are numbered by the kernel, and LVM2 scans them all: one test at a time.
static LOOPS: Mutex<()> = Mutex::new(());

/// Applies a plan in memory and lets LVM2 look at the disks.
fn judge(scenario: &str, text: &str, look: impl Fn(&World, &Lvm)) {
    let _one = LOOPS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut world = World::of(scenario);
    world.must_apply(&plan(text));
    let directory = TempDir::new().unwrap();
    let write = |(name, content): (String, DiskImage)| {
        let path = directory.path().join(format!("{name}.img"));
        write_sparse(&path, &content.to_vec());
        path
    };
    let images: Vec<_> = world.contents().into_iter().map(write).collect();
    let lvm = Lvm::attach(&images);
    look(&world, &lvm);
}

/// What every recovery must stand up to.
fn is_sound(world: &World, lvm: &Lvm) {
    let inventory = world.look();
    let ours = &current(&inventory).text;
    let vg = ours.vg_name.as_str();
    assert_eq!(lvm.quiet(&["vgck", vg]), "");
    let shown = lvm.quiet(&["vgs", "--noheadings", "-o", "vg_seqno,vg_missing_pv_count", vg]);
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert_eq!(words, [ours.seqno.to_string().as_str(), "0"]);
    for device in &lvm.devices {
        let headers = lvm.run(&["pvck", "--dump", "headers", device.to_str().unwrap()]);
        assert!(headers.success && headers.stderr.is_empty(), "{}", headers.stderr);
        assert!(!headers.stdout.contains("CHECK:"), "{}", headers.stdout);
        // What LVM2 reads there is what we wrote, byte for byte.
        let on_disk = lvm.metadata_on(device);
        assert_eq!(on_disk, String::from_utf8_lossy(&ours.bytes));
    }
    // LVM2's own backup of it has the same content.
    let backup = read_text(&Arc::from(lvm.backup(vg))).unwrap().text;
    assert_eq!(backup.content, ours.content, "{}", different(&backup.bytes, &ours.bytes));
}

fn different(one: &[u8], other: &[u8]) -> String {
    let shown = |bytes: &[u8]| {
        let tree = lvmend::text::parser::parse(bytes).unwrap();
        let frame = lvmend::text::frame::Frame::of(&tree).unwrap();
        let mut out = Vec::new();
        write_vg(&mut out, frame.vg_name, frame.vg, DeviceHints::LeaveOut);
        String::from_utf8_lossy(&out).into_owned()
    };
    similar::TextDiff::from_lines(shown(one), shown(other)).unified_diff().to_string()
}

fn attach_all() -> &'static str {
    "version: 1\nname: p\nvolume_group: {name: vg}\nphysical_volumes:\n  '*': {state: attached}\n"
}

#[test]
fn returned_pvs() {
    for scenario in ["missing-pv", "missing-two", "missing-changed"] {
        judge(scenario, attach_all(), is_sound);
    }
}

#[test]
fn recovered_lvs() {
    let recover = |lv: &str| {
        format!(
            "version: 1\nname: p\nvolume_group: {{name: vg}}\nlogical_volumes:\n  {lv}: {{state: present}}\n"
        )
    };
    for (scenario, lv) in [
        ("deleted-lv", "precious"),
        ("deleted-pv-renumbered", "precious"),
        ("deleted-parts", "r1"),
        ("deleted-parts", "r5"),
        ("deleted-parts", "mir"),
        ("deleted-parts", "cached"),
        ("deleted-parts", "pool"),
        ("deleted-parts", "origin"),
    ] {
        judge(scenario, &recover(lv), |world, lvm| {
            // A PV that left the VG still has a label, and no VG.
            if scenario != "deleted-pv-renumbered" {
                is_sound(world, lvm);
            }
            let attr = lvm.quiet(&["lvs", "--noheadings", "-o", "lv_attr", &format!("vg/{lv}")]);
            assert!(attr.trim().ends_with('k'), "{lv}: skipped at activation: {attr}");
            assert!(lvm.quiet(&["vgck", "vg"]).is_empty());
        });
    }
}

#[test]
fn the_next_command_of_lvm_goes_on_from_there() {
    let recover = "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes:\n  precious: {state: present}\n";
    judge("deleted-lv", recover, |world, lvm| {
        let ours = current(&world.look()).seqno();
        for change in [["--addtag", "seen"], ["--setactivationskip", "n"]] {
            let [what, how] = change;
            let said = lvm.run(&["lvchange", "-A", "n", what, how, "vg/precious"]);
            assert!(said.success, "{}", said.stderr);
        }
        let seqno = lvm.quiet(&["vgs", "--noheadings", "-o", "vg_seqno", "vg"]);
        assert_eq!(seqno.trim(), (ours + 2).to_string());
        assert_eq!(lvm.quiet(&["vgck", "vg"]), "");
    });
}

#[test]
fn metadata_areas() {
    let _one = LOOPS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let sound = "version: 1\nname: p\nvolume_group: {name: vg, metadata: {state: sound}}\n";
    // Header, label and text of one PV at a time; LVM2 sees the damage before, and none after.
    for (offset, len) in [(4096, 8), (512, 100), (4096, 512)] {
        let mut disks = Fixture::new("plain").disks();
        disks[1].1[offset..offset + len].fill(0x5a);
        let mut world = World::with(disks, &lvmend::host::fake::Schedule::quiet());
        world.must_apply(&plan(sound));
        let directory = TempDir::new().unwrap();
        let images: Vec<_> = world
            .contents()
            .into_iter()
            .map(|(name, content)| {
                let path = directory.path().join(name);
                fs::write(&path, content.to_vec()).unwrap();
                path
            })
            .collect();
        is_sound(&world, &Lvm::attach(&images));
    }
}
