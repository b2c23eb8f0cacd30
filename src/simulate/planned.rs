//! Everything a plan comes to in the face of an inventory, in one go.

use crate::diff::{Diff, Refusal, diff};
use crate::graph::{Graph, build, idle_acceptances, unaccepted};
use crate::ids::{VgName, VgUuid};
use crate::model::inventory::{Inventory, Realm};
use crate::operation::Signature;
use crate::plan::Plan;
use crate::plan::problem::Problem;
use crate::plan::resolve::{Goals, resolve};
use crate::simulate::sealed::{FORMAT_VERSION, Fingerprint, SealedKind, SealedPlan};
use crate::simulate::{Simulation, simulate};

/// What a plan comes to.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub vg_name: VgName,
    /// Where it takes place.
    pub realm: Realm,
    /// What the plan wants, object by object.
    pub goals: Goals,
    /// What has to change, and what is worth knowing.
    pub diff: Diff,
    /// The operations.
    pub graph: Graph,
    /// What speaks against it; empty when the plan may be applied.
    pub refusals: Vec<Refusal>,
    /// The dry run; none when it meets a world that an operation must not be done to.
    pub simulation: Option<Simulation>,
}

/// Works out what a plan comes to.
///
/// # Errors
/// The names in the plan that match nothing, or too much.
pub fn work_out(
    plan: &Plan,
    inventory: &Inventory,
    signature: &Signature,
) -> Result<Planned, Vec<Problem>> {
    let goals = resolve(plan, inventory)?;
    let mut diff = diff(&goals, inventory);
    let mut refusals = std::mem::take(&mut diff.refusals);
    let (graph, task_refusals) = build(&goals, &diff, inventory);
    refusals.extend(task_refusals);
    let accepted = &plan.document.policy.accept;
    let hazards = graph.hazards();
    refusals.extend(unaccepted(&hazards, accepted));
    for idle in idle_acceptances(&hazards, accepted) {
        diff.notes.push(format!(
            "the plan accepts {} of {}, which does not arise",
            idle.hazard.name(),
            idle.object
        ));
    }
    let simulation = match simulate(&graph, inventory, signature) {
        Ok(simulation) => Some(simulation),
        Err(refusal) => {
            // Where something was refused before, what follows from it is no news.
            if refusals.is_empty() {
                refusals.push(refusal);
            }
            None
        }
    };
    let name = inventory.vgs.get(&goals.vg).and_then(|vg| vg.name().cloned());
    let vg_name = name.unwrap_or_else(|| plan.document.volume_group.name.clone());
    let (vg, realm) = (goals.vg, inventory.realm);
    Ok(Planned { vg, vg_name, realm, goals, diff, graph, refusals, simulation })
}

impl Planned {
    /// The fingerprint of the plan and its graph.
    pub fn fingerprint(&self, plan: &Plan) -> Fingerprint {
        Fingerprint::of(&plan.source, &self.graph, self.realm)
    }

    /// Seals the plan, with the report it was reviewed by.
    pub fn seal(&self, plan: &Plan, program: &str, review: String) -> SealedPlan {
        SealedPlan {
            format_version: FORMAT_VERSION,
            kind: SealedKind::SealedPlan,
            made_by: program.to_owned(),
            name: plan.document.name.clone(),
            vg: self.vg,
            vg_name: self.vg_name.clone(),
            realm: self.realm,
            source: plan.source.clone(),
            graph: self.graph.clone(),
            fingerprint: self.fingerprint(plan),
            review,
        }
    }
}
