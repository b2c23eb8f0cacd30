//! A thin pool is mended on images of its disks, without a kernel. What was put back onto the disks the
//! kernel and LVM2 take, and every volume holds what it held.

use crate::lab::pool;
use crate::lab::run::Ran;
use crate::lab::{Disk, disks, lvm, lvmend, newest_run, plan, sh, try_lvm};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("thin_on_images", story);

fn story() {
    let [a, b, scratch] = disks(64);
    let pool = pool::make(&[&a, &b], &scratch);
    lvm("lvchange -an vg");
    pool.damage("details");
    try_lvm("lvchange -ay vg/pool").exits(5);
    let images = Images { disks: [&a, &b], scratch: pool.scratch.clone() };
    images.take();

    let asks =
        "{metadata: {state: sound, min_size: 4MiB, spare: present}, data: {min_size: 32MiB}}";
    let mended =
        plan("mended", &format!("volume_group: {{name: vg}}\nthin_pools: {{pool: {asks}}}"));
    images.lvmend(&format!("apply --yes {mended}")).exits(0).says("done and verified");
    images.lvmend(&format!("apply --yes {mended}")).exits(0).says("Nothing to do");

    // The way back, byte by byte, and once more.
    images.lvmend(&format!("rollback {}", newest_run())).exits(0).says("rolled back");
    sh(&format!("cmp {a} /run/scratch/a.img && cmp {b} /run/scratch/b.img"));
    images.lvmend(&format!("apply --yes {mended}")).exits(0);

    images.put_back();
    lvm("vgck vg");
    pool.holds_everything();
    let sizes = lvm("lvs -a --noheadings --units m --nosuffix -o lv_name,lv_size vg").stdout;
    for (lv, size) in [("pool", "32.00"), ("[pool_tmeta]", "4.00"), ("[lvol0_pmspare]", "4.00")] {
        let is_it = |line: &str| line.split_whitespace().eq([lv, size]);
        assert!(sizes.lines().any(is_it), "{lv} {size}: {sizes}");
    }
    // The kernel counts on what it was given: no way back any more.
    sh("dd if=/dev/urandom of=/dev/vg/two bs=64k count=8 oflag=direct conv=notrunc status=none");
    lvm("lvchange -an vg");
    lvmend("inspect vg").exits(0);
    images.take();
    images.lvmend(&format!("rollback {}", newest_run())).exits(8).says("was used since");
}

struct Images<'a> {
    disks: [&'a Disk; 2],
    scratch: String,
}

impl Images<'_> {
    fn take(&self) {
        for (disk, name) in self.disks.iter().zip(["a", "b"]) {
            sh(&format!(
                "dd if={disk} of=/run/scratch/{name}.img bs=1M iflag=direct conv=sparse status=none"
            ));
        }
    }

    fn put_back(&self) {
        for (disk, name) in self.disks.iter().zip(["a", "b"]) {
            sh(&format!(
                "dd if=/run/scratch/{name}.img of={disk} bs=1M oflag=direct conv=fsync status=none"
            ));
        }
        lvm("pvscan --cache");
    }

    fn lvmend(&self, args: &str) -> Ran {
        let images = "--image /run/scratch/a.img --image /run/scratch/b.img";
        lvmend(&format!("{} {images} {args}", self.scratch))
    }
}
