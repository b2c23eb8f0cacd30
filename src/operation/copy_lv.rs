//! Copies the content of an LV to a new file.
//!
//! Effect: a sparse file with the content and a manifest beside it; no disk of the VG is written.
//! Half way: parts under names of this run, which are removed when it is resumed or rolled back.
//! Undo: none needed; a finished copy stays.

use serde::{Deserialize, Serialize};

use crate::ids::{LvName, LvUuid, VgUuid};
use crate::model::inventory::{Inventory, Realm, TargetFile};
use crate::operation::act::{Act, CopyFile};
use crate::operation::content::content_of;
use crate::operation::{Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit};
use crate::plan::hazard::Hazard;

/// Copies the content of an LV.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyLv {
    /// The VG.
    pub vg: VgUuid,
    /// The LV.
    pub lv: LvUuid,
    /// What it is called.
    pub name: LvName,
    /// Where to; an absolute path.
    pub path: String,
}

impl CopyLv {
    fn file(&self, signature: &Signature) -> CopyFile {
        CopyFile { path: self.path.clone(), begun: signature.time }
    }
}

impl Contract for CopyLv {
    fn object(&self) -> String {
        self.path.clone()
    }

    fn title(&self) -> String {
        let path = crate::ids::ForeignText::from(self.path.as_str());
        format!("copy the content of LV {} to {path}", self.name)
    }

    fn reasons(&self) -> Vec<String> {
        vec!["sparse, synced, with its SHA-256 in a manifest beside it".to_owned()]
    }

    fn touches(&self) -> Touches {
        Touches {
            reads: vec![
                Resource::Evidence,
                Resource::Metadata(self.vg),
                Resource::Content(self.lv),
            ],
            writes: vec![Resource::File(self.path.clone())],
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images | Realm::Live => Risk::ReadOnly,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images | Realm::Live => "none needed: the copy is a new file and stays",
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let path = crate::ids::ForeignText::from(self.path.as_str());
        match now.targets.get(&self.path) {
            // How much is free is no condition here: it was checked when the plan was made, and
            // what a run that is taken up again wrote itself may be what is missing now.
            Some(TargetFile::Free(_)) | None => {}
            Some(TargetFile::NoDirectory(why) | TargetFile::Taken(why)) => {
                return Err(Unfit::new(format!("{path} cannot be made: {why}")));
            }
            Some(TargetFile::Done(_)) => {
                return Err(Unfit::new(format!("{path} exists already")));
            }
        }
        let content = content_of(now, self.vg, self.lv)?;
        let acts = vec![Act::CopyToFile { content, to: self.file(signature) }];
        Ok(Lowered { acts, predicted: now.clone() })
    }

    fn probe(&self, now: &Inventory) -> Probe {
        match now.targets.get(&self.path) {
            Some(TargetFile::Done(made)) if (made.vg, made.lv) == (self.vg, self.lv) => {
                Probe::After
            }
            Some(TargetFile::Free(_)) => Probe::Before,
            Some(TargetFile::Done(_) | TargetFile::Taken(_) | TargetFile::NoDirectory(_))
            | None => Probe::Neither,
        }
    }

    fn unfinished(&self, signature: &Signature) -> Option<CopyFile> {
        Some(self.file(signature))
    }
}
