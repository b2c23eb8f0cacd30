//! A thin pool that is broken in the ways they break.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use lvmend::model::thin_pool::{ThinSuperblock, ThinSuperblockBlock};
use lvmend::ondisk::thin_superblock::{BLOCK_SIZE, parse_thin_superblock, superblock_checksum};

use crate::lab::run::{Ran, lvm, lvmend, sh};
use crate::lab::{fill, sha256};

/// Its metadata is to be sound.
pub const METADATA: &str = "thin_pools: {pool: {metadata: {state: sound}}}";

/// Where the scratch directory is.
const SCRATCH: &str = "/run/scratch";

/// Pool `vg/pool` with three thin LVs: `one`, its snapshot `snap`, and `two`.
pub struct Pool {
    /// Whose metadata is damaged.
    name: &'static str,
    digests: Vec<(&'static str, String)>,
    /// The option that names the scratch directory.
    pub scratch: String,
}

/// Makes it, everything active.
pub fn make(disks: &[&dyn Display], scratch: &dyn Display) -> Pool {
    make_vg(disks);
    lvm("lvcreate --type thin-pool -L 24M --poolmetadatasize 2M -c 64k -n pool vg");
    fill_pool(scratch)
}

/// The same with its metadata on RAID1.
pub fn make_mirrored(disks: &[&dyn Display], scratch: &dyn Display) -> Pool {
    make_vg(disks);
    lvm("lvcreate --type raid1 -m 1 -L 2M -n meta vg");
    lvm("lvcreate -L 24M -n pool vg");
    lvm("lvconvert --yes --type thin-pool -c 64k --poolmetadata vg/meta vg/pool");
    fill_pool(scratch)
}

fn make_vg(disks: &[&dyn Display]) {
    let names: Vec<String> = disks.iter().map(ToString::to_string).collect();
    lvm(&format!("vgcreate -s 1M vg {}", names.join(" ")));
}

fn fill_pool(scratch: &dyn Display) -> Pool {
    lvm("lvcreate -V 8M --thinpool vg/pool -n one");
    lvm("lvcreate -V 8M --thinpool vg/pool -n two");
    fill("/dev/vg/one");
    lvm("lvcreate -s -kn -n snap vg/one");
    fill("/dev/vg/two");
    sh("dd if=/dev/urandom of=/dev/vg/one bs=64k count=20 oflag=direct conv=notrunc status=none");
    lvm("lvchange -ay vg/snap");
    let digests =
        ["one", "two", "snap"].map(|name| (name, sha256(&format!("/dev/vg/{name}")))).to_vec();
    // The thin tools read and write past the page cache, which a tmpfs does not know.
    sh(&format!("mkfs.ext4 -q {scratch} && mkdir -p {SCRATCH} && mount {scratch} {SCRATCH}"));
    Pool { name: "pool", digests, scratch: format!("--scratch-dir {SCRATCH}") }
}

/// From here on the thin tools are those of the other generation.
pub fn with_other_tools() {
    let unpacked = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/thin-tools-*/usr/sbin");
    let was = sh("thin_check -V").stdout;
    sh(&format!("mount --bind {unpacked}/pdata_tools /usr/sbin/pdata_tools"));
    assert_ne!(sh("thin_check -V").stdout, was);
}

impl Pool {
    /// Applies, and applies again, when nothing may be left to do. What the first run said.
    #[track_caller]
    pub fn mend(&self, plan: &str) -> Ran {
        let apply = format!("{} apply --yes {plan}", self.scratch);
        let ran = lvmend(&apply).exits(0).says("done and verified");
        lvmend(&apply).exits(0).says("Nothing to do");
        ran
    }

    /// What a plan would do.
    #[track_caller]
    pub fn plans(&self, plan: &str) -> Ran {
        lvmend(&format!("{} plan {plan}", self.scratch)).exits(2)
    }

    /// From here on another pool of the VG is damaged.
    pub fn of(&mut self, name: &'static str) -> &Self {
        self.name = name;
        self
    }

    /// What this LV holds now is what counts from here on.
    pub fn remember(&mut self, name: &str) {
        lvm(&format!("lvchange -ay vg/{name}"));
        let digest = sha256(&format!("/dev/vg/{name}"));
        let known = self.digests.iter_mut().find(|(known, _)| *known == name);
        known.unwrap().1 = digest;
    }

    /// This LV is gone for good.
    pub fn forget(&mut self, name: &str) {
        self.digests.retain(|(known, _)| *known != name);
    }

    /// Every thin LV can be activated, and holds what it held.
    #[track_caller]
    pub fn holds_everything(&self) {
        let all: Vec<String> = self.digests.iter().map(|(name, _)| format!("vg/{name}")).collect();
        lvm(&format!("lvchange -ay {}", all.join(" ")));
        for (name, digest) in &self.digests {
            assert_eq!(sha256(&format!("/dev/vg/{name}")), *digest, "{name}");
        }
    }

    /// Where the metadata lies: disks, each with the first byte; several where it is on RAID1.
    fn places(&self) -> Vec<(String, u64)> {
        let place = |devices: &str| {
            let (disk, extent) = devices.trim().trim_end_matches(')').split_once('(').unwrap();
            let start = lvm(&format!("pvs --noheadings --units b --nosuffix -o pe_start {disk}"));
            let start: u64 = start.answer().parse().unwrap();
            (disk.to_owned(), start + extent.parse::<u64>().unwrap() * (1 << 20))
        };
        let devices_of = |lv: &str| lvm(&format!("lvs --noheadings -a -o devices vg/{lv}"));
        let devices = devices_of(&format!("{}_tmeta", self.name));
        let legs = devices.answer().split(',').map(|device| {
            match device.trim().strip_suffix("(0)").filter(|leg| leg.contains("_rimage_")) {
                Some(leg) => place(devices_of(leg).answer()),
                None => place(device),
            }
        });
        legs.collect()
    }

    /// Changes a block of the metadata, past the page cache of the LVs.
    fn edit(&self, number: u64, change: &dyn Fn(&mut [u8; BLOCK_SIZE])) {
        for (disk, start) in self.places() {
            let file = OpenOptions::new().read(true).write(true).open(&disk).unwrap();
            let mut block = [0; BLOCK_SIZE];
            let at = start + number * 4096;
            file.read_exact_at(&mut block, at).unwrap();
            change(&mut block);
            file.write_all_at(&block, at).unwrap();
            file.sync_all().unwrap();
            drop(file);
            sh(&format!("blockdev --flushbufs {disk}"));
            println!("# changed block {number} of the metadata, on {disk}");
        }
    }

    fn first_block(&self) -> [u8; BLOCK_SIZE] {
        let (disk, start) = self.places().swap_remove(0);
        let file = OpenOptions::new().read(true).open(disk).unwrap();
        let mut block = [0; BLOCK_SIZE];
        file.read_exact_at(&mut block, start).unwrap();
        block
    }

    /// The number of a block that the superblock has there.
    fn root_at(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.first_block()[at..at + 8].try_into().unwrap())
    }

    fn superblock(&self) -> ThinSuperblock {
        let ThinSuperblockBlock::Sound(found) = parse_thin_superblock(&self.first_block()) else {
            panic!("the superblock is not sound")
        };
        found
    }

    /// Changes the superblock and signs it again.
    pub fn edit_superblock(&self, change: &dyn Fn(&mut [u8; BLOCK_SIZE])) {
        self.edit(0, &|block| {
            change(block);
            let sum = superblock_checksum(block);
            block[..4].copy_from_slice(&sum.to_le_bytes());
        });
    }

    /// Deactivates everything and damages what a repair brings back.
    pub fn damage_when_down(&self) {
        lvm("lvchange -an vg");
        self.damage("metadata space map");
    }

    /// Damages a part of the metadata.
    pub fn damage(&self, what: &str) {
        println!("# damage: {what}");
        match what {
            "superblock" => self.edit(0, &|block| block.fill(0)),
            "details" => self.edit(self.superblock().details_root, &|block| block[40] ^= 1),
            "mappings" => self.edit(self.superblock().mapping_root, &|block| block[40] ^= 1),
            // What is in use is counted anew by a rebuild.
            "data space map" => self.edit(self.root_at(64 + 16), &|block| block[100] ^= 1),
            "metadata space map" => self.edit(self.root_at(192 + 16), &|block| block[100] ^= 1),
            // Bytes behind the root of a space map mean nothing, but count for the checksum.
            "superblock checksum" => self.edit(0, &|block| block[150] ^= 1),
            other => panic!("no such damage: {other}"),
        }
    }
}
