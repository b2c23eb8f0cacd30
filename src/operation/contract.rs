//! What every operation says about itself, and what comes of asking.

use serde::{Deserialize, Serialize};

use crate::diff::Claim;
use crate::ids::{Digest, ForeignText};
use crate::model::compare::Difference;
use crate::model::inventory::{Inventory, Realm};
use crate::operation::act::{Act, CopyFile};
use crate::operation::{Risk, Touches};
use crate::plan::hazard::Hazard;
use crate::units::Seconds;

/// Who writes, when and where: what LVM puts into the frame of every text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Program and version.
    pub program: String,
    /// The node name.
    pub node: ForeignText,
    /// The machine, as `uname` prints it.
    pub machine: ForeignText,
    /// Seconds since 1970: when the run began. The same in every text of the run, so that a
    /// resumed run writes what an undisturbed one would have.
    pub time: i64,
    /// The same for people.
    pub time_shown: String,
}

/// What an operation does in the face of an inventory, and what comes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowered {
    /// What is done, in this order.
    pub acts: Vec<Act>,
    /// The inventory afterwards. What it says must hold; what it says no different from before
    /// must not have changed.
    pub predicted: Inventory,
}

/// What must hold before an operation does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unfit {
    /// Why, for people.
    pub why: String,
    /// Whether it may pass by itself: somebody uses what must be free.
    pub may_pass: bool,
}

impl Unfit {
    /// Says why.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), may_pass: false }
    }

    /// Somebody uses what must be free.
    pub fn in_use(why: impl Into<String>) -> Self {
        Self { why: why.into(), may_pass: true }
    }
}

/// What a read-only look tells about an operation that was started and has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// The world is as before: it was not applied.
    Before,
    /// The world is as predicted: it was applied.
    After,
    /// Neither: it stopped half-way, or somebody else was there.
    Neither,
}

/// How often an operation is tried. What a failed attempt left is undone at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// How often, at most.
    pub of: u8,
    /// How long it is waited in between.
    pub delay: Seconds,
    /// Whether something is left when it is done; otherwise nothing is to be undone then.
    pub keeps: bool,
}

/// What every operation says about itself.
pub trait Contract {
    /// The one thing it works on, as its identity names it: a UUID where there is one.
    fn object(&self) -> String;

    /// What it does, in one line, for people.
    fn title(&self) -> String;

    /// Why the plan needs it, and what follows, line by line.
    fn reasons(&self) -> Vec<String>;

    /// What it reads and writes.
    fn touches(&self) -> Touches;

    /// How much it can cost here.
    fn risk(&self, realm: Realm) -> Risk;

    /// How it is undone here, or why there is no undo, for people.
    fn undo(&self, realm: Realm) -> &'static str;

    /// Losses that the plan must accept.
    fn hazards(&self) -> Vec<Hazard>;

    /// Checks that what must hold before does, and works out what is done and what comes of it.
    ///
    /// # Errors
    /// [`Unfit`], when it must not be done to this inventory.
    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit>;

    /// Tells from the world whether it was applied, where its acts leave no trace of their own.
    fn probe(&self, now: &Inventory) -> Probe;

    /// The content of the version of the metadata it takes something from, where it names one.
    fn builds_on(&self) -> Option<Digest> {
        None
    }

    /// Whether this difference between the metadata as predicted and as found is LVM2's to choose.
    fn allows(&self, _: &Difference) -> bool {
        false
    }

    /// Works out how it is undone on a running machine, from what stands there now: what others
    /// did since stays.
    ///
    /// # Errors
    /// [`Unfit`], when there is no undo, or not any more.
    fn lower_undo(&self, _: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        Err(Unfit::new("it has no undo"))
    }

    /// Extents that it writes as a whole: what stood there is in the evidence, and on images comes from
    /// there when it is undone.
    fn writes_over(&self) -> &[Claim] {
        &[]
    }

    /// How often it is tried, where once is not all there is.
    fn attempts(&self) -> Option<Attempts> {
        None
    }

    /// What a crash may leave beside the devices: told from the run alone, since the world may by
    /// then be none that this operation could be done to.
    fn unfinished(&self, _: &Signature) -> Option<CopyFile> {
        None
    }
}
