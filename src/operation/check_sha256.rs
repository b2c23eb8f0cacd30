//! Compares the content of an LV with a digest.
//!
//! Effect: none. Half way: nothing. Undo: none needed.

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, LvName, LvUuid, VgUuid};
use crate::model::inventory::{Inventory, Realm};
use crate::operation::act::Act;
use crate::operation::content::content_of;
use crate::operation::{Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit};
use crate::plan::hazard::Hazard;

/// Compares the content of an LV with a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSha256 {
    /// The VG.
    pub vg: VgUuid,
    /// The LV.
    pub lv: LvUuid,
    /// What it is called.
    pub name: LvName,
    /// What its content must sum up to.
    pub digest: Digest,
}

impl Contract for CheckSha256 {
    fn object(&self) -> String {
        self.lv.to_string()
    }

    fn title(&self) -> String {
        format!("compare the content of LV {} with its SHA-256", self.name)
    }

    fn reasons(&self) -> Vec<String> {
        vec![format!("expected {}", self.digest)]
    }

    fn touches(&self) -> Touches {
        Touches {
            reads: vec![Resource::Metadata(self.vg), Resource::Content(self.lv)],
            writes: Vec::new(),
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::ReadOnly,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images | Realm::Live => "none needed: it only reads",
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, _: &Signature) -> Result<Lowered, Unfit> {
        let content = content_of(now, self.vg, self.lv)?;
        let acts = vec![Act::CompareContent { content, expected: self.digest }];
        Ok(Lowered { acts, predicted: now.clone() })
    }

    fn probe(&self, _: &Inventory) -> Probe {
        // It leaves no trace, and may be done again.
        Probe::Before
    }
}
