//! A thin pool that is broken in the ways they break.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use lvmend::model::thin_pool::{ThinSuperblock, ThinSuperblockBlock};
use lvmend::ondisk::thin_superblock::{BLOCK_SIZE, parse_thin_superblock, superblock_checksum};

use crate::lab::plan::nothing_left_with;
use crate::lab::run::{Ran, lvm, lvmend, sh};
use crate::lab::{Disk, fill, sha256};

/// Its metadata is to be sound.
pub const METADATA: &str = "thin_pools: {pool: {metadata: {state: sound}}}";

/// Where the scratch directory is.
const SCRATCH: &str = "/run/scratch";

/// Pool `vg/pool` with three thin LVs: `one`, its snapshot `snap`, and `two`.
pub struct Pool {
    digests: Vec<(&'static str, String)>,
    /// The option that names the scratch directory.
    pub scratch: String,
}

/// Makes it, everything active.
pub fn make(disks: &[&Disk], scratch: &Disk) -> Pool {
    let names: Vec<String> = disks.iter().map(ToString::to_string).collect();
    lvm(&format!("vgcreate -s 1M vg {}", names.join(" ")));
    lvm("lvcreate --type thin-pool -L 24M --poolmetadatasize 2M -c 64k -n pool vg");
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
    Pool { digests, scratch: format!("--scratch-dir {SCRATCH}") }
}

impl Pool {
    /// Plans, applies, and applies again, when nothing may be left to do. What the first run said.
    #[track_caller]
    pub fn mend(&self, plan: &str) -> Ran {
        lvmend(&format!("{} plan {plan}", self.scratch)).exits(2);
        let ran = lvmend(&format!("{} apply --yes {plan}", self.scratch));
        let ran = ran.exits(0).says("done and verified");
        nothing_left_with(&self.scratch, plan);
        ran
    }

    /// What this LV holds now is what counts from here on.
    pub fn remember(&mut self, name: &str) {
        lvm(&format!("lvchange -ay vg/{name}"));
        let digest = sha256(&format!("/dev/vg/{name}"));
        let known = self.digests.iter_mut().find(|(known, _)| *known == name);
        known.unwrap().1 = digest;
    }

    /// Every thin LV can be activated, and holds what it held.
    #[track_caller]
    pub fn holds_everything(&self) {
        lvm("lvchange -ay vg/one vg/two vg/snap");
        for (name, digest) in &self.digests {
            assert_eq!(sha256(&format!("/dev/vg/{name}")), *digest, "{name}");
        }
    }

    /// Where the metadata lies: a disk, and the first byte.
    fn place() -> (String, u64) {
        let devices = lvm("lvs --noheadings -a -o devices vg/pool_tmeta");
        let (disk, extent) = devices.answer().trim_end_matches(')').split_once('(').unwrap();
        let start = lvm(&format!("pvs --noheadings --units b --nosuffix -o pe_start {disk}"));
        let start: u64 = start.answer().parse().unwrap();
        (disk.to_owned(), start + extent.parse::<u64>().unwrap() * (1 << 20))
    }

    /// Changes a block of the metadata, past the page cache of the LVs.
    fn edit(number: u64, change: &dyn Fn(&mut [u8; BLOCK_SIZE])) {
        let (disk, start) = Self::place();
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

    fn superblock() -> ThinSuperblock {
        let (disk, start) = Self::place();
        let file = OpenOptions::new().read(true).open(disk).unwrap();
        let mut block = [0; BLOCK_SIZE];
        file.read_exact_at(&mut block, start).unwrap();
        let ThinSuperblockBlock::Sound(found) = parse_thin_superblock(&block) else {
            panic!("the superblock is not sound")
        };
        found
    }

    /// Changes the superblock and signs it again.
    pub fn edit_superblock(&self, change: &dyn Fn(&mut [u8; BLOCK_SIZE])) {
        Self::edit(0, &|block| {
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
            "superblock" => Self::edit(0, &|block| block.fill(0)),
            "details" => Self::edit(Self::superblock().details_root, &|block| block[40] ^= 1),
            "mappings" => Self::edit(Self::superblock().mapping_root, &|block| block[40] ^= 1),
            // The space map is all that is wrong when it counts one block too many.
            "metadata space map" => {
                let (disk, start) = Self::place();
                let root = {
                    let file = OpenOptions::new().read(true).open(disk).unwrap();
                    let mut block = [0; BLOCK_SIZE];
                    file.read_exact_at(&mut block, start).unwrap();
                    u64::from_le_bytes(block[64 + 16..64 + 24].try_into().unwrap())
                };
                Self::edit(root, &|block| block[100] ^= 1);
            }
            other => panic!("no such damage: {other}"),
        }
    }
}
