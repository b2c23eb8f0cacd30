//! Copies of LVs to files: they harm nothing that is not theirs, and finished ones are told from
//! others.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use lvmend::diff::RefusalCode;
use lvmend::execute::Outcome;
use lvmend::host::fake::{Fault, Schedule};
use lvmend::ids::Digest;
use lvmend::plan::Plan;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::fixture::Fixture;
use crate::support::program::Desk;
use crate::support::world::{NOW, World, plan};

const RECOVERED: &str = "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes:\n  precious: {state: present}\n";

/// A directory that `precious` is to be copied to.
struct Target(TempDir);

impl Target {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// What stands beside the copy, or the copy itself where nothing is behind its name.
    fn beside(&self, behind: &str) -> PathBuf {
        self.0.path().join(format!("out.img{behind}"))
    }

    fn copy(&self) -> PathBuf {
        self.beside("")
    }

    fn manifest(&self) -> PathBuf {
        self.beside(".lvmend.json")
    }

    /// A part of the run that begins at this time.
    fn part(&self, begun: i64) -> PathBuf {
        self.beside(&format!(".lvmend-part-{begun}"))
    }

    fn manifest_part(&self, begun: i64) -> PathBuf {
        self.beside(&format!(".lvmend.json.lvmend-part-{begun}"))
    }

    fn text(&self) -> String {
        let path = self.copy();
        let path = path.display();
        format!("{RECOVERED}tasks:\n  - copy: {{from: precious, to: {{file: {path}}}}}\n")
    }

    fn plan(&self) -> Plan {
        plan(&self.text())
    }

    fn world(&self) -> World {
        let mut world = World::of("deleted-lv");
        world.scope.targets = vec![self.copy().to_str().unwrap().to_owned()];
        world
    }

    /// The names of all files.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Insists on a copy that is whole, and on these files beside it and its manifest.
    fn is_whole(&self, others: &[&str]) {
        let copy = fs::read(self.copy()).unwrap();
        assert_eq!(Digest::of(&copy).to_string(), digest_of_precious());
        let manifest: Value = serde_json::from_slice(&fs::read(self.manifest()).unwrap()).unwrap();
        assert_eq!(manifest["sha256"], digest_of_precious());
        assert_eq!(manifest["size"], copy.len());
        let mut names = vec!["out.img".to_owned(), "out.img.lvmend.json".to_owned()];
        names.extend(others.iter().map(|name| (*name).to_owned()));
        names.sort();
        assert_eq!(self.names(), names);
    }

    /// Why the plan is refused, when it is and for the copy alone.
    fn refusal(&self) -> String {
        let planned = self.world().plan(&self.plan());
        let [refusal] = planned.refusals.as_slice() else { panic!("{:?}", planned.refusals) };
        assert_eq!(refusal.code, RefusalCode::CopyRefused);
        refusal.why.clone()
    }

    /// Makes a whole copy.
    fn filled() -> Self {
        let target = Self::new();
        target.world().must_apply(&target.plan());
        target
    }
}

fn digest_of_precious() -> String {
    Fixture::new("deleted-lv").content_named("precious").0
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_copy_and_its_manifest_are_for_their_owner_alone() {
    let target = Target::filled();
    target.is_whole(&[]);
    for path in [target.copy(), target.manifest()] {
        let found = fs::metadata(&path).unwrap();
        assert_eq!((mode(&path), found.nlink()), (0o600, 1), "{path:?}");
    }
}

#[test]
fn what_others_have_beside_a_copy_stays() {
    let target = Target::new();
    let victim = target.beside(".victim");
    fs::write(&victim, "precious as well").unwrap();
    let others = [".lvmend-part".to_owned(), format!(".lvmend-part-{}", NOW - 1)];
    for other in &others {
        fs::write(target.beside(other), "somebody's").unwrap();
        symlink(&victim, target.beside(&format!(".lvmend.json{other}"))).unwrap();
    }
    target.world().must_apply(&target.plan());
    for other in &others {
        assert_eq!(fs::read(target.beside(other)).unwrap(), b"somebody's");
        let link = fs::symlink_metadata(target.beside(&format!(".lvmend.json{other}"))).unwrap();
        assert!(link.is_symlink());
    }
    assert_eq!(fs::read(&victim).unwrap(), b"precious as well");
    assert_eq!(target.names().len(), 2 + 1 + 4);
}

#[test]
fn parts_that_are_there_already_are_not_taken_over() {
    type Plant = fn(&Target, &Path);
    let plants: [Plant; 3] = [
        |target, _| fs::write(target.part(NOW), "somebody's").unwrap(),
        |target, victim| symlink(victim, target.part(NOW)).unwrap(),
        |target, victim| symlink(victim, target.manifest_part(NOW)).unwrap(),
    ];
    for plant in plants {
        let target = Target::new();
        let victim = target.beside(".victim");
        fs::write(&victim, "precious as well").unwrap();
        plant(&target, &victim);
        let before = target.names();
        let mut world = target.world();
        let report = world.apply(&target.plan()).unwrap();
        assert_eq!(report.outcome, Outcome::RolledBack, "{report:#?}");
        assert_eq!(target.names(), before, "what was there, and nothing else");
        assert_eq!(fs::read(&victim).unwrap(), b"precious as well");
        if let Ok(part) = fs::read(target.part(NOW)) {
            assert!(part == b"somebody's" || part == b"precious as well");
        }
    }
}

#[test]
fn a_part_that_cannot_be_gone_on_with_is_begun_anew() {
    let target = Target::new();
    // Longer than the copy, and data where that has zeros.
    fs::write(target.part(NOW), vec![0xaa; 64 << 20]).unwrap();
    fs::set_permissions(target.part(NOW), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(target.beside(&format!(".lvmend-part-{NOW}.map")), "# Source of another copy\n")
        .unwrap();
    target.world().must_apply(&target.plan());
    target.is_whole(&[]);
}

#[test]
fn what_would_be_in_the_way_in_the_end_is_told_before() {
    let target = Target::new();
    fs::write(target.beside(".map"), "ddrescue's").unwrap();
    let before = target.names();
    let report = target.world().apply(&target.plan()).unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack, "{report:#?}");
    assert_eq!(target.names(), before);
}

#[test]
fn a_manifest_whose_copy_is_gone_makes_room() {
    let target = Target::filled();
    fs::remove_file(target.copy()).unwrap();
    let old = fs::read_to_string(target.manifest()).unwrap();
    let old = old.replace(&digest_of_precious(), &"0".repeat(64));
    fs::write(target.manifest(), old).unwrap();
    target.world().must_apply(&target.plan());
    // The manifest is a new one.
    target.is_whole(&[]);
}

#[test]
fn anything_else_in_the_place_of_the_manifest_stays() {
    type Plant = fn(&Target, &[u8]);
    let made = Target::filled();
    let manifest = fs::read(made.manifest()).unwrap();
    let plants: [(&str, Plant); 3] = [
        ("a file that is no manifest", |target, _| fs::write(target.manifest(), "mine").unwrap()),
        ("a directory", |target, _| fs::create_dir(target.manifest()).unwrap()),
        ("a symbolic link", |target, manifest| {
            fs::write(target.beside(".elsewhere"), manifest).unwrap();
            symlink(target.beside(".elsewhere"), target.manifest()).unwrap();
        }),
    ];
    for (what, plant) in plants {
        // It is there when the plan is made.
        let target = Target::new();
        plant(&target, &manifest);
        let before = target.names();
        assert!(target.refusal().contains(what), "{}", target.refusal());
        // It comes afterwards: it is met before anything is copied.
        let late = Target::new();
        let mut world = late.world();
        let (wanted, seen) = (late.plan(), world.look());
        plant(&late, &manifest);
        let report = world.apply_as_seen(&wanted, seen).unwrap();
        assert_eq!(report.outcome, Outcome::RolledBack, "{what}: {report:#?}");
        assert!(report.steps[2].why.as_deref().unwrap().contains("out.img.lvmend.json"));
        assert_eq!(late.names(), before, "{what}");
    }
}

#[test]
fn a_copy_under_way_to_the_same_path_is_not_harmed() {
    // Another run began a second before, and is about to give its copy the name.
    let target = Target::filled();
    let (part, manifest_part) = (target.part(NOW - 1), target.manifest_part(NOW - 1));
    fs::rename(target.copy(), &part).unwrap();
    fs::hard_link(target.manifest(), &manifest_part).unwrap();
    let (before, manifest) = (target.names(), fs::metadata(target.manifest()).unwrap().ino());
    let report = target.world().apply(&target.plan()).unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack, "{report:#?}");
    assert_eq!(target.names(), before);
    assert_eq!(fs::metadata(target.manifest()).unwrap().ino(), manifest);
    // And it goes on.
    fs::hard_link(&part, target.copy()).unwrap();
    fs::remove_file(manifest_part).unwrap();
    fs::remove_file(part).unwrap();
    target.is_whole(&[]);
}

#[test]
fn two_programs_at_once_leave_one_whole_copy() {
    for _ in 0..3 {
        let target = Target::new();
        let desks = [Desk::with("deleted-lv"), Desk::with("deleted-lv")];
        let children: Vec<_> = desks
            .iter()
            .map(|desk| {
                desk.put("plan.yaml", &target.text());
                let arguments = desk.with_images(&["apply", "plan.yaml", "--yes"]);
                let mut command = desk.command(&arguments);
                let quiet = std::process::Stdio::null;
                command.stdout(quiet()).stderr(quiet()).spawn().unwrap()
            })
            .collect();
        let ends: Vec<_> =
            children.into_iter().map(|mut child| child.wait().unwrap().code().unwrap()).collect();
        assert!(ends.contains(&0), "{ends:?}");
        target.is_whole(&[]);
    }
}

#[test]
fn a_copy_that_is_not_as_its_manifest_says_is_not_finished() {
    let cut = Target::filled();
    let size = fs::metadata(cut.copy()).unwrap().len();
    fs::File::options().write(true).open(cut.copy()).unwrap().set_len(size - 1).unwrap();
    let expected = format!("it is {} bytes long, expected {size} as its manifest says", size - 1);
    assert!(cut.refusal().contains(&expected), "{}", cut.refusal());

    let linked = Target::filled();
    fs::rename(linked.copy(), linked.beside(".elsewhere")).unwrap();
    symlink(linked.beside(".elsewhere"), linked.copy()).unwrap();
    assert!(linked.refusal().contains("a symbolic link"), "{}", linked.refusal());

    let other_vg = Target::filled();
    let manifest = fs::read_to_string(other_vg.manifest()).unwrap();
    let mut json: Value = serde_json::from_str(&manifest).unwrap();
    json["vg"] = "AAAAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAAAA".into();
    fs::write(other_vg.manifest(), json.to_string()).unwrap();
    let why = other_vg.refusal();
    assert!(why.contains("of another VG (AAAAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAAAA"), "{why}");

    // What others put beside it does not change that a copy is finished.
    let fine = Target::filled();
    assert!(fine.world().plan(&fine.plan()).refusals.is_empty());
    fs::write(fine.beside(".notes"), "x").unwrap();
    assert!(fine.world().plan(&fine.plan()).refusals.is_empty());
}

/// The power is cut when the copy was made and before that was recorded: a world and its run.
fn cut_behind_the_copy(target: &Target) -> (World, String) {
    use lvmend::host::RunStore;
    let elsewhere = Target::new();
    let mut undisturbed = elsewhere.world();
    undisturbed.must_apply(&elsewhere.plan());
    // The last record says that the run is over, the one before it that the copy was made.
    let at = undisturbed.schedule.borrow().count() - 2;
    let schedule = Schedule::striking(at, Fault::Crash);
    let mut world = World::with(Fixture::new("deleted-lv").disks(), &schedule);
    world.scope = target.world().scope;
    assert!(world.apply(&target.plan()).is_err(), "it was not cut");
    target.is_whole(&[]);
    let disks = world.disks.iter().map(|(n, d)| (n.clone(), d.after_power_cut(|_| true)));
    let world = world.continued(disks.collect(), &Schedule::quiet());
    let run = world.store.runs().unwrap().remove(0);
    (world, run)
}

#[test]
fn a_copy_that_was_cut_off_leaves_nothing_of_its_own_and_is_made_again() {
    type Cut = fn(&Target);
    let half = |target: &Target| {
        fs::rename(target.copy(), target.part(NOW)).unwrap();
        fs::File::options().write(true).open(target.part(NOW)).unwrap().set_len(4096).unwrap();
        fs::rename(target.manifest(), target.manifest_part(NOW)).unwrap();
    };
    let cuts: [(&str, bool, Cut); 4] = [
        ("in the middle of the content", false, half),
        ("before the copy has its name", false, |target| {
            fs::rename(target.copy(), target.part(NOW)).unwrap();
            fs::hard_link(target.manifest(), target.manifest_part(NOW)).unwrap();
        }),
        ("before its parts are removed", true, |target| {
            fs::hard_link(target.copy(), target.part(NOW)).unwrap();
            fs::hard_link(target.manifest(), target.manifest_part(NOW)).unwrap();
        }),
        ("before the last part is removed", true, |target| {
            fs::hard_link(target.copy(), target.part(NOW)).unwrap();
        }),
    ];
    for (when, is_finished, cut) in cuts {
        for goes_on in [true, false] {
            let target = Target::new();
            let (mut world, run) = cut_behind_the_copy(&target);
            cut(&target);
            let others = ["out.img.lvmend-part", "out.img.lvmend-part-1799999999"];
            for other in others {
                fs::write(target.0.path().join(other), "somebody's").unwrap();
            }
            if goes_on {
                let report = world.resume(&run).unwrap();
                assert_eq!(report.outcome, Outcome::Done, "{when}: {report:#?}");
                target.is_whole(&others);
            } else {
                let report = world.rollback(&run).unwrap();
                assert_eq!(report.outcome, Outcome::RolledBack, "{when}: {report:#?}");
                if is_finished {
                    target.is_whole(&others);
                } else {
                    assert_eq!(target.names(), others, "{when}");
                }
            }
        }
    }
}

#[test]
fn a_file_that_took_the_name_of_a_copy_stays_when_the_run_is_taken_up() {
    for goes_on in [true, false] {
        let target = Target::new();
        let (mut world, run) = cut_behind_the_copy(&target);
        fs::rename(target.copy(), target.part(NOW)).unwrap();
        fs::hard_link(target.manifest(), target.manifest_part(NOW)).unwrap();
        fs::write(target.copy(), "somebody's").unwrap();
        let take_up = if goes_on { World::resume } else { World::rollback };
        assert_eq!(take_up(&mut world, &run).unwrap().outcome, Outcome::RolledBack);
        assert_eq!(target.names(), ["out.img"], "parts and manifest were its own");
        assert_eq!(fs::read(target.copy()).unwrap(), b"somebody's");
    }
}
