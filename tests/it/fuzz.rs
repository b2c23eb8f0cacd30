//! What `make fuzz` does for hours, for seconds: every target over its seeds, over changed copies
//! of them, and over every sample that once broke something (`fuzz/finds`).
//!
//! `FUZZ_SEEDS=DIR` writes the seeds out for the fuzzers.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use lvmend::host::RunStore;
use lvmend::host::fake::Schedule;

use crate::support::fixture::Fixture;
use crate::support::world::{World, plan};

#[path = "../../fuzz/src/bodies.rs"]
pub mod bodies;

const RETURNED: &str =
    "version: 1\nname: p\nvolume_group: {name: vg}\nphysical_volumes:\n  '*': {state: attached}\n";
/// Pieces that make a mutation reach further than flipped bits do.
const WORDS: [&[u8]; 12] = [
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\x00\x02\x00\x00\x00\x00\x00\x00",
    b"LABELONE",
    b" {\nid = \"",
    b"[\"a\", \"b\"]",
    b"segment1 {\n",
    b"? &a *a !!x |\n",
    b"\n- ",
    b"\": {\"",
    b"18446744073709551615",
    b"\x1b[31m",
];

/// Numbers that look random and are the same every time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (end.max(1) as u64)).unwrap()
    }
}

fn mutated(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut data = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(data.len());
        let end = at + dice.below(data.len().saturating_sub(at).min(64));
        match dice.below(7) {
            0 if !data.is_empty() => data[at] ^= 1 << dice.below(8),
            1 if !data.is_empty() => data[at] = u8::try_from(dice.below(256)).unwrap(),
            2 => drop(data.drain(at..end)),
            3 => data.truncate(at),
            4 => {
                let word = WORDS[dice.below(WORDS.len())];
                data.splice(at..at, word.iter().copied());
            }
            5 => {
                let piece = data[at..end].to_vec();
                data.splice(at..at, piece);
            }
            _ => {
                let other = &seeds[dice.below(seeds.len())];
                data.truncate(at);
                data.extend_from_slice(&other[dice.below(other.len())..]);
            }
        }
    }
    data
}

/// Runs a target over finds, seeds and so many changed copies.
fn smoke(name: &str, seeds: &[Vec<u8>], runs: usize, target: impl Fn(&[u8])) {
    assert!(!seeds.is_empty(), "{name} has no seeds");
    if let Some(into) = std::env::var_os("FUZZ_SEEDS") {
        let into = Path::new(&into).join(name);
        fs::create_dir_all(&into).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(into.join(format!("seed-{number:04}")), seed).unwrap();
        }
    }
    let finds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/finds").join(name);
    for find in fs::read_dir(finds).into_iter().flatten() {
        target(&fs::read(find.unwrap().path()).unwrap());
    }
    for seed in seeds {
        target(seed);
    }
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..runs {
        target(&mutated(seeds, &mut dice));
    }
}

fn with_mode(mode: u8, bytes: &[u8]) -> Vec<u8> {
    [&[mode], bytes].concat()
}

fn texts() -> Vec<Arc<[u8]>> {
    let scenarios = ["plain", "deleted-parts", "all-types", "thin-history", "odd-names", "pvmove"];
    let of = |scenario: &&str| World::of(scenario).look().texts.into_values().map(|t| t.bytes);
    scenarios.iter().flat_map(of).filter(|text| text.len() < 40_000).collect()
}

#[test]
fn labels() {
    let mut seeds = Vec::new();
    for (_, disk) in Fixture::new("label-sector").disks() {
        for sector in 0_u8..4 {
            let at = usize::from(sector) * 512;
            seeds.push(with_mode(128 + sector, &disk[at..at + 512]));
            seeds.push(with_mode(sector, &disk[at..at + 512]));
        }
    }
    smoke("label", &seeds, 20_000, bodies::label);
}

#[test]
fn signatures() {
    let with = |at: usize, magic: &[u8]| {
        let mut device = vec![0; 68 << 10];
        device[at..at + magic.len()].copy_from_slice(magic);
        with_mode(0, &device)
    };
    let seeds = [
        with(0, b"LUKS\xba\xbe\x00\x02"),
        with(1080, &[0x53, 0xef]),
        with(4096, &[0xfc, 0x4e, 0x2b, 0xa9, 1]),
        with(510, &[0x55, 0xaa]),
        with(512, b"EFI PART"),
        with(65_600, b"_BHRfS_M"),
    ];
    smoke("signature", &seeds, 500, bodies::signature);
}

#[test]
fn areas() {
    let mut seeds = Vec::new();
    for (_, disk) in Fixture::new("wrapped-ring").disks() {
        seeds.push(with_mode(255, &disk[4096..4096 + 40_960]));
        seeds.push(with_mode(0, &disk[4096..4096 + 4_096]));
    }
    smoke("area", &seeds, 1_000, bodies::area);
}

#[test]
fn metadata_texts() {
    let seeds: Vec<Vec<u8>> = texts().iter().map(|text| text.to_vec()).collect();
    smoke("text", &seeds, 2_000, bodies::text);
}

#[test]
fn thin_superblocks() {
    let mut seeds = Vec::new();
    for (_, disk) in Fixture::new("thin").disks() {
        let is_superblock =
            |block: &&[u8]| block[32..40] == 27_022_010_u64.to_le_bytes() && block[8..16] == [0; 8];
        seeds.extend(disk.chunks_exact(4096).filter(is_superblock).map(<[u8]>::to_vec));
    }
    smoke("thin_superblock", &seeds, 5_000, bodies::thin_superblock);
}

#[test]
fn journals() {
    let mut world = World::of("missing-pv");
    world.must_apply(&plan(RETURNED));
    let run = world.store.runs().unwrap().remove(0);
    world.rollback(&run).unwrap();
    let journal = world.store.journal(&run).unwrap();
    let record = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["record"].to_string()
    };
    let text = String::from_utf8(journal.clone()).unwrap();
    let records: Vec<String> = text.lines().map(record).collect();
    let seeds = vec![journal, records.join("\n").into_bytes()];
    smoke("journal", &seeds, 3_000, bodies::journal);
}

#[test]
fn plan_documents() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = Vec::new();
    for directory in ["plans", "tests/data/plans"] {
        for entry in fs::read_dir(root.join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "yaml") {
                seeds.push(fs::read(path).unwrap());
            }
        }
    }
    seeds.sort();
    smoke("plan", &seeds, 1_500, bodies::plan);
}

#[test]
fn sealed_plans() {
    let plan = plan(RETURNED);
    let sealed = World::of("missing-pv").plan(&plan).seal(&plan, "lvmend test", String::new());
    let seeds = vec![serde_json::to_vec(&sealed).unwrap()];
    smoke("sealed_plan", &seeds, 3_000, bodies::sealed_plan);
}

#[test]
fn images() {
    let base = bodies::small_disks();
    let names = ["a".to_owned(), "b".to_owned()];
    let world = World::with(names.into_iter().zip(base.clone()).collect(), &Schedule::quiet());
    assert_eq!(lvmend::fault::find(&world.look()), [], "the base is sound");
    let patch = |disk: u8, at: u32, bytes: &[u8]| {
        let at = at.to_be_bytes();
        let head = [disk, at[1], at[2], at[3], u8::try_from(bytes.len()).unwrap()];
        [&head[..], bytes].concat()
    };
    let seeds = vec![
        Vec::new(),
        patch(0, 512, &[0; 200]),
        patch(1, 4096 + 40, &[0xff; 16]),
        [patch(0, 4096, &[0; 64]), patch(1, 512 + 64, b"x"), patch(0, 8192, b"seqno = 99")]
            .concat(),
    ];
    smoke("image", &seeds, 1_000, |data| bodies::image(&base, data));
}
