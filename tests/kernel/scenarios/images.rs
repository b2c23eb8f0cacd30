//! `lvmend` reads an image of a disk that is in use.

use crate::lab::{disks, lvm, lvmend, sh};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("images", story);

fn story() {
    let [a] = disks(64);
    lvm(&format!("vgcreate office {a}"));
    lvm("lvcreate -n letters -L 16M office");
    sh(&format!("dd if={a} of=/tmp/a.img bs=1M iflag=direct status=none"));
    lvmend("inspect --image /tmp/a.img").exits(0).says("office").says("letters");
}
