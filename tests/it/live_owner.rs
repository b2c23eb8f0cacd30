//! Running machines on which a plan is not to be carried out: VGs that belong to others, an LVM2
//! that is too old. Each case is refused, and the same without it is not.

use std::sync::Arc;

use lvmend::diff::RefusalCode;
use lvmend::diff::live::{LvmFeature, lacking};
use lvmend::ids::ForeignText;
use lvmend::model::flags::VgStatus;
use lvmend::model::inventory::Inventory;
use lvmend::model::live::{LvmSetup, LvmVersion};
use lvmend::model::vg::Vg;

use crate::support::machine::{
    CHECK, RECOVER, SOUND, codes, edit, edit_vg, left_out, machine, machine_of, planned, quiet,
    refused, refused_recovery, snapshot, told,
};
use crate::support::world::World;

#[test]
fn a_plan_with_nothing_to_do_is_not_refused() {
    let mut inventory = machine("plain");
    edit_vg(&mut inventory, |vg| vg.status.insert(VgStatus::Exported));
    let planned = planned(&inventory, SOUND);
    assert_eq!(told(&planned), "");
    assert!(planned.graph.is_empty());
}

#[test]
fn images_are_not_judged_as_machines() {
    let mut inventory = World::of("deleted-lv").look();
    edit_vg(&mut inventory, |vg| {
        vg.status.insert(VgStatus::Exported);
        vg.status.remove(VgStatus::Write);
        vg.system_id = Some("other".into());
        vg.lock_type = Some("sanlock".into());
    });
    assert_eq!(codes(&inventory, RECOVER), []);
}

#[test]
fn a_machine_that_was_not_looked_at_is_not_worked_on() {
    let mut inventory = machine("deleted-lv");
    inventory.live = None;
    assert_eq!(codes(&inventory, RECOVER), [RefusalCode::Unfit]);
}

#[test]
fn vgs_behind_a_lock_manager() {
    let mut said = String::new();
    for manager in ["sanlock", "dlm", "idm", "clvm"] {
        said += &refused_recovery(RefusalCode::VgShared, |inventory| {
            edit_vg(inventory, |vg| vg.lock_type = Some(manager.into()));
        });
    }
    for flag in [VgStatus::Clustered, VgStatus::Shared] {
        said += &refused_recovery(RefusalCode::VgShared, |inventory| {
            edit_vg(inventory, |vg| vg.status.insert(flag));
        });
    }
    snapshot("shared", &said);
    let mut inventory = machine("deleted-lv");
    for local in ["none", ""] {
        edit_vg(&mut inventory, |vg| vg.lock_type = Some(local.into()));
        assert_eq!(codes(&inventory, RECOVER), [], "lock type {local:?}");
    }
}

#[test]
fn vgs_that_were_handed_over() {
    let export = |inventory: &mut Inventory| {
        edit_vg(inventory, |vg| vg.status.insert(VgStatus::Exported));
    };
    snapshot("exported", &refused_recovery(RefusalCode::VgExported, export));
    // A check has to read the LV, which needs it active.
    refused(RefusalCode::VgExported, CHECK, machine("deleted-lv"), export);
}

#[test]
fn vgs_of_other_hosts() {
    let owned = |inventory: &mut Inventory| {
        edit_vg(inventory, |vg| vg.system_id = Some("rack7".into()));
    };
    let without = refused_recovery(RefusalCode::ForeignSystemId, owned);
    let with = refused_recovery(RefusalCode::ForeignSystemId, |inventory| {
        owned(inventory);
        edit(inventory, |live| live.lvm.system_id = Some("rack8".into()));
    });
    snapshot("foreign", &(without + &with));
    let mut inventory = machine("deleted-lv");
    owned(&mut inventory);
    edit(&mut inventory, |live| live.lvm.system_id = Some("rack7".into()));
    assert_eq!(codes(&inventory, RECOVER), [], "its own");
    edit(&mut inventory, |live| {
        live.lvm.system_id = Some("rack8".into());
        live.lvm.extra_system_ids = vec!["rack6".into(), "rack7".into()];
    });
    assert_eq!(codes(&inventory, RECOVER), [], "one of its further IDs");
    edit_vg(&mut inventory, |vg| vg.system_id = Some("".into()));
    assert_eq!(codes(&inventory, RECOVER), [], "an empty one is none");
}

#[test]
fn vgs_that_may_not_be_written() {
    let freeze = |inventory: &mut Inventory| {
        edit_vg(inventory, |vg| vg.status.remove(VgStatus::Write));
    };
    snapshot("read-only-vg", &refused_recovery(RefusalCode::ReadOnlyVg, freeze));
    let mut inventory = machine("deleted-lv");
    freeze(&mut inventory);
    assert_eq!(codes(&inventory, CHECK), [], "reading is no change");
}

#[test]
fn two_vgs_of_one_name() {
    let text = RECOVER.replace("name: vg}", "name: vg, uuid: $UUID}");
    let inventory = machine_of(&["deleted-lv", "plain"]);
    let named = |inventory: &Inventory| {
        let has_lv = |vg: &&Arc<Vg>| vg.lv(&"aside".parse().unwrap()).is_some();
        let mut vgs = inventory.vgs.values().filter_map(|on_disk| on_disk.current.as_ref());
        text.replace("$UUID", &vgs.find(has_lv).unwrap().uuid.to_string())
    };
    let text = named(&inventory);
    assert_eq!(codes(&inventory, &text), [RefusalCode::AmbiguousVgName]);
    snapshot("ambiguous", &told(&planned(&inventory, &text)));
    // A VG at which LVM does not look is none that a command could mean.
    let mut hidden = inventory.clone();
    edit(&mut hidden, |live| {
        live.lvm.left_out = vec![left_out("/dev/sdc", "hidden"), left_out("/dev/sdd", "hidden")];
    });
    assert_eq!(codes(&hidden, &text), []);
    // With one device of it in sight it is.
    edit(&mut hidden, |live| live.lvm.left_out.truncate(1));
    assert_eq!(codes(&hidden, &text), [RefusalCode::AmbiguousVgName]);
}

#[test]
fn an_lvm_that_is_too_old() {
    let version = |patch| LvmVersion { major: 2, minor: 3, patch };
    let old = refused_recovery(RefusalCode::LvmTooOld, |inventory| {
        edit(inventory, |live| live.lvm.version = version(6));
    });
    snapshot("lvm-too-old", &old);
    let none = refused_recovery(RefusalCode::LvmTooOld, |inventory| {
        edit(inventory, |live| live.lvm = LvmSetup::unknown());
    });
    snapshot("lvm-none", &none);
    let mut setup = quiet().lvm;
    let cases = [
        (LvmFeature::PvckRepair, 6, true),
        (LvmFeature::PvckRepair, 7, false),
        (LvmFeature::Devices, 11, true),
        (LvmFeature::Devices, 12, false),
    ];
    for (feature, patch, is_refused) in cases {
        setup.version = version(patch);
        let refusal = lacking(&setup, feature, "PV x");
        assert_eq!(refusal.is_some(), is_refused, "{feature:?} {patch}");
        assert!(refusal.is_none_or(|r| r.code == RefusalCode::LvmTooOld
            && r.why.contains(feature.name())
            && r.why.contains(&format!("/usr/sbin/lvm is 2.03.{patch:02}"))));
    }
}

#[test]
fn what_is_worth_knowing_before_a_run() {
    let mut inventory = machine("deleted-lv");
    edit(&mut inventory, |live| {
        live.services = vec!["xapi".into(), ForeignText::from("dmeventd")];
        live.unknown = vec!["processes of other users: permission denied".to_owned()];
    });
    let of = |name: &str, text: &str| {
        let mut inventory = inventory.clone();
        edit_vg(&mut inventory, |vg| vg.name = name.parse().unwrap());
        planned(&inventory, &text.replace("name: vg}", &format!("name: {name}}}")))
            .diff
            .notes
            .join("\n")
    };
    snapshot("notes-xen", &of("VG_XenStorage-0f3c9a1e-5d6b-4e0a-8c1f-2b7d9e4a6c50", RECOVER));
    // What removes LVs matters where one comes back.
    assert!(!of("pve", CHECK).contains("Proxmox"));
    assert!(of("pve", RECOVER).contains("Proxmox"));
}
