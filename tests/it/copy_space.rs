//! Copies of LVs to files: they must fit on the file system they go to.

use std::fs;

use crate::support::fixture::Fixture;
use crate::support::program::Desk;
use crate::support::small::Small;

const RECOVERED: &str = "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes:\n  precious: {state: present}\n";

fn size_of_precious() -> u64 {
    Fixture::new("deleted-lv").content_named("precious").1
}

#[test]
fn a_copy_that_does_not_fit_is_refused_before_anything_is_written() {
    let small = Small::of("64k");
    let desk = Desk::with("deleted-lv");
    let text = format!(
        "{RECOVERED}tasks:\n  - copy: {{from: precious, to: {{file: {}/out.img}}}}\n",
        small.path().display()
    );
    desk.put("plan.yaml", &text);
    let before = desk.digests();
    let refused = desk.run(&["plan", "plan.yaml"]).with_code(3);
    let shown = refused.shown();
    let size = lvmend::units::Bytes::new(size_of_precious()).to_string();
    for expected in ["copy-refused", &size, "64.00 KiB", "a larger file system"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    desk.run(&["apply", "plan.yaml", "--yes"]).with_code(3);
    assert_eq!(desk.digests(), before, "nothing was written");
    assert!(fs::read_dir(small.path()).unwrap().next().is_none());
}

#[test]
fn copies_to_one_file_system_must_fit_together() {
    let size = size_of_precious();
    let text = |small: &Small| {
        let path = small.path().display();
        let task =
            |name: &str| format!("  - copy: {{from: precious, to: {{file: {path}/{name}}}}}\n");
        format!("{RECOVERED}tasks:\n{}{}", task("one"), task("two"))
    };
    for (room, code) in [(size + size / 2, 3), (size * 2 + (1 << 20), 0)] {
        let small = Small::of(&room.to_string());
        let desk = Desk::with("deleted-lv");
        desk.put("plan.yaml", &text(&small));
        desk.run(&["apply", "plan.yaml", "--yes"]).with_code(code);
    }
}

#[test]
fn a_sealed_plan_does_not_depend_on_how_much_is_free() {
    let small = Small::of("64m");
    let desk = Desk::with("deleted-lv");
    let text = format!(
        "{RECOVERED}tasks:\n  - copy: {{from: precious, to: {{file: {}/out.img}}}}\n",
        small.path().display()
    );
    desk.put("plan.yaml", &text);
    desk.run(&["plan", "plan.yaml", "-o", "sealed.json"]).with_code(2);
    fs::write(small.path().join("other"), vec![1; 1 << 20]).unwrap();
    desk.run(&["plan", "plan.yaml", "-o", "again.json"]).with_code(2);
    let read = |name: &str| fs::read(desk.path().join(name)).unwrap();
    assert!(read("sealed.json") == read("again.json"));
    desk.run(&["apply", "sealed.json", "--yes"]).with_code(0);
}
