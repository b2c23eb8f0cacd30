//! The engine alone, in memory: what a text, a ring and a plan cost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a bench that meets what it does not expect is to end there and then"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lvmend::discover::{self, Depth, Scope};
use lvmend::host::image::{ImageFile, open_for_reading};
use lvmend::operation::Signature;
use lvmend::plan;
use lvmend::simulate::planned::work_out;
use lvmend::text::read_text;

mod large;

const LVS: usize = 10_000;

fn signature() -> Signature {
    Signature {
        program: "bench".to_owned(),
        node: "bench".into(),
        machine: "bench".into(),
        time: 0,
        time_shown: String::new(),
    }
}

fn parse(c: &mut Criterion) {
    let text: Arc<[u8]> = large::text(1, LVS, 100, false).into_bytes().into();
    let mut group = c.benchmark_group("text");
    group.sample_size(20).throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("read 10000 LVs", |b| b.iter(|| read_text(black_box(&text)).unwrap()));
    group.finish();
}

fn plan_and_splice(c: &mut Criterion) {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("big.img");
    let path = path.to_str().unwrap();
    large::write_images(LVS, 100, 16, path).unwrap();
    let further = (1..100).map(|pv| format!("{path}.{pv}"));
    let images: Vec<ImageFile> = std::iter::once(path.to_owned())
        .chain(further)
        .map(|p| ImageFile::named(&p).unwrap())
        .collect();
    let host = open_for_reading(&images).unwrap();
    let document = format!(
        "version: 1\nname: bench\nvolume_group: {{name: big}}\nlogical_volumes: {{lv{}: {{state: present}}}}\n",
        LVS - 1
    );
    let plan = plan::load(document.as_bytes()).unwrap();
    let mut group = c.benchmark_group("plan");
    group.sample_size(10);
    group.bench_function("discover 10000 LVs on 100 PVs", |b| {
        b.iter(|| discover::take(&host, &Scope::disks(Depth::History)));
    });
    let inventory = discover::take(&host, &Scope::disks(Depth::History));
    let planned = work_out(&plan, &inventory, &signature()).unwrap();
    assert!(planned.refusals.is_empty() && !planned.graph.is_empty(), "{:?}", planned.refusals);
    group.bench_function("plan a splice into 10000 LVs", |b| {
        b.iter(|| work_out(black_box(&plan), &inventory, &signature()).unwrap());
    });
    group.finish();
}

criterion_group!(benches, parse, plan_and_splice);
criterion_main!(benches);
