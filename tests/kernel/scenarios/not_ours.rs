//! VGs that this host must not write now: handed over, another host's, shared, one of two with one
//! name. Each is refused, and mended once what the help says was typed.

use std::fs;

use crate::lab::{disks, fill, lvm, lvm_conf, mend, plan, refused, sh, sha256, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("not_ours", story);

const LOST: &str = "logical_volumes: {precious: {state: present}}";

fn story() {
    let all = disks(64);
    let [a, b, c] = &all;
    lvm(&format!("vgcreate vg {a} {b}"));
    lvm("lvcreate -n precious -L 8M vg");
    fill("/dev/vg/precious");
    let digest = sha256("/dev/vg/precious");
    let uuid = lvm("vgs --noheadings -o vg_uuid vg").answer().to_owned();
    let back = plan("lost", &format!("volume_group: {{name: vg, uuid: {uuid}}}\n{LOST}"));

    lvm("lvremove -y vg/precious");
    lvm("vgchange -an vg");
    lvm("vgexport vg");
    typed(&refused(&back, "vg-exported", &all)[0]);
    mend(&back);

    lvm("lvremove -y vg/precious");
    lvm("vgcfgbackup -f /tmp/vg vg");
    let locked = "lock_type = \"sanlock\"\nlock_args = \"1.0.0:lvmlock\"\nmax_lv";
    let text = fs::read_to_string("/tmp/vg").unwrap().replacen("max_lv", locked, 1);
    fs::write("/tmp/vg", text).unwrap();
    lvm("vgcfgrestore -f /tmp/vg vg");
    let advice = refused(&back, "vg-shared", &all);
    // It asks, and takes no answer from a script.
    typed(&advice[1].replace("vgchange", "vgchange --yes"));
    mend(&back);

    lvm("lvremove -y vg/precious");
    lvm("vgchange --yes --systemid elsewhere vg");
    try_lvm("vgs vg").exits(5);
    let advice = refused(&back, "foreign-system-id", &all);
    assert_eq!(advice[0], "extra_system_ids = [ \"elsewhere\" ]");
    lvm_conf::set(&[
        ("global/system_id_source", "\"lvmlocal\""),
        ("local/system_id", "\"here\""),
        ("local/extra_system_ids", "[ \"elsewhere\" ]"),
    ]);
    mend(&back);
    lvm("vgchange --yes --systemid here vg");

    lvm("lvremove -y vg/precious");
    a.pull();
    b.pull();
    lvm(&format!("vgcreate vg {c}"));
    a.plug_back();
    b.plug_back();
    let advice = refused(&back, "ambiguous-vg-name", &all);
    typed(&advice[0].replace("NEWNAME", "second"));
    mend(&back);
    lvm("lvs second");

    lvm("lvchange -ay -K vg/precious");
    assert_eq!(sha256("/dev/vg/precious"), digest);
}

/// Types what the help says.
fn typed(command: &str) {
    sh(command);
}
