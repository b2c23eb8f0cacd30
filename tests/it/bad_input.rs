//! Bad input, from the outside: a clear error, the exit code of the table, nothing written, no
//! panic, and little memory.

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::process::Command;

use lvmend::model::device::{DiskArea, Slot, Slots};
use lvmend::ondisk::area_header::encode_area_header;
use lvmend::ondisk::checksum::lvm_crc;
use lvmend::units::Bytes;

use crate::support::program::{Desk, Ended};

const ATTACH: &str =
    "version: 1\nname: p\nvolume_group: {name: vg}\nphysical_volumes:\n  '*': {state: attached}\n";
const AREA: u64 = 4096;

/// Runs with at most this much address space: what needs more, fails.
fn with_little_memory(desk: &Desk, arguments: &[&str]) -> Ended {
    let plain = desk.command(&desk.with_images(arguments));
    let mut limited = Command::new("prlimit");
    limited.current_dir(desk.path()).env_clear().env("LC_ALL", "C");
    limited.args(["--as=629145600", "--"]).arg(plain.get_program()).args(plain.get_args());
    desk.ended(&limited.output().expect("prlimit must be there"))
}

/// Looks at the desk in every way; nothing may panic or change, and nothing raw reaches the output.
fn looks(desk: &Desk) -> Vec<Ended> {
    desk.put("plan.yaml", ATTACH);
    let before = desk.digests();
    let commands: [&[&str]; 5] = [
        &["inspect", "-a"],
        &["inspect", "--format", "json"],
        &["history", "list", "vg"],
        &["plan", "plan.yaml"],
        &["apply", "plan.yaml"],
    ];
    let ended: Vec<Ended> =
        commands.iter().map(|arguments| with_little_memory(desk, arguments)).collect();
    for (ended, arguments) in ended.iter().zip(commands) {
        let known = [0, 1, 2, 3, 4, 9, 64].contains(&ended.code);
        assert!(known, "{arguments:?}: {}", ended.shown());
        assert!(!ended.stderr.contains("panicked"), "{arguments:?}: {}", ended.shown());
        let is_raw = |c: char| c.is_control() && c != '\n';
        let text = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!text.contains(is_raw), "{arguments:?}: {text:?}");
    }
    assert_eq!(desk.digests(), before, "nothing was written");
    ended
}

/// Puts a text into the first area of a disk, and points to it.
fn plant(desk: &Desk, disk: usize, area_size: u64, text: &[u8]) {
    let file = fs::File::options().write(true).open(desk.image(disk)).unwrap();
    let area = DiskArea { offset: Bytes::new(AREA), size: Bytes::new(area_size) };
    let with_nul = [text, b"\0"].concat();
    file.write_all_at(&with_nul, AREA + 512).unwrap();
    let committed = Slot {
        offset: Bytes::new(512),
        size: Bytes::of_len(with_nul.len()),
        checksum: lvm_crc(&with_nul),
        ignored: false,
        raw_flags: 0,
    };
    let slots = Slots { committed, precommitted: Slot::default() };
    file.write_all_at(&encode_area_header(area, &slots), AREA).unwrap();
}

fn text_on(desk: &Desk, disk: usize) -> Vec<u8> {
    let bytes = fs::read(desk.image(disk)).unwrap();
    let slot = u64::from_le_bytes(bytes[4096 + 40..4096 + 48].try_into().unwrap());
    let start = 4096 + usize::try_from(slot).unwrap();
    let len = bytes[start..].iter().position(|b| *b == 0).unwrap();
    bytes[start..start + len].to_vec()
}

#[test]
fn truncated_images() {
    for size in [1, 511, 512, 1024, 4096, 4097, 4608, 9000, 1 << 20, (16 << 20) - 1] {
        let desk = Desk::with("plain");
        fs::File::options().write(true).open(desk.image(0)).unwrap().set_len(size).unwrap();
        looks(&desk);
    }
}

#[test]
fn files_that_are_no_images() {
    let desk = Desk::with("plain");
    fs::write(desk.path().join("empty.img"), b"").unwrap();
    symlink(desk.image(0), desk.path().join("link.img")).unwrap();
    fs::hard_link(desk.image(0), desk.path().join("hard.img")).unwrap();
    let cases = [
        (vec!["empty.img"], 64, "empty"),
        (vec!["."], 64, "directory"),
        (vec!["/dev/null"], 64, "/dev/null"),
        (vec!["nowhere.img"], 1, "No such file"),
        (vec!["a.img", "a.img"], 64, "same"),
        (vec!["a.img", "link.img"], 64, "same"),
        (vec!["a.img", "hard.img"], 64, "same"),
    ];
    for (images, code, said) in cases {
        let mut arguments = vec!["inspect"];
        arguments.extend(images.iter().flat_map(|image| ["--image", image]));
        let ended = desk.run_bare(&arguments).with_code(code);
        assert!(ended.stderr.contains(said), "{images:?}: {}", ended.shown());
    }
}

#[test]
fn two_vgs_of_one_name() {
    let one = Desk::with("plain");
    let other = Desk::with("deleted-lv");
    for (index, image) in other.images().iter().enumerate() {
        fs::copy(image, one.path().join(format!("other{index}.img"))).unwrap();
    }
    one.put("plan.yaml", ATTACH);
    let arguments =
        one.with_images(&["plan", "plan.yaml", "--image", "other0.img", "--image", "other1.img"]);
    let ended = one.run_bare(&arguments).with_code(4);
    assert!(ended.stderr.contains("plan-ambiguous-object"), "{}", ended.shown());
}

#[test]
fn images_of_another_vg() {
    let desk = Desk::with("plain");
    desk.put("plan.yaml", &ATTACH.replace("name: vg", "name: elsewhere"));
    let ended = desk.run(&["plan", "plan.yaml"]).with_code(4);
    assert!(ended.stderr.contains("plan-unknown-object"), "{}", ended.shown());
}

#[test]
fn equal_numbers_with_different_texts() {
    let desk = Desk::with("plain");
    let text = String::from_utf8(text_on(&desk, 0)).unwrap();
    plant(&desk, 0, (1 << 20) - AREA, text.replace("READ\", \"WRITE", "READ").as_bytes());
    let ended = looks(&desk);
    assert!(ended[0].stdout.contains("metadata-branches"), "{}", ended[0].shown());
    assert!(ended[3].stdout.contains("metadata-branches"), "{}", ended[3].shown());
    assert_eq!((ended[0].code, ended[3].code), (2, 3));
}

#[test]
fn absurd_offsets_and_lengths() {
    // In the area's header: offset and size of the committed slot; start and size of the area.
    for place in [40, 48, 24, 32] {
        for value in [1_u64, 511, 1 << 20, u64::MAX, u64::MAX - 511, 1 << 62] {
            let desk = Desk::with("plain");
            let mut disk = fs::read(desk.image(0)).unwrap();
            disk[4096 + place..4096 + place + 8].copy_from_slice(&value.to_le_bytes());
            let sum = lvm_crc(&disk[4100..4608]);
            disk[4096..4100].copy_from_slice(&sum.to_le_bytes());
            fs::write(desk.image(0), &disk).unwrap();
            let ended = looks(&desk);
            assert_eq!(ended[0].code, 2, "{place} {value}: {}", ended[0].shown());
        }
    }
}

#[test]
fn overlapping_segments() {
    let desk = Desk::with("plain");
    let text = String::from_utf8(text_on(&desk, 0)).unwrap();
    // Every stripe begins at extent 0 of its PV.
    let mut forged = String::new();
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("\"pv0\", ") {
            Some(_) if line.ends_with(",\n") => forged.push_str("\"pv0\", 0,\n"),
            Some(_) => forged.push_str("\"pv0\", 0\n"),
            None => forged.push_str(line),
        }
    }
    for disk in [0, 1] {
        plant(&desk, disk, (1 << 20) - AREA, forged.as_bytes());
    }
    let ended = looks(&desk);
    assert!(ended[0].stdout.contains("extents-in-conflict"), "{}", ended[0].shown());
}

#[test]
fn hostile_texts() {
    let nested = format!("{}{}", "a {\n".repeat(1000), "}\n".repeat(1000));
    let list = format!("a = {}", "[".repeat(100_000));
    let texts: Vec<Vec<u8>> = vec![
        nested.into_bytes(),
        list.into_bytes(),
        b"vg {\nid = \"\xff\xfe\"\nseqno = 1\n}\n".to_vec(),
        b"contents = \"Text Format Volume Group\"\nversion = 1\nvg {\nseqno = 99999999999999999999\n}\n".to_vec(),
        vec![b'a'; 500_000],
    ];
    for text in texts {
        let desk = Desk::with("plain");
        plant(&desk, 0, (1 << 20) - AREA, &text);
        let ended = looks(&desk);
        assert_eq!(ended[0].code, 2, "{}", ended[0].shown());
    }
}

#[test]
fn names_that_would_drive_a_terminal() {
    let desk = Desk::with("plain");
    let text = String::from_utf8(text_on(&desk, 0)).unwrap();
    let forged = text.replace("/dev/", "/dev/\u{1b}[2J\u{7}\u{202e}");
    assert_ne!(forged, text);
    for disk in [0, 1] {
        plant(&desk, disk, (1 << 20) - AREA, forged.as_bytes());
    }
    looks(&desk);
}

#[test]
fn a_text_of_256_mib() {
    let desk = Desk::with("plain");
    let file = fs::File::options().write(true).open(desk.image(0)).unwrap();
    file.set_len(600 << 20).unwrap();
    let size = 260_u64 << 20;
    let area = DiskArea { offset: Bytes::new(AREA), size: Bytes::new(size) };
    let committed = Slot {
        offset: Bytes::new(512),
        size: Bytes::new(256 << 20),
        checksum: 1,
        ignored: false,
        raw_flags: 0,
    };
    let slots = Slots { committed, precommitted: Slot::default() };
    file.write_all_at(&encode_area_header(area, &slots), AREA).unwrap();
    // The label says so too.
    let mut label = fs::read(desk.image(0)).unwrap()[512..1024].to_vec();
    let old = ((1_u64 << 20) - AREA).to_le_bytes();
    let at = label.windows(8).position(|window| window == old).unwrap();
    label[at..at + 8].copy_from_slice(&size.to_le_bytes());
    let sum = lvm_crc(&label[20..]);
    label[16..20].copy_from_slice(&sum.to_le_bytes());
    file.write_all_at(&label, 512).unwrap();
    desk.put("plan.yaml", ATTACH);
    for arguments in [&["inspect"][..], &["history", "list", "vg"], &["plan", "plan.yaml"]] {
        let ended = with_little_memory(&desk, arguments);
        assert!([0, 2, 3].contains(&ended.code), "{arguments:?}: {}", ended.shown());
    }
}

#[test]
fn hostile_documents() {
    let desk = Desk::with("plain");
    let lol = "a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b]\n";
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (lol.as_bytes().to_vec(), "plan-yaml-subset"),
        ("[".repeat(100_000).into_bytes(), "plan-"),
        (format!("version: 1\nname: {}\n", "x".repeat(5 << 20)).into_bytes(), "plan-too-large"),
        (b"version: 1\nname: \xff\n".to_vec(), "plan-not-utf8"),
        (b"version: 1\nname: \"\x1b[31m\"\n".to_vec(), "plan-control-character"),
        (b"".to_vec(), "plan-syntax"),
        (b"version: 1\nversion: 1\n".to_vec(), "plan-duplicate-key"),
        (b"version: 1\nnaem: x\n".to_vec(), "did you mean `name`?"),
        (b"version: 2\nname: x\nvolume_group: {name: vg}\n".to_vec(), "plan-"),
        (b"--- {}\n--- {}\n".to_vec(), "plan-yaml-subset"),
        (b"version: 1\nname: !!str x\nvolume_group: {name: vg}\n".to_vec(), "plan-yaml-subset"),
        (b"version: 1\nname: x\nvolume_group: {<<: {name: vg}}\n".to_vec(), "plan-yaml-subset"),
    ];
    for (document, said) in cases {
        fs::write(desk.path().join("bad.yaml"), &document).unwrap();
        for command in ["validate", "plan"] {
            let arguments: &[&str] = &[command, "bad.yaml"];
            let ended = if command == "plan" {
                with_little_memory(&desk, arguments)
            } else {
                desk.run_bare(arguments)
            };
            assert_eq!(ended.code, 4, "{said}: {}", ended.shown());
            assert!(ended.stderr.contains(said), "{said}: {}", ended.shown());
        }
    }
}
