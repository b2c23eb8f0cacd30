//! There is no spare for pool metadata, or it is too short: it is made, and LVM takes it for its own.

use crate::lab::pool;
use crate::lab::{disks, lvm, lvmend, newest_run, nothing_left, plan, sh, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("thin_spare", story);

fn story() {
    let [a, b, scratch] = disks(96);
    let pool = pool::make(&[&a, &b], &scratch);
    let size = || lvm("lvs --noheadings -a --units m --nosuffix -o lv_size vg/lvol0_pmspare");
    assert_eq!(size().answer(), "2.00");
    lvm("lvremove -y vg/lvol0_pmspare");

    // The pool is in use.
    let asks = "thin_pools: {pool: {metadata: {state: sound, spare: present}}}";
    let spare = plan("spare", &format!("volume_group: {{name: vg}}\n{asks}"));
    pool.mend(&spare).says("make the spare for pool metadata vg/lvol0_pmspare");
    assert_eq!(size().answer(), "2.00");
    lvmend(&format!("{} rollback {}", pool.scratch, newest_run())).exits(0).says("rolled back");
    try_lvm("lvs vg/lvol0_pmspare").exits(5);
    pool.mend(&spare);
    pool.holds_everything();

    // Shorter than the metadata: LVM was told to leave it alone.
    lvm("lvextend --poolmetadatasize 6M vg/pool");
    if size().answer() != "6.00" {
        pool.mend(&spare).says("make longer the spare");
    }
    assert_eq!(size().answer(), "6.00");
    nothing_left(&spare);
    pool.holds_everything();

    // LVM repairs into it.
    lvm("lvchange -an vg");
    pool.damage("data space map");
    lvm("lvconvert --yes --repair vg/pool");
    pool.holds_everything();

    // On images.
    lvm("lvchange -an vg");
    try_lvm("lvremove -y vg/lvol1_pmspare vg/lvol0_pmspare");
    let images = [(&a, "a"), (&b, "b")].map(|(disk, name)| {
        let image = format!("/run/scratch/{name}.img");
        sh(&format!("dd if={disk} bs=1M iflag=direct conv=sparse status=none of={image}"));
        format!("--image {image}")
    });
    let images = images.join(" ");
    let made = format!("{} {images} apply --yes {spare}", pool.scratch);
    lvmend(&made).exits(0).says("make the spare for pool metadata");
    lvmend(&made).exits(0).says("Nothing to do");
}
