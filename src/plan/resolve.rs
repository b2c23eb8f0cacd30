//! From what a plan says to which objects it means, looked up in an inventory.
//!
//! UUIDs decide. What matches nothing anywhere, neither now nor in any version that still stands,
//! is a problem of the document.

mod activation;
mod tables;
mod tasks;
mod thin_pools;

use std::collections::BTreeSet;

use crate::ids::{LvName, LvUuid, PlanName, PvUuid, VgUuid};
use crate::model::choice::Standing;
use crate::model::inventory::{Inventory, VgOnDisk};
use crate::model::timeline::{FindVersionError, Source, Version, VersionName};
use crate::model::vg::Vg;
use crate::plan::Plan;
use crate::plan::document::{Activation, Check, LvState, RecoverFrom, Task, ThinPool};
use crate::plan::glob::LvPattern;
use crate::plan::problem::{Code, Problem};
use crate::plan::schema_types::PvKey;
use crate::plan::suggest::nearest;
use crate::text::search::{Wanted, versions_with};
use crate::text::vg_of;

/// What a plan wants, object by object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goals {
    /// The plan.
    pub plan: PlanName,
    /// The VG.
    pub vg: VgUuid,
    /// Whether every label and area is to be good, and where metadata comes from if need be.
    pub sound_metadata: Option<RecoverFrom>,
    /// PVs that are to be attached, by UUID.
    pub attached: Vec<AttachedPv>,
    /// Devices that are to be PVs of the VG, by path.
    pub extend_with: Vec<String>,
    /// LVs that are to be present, by name.
    pub present: Vec<PresentLv>,
    /// LVs that are to be active or inactive.
    pub activation: Vec<WantedActivation>,
    /// What thin pools are to be like.
    pub thin_pools: Vec<WantedPool>,
    /// Whose tables are to be what the metadata says.
    pub device_tables: Option<TablesGoal>,
    /// Devices that may go although no metadata describes them, by UUID as device-mapper has it.
    pub removable: BTreeSet<String>,
    /// What is done at every apply.
    pub tasks: Vec<Task>,
    /// What must hold in the end.
    pub checks: Vec<Check>,
    /// Mount points that may be unmounted.
    pub unmount: Vec<String>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// A PV that is to be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedPv {
    /// The PV.
    pub uuid: PvUuid,
    /// Where the plan says it is.
    pub device: Option<String>,
}

/// An LV that is to be present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentLv {
    /// What it is, or was, called.
    pub name: LvName,
    /// Its UUID, where the plan gives one.
    pub uuid: Option<LvUuid>,
    /// Which metadata describes it.
    pub recover_from: RecoverFrom,
    /// What it is to be called when it comes back.
    pub recover_as: Option<LvName>,
}

/// An LV that is to be active or inactive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedActivation {
    /// What it is called, or will be once it is recovered.
    pub name: LvName,
    /// The name the plan gives; another one where it is recovered under a new name.
    pub key: LvName,
    /// Its UUID, where the plan gives one.
    pub uuid: Option<LvUuid>,
    /// What it is to be; never unchanged.
    pub activation: Activation,
}

/// What a thin pool is to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPool {
    /// What it is called.
    pub name: LvName,
    /// What the plan says of it.
    pub wanted: ThinPool,
}

/// Whose tables are to be what the metadata says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablesGoal {
    /// The LVs whose stacks are meant; all of the VG otherwise.
    pub only: Option<Vec<LvUuid>>,
}

/// Looks up everything a plan names.
///
/// # Errors
/// Every name that matches nothing, or too much; sorted by position.
pub fn resolve(plan: &Plan, inventory: &Inventory) -> Result<Goals, Vec<Problem>> {
    let vg = find_vg(plan, inventory).map_err(|problem| vec![problem])?;
    let mut resolver = Resolver { plan, inventory, vg, problems: Vec::new() };
    let goals = resolver.goals();
    let mut problems = resolver.problems;
    if problems.is_empty() {
        return Ok(goals);
    }
    problems.sort_by_key(|p| p.span);
    Err(problems)
}

/// The VG that is meant. A VG that only old texts tell of gives way to one that has areas.
fn find_vg<'i>(plan: &Plan, inventory: &'i Inventory) -> Result<&'i VgOnDisk, Problem> {
    let wanted = &plan.document.volume_group;
    if let Some(uuid) = wanted.uuid {
        let span = plan.tree.value_span(&["volume_group", "uuid"]);
        let vg = inventory.vgs.get(&uuid).ok_or_else(|| {
            let message = format!("no volume group with UUID {uuid} was found");
            Problem::new(Code::UnknownObject, message, span).with_help(known_vgs(inventory))
        })?;
        return match vg.name() {
            Some(name) if *name != wanted.name => {
                let message = format!("VG {uuid} is called `{name}`, not `{}`", wanted.name);
                let span = plan.tree.value_span(&["volume_group", "name"]);
                Err(Problem::new(Code::UnknownObject, message, span))
            }
            Some(_) | None => Ok(vg),
        };
    }
    let span = plan.tree.value_span(&["volume_group", "name"]);
    let named = inventory.vgs_named(&wanted.name);
    let living: Vec<&VgOnDisk> =
        named.iter().copied().filter(|vg| vg.standing != Standing::None).collect();
    match (living.as_slice(), named.as_slice()) {
        ([only], _) | ([], [only]) => Ok(only),
        ([], []) => {
            let message = format!("no volume group `{}` was found", wanted.name);
            Err(Problem::new(Code::UnknownObject, message, span).with_help(known_vgs(inventory)))
        }
        (several, all) => {
            let several = if several.is_empty() { all } else { several };
            let uuids: Vec<String> = several.iter().map(|vg| vg.uuid.to_string()).collect();
            let message = format!("{} volume groups are called `{}`", uuids.len(), wanted.name);
            Err(Problem::new(Code::AmbiguousObject, message, span)
                .with_help(format!("add `uuid:` with one of {}", uuids.join(", "))))
        }
    }
}

fn known_vgs(inventory: &Inventory) -> String {
    let names: Vec<String> = inventory
        .vgs
        .values()
        .filter_map(|vg| Some(format!("{} ({})", vg.name()?, vg.uuid)))
        .collect();
    if names.is_empty() {
        "no volume group was found on these devices".to_owned()
    } else {
        format!("found: {}", names.join(", "))
    }
}

struct Resolver<'a> {
    plan: &'a Plan,
    inventory: &'a Inventory,
    vg: &'a VgOnDisk,
    problems: Vec<Problem>,
}

impl Resolver<'_> {
    fn problem(&mut self, code: Code, path: &[&str], message: String, help: Option<String>) {
        let problem = Problem::new(code, message, self.plan.tree.value_span(path));
        self.problems.push(match help {
            Some(help) => problem.with_help(help),
            None => problem,
        });
    }

    fn goals(&mut self) -> Goals {
        let document = &self.plan.document;
        let sound_metadata = document.volume_group.metadata.as_ref().map(|metadata| {
            self.check_source(
                &metadata.recover_from,
                &["volume_group", "metadata", "recover_from"],
            );
            metadata.recover_from.clone()
        });
        let attached = self.attached();
        let present = self.present();
        let (mut activation, notes) = self.activation();
        let thin_pools = self.thin_pools();
        self.activation_of_pools(&thin_pools, &mut activation);
        self.check_lvs_of_tasks(&present);
        let device_tables = self.device_tables();
        Goals {
            plan: document.name.clone(),
            vg: self.vg.uuid,
            sound_metadata,
            attached,
            extend_with: document.volume_group.extend_with.clone(),
            present,
            activation,
            thin_pools,
            device_tables,
            removable: tables::removable(&document.policy.accept),
            tasks: document.tasks.clone(),
            checks: document.checks.clone(),
            unmount: mount_points(&document.policy.busy.unmount),
            notes,
        }
    }

    /// A version a plan names must stand somewhere, a file must be metadata of this VG.
    fn check_source(&mut self, from: &RecoverFrom, path: &[&str]) {
        let found = version_for(self.vg, from);
        if let Err(error) = found {
            let bad_file = match from {
                RecoverFrom::File(file) => {
                    self.inventory.bad_files.iter().find(|bad| bad.path.raw() == file)
                }
                RecoverFrom::Newest | RecoverFrom::Version { .. } | RecoverFrom::DeviceTable => {
                    None
                }
            };
            let help = bad_file.map(|bad| bad.why.clone());
            self.problem(Code::UnknownVersion, path, error, help);
        }
    }

    fn attached(&mut self) -> Vec<AttachedPv> {
        let mut pvs: Vec<AttachedPv> = Vec::new();
        let document = &self.plan.document;
        let every = document.physical_volumes.contains_key(&PvKey::Every);
        if every {
            let current = self.vg.current.iter().flat_map(|vg| &vg.pvs);
            pvs.extend(current.map(|pv| AttachedPv { uuid: pv.uuid, device: None }));
        }
        for (key, wanted) in &document.physical_volumes {
            let PvKey::Uuid(uuid) = *key else { continue };
            if !is_known_pv(self.vg, uuid) {
                let text = uuid.to_string();
                let path = ["physical_volumes", text.as_str()];
                let span = self.plan.tree.key_span(&path);
                let message = format!("no version of the VG's metadata knows PV {uuid}");
                let help = known_pvs(self.vg);
                self.problems
                    .push(Problem::new(Code::UnknownObject, message, span).with_help(help));
            }
            pvs.retain(|pv| pv.uuid != uuid);
            pvs.push(AttachedPv { uuid, device: wanted.device.clone() });
        }
        pvs.sort_by_key(|pv| pv.uuid);
        pvs
    }

    fn present(&mut self) -> Vec<PresentLv> {
        let document = &self.plan.document;
        let mut lvs = Vec::new();
        for (pattern, wanted) in &document.logical_volumes {
            let (LvPattern::Name(name), Some(LvState::Present)) = (pattern, wanted.state) else {
                continue;
            };
            let text = name.to_string();
            let path = ["logical_volumes", text.as_str()];
            let from_path = ["logical_volumes", text.as_str(), "recover_from"];
            let before = self.problems.len();
            self.check_source(&wanted.recover_from, &from_path);
            let looked_up = match wanted.uuid {
                Some(uuid) => Wanted::Uuid(uuid),
                None => Wanted::Name(name),
            };
            let known = versions_with(&self.vg.timeline, looked_up).next().is_some();
            if !known && self.problems.len() == before {
                let span = self.plan.tree.key_span(&path);
                let message = match wanted.uuid {
                    Some(uuid) => {
                        format!("no version of the VG's metadata has an LV with UUID {uuid}")
                    }
                    None => format!("no version of the VG's metadata has an LV `{name}`"),
                };
                let problem = Problem::new(Code::UnknownObject, message, span);
                self.problems.push(match self.suggestion(name) {
                    Some(near) => problem.with_help(format!("did you mean `{near}`?")),
                    None => problem.with_help(
                        "`lvmend history list` shows which versions still stand; more may stand \
                         in backup and archive files (--backup-dir, --archive-dir)",
                    ),
                });
            }
            lvs.push(PresentLv {
                name: name.clone(),
                uuid: wanted.uuid,
                recover_from: wanted.recover_from.clone(),
                recover_as: wanted.recover_as.clone(),
            });
        }
        lvs
    }

    /// The nearest LV name of the newest version.
    fn suggestion(&self, name: &LvName) -> Option<String> {
        let newest = self.vg.timeline.versions().last().and_then(|v| vg_of(&v.text).ok())?;
        let visible = newest.lvs.iter().filter(|lv| lv.has_visible());
        nearest(name.as_str(), visible.map(|lv| lv.name.as_str())).map(str::to_owned)
    }
}

/// As the kernel writes them: without slashes in the end.
fn mount_points(written: &[String]) -> Vec<String> {
    let bare = |path: &String| match path.trim_end_matches('/') {
        "" => path.clone(),
        bare => bare.to_owned(),
    };
    let mut paths: Vec<String> = written.iter().map(bare).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// The version that a plan's `recover_from` names; `None` for the newest.
///
/// # Errors
/// What is wrong with the name, for people.
pub fn version_for<'t>(
    vg: &'t VgOnDisk,
    from: &RecoverFrom,
) -> Result<Option<&'t Version>, String> {
    match from {
        // Whose table it is, only the LV tells.
        RecoverFrom::Newest | RecoverFrom::DeviceTable => Ok(None),
        RecoverFrom::Version { seqno, digest } => {
            let digest = digest.as_ref().map(|prefix| prefix.0.clone());
            let found = vg.timeline.find(&VersionName { seqno: *seqno, digest });
            found.map(Some).map_err(|error: FindVersionError| error.to_string())
        }
        RecoverFrom::File(file) => {
            let is_it =
                |source: &Source| matches!(source, Source::File(path) if path.raw() == file);
            let found = vg.timeline.versions().iter().find(|v| v.sources.iter().any(is_it));
            found.map(Some).ok_or_else(|| format!("`{file}` does not hold metadata of this VG"))
        }
    }
}

fn is_known_pv(vg: &VgOnDisk, uuid: PvUuid) -> bool {
    let has = |vg: &Vg| vg.pv(uuid).is_some();
    vg.current.as_ref().is_some_and(|vg| has(vg))
        || vg
            .timeline
            .versions()
            .iter()
            .rev()
            .filter_map(|v| vg_of(&v.text).ok())
            .any(|vg| has(&vg))
}

fn known_pvs(vg: &VgOnDisk) -> String {
    let newest = vg.timeline.versions().last().and_then(|v| vg_of(&v.text).ok());
    let pvs: Vec<String> =
        newest.iter().flat_map(|vg| &vg.pvs).map(|pv| pv.uuid.to_string()).collect();
    format!("its PVs: {}", pvs.join(", "))
}

/// Files with metadata that a plan names, which must be read before it can be resolved.
pub fn files_named(plan: &Plan) -> Vec<String> {
    let document = &plan.document;
    let metadata = document.volume_group.metadata.iter().map(|metadata| &metadata.recover_from);
    let lvs = document.logical_volumes.values().map(|lv| &lv.recover_from);
    let mut files: Vec<String> = metadata
        .chain(lvs)
        .filter_map(|from| match from {
            RecoverFrom::File(file) => Some(file.clone()),
            RecoverFrom::Newest | RecoverFrom::Version { .. } | RecoverFrom::DeviceTable => None,
        })
        .collect();
    files.sort();
    files.dedup();
    files
}
