//! A rebuild of thin metadata, beside the two tools alone, on the same metadata, in one run. Prints the
//! table of `book/src/speed.md`. Needs thin-provisioning-tools.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench that meets what it does not expect is to end there and then"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use lvmend::host::image::{ImageFile, open_for_reading};
use lvmend::host::thin_copy::MetadataCopy;
use lvmend::host::thin_rebuild::Packing;
use lvmend::host::thin_tools::ThinTools;
use lvmend::host::thin_trial::copy_metadata;
use lvmend::ids::DeviceName;
use lvmend::model::thin_pool::PoolByText;
use lvmend::operation::act::{Content, ContentFrom};
use lvmend::units::{Bytes, Sectors};

const MAPPINGS: u64 = 1_000_000;
const ROUNDS: usize = 7;
const SIZE: Bytes = Bytes::new(128 << 20);

/// Metadata in which no mapping joins its neighbour, as after years of random writes.
fn make(directory: &Path) -> String {
    let [xml, metadata] = ["made.xml", "metadata"].map(|name| path(directory, name));
    let mut dump = BufWriter::new(File::create(&xml).unwrap());
    write!(
        dump,
        "<superblock uuid=\"\" time=\"0\" transaction=\"1\" flags=\"0\" version=\"2\" \
         data_block_size=\"128\" nr_data_blocks=\"{MAPPINGS}\">\n<device dev_id=\"1\" \
         mapped_blocks=\"{MAPPINGS}\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">\n"
    )
    .unwrap();
    for place in 0..MAPPINGS {
        let block = place * 7919 % MAPPINGS;
        writeln!(
            dump,
            "<single_mapping origin_block=\"{place}\" data_block=\"{block}\" time=\"0\"/>"
        )
        .unwrap();
    }
    writeln!(dump, "</device>\n</superblock>").unwrap();
    drop(dump);
    empty(&metadata);
    run("thin_restore", &["-i", &xml, "-o", &metadata]);
    metadata
}

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).to_str().unwrap().to_owned()
}

fn empty(path: &str) {
    File::create(path).unwrap().set_len(SIZE.get()).unwrap();
}

fn run(tool: &str, arguments: &[&str]) {
    let output = Command::new(format!("/usr/sbin/{tool}")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{tool}: {output:?}");
}

fn shown(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort();
    let ms = |at: usize| sorted[at].as_millis();
    format!("{} ({} to {})", ms(ROUNDS / 2), ms(0), ms(ROUNDS - 1))
}

fn main() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let metadata = make(directory.path());
    let host = open_for_reading(&[ImageFile::named(&metadata).unwrap()]).unwrap();
    let from = ContentFrom::Own(DeviceName::whole(metadata.as_str()));
    let content = Content {
        vg: "MugB02-kCDl-Smrp-s1gP-YPgi-hLe5-7KmJPI".parse().unwrap(),
        lv: "yLMfFb-9yOk-vf1N-FTmz-5NiL-F5lx-NNmkuN".parse().unwrap(),
        name: "pool_tmeta".parse().unwrap(),
        len: SIZE.sectors_floor(),
        from,
    };
    let text = PoolByText {
        transaction_id: 1,
        data_block: Sectors::new(128),
        data_blocks: MAPPINGS,
        devices: BTreeMap::from([(1, 0)]),
    };
    let tools = ThinTools::find().unwrap();
    let [copy, dump, new] = ["copy", "dump", "new"].map(|name| path(directory.path(), name));
    let (mut ours, mut checks, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for left in [&copy, &dump] {
            fs::remove_file(left).ok();
        }
        empty(&new);
        let start = Instant::now();
        copy_metadata(&host, &content, &copy).unwrap();
        let of = MetadataCopy { tools: &tools, path: copy.clone(), size: SIZE, text: &text };
        assert_eq!(of.dump(&dump).unwrap(), None);
        let mut packing = Packing::begin(dump.clone(), path(directory.path(), "packed"));
        tools.restore(&dump, &new).unwrap().unwrap();
        ours.push(start.elapsed());
        let start = Instant::now();
        let compared = of.rebuilt(None, &new).unwrap().compared;
        assert_eq!(compared.differing, Ok(Vec::new()));
        packing.end().unwrap();
        checks.push(start.elapsed());

        fs::remove_file(&dump).unwrap();
        empty(&new);
        let start = Instant::now();
        run("thin_dump", &["-o", &dump, &metadata]);
        run("thin_restore", &["-i", &dump, "-o", &new]);
        theirs.push(start.elapsed());
    }
    println!("| what | ms |\n|---|---|");
    println!("| lvmend: copy, dump, restore | {} |", shown(&ours));
    println!("| `thin_dump`, `thin_restore` | {} |", shown(&theirs));
    let rest = "`thin_check`, every mapping compared, and the dump packed by then";
    println!("| lvmend: {rest} | {} |", shown(&checks));
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    println!("\nlvmend itself took {} MiB of memory at most", usage.max_rss() / 1024);
}
