//! What each fuzz target does with its input: read it, and hold what was read to what must be true
//! of it. The tests run the same over samples.

use std::collections::BTreeMap;
use std::sync::Arc;

use lvmend::discover::{self, Depth, Scope};
use lvmend::execute::journal::{Journal, Record};
use lvmend::execute::run_state::RunState;
use lvmend::fault;
use lvmend::host::Machine;
use lvmend::host::fake::{DiskImage, FakeDisk, Schedule};
use lvmend::host::image::{Clock, ImageFile, ImageHost};
use lvmend::ids::{DeviceName, Digest, LvmUuid, PvUuid};
use lvmend::model::device::{DiskArea, Slot, Slots};
use lvmend::model::extent_map::ExtentMap;
use lvmend::model::thin_pool::PoolByText;
use lvmend::ondisk::area_header::{encode_area_header, parse_area_header};
use lvmend::ondisk::label::{Label, LabelSector, parse_label};
use lvmend::ondisk::ring::{RingRange, candidates, checked_text, next_position};
use lvmend::ondisk::signature::{Ends, signatures};
use lvmend::ondisk::thin_mappings::{blocks_mapped_twice, read_mappings};
use lvmend::ondisk::thin_mend::mend;
use lvmend::ondisk::thin_node::node_checksum;
use lvmend::ondisk::thin_roots::find_roots;
use lvmend::ondisk::thin_space::read_allocated;
use lvmend::ondisk::thin_superblock::{BLOCK_SIZE, parse_thin_superblock, superblock_checksum};
use lvmend::ondisk::thin_tree::{read_details, read_mapped_devices};
use lvmend::operation::Signature;
use lvmend::plan;
use lvmend::plan::problem::Code;
use lvmend::report;
use lvmend::simulate::planned::work_out;
use lvmend::simulate::sealed::SealedPlan;
use lvmend::text::frame::Frame;
use lvmend::text::parser::parse;
use lvmend::text::read_text;
use lvmend::text::write::{DeviceHints, write_vg};
use lvmend::units::{Bytes, Sectors};

fn filled<const N: usize>(data: &[u8]) -> [u8; N] {
    let mut block = [0; N];
    for (place, byte) in block.iter_mut().zip(data) {
        *place = *byte;
    }
    block
}

/// A label sector. What is sound is written and read again, and comes out the same.
///
/// A first byte below 128 asks for a right checksum, so that the inside is reached.
pub fn label(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    let mut sector: [u8; 512] = filled(rest);
    if *mode < 128 {
        let sum = lvmend::ondisk::checksum::lvm_crc(&sector[20..]);
        sector[16..20].copy_from_slice(&sum.to_le_bytes());
    }
    let number = u64::from(mode % 4);
    if let LabelSector::Sound(label) = parse_label(&sector, number)
        && let Some(written) = label.encode()
    {
        assert_eq!(parse_label(&written, number), LabelSector::Sound(label));
    }
}

/// The ends of a device: what stands there lies on it.
pub fn signature(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    // Where the end of what is read is the end of the device, and where a hole lies between.
    let hole = if *mode < 128 { 0 } else { usize::from(*mode) << 16 };
    let size = Bytes::of_len(rest.len() + hole);
    let tail = &rest[rest.len() / 2..];
    for found in signatures(&Ends { size, head: rest, tail }) {
        assert!(found.at < size, "{found}");
    }
}

/// A metadata area: header, both slots, texts, everything that looks like a text.
pub fn area(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    let mut header: [u8; 512] = filled(rest);
    let ring = rest.get(512..).unwrap_or(&[]);
    let size = Bytes::of_len(512 + ring.len());
    let place = DiskArea { offset: Bytes::new(4096), size };
    if *mode < 128 {
        header[24..32].copy_from_slice(&place.offset.get().to_le_bytes());
        header[32..40].copy_from_slice(&size.get().to_le_bytes());
        let sum = lvmend::ondisk::checksum::lvm_crc(&header[4..]);
        header[..4].copy_from_slice(&sum.to_le_bytes());
    }
    let read = parse_area_header(&header, place);
    let whole: Vec<u8> = header.iter().chain(ring).copied().collect();
    if let Some(slots) = read.good() {
        let written = encode_area_header(place, slots);
        assert_eq!(parse_area_header(&written, place), read, "a header that is written back");
        for slot in [&slots.committed, &slots.precommitted] {
            text_of_slot(&whole, slot, size);
        }
    }
    for candidate in candidates(&whole) {
        let (first, second) = candidate.range.slices(&whole).expect("it lies in the area");
        let bytes: Arc<[u8]> = [first, second].concat().into();
        let _ = read_text(&bytes);
    }
}

fn text_of_slot(area: &[u8], slot: &Slot, size: Bytes) {
    let Some(range) = RingRange::new(slot.offset, slot.size, size) else { return };
    assert!(range.overlaps(&range));
    let (first, second) = range.slices(area).expect("a range of this area");
    assert_eq!(Bytes::of_len(first.len() + second.len()), slot.size);
    if let Ok(text) = checked_text(first, second, slot) {
        let _ = read_text(&text.into());
    }
    let next = next_position(size, Some(&range));
    assert!(next.get() >= 512 && next.get().is_multiple_of(512), "{next:?}");
}

/// A metadata text. What is read is written, read again, and says the same.
pub fn text(data: &[u8]) {
    let Ok(tree) = parse(data) else { return };
    let Ok(frame) = Frame::of(&tree) else { return };
    let mut written = Vec::new();
    write_vg(&mut written, frame.vg_name, frame.vg, DeviceHints::Keep);
    let again = parse(&written).expect("what we write can be read");
    let again = again.sections().find(|(name, _)| *name == frame.vg_name);
    assert_eq!(again.map(|(_, vg)| vg), Some(frame.vg), "a round trip changed it");
    let bytes: Arc<[u8]> = data.into();
    if let Ok(read) = read_text(&bytes) {
        let map = ExtentMap::of(&read.vg);
        let _ = map.problems().len();
        let _ = lvmend::model::mapping::raid_meta_places(&read.vg);
    }
}

/// The superblock of a thin pool, and a tree whose every node is these bytes.
pub fn thin_superblock(data: &[u8]) {
    let mut block: [u8; BLOCK_SIZE] = filled(data);
    let _ = parse_thin_superblock(&block);
    if data.first().is_some_and(|mode| *mode < 128) {
        let sum = superblock_checksum(&block);
        block[..4].copy_from_slice(&sum.to_le_bytes());
        let _ = parse_thin_superblock(&block);
        let mut read = |number: u64| {
            block[8..16].copy_from_slice(&number.to_le_bytes());
            let sum = node_checksum(&block);
            block[..4].copy_from_slice(&sum.to_le_bytes());
            Ok(block)
        };
        let _ = read_details(1, &mut read).map(|devices| devices.len());
        let _ = read_mapped_devices(1, &mut read).map(|devices| devices.len());
        let _ = read_mappings(1, 1 << 20, &mut read).map(|all| all.devices.len());
        let _ = blocks_mapped_twice(1, 1 << 20, &mut read);
        let _ = read_allocated(1, 1 << 20, &mut read).map(|blocks| blocks.without(&blocks));
        let (transaction_id, data_block, data_blocks) = (1, Sectors::new(128), 1 << 20);
        let devices = BTreeMap::from([(u32::from(data.get(1).copied().unwrap_or(1)), 0)]);
        let text = PoolByText { transaction_id, data_block, data_blocks, devices };
        let _ = mend(&text, 8, &mut read).map(|mended| mended.map(|mended| mended.blocks.len()));
        let _ = find_roots(&text, 8, &mut read).map(|roots| roots.others);
    }
}

/// A journal as bytes; and records, line by line, with the checksums they should have.
pub fn journal(data: &[u8]) {
    let _ = RunState::of(&Journal::read(data).0);
    let signed = signed_journal(data);
    let (read, _) = Journal::read(&signed);
    let _ = RunState::of(&read);
}

/// The records that stand in these lines, as the lines of a journal. Made without the writer, from
/// what `execute/journal.rs` says of the format.
pub fn signed_journal(records: &[u8]) -> Vec<u8> {
    let mut journal = Vec::new();
    let mut previous = Digest::of(b"");
    let records = records.split(|byte| *byte == b'\n').filter_map(|line| {
        serde_json::from_slice::<Record>(line).ok()?;
        std::str::from_utf8(line).ok()
    });
    for (seq, record) in records.enumerate() {
        let record = record.trim();
        let checksum = Digest::of(format!("{seq}\n{previous}\n{record}").as_bytes());
        let line = format!(
            "{{\"seq\":{seq},\"previous\":\"{previous}\",\"record\":{record},\"checksum\":\"{checksum}\"}}\n"
        );
        journal.extend_from_slice(line.as_bytes());
        previous = checksum;
    }
    journal
}

/// A plan document. The two YAML readers never differ about what validates, and every problem
/// stands in the document.
pub fn plan(data: &[u8]) {
    match plan::load(data) {
        Ok(plan) => assert_eq!(plan.source.as_bytes(), data),
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(problem.code != Code::Ambiguous, "two readers differ");
                assert!(problem.span.start <= problem.span.end, "{problem:?}");
                assert!(problem.span.end <= data.len(), "{problem:?}");
            }
        }
    }
}

/// A sealed plan. What is taken is as it was sealed.
pub fn sealed_plan(data: &[u8]) {
    if let Ok(sealed) = SealedPlan::read(data) {
        let written = serde_json::to_vec(&sealed).expect("it can be written");
        assert_eq!(SealedPlan::read(&written).expect("and read"), sealed);
    }
}

const SOUND: &str = "version: 1\nname: fuzz\nvolume_group: {name: vg, metadata: {state: sound}}\nphysical_volumes: {'*': {state: attached}}\n";

thread_local! {
    static PLAN: plan::Plan = plan::load(SOUND.as_bytes()).expect("a plan");
}

const PV_UUIDS: [&str; 2] =
    ["APo6mUYLhhAaEtZBerWWEKd4AtHxeRUP", "yVLen1E8uKSS4wlNqXuha2aYKsB3wgtT"];
const AREA: DiskArea = DiskArea { offset: Bytes::new(4096), size: Bytes::new(28_672) };
const DATA_START: u64 = 32_768;
const DISK_SIZE: usize = 131_072;

/// A small VG: a linear LV on both PVs, and another that comes and goes.
fn small_text(seqno: u32) -> String {
    let pvs: Vec<String> = PV_UUIDS
        .iter()
        .enumerate()
        .map(|(index, uuid)| format!("pv{index} {{\nid = \"{uuid}\"\ndevice = \"/dev/x\"\nstatus = [\"ALLOCATABLE\"]\nflags = []\ndev_size = 256\npe_start = 64\npe_count = 24\n}}\n"))
        .collect();
    let lv = |name: &str, id: char, segments: &str, count: u32| {
        format!(
            "{name} {{\nid = \"{id}Cy1y1gMDFKhczsRkoOTweBnTUH5lS5h\"\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = {count}\n{segments}}}\n"
        )
    };
    let segment = |number: u32, start: u32, pv: u32, first: u32| {
        format!(
            "segment{number} {{\nstart_extent = {start}\nextent_count = 2\ntype = \"striped\"\nstripe_count = 1\nstripes = [\n\"pv{pv}\", {first}\n]\n}}\n"
        )
    };
    let both = format!("{}{}", segment(1, 0, 0, 0), segment(2, 2, 1, 0));
    let mut lvs = lv("stays", 'a', &both, 2);
    if seqno == 2 {
        lvs += &lv("goes", 'b', &segment(1, 0, 0, 4), 1);
    }
    format!(
        "vg {{\nid = \"zCe1y1gMDFKhczsRkoOTweBnTUH5lS5h\"\nseqno = {seqno}\nformat = \"lvm2\"\nstatus = [\"RESIZEABLE\", \"READ\", \"WRITE\"]\nflags = []\nextent_size = 8\nmax_lv = 0\nmax_pv = 0\nmetadata_copies = 0\nphysical_volumes {{\n{}}}\nlogical_volumes {{\n{lvs}}}\n}}\ncontents = \"Text Format Volume Group\"\nversion = 1\ndescription = \"\"\ncreation_host = \"h\"\ncreation_time = 1\n",
        pvs.concat()
    )
}

/// Its disks, with three versions in each ring.
pub fn small_disks() -> [DiskImage; 2] {
    PV_UUIDS.map(|uuid| {
        let mut disk = vec![0; DISK_SIZE];
        let mut committed = Slot::default();
        let mut at = 512;
        for seqno in 1..=3 {
            let text = [small_text(seqno).as_bytes(), b"\0"].concat();
            disk[4096 + at..4096 + at + text.len()].copy_from_slice(&text);
            committed = Slot {
                offset: Bytes::of_len(at),
                size: Bytes::of_len(text.len()),
                checksum: lvmend::ondisk::checksum::lvm_crc(&text),
                ignored: false,
                raw_flags: 0,
            };
            at = (at + text.len()).next_multiple_of(512);
        }
        let slots = Slots { committed, precommitted: Slot::default() };
        disk[4096..4608].copy_from_slice(&encode_area_header(AREA, &slots));
        let raw = uuid.as_bytes().try_into().expect("32 bytes");
        let uuid = PvUuid(LvmUuid::from_raw(&raw).expect("a UUID"));
        let size = Bytes::of_len(DISK_SIZE);
        let label = Label::of_member(uuid, size, Bytes::new(DATA_START), vec![AREA], Vec::new());
        disk[512..1024].copy_from_slice(&label.encode().expect("it fits"));
        disk.into()
    })
}

/// Whole disks: [`small_disks`], and patches of {disk: 1, offset: 3, length: 1, bytes}. Everything
/// that only looks is done with them.
pub fn image(base: &[DiskImage; 2], data: &[u8]) {
    let mut disks = base.clone();
    let mut rest = data;
    while let [disk, a, b, c, len, tail @ ..] = rest {
        let offset = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let (patch, behind) = tail.split_at((*len as usize).min(tail.len()));
        let _ = disks[usize::from(disk % 2)].write(offset % DISK_SIZE, patch);
        rest = behind;
    }
    let mut host =
        ImageHost::new(Clock::Fixed(0), Machine { node: "n".into(), description: "d".into() });
    for (name, disk) in ["a", "b"].into_iter().zip(disks) {
        let file = ImageFile { name: DeviceName::whole(name), path: format!("/{name}") };
        host.add(file, FakeDisk::new(name, disk, &Schedule::quiet()), false).expect("a disk");
    }
    let inventory = discover::take(&host, &Scope::disks(Depth::History));
    let faults = fault::find(&inventory);
    let found = report::inspect::gather(&inventory, None, &faults);
    let shown = report::inspect::text(&found, report::inspect::Show::All);
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "a control character");
    let signature = Signature {
        program: "fuzz".to_owned(),
        node: "n".into(),
        machine: "m".into(),
        time: 0,
        time_shown: String::new(),
    };
    PLAN.with(|plan| {
        let _ = work_out(plan, &inventory, &signature);
    });
}
