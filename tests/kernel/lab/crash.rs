//! Runs that are killed at a record of their journal, and what must come of them.

use crate::lab::journal::start;
use crate::lab::plan::plan;
use crate::lab::run::{STATE, lvm, lvmend, sh, try_lvm};
use crate::lab::{Disk, fill, lvm_conf, sha256};

/// Something that is broken and mended again and again.
pub struct Case {
    pub name: &'static str,
    /// What the plan asks for, of the VG and besides.
    of_vg: &'static str,
    asks: &'static str,
    /// How many records the journal of an undisturbed run has.
    pub records: usize,
    /// What is broken, in a VG with two disks and an LV of which nobody may lose a byte.
    break_it: fn(&[Disk; 2]),
    /// Whether every step can be undone: else a rollback may be refused or stop, and says so.
    can_go_back: bool,
}

/// A removed LV is put back and activated.
pub const LOST_LV: Case = Case {
    name: "lost-lv",
    of_vg: "",
    asks: "logical_volumes: {precious: {state: present, activation: active}}",
    records: 8,
    break_it: remove_lv,
    can_go_back: true,
};

/// Both metadata areas are damaged, one so that LVM2 mends it, one so that it does not.
const BAD_AREAS: Case = Case {
    name: "bad-areas",
    of_vg: ", metadata: {state: sound}",
    asks: "",
    records: 6,
    break_it: damage_areas,
    can_go_back: false,
};

/// A disk came back.
const RETURNED: Case = Case {
    name: "returned",
    of_vg: "",
    asks: "physical_volumes: {\"*\": {state: attached}}",
    records: 6,
    break_it: pull_and_plug,
    can_go_back: false,
};

/// A label was wiped.
const LABEL: Case = Case {
    name: "label",
    of_vg: "",
    asks: "physical_volumes: {\"*\": {state: attached}}",
    records: 6,
    break_it: wipe_label,
    can_go_back: false,
};

pub const ALL: [&Case; 4] = [&LOST_LV, &BAD_AREAS, &RETURNED, &LABEL];

fn remove_lv(_: &[Disk; 2]) {
    lvm("lvremove -y vg/precious");
}

fn damage_areas([a, b]: &[Disk; 2]) {
    sh(&format!("dd of={a} if=/dev/urandom bs=1 seek=4396 count=1 conv=notrunc,fsync"));
    sh(&format!("dd of={b} if=/dev/zero bs=512 seek=8 count=1 oflag=direct conv=notrunc"));
    // What was written through the page cache is not what a later direct read may miss.
    sh(&format!("blockdev --flushbufs {a}"));
}

fn pull_and_plug([_, b]: &[Disk; 2]) {
    b.pull();
    lvm("lvchange --addtag away vg/other");
    lvm("lvchange --deltag away vg/other");
    b.plug_back();
}

fn wipe_label([_, b]: &[Disk; 2]) {
    sh(&format!("dd of={b} if=/dev/zero bs=512 count=4 oflag=direct conv=notrunc,fsync"));
}

impl Case {
    /// Makes the VG.
    pub fn make(&self, disks: &[Disk; 2]) {
        println!("# case {}", self.name);
        lvm_conf::set(&[("backup/backup", "0"), ("backup/archive", "0")]);
        let [a, b] = disks;
        lvm(&format!("vgcreate vg {a} {b}"));
        lvm(&format!("lvcreate -n other -L 4M vg {a}"));
        lvm(&format!("lvcreate -n precious -L 8M vg {b}"));
        fill("/dev/vg/precious");
        lvm("lvchange -an vg");
    }

    /// Removes the VG.
    pub fn take_away(&self) {
        lvm("vgchange -an vg");
        lvm("vgremove -ff -y vg");
    }
}

/// Breaks, mends, kills at this record; then resumes or rolls back, and looks.
pub fn kill_at(case: &Case, disks: &[Disk; 2], record: usize, way: &str) {
    lvm("lvchange -ay -K vg/precious");
    let digest = sha256("/dev/vg/precious");
    lvm("lvchange -an vg");
    // Texts of VGs that had this name before may still stand in the rings.
    let uuid = lvm("lvs --noheadings -o vg_uuid vg/precious").answer().to_owned();
    (case.break_it)(disks);
    let Case { of_vg, asks, .. } = case;
    let asks = format!("volume_group: {{name: vg, uuid: {uuid}{of_vg}}}\n{asks}");
    let plan = plan(case.name, &asks);
    let mut run = start(STATE, &format!("apply --yes {plan}"));
    let name = run.wait_for_record(record);
    let written = run.kill();
    println!(
        "# {}: killed at record {record} or soon after, {written} are written: {way}",
        case.name
    );
    let code = lvmend(&format!("{way} {name}")).code;
    // A run that came to its end before it was killed is over, and may still be rolled back.
    let allowed: &[i32] = match way {
        "resume" if written == case.records => &[3],
        "resume" => &[0],
        _ if case.can_go_back => &[0],
        _ => &[0, 3, 7],
    };
    assert!(allowed.contains(&code), "{}: {way} at record {record} ended with {code}", case.name);
    if code != 0 {
        // One that is over cannot be given up any more, and need not be.
        lvmend(&format!("abandon {name} --because tested"));
    }
    if way == "rollback" && case.can_go_back {
        try_lvm("lvs vg/precious").exits(5);
    }
    lvmend(&format!("apply --yes {plan}")).exits(0);
    lvmend(&format!("apply --yes {plan}")).exits(0).says("Nothing to do");
    lvm("vgck vg");
    lvm("lvchange -an vg");
    lvm("lvchange -ay -K vg/precious");
    assert_eq!(sha256("/dev/vg/precious"), digest, "{} at record {record}", case.name);
}
