//! What LVM2 itself loads is as derived from the metadata, of every type of LV.

use crate::lab::{disks, lvm, lvmend, sh};
use crate::scenario::Scenario;

pub const SCENARIO: Scenario = Scenario::shared("derived_tables", story);

fn story() {
    make_redundant();
    make_pools();
    make_caches();
    what_lvm_loads();
}

fn make_redundant() {
    let [a, b, rest @ ..] = disks::<5>(128);
    let rest: Vec<String> = rest.iter().map(ToString::to_string).collect();
    lvm(&format!("vgcreate -s 1M vg {a} {b} {}", rest.join(" ")));
    lvm(&format!("lvcreate -n plain -L 8M vg {a}"));
    // In pieces, on two disks.
    lvm(&format!("lvcreate -n odd-name -L 4M vg {a}"));
    lvm(&format!("lvextend -L +4M vg/plain {b}"));
    lvm("lvcreate -i 3 -I 64k -L 12M -n spread vg");
    lvm("lvcreate --type zero -L 4M -n nothing vg");
    lvm("lvcreate --type error -L 4M -n fails vg");
    lvm("lvcreate --type raid1 -m 1 -L 4M -n raid vg");
    for (kind, options) in [
        ("raid0", "-i 2"),
        ("raid0_meta", "-i 2"),
        ("raid4", "-i 2"),
        ("raid5_ls", "-i 2"),
        ("raid5_n", "-i 2"),
        ("raid6_zr", "-i 3"),
        ("raid6_nc", "-i 3"),
        ("raid10", "-i 2 -m 1 -I 32k"),
    ] {
        lvm(&format!("lvcreate --yes --type {kind} {options} -L 8M -n {kind} vg"));
    }
    lvm("lvcreate --type raid1 -m 2 --minrecoveryrate 64 --maxrecoveryrate 4096 -L 4M -n tuned vg");
    lvm(&format!("lvchange --writemostly {b}:y vg/tuned"));
    lvm("lvchange --writebehind 256 vg/tuned");
    lvm("lvcreate --type raid1 -m 1 --raidintegrity y -L 4M -n checked vg");
    lvm("lvcreate --type mirror -m 1 --mirrorlog disk -L 4M -n mirrored vg");
    lvm("lvcreate --type mirror -m 2 --mirrorlog core --nosync -L 4M -n mirroredcore vg");
}

fn make_pools() {
    lvm("lvcreate -n origin -L 8M vg");
    lvm("lvcreate -s -n one -L 4M vg/origin");
    lvm("lvcreate -s -n two -L 4M vg/origin");
    lvm("lvcreate --type thin-pool -L 16M --poolmetadatasize 2M -n pool vg");
    lvm("lvcreate -V 8M --thinpool vg/pool -n thin");
    lvm("lvcreate -s -kn -n thinsnap vg/thin");
    lvm("lvchange -ay vg/thinsnap");
    // Pools as they come: never used, in use, with every setting.
    lvm("lvcreate --type thin-pool -L 4M --poolmetadatasize 2M -n unused vg");
    lvm("lvcreate --type thin-pool -L 4M --poolmetadatasize 2M --discards ignore -Zn -n strict vg");
    lvm("lvchange --errorwhenfull y vg/strict");
    lvm("lvcreate --type thin-pool -L 4M --poolmetadatasize 2M --discards nopassdown -n half vg");
    lvm("lvcreate -V 8M --thinpool vg/strict -n thin2");
    lvm("lvcreate -n outside -L 4M vg");
    lvm("lvchange -an vg/outside");
    lvm("lvchange -pr vg/outside");
    lvm("lvcreate -s --thinpool vg/pool -n within vg/outside");
    lvm("lvchange -ay vg/within");
}

fn make_caches() {
    for (n, mode) in ["writethrough", "writeback"].into_iter().enumerate() {
        lvm(&format!("lvcreate -n slow{n} -L 8M vg"));
        lvm(&format!("lvcreate --type cache-pool -L 4M --poolmetadatasize 2M -n fast{n} vg"));
        lvm(&format!(
            "lvconvert --yes --type cache --cachemode {mode} --cachepool vg/fast{n} vg/slow{n}"
        ));
    }
    lvm("lvchange --cachesettings migration_threshold=4096 vg/slow0");
    lvm("lvcreate -n slow2 -L 8M vg");
    lvm("lvcreate -n fast2 -L 8M vg");
    lvm("lvconvert --yes --type cache --cachevol vg/fast2 vg/slow2");
    lvm("lvcreate -n slow3 -L 8M vg");
    lvm("lvcreate -n fast3 -L 4M vg");
    lvm("lvchange -an vg/fast3");
    lvm(
        "lvconvert --yes --type writecache --cachevol vg/fast3 --cachesettings high_watermark=60 vg/slow3",
    );
    lvm("lvcreate -n whole -L 8M vg");
    lvm("lvcreate -s -n merged -L 4M vg/whole");
    // Its merge waits until the origin is closed.
    sh("sleep 600 < /dev/mapper/vg-whole & sleep 0.2; lvconvert --merge vg/merged");
}

fn what_lvm_loads() {
    sh("dmsetup table");
    let seen = lvmend("inspect").exits(2).says("a merge into LV whole is not finished");
    assert!(!seen.stdout.contains("stale-table"), "a table is not as derived");
    // Not because nothing could be told: each of these is told once it is another one.
    let others = [
        ("raid4", "raid4"),
        ("raid6_nc", "raid6_nc"),
        ("raid10", "raid10"),
        ("tuned", "tuned"),
        ("mirrored", "mirrored"),
        ("mirroredcore", "mirroredcore"),
        ("thin2", "thin2"),
        ("half", "half"),
        ("within", "within"),
        ("slow0", "slow0"),
        ("slow2", "slow2"),
        ("slow3", "slow3"),
        ("checked_rimage_1", "checked_rimage_1"),
        ("fast2_cvol-cdata", "fast2_cvol"),
        ("outside-real", "outside"),
    ];
    for (device, _) in others {
        sh(&format!(
            "s=$(dmsetup table vg-{device} | cut -d' ' -f2 | head -1) && \
             echo 0 $s error | dmsetup load vg-{device} && \
             dmsetup suspend --noflush --nolockfs vg-{device} && dmsetup resume vg-{device}"
        ));
    }
    let mut seen = lvmend("inspect").exits(2);
    for (_, lv) in others {
        seen = seen.says(&format!("stale-table: LV {lv}\n"));
    }
}
