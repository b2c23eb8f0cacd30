//! Makes LVM's text say the transaction id that a thin pool has.
//!
//! Only done where both have the same devices, so that the number is all that differs. Effect: a new
//! version of the VG's text with that one number. Half way: every area has the old text or the new
//! one. Undo: the number is put back, under a higher seqno, unless the pool is active. Equivalent:
//! a text edited by hand, and `vgcfgrestore --force`.

use serde::{Deserialize, Serialize};

use crate::diff::NumberedPool;
use crate::ids::{VgName, VgUuid};
use crate::model::compare::Difference;
use crate::model::inventory::{Inventory, Realm};
use crate::model::vg::Vg;
use crate::operation::edited_text::commit_edited;
use crate::operation::pools::{check_inactive, pool_of};
use crate::operation::{
    Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit, commit,
};
use crate::plan::hazard::Hazard;
use crate::text::edit::set_transaction_id;
use crate::text::tree::Section;

/// Makes LVM's text say the transaction id that a thin pool has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTransactionId {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The pool, and both numbers.
    pub pool: NumberedPool,
}

impl SetTransactionId {
    fn write(
        &self,
        now: &Inventory,
        signature: &Signature,
        (from, to): (u64, u64),
    ) -> Result<Lowered, Unfit> {
        let pool = pool_of(now, self.vg, self.pool.uuid, &self.pool.name)?;
        check_inactive(now, &pool)?;
        if pool.transaction_id != from {
            let found = pool.transaction_id;
            return Err(Unfit::new(format!("LVM's text is at transaction {found} by now")));
        }
        let is_ours = |difference: &Difference| matches!(difference, Difference::LvSetting { lv, .. } if *lv == self.pool.name);
        let edit = |text: &mut Section<'_>, _: &Vg| set_transaction_id(text, &self.pool.name, to);
        let what = format!("set_transaction_id {}", self.pool.name);
        commit_edited(now, self.vg, signature, &what, edit, is_ours)
    }
}

impl Contract for SetTransactionId {
    fn object(&self) -> String {
        self.pool.uuid.to_string()
    }

    fn title(&self) -> String {
        let NumberedPool { name, text, own, .. } = &self.pool;
        format!("set the transaction id of thin pool {}/{name} from {text} to {own}", self.name)
    }

    fn reasons(&self) -> Vec<String> {
        vec![format!(
            "the pool is at transaction {}, and has the very devices that LVM knows",
            self.pool.own
        )]
    }

    fn touches(&self) -> Touches {
        Touches {
            reads: vec![Resource::Evidence, Resource::Content(self.pool.uuid)],
            writes: vec![Resource::Metadata(self.vg)],
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::Reversible,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => commit::UNDO_ON_IMAGES,
            Realm::Live => {
                "the number is put back, under a higher seqno, unless the pool is active"
            }
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        self.pool.hazards.clone()
    }

    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let pool = pool_of(now, self.vg, self.pool.uuid, &self.pool.name)?;
        if pool.own_transaction_id() != Some(self.pool.own) {
            let why = format!("thin pool {} is at another transaction by now", self.pool.name);
            return Err(Unfit::new(why));
        }
        self.write(now, signature, (self.pool.text, self.pool.own))
    }

    fn probe(&self, now: &Inventory) -> Probe {
        let pool = pool_of(now, self.vg, self.pool.uuid, &self.pool.name);
        match pool.map(|pool| pool.transaction_id) {
            Ok(id) if id == self.pool.text => Probe::Before,
            Ok(id) if id == self.pool.own => Probe::After,
            Ok(_) | Err(_) => Probe::Neither,
        }
    }

    fn lower_undo(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        if self.probe(now) == Probe::Before {
            return Ok(Lowered { acts: Vec::new(), predicted: now.clone() });
        }
        self.write(now, signature, (self.pool.own, self.pool.text))
    }
}
