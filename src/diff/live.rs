//! What speaks against a plan on a running machine, before anything is written: others who own
//! the VG, devices where LVM does not look, tables that nobody asked for, LVM2 itself.

mod left_out;
mod lvm;
mod managers;
mod outdated;
mod ownership;
mod state_dir;
mod stray;
mod tables;
mod users;

use crate::diff::{Base, Context, Diff, Refusal, RefusalCode, writes_metadata};
use crate::model::inventory::Realm;
use crate::model::live::Live;
use crate::model::vg::Vg;

pub use lvm::{LvmFeature, lacking};
pub use state_dir::{Disturbed, StateDirVerdict, state_dir_verdict};
pub use stray::{Held, Stray, refuse_allocation, strays};
pub use tables::bottom_up;
pub use users::{in_the_way, refuse_users, users};

pub(super) use left_out::help_with_duplicates;

/// Checks a plan. On images there is nothing to check, and where there is no work to do only that
/// LVM looks at the PVs that are to be attached.
pub(super) fn check(context: &Context<'_>, base: &Base, has_work: bool, diff: &mut Diff) {
    let live = match (context.inventory.realm, context.inventory.live.as_deref()) {
        (Realm::Images, _) => return,
        (Realm::Live, Some(live)) => live,
        (Realm::Live, None) if !has_work => return,
        (Realm::Live, None) => {
            let why = "BUG: what the kernel and LVM2 say of it was not looked at";
            diff.refusals.push(Refusal::new(RefusalCode::Unfit, "this machine", why));
            return;
        }
    };
    let writes = writes_metadata(context.goals, diff);
    let subject = Subject { context, base, live, writes };
    if !has_work {
        left_out::check_attached(&subject, diff);
        return;
    }
    lvm::check(&subject, diff);
    ownership::check(&subject, diff);
    left_out::check(&subject, diff);
    users::check(&subject, diff);
    tables::check(&subject, diff);
    stray::check(&subject, diff);
    outdated::check(&subject, diff);
    managers::check(&subject, diff);
}

/// What every check looks at.
struct Subject<'a> {
    context: &'a Context<'a>,
    base: &'a Base,
    live: &'a Live,
    /// Whether the plan changes the VG's metadata, rather than only doing tasks and checks.
    writes: bool,
}

impl Subject<'_> {
    fn vg(&self) -> &Vg {
        &self.base.vg
    }

    /// The VG, as refusals name it.
    fn object(&self) -> String {
        format!("VG {} ({})", self.base.vg.name, self.base.vg.uuid)
    }
}
