//! The disk under the state directory fills up: what was begun is put back, or can be taken up once
//! there is room.

use crate::support::program::Desk;
use crate::support::small::Small;

const ATTACH: &str =
    "version: 1\nname: p\nvolume_group: {name: vg}\nphysical_volumes:\n  '*': {state: attached}\n";

#[test]
fn wherever_it_fills_up_nothing_is_lost() {
    let mut codes = Vec::new();
    // Evidence of three PVs takes 3 MiB; what comes behind it is small.
    for kib in [4, 16, 64, 1024, 2048, 3080, 3084, 3092, 3100, 3108, 3116, 3124, 3200] {
        let desk = Desk::with("missing-pv");
        let small = Small::at(desk.path().join("state"), &format!("{kib}k"));
        desk.put("plan.yaml", ATTACH);
        let before = desk.digests();
        let ended = desk.run(&["apply", "plan.yaml", "--yes"]);
        codes.push(ended.code);
        match ended.code {
            0 => {}
            1 | 6 => assert_eq!(desk.digests(), before, "{kib}: {}", ended.shown()),
            7 => {
                let run = desk.only_run();
                small.grow("64m");
                desk.run_bare(&["rollback", &run]).with_code(0);
                assert_eq!(desk.digests(), before, "{kib}");
            }
            other => panic!("{kib}: exit {other}\n{}", ended.shown()),
        }
    }
    assert_eq!(codes.first(), Some(&1), "{codes:?}");
    assert_eq!(codes.last(), Some(&0), "{codes:?}");
}
